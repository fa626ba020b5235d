/**
 * A process that a test kills: a worker over a store, whose runs send a batch every few milliseconds for ever. It tells on its
 * output what was acknowledged: `running <epoch>`, `answered <batch>`, `ended <how>`.
 */
import { randomBytes } from 'node:crypto'
import { writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { openQueue } from '../jobs/queue.ts'
import { makeRunPort } from '../jobs/run-port.ts'
import { startWorker } from '../jobs/worker.ts'
import { openStore } from '../store/open-store.ts'
import { findConnector } from './fixtures.ts'

const { dataFolder, databaseUrl, everyMs } = JSON.parse(process.argv[2] ?? '{}') as {
  readonly dataFolder: string
  readonly databaseUrl?: string
  readonly everyMs: number
}
/** Unbuffered: what the test reads was done before. */
const say = (line: string): void => void writeSync(1, `${line}\n`)

const store = await openStore({ dataFolder, ...(databaseUrl === undefined ? {} : { databaseUrl }) })
const queue = await openQueue(store, () => undefined)
const ports = makeRunPort({
  db: store.db,
  queue,
  findConnector,
  authority: () => Promise.resolve(null),
  now: () => new Date(),
  randomBytes,
})
startWorker({
  ...{ store, queue, randomBytes, concurrency: 1 },
  onError: (error) => say(`ended ${error instanceof Error ? error.name : 'unknown'}`),
  timing: { pollMs: 20, watchMs: 50, beatMs: 200 },
  executeRun: async (lease) => {
    say(`running ${lease.epoch}`)
    const state = await ports.load(lease)
    if (state.plan === null) await ports.savePlan(lease, await ports.makePlan(lease))
    const start = state.journal.filter((entry) => entry.state === 'answered').length + 1
    for (let batch = start; ; batch++) {
      const key = { source: 'People', kind: 'batch', first: batch, last: batch } as const
      try {
        await ports.intend(lease, key)
        await ports.answer(lease, { ...key, accepted: 1, rejected: 0, uncertain: 0, exceptionsPath: null })
      } catch (error) {
        say(`ended ${error instanceof Error ? error.name : 'unknown'}`)
        throw error
      }
      say(`answered ${batch}`)
      if (everyMs > 0) await sleep(everyMs)
    }
  },
})
say('ready')
