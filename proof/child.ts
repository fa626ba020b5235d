/**
 * A Patchbay that is killed: it runs the export of its data folder, or goes on with what an earlier one left, and at the
 * n-th time that it comes by the named failpoint it ends as by a power cut. Says on its last line what became of the run.
 *
 * Arguments: `run` or `resume`, failpoint or `none`, n; or `set-up` and the file that says what to make.
 */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeClient, type Run } from '@patchbay/contract'
import { openPatchbay } from '../packages/server/src/main.ts'
import { processEnvironment, readSettings } from '../packages/server/src/settings.ts'
import { connectorsWith } from './services.ts'

const [task = 'run', armed = 'none', nth = '1'] = process.argv.slice(2)
const hits: Record<string, number> = {}
const patchbay = await openPatchbay(readSettings(processEnvironment(), process.cwd()), {
  connectors: connectorsWith(process.env['PROOF_SERVICE']),
  failpoint(name: string) {
    hits[name] = (hits[name] ?? 0) + 1
    if (name === armed && hits[name] === Number(nth)) process.kill(process.pid, 'SIGKILL')
  },
})
const client = makeClient(async (request) => patchbay.app.fetch(request, { door: 'operator' }))

const isOver = (run: Run): boolean => !['queued', 'running', 'failed-retrying'].includes(run.status)
type Body<F extends (request: never) => unknown> = Parameters<F>[0] extends { body: infer B } ? B : never
interface World {
  readonly tables: readonly { readonly name: string; readonly path: string }[]
  readonly connection: Omit<Body<typeof client.connections.add>, 'name'>
  readonly export: Omit<Body<typeof client.exports.add>, 'name'>
}

async function setUp(world: World): Promise<void> {
  for (const { name, path } of world.tables) {
    const { id } = await client.uploads.add({
      query: { name: `${name}.csv` },
      body: new Blob([readFileSync(path)]).stream(),
    })
    await client.tables.import({ body: { uploads: [id], name, key: 'id' } })
  }
  await client.connections.add({ body: { name: 'Sink', ...world.connection } })
  await client.exports.add({ body: { name: 'Proof', ...world.export } })
}

async function untilOver(): Promise<readonly Run[]> {
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
  return runs
}

try {
  if (task === 'set-up') await setUp(JSON.parse(readFileSync(armed, 'utf8')) as World)
  else process.stdout.write(`${JSON.stringify({ hits, runs: await untilOver() })}\n`)
} finally {
  await patchbay.close()
}
