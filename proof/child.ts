/**
 * A Patchbay that is killed: it runs the export of its data folder, or goes on with what an earlier one left, and at the
 * n-th time that it comes by the named failpoint it ends as by a power cut. Says on its last line what became of the run.
 *
 * Arguments: `run` or `resume`, failpoint or `none`, n.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { makeClient, type Run } from '@patchbay/contract'
import { openPatchbay } from '../packages/server/src/main.ts'
import { processEnvironment, readSettings } from '../packages/server/src/settings.ts'

const [task = 'run', armed = 'none', nth = '1'] = process.argv.slice(2)
const hits: Record<string, number> = {}
const patchbay = await openPatchbay(readSettings(processEnvironment(), process.cwd()), {
  failpoint(name: string) {
    hits[name] = (hits[name] ?? 0) + 1
    if (name === armed && hits[name] === Number(nth)) process.kill(process.pid, 'SIGKILL')
  },
})
const client = makeClient(async (request) => patchbay.app.fetch(request, { door: 'operator' }))

const isOver = (run: Run): boolean => !['queued', 'running', 'failed-retrying'].includes(run.status)
try {
  await patchbay.startWorker({ withSchedules: false })
  const { items: exports } = await client.exports.list({ query: {} })
  const [one] = exports
  if (one === undefined) throw new Error('The data folder has no export')
  if (task === 'run') await client.exports.run({ params: { export: one.id } })
  let runs: readonly Run[] = []
  do {
    await sleep(20)
    runs = (await client.runs.list({ query: {} })).items
  } while (runs.length === 0 || !runs.every(isOver))
  process.stdout.write(`${JSON.stringify({ hits, runs })}\n`)
} finally {
  await patchbay.close()
}
