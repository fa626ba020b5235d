import type { ExportId } from '../domain/ids.ts'
import type { RunCounts, RunStatus } from '../domain/run.ts'
import { appendAudit } from '../store/audit.ts'
import { readExport, removeWhereLeaving } from '../store/export.ts'
import { finishRun as finishInStore, type FinishedRun, type Hold } from '../store/run-hold.ts'
import { countScheduledRun, takeRefreshPending } from '../store/schedule.ts'
import type { Tx } from '../store/schema.ts'
import { startAfterRefresh } from './after-refresh.ts'
import type { Queue } from './queue.ts'
import { tellOfEnd } from './run-news.ts'

/** Scheduled runs that may fail in a row before the schedule pauses itself, with one reason instead of an alert for each. */
const FAILURES_MAX = 10

export interface RunEnd {
  readonly status: RunStatus
  readonly reason: string | null
  readonly counts: RunCounts | null
  /** The answers are in the ledgers, by this same transaction (`settle`). */
  readonly settled: boolean
}

/**
 * Ends a run with all that hangs on it: the schedule's count of failures, a refresh that waited for it, the audit log.
 * Undefined when the lease is lost. `before` is done in between, when the run is known to be ours.
 */
export async function finishRun(
  tx: Tx,
  queue: Queue,
  hold: Hold,
  end: RunEnd,
  random: (size: number) => Uint8Array,
  before?: (run: FinishedRun) => Promise<void>,
): Promise<FinishedRun | undefined> {
  const run = await finishInStore(tx, hold, end)
  if (run === undefined) return undefined
  await before?.(run)
  const exportId = run.exportId as ExportId
  const by = { actor: 'schedule', now: run.finishedAt, randomBytes: random }
  let paused: string | null = null
  if (run.purpose === 'deliver') {
    const failed = end.status === 'failed'
    const isByItself = run.startedBy === 'schedule' || run.startedBy === 'refresh'
    if (!failed || isByItself)
      paused = await countScheduledRun(tx, exportId, { failed, reason: end.reason }, FAILURES_MAX)
    if (await takeRefreshPending(tx, exportId)) {
      const target = await readExport(tx, exportId)
      if (target.connectionId !== null) await startAfterRefresh(tx, queue, target, by)
    }
  }
  const detail = { exportId, purpose: run.purpose, status: end.status, counts: end.counts }
  await appendAudit(tx, { at: run.finishedAt, actor: run.actor, action: 'run.finished', subject: hold.runId, detail })
  if (paused !== null) {
    await appendAudit(tx, {
      at: run.finishedAt,
      actor: 'schedule',
      action: 'schedule.paused',
      subject: exportId,
      detail: {},
    })
  }
  if (run.purpose === 'deliver') await tellOfEnd(tx, { ...end, id: hold.runId, exportId }, run.finishedAt, random)
  await removeWhereLeaving(tx, exportId, by)
  return run
}
