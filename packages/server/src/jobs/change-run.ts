import type { RunId } from '../domain/ids.ts'
import { Problem } from '../domain/problem.ts'
import { appendAudit } from '../store/audit.ts'
import type { By } from '../store/by.ts'
import { readRun } from '../store/run.ts'
import { approveRun as approveInStore, requestCancel } from '../store/run-request.ts'
import type { Tx } from '../store/schema.ts'
import { enqueueRun } from './enqueue-run.ts'
import type { Queue } from './queue.ts'
import { tellOfCancel } from './run-news.ts'

/** A run that goes on stops within a batch; see `requestCancel` for the others. Call `queue.wake()` after the commit. */
export async function cancelRun(tx: Tx, queue: Queue, id: RunId, by: By): Promise<void> {
  const { mustWake, outcome } = await requestCancel(tx, id, by)
  if (outcome === 'ended') await tellOfCancel(tx, await readRun(tx, id), by.now, by.randomBytes)
  if (mustWake) await queue.send(tx, id, null)
  await appendAudit(tx, { at: by.now, actor: by.actor, action: 'run.cancel-requested', subject: id, detail: {} })
}

export async function approveRun(tx: Tx, queue: Queue, id: RunId, outboxDigest: string, by: By): Promise<void> {
  await approveInStore(tx, id, outboxDigest, by)
  await queue.send(tx, id, null)
  const detail = { outboxDigest }
  await appendAudit(tx, { at: by.now, actor: by.actor, action: 'run.approved', subject: id, detail })
}

/** A new run that looks only at the rows which that one rejected, or also at those it left uncertain. */
export async function retryRun(
  tx: Tx,
  queue: Queue,
  id: RunId,
  include: 'rejected' | 'rejected-and-uncertain',
  by: By,
): Promise<RunId> {
  const run = await readRun(tx, id)
  if (run.purpose !== 'deliver' || run.finishedAt === null) {
    throw new Problem('not-ready', 'There is nothing to retry: the run is a preview, or not over', {
      cure: 'Wait until it is over',
    })
  }
  const { rejected, uncertain } = run.counts
  if (rejected + (include === 'rejected' ? 0 : uncertain) === 0) {
    throw new Problem('not-ready', 'The run has no such rows', { cure: 'There is nothing to retry' })
  }
  const request = { exportId: run.exportId, purpose: 'deliver', startedBy: 'retry' } as const
  return enqueueRun(tx, queue, { ...request, retryOf: { runId: id, include } }, by)
}
