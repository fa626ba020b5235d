/**
 * The queue of runs: pg-boss on the control store itself, so that a run and the job that wakes a worker for it come into
 * being in one transaction, or not at all. A job holds a run's id and nothing else; everything about the run is in its row.
 * Workers take a job in the transaction that makes the run theirs, so a worker that dies leaves it where it was.
 */
import { fromKysely, PgBoss } from 'pg-boss'
import type { RunId } from '../domain/ids.ts'
import type { Store } from '../store/open-store.ts'
import type { Tx } from '../store/schema.ts'

export interface Queue {
  /** `after` is absolute; a run that is due at once is taken within half a second. */
  send(tx: Tx, runId: RunId, after: Date | null): Promise<void>
  /** Takes jobs that are due; they are there again if the transaction is rolled back. */
  take(tx: Tx, count: number): Promise<readonly Job[]>
  done(tx: Tx, job: Job): Promise<void>
  /** Called after a commit that sent something, so that this process's own worker need not wait for its next look. */
  wake(): void
  onWake(listener: () => void): () => void
  close(): Promise<void>
}

export interface Job {
  readonly id: string
  readonly runId: RunId
}

const NAME = 'run'
/** As long as pg-boss allows: an order that waits for a delayed retry must outlive it. Orders that are done go after a day. */
const KEPT = { retentionSeconds: 30 * 86_400, deleteAfterSeconds: 86_400 }

/** `onError` hears of trouble in the queue's own upkeep; nothing is lost by it. */
export async function openQueue(store: Store, onError: (error: Error) => void): Promise<Queue> {
  const boss = new PgBoss({
    db: { executeSql: (text, values) => store.queueDatabase.executeSql(text, values) },
    backend: store.dialect === 'pglite' ? 'pglite' : 'postgres',
    schema: 'queue',
    schedule: false,
    registerInstance: false,
  })
  boss.on('error', onError)
  await boss.start()
  // A job is never retried by pg-boss: what becomes of a run is decided by its row.
  await boss.createQueue(NAME, { policy: 'standard', retryLimit: 0, ...KEPT })
  const listeners = new Set<() => void>()
  return {
    send: async (tx, runId, after) => {
      const options = { db: fromKysely(tx), ...(after === null ? {} : { startAfter: after }) }
      const id = await boss.send(NAME, { runId }, options)
      if (id === null) throw new Error('pg-boss did not take a job')
    },
    take: async (tx, count) => {
      const jobs = await boss.fetch<{ runId: RunId }>(NAME, { batchSize: count, db: fromKysely(tx) })
      return jobs.map(({ id, data }) => ({ id, runId: data.runId }))
    },
    done: async (tx, job) => {
      await boss.complete(NAME, job.id, null, { db: fromKysely(tx) })
    },
    wake: () => {
      for (const listener of listeners) listener()
    },
    onWake: (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    close: () => boss.stop({ graceful: false, close: false }),
  }
}
