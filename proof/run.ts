/**
 * `npm run proof [connector …]`: kills the process at every failpoint of a run, at its first, middle and last passing, for
 * every connector, and writes what the destinations then held to `proof/RESULTS.json`. Ends with 1 where anything was lost,
 * doubled beyond the promise, or told wrongly.
 */
import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { proveConfusions } from './confusions.ts'
import { SINKS } from './sinks.ts'
import { positionsOf, Sweep, type CaseResult } from './sweep.ts'

const { positionals } = parseArgs({ allowPositionals: true })
const connectors = positionals.length === 0 ? Object.keys(SINKS) : positionals
const root = await mkdtemp(join(tmpdir(), 'patchbay-proof-'))
const results: CaseResult[] = []
/** Most of a case is waiting for a process to start, so several connectors are swept at a time. */
const SWEEPS_AT_ONCE = availableParallelism() + 1
try {
  const waiting = [...connectors.entries()]
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await sweepConnector(...next)
  }
  await Promise.all(Array.from({ length: SWEEPS_AT_ONCE }, work))
} finally {
  await rm(root, { recursive: true, force: true })
}

async function sweepConnector(index: number, connector: string): Promise<void> {
  const sweep = await Sweep.open(connector, join(root, String(index)))
  try {
    const hits = await sweep.countHits()
    for (const [failpoint, times] of Object.entries(hits)) {
      for (const nth of positionsOf(times)) {
        const result = await sweep.kill(failpoint, nth)
        results.push(result)
        const verdict = result.faults.length === 0 ? 'ok' : `WRONG: ${result.faults.join('; ')}`
        process.stdout.write(`${connector.padEnd(16)} ${failpoint.padEnd(14)} ${String(nth).padStart(3)}  ${verdict}\n`)
      }
    }
  } finally {
    await sweep.close()
  }
}

const summary = Object.values(
  Object.groupBy(results, ({ connector, failpoint }) => `${connector} ${failpoint}`),
).flatMap((cases = []) => {
  const [first] = cases
  if (first === undefined) return []
  const sum = (name: 'lost' | 'doubled' | 'uncertain'): number => cases.reduce((total, one) => total + one[name], 0)
  return [
    {
      connector: first.connector,
      fault: `SIGKILL at ${first.failpoint}`,
      cases: cases.length,
      lost: sum('lost'),
      doubled: sum('doubled'),
      uncertain: sum('uncertain'),
      failed: cases.filter((one) => one.faults.length > 0).length,
    },
  ]
})
const failed = results.filter((one) => one.faults.length > 0).length
const commit = execFileSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8' }).trim()
// Every case is run, so there is nothing to draw by chance; the sample of the tests prints its seed.
const document = { commit, date: new Date().toISOString(), seed: null, cases: results.length, failed, results: summary }
if (positionals.length === 0)
  await writeFile(fileURLToPath(new URL('RESULTS.json', import.meta.url)), `${JSON.stringify(document, null, 2)}\n`)
process.stdout.write(`${results.length - failed} passed, ${failed} failed\n`)
const isWellMannered = positionals.length > 0 || proveConfusions()
process.exitCode = failed === 0 && isWellMannered ? 0 : 1
