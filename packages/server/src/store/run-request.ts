/** What people ask of a run that somebody else may be holding. */
import { Problem } from '../domain/problem.ts'
import type { RunId } from '../domain/ids.ts'
import { notFound } from './conflict.ts'
import type { Tx } from './schema.ts'

/** Makes a run due again, with its plan and its journal. False where another run of the export is not over. */
export async function requeueRun(
  tx: Tx,
  id: RunId,
  next: { readonly status: 'queued'; readonly now: Date },
): Promise<boolean> {
  const blocked = await tx
    .selectFrom('run as other')
    .innerJoin('run', 'run.export_id', 'other.export_id')
    .select('other.id')
    .where('run.id', '=', id)
    .where('other.id', '<>', id)
    .where('other.purpose', '=', 'deliver')
    .where('other.status', 'in', ['queued', 'running', 'held', 'failed-retrying'])
    .executeTakeFirst()
  if (blocked !== undefined) return false
  await tx
    .updateTable('run')
    .set({ status: next.status, due_at: next.now, attempts: 0, reason: null, finished_at: null })
    .where('id', '=', id)
    .execute()
  return true
}

/**
 * `ended`: nobody had begun, so it is over at once. `asked`: whoever holds it stops before its next batch, and where
 * nobody does (it waits for another try), it must be woken up, so that what was accepted so far is settled.
 */
export async function requestCancel(
  tx: Tx,
  id: RunId,
  by: { readonly actor: string; readonly now: Date },
): Promise<{ readonly outcome: 'ended' | 'asked'; readonly mustWake: boolean }> {
  const run = await tx
    .selectFrom('run')
    .select(['status', 'cancel_requested_at'])
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirst()
  if (run === undefined) throw notFound('run', id)
  const asked = { cancel_requested_at: run.cancel_requested_at ?? by.now, cancel_requested_by: by.actor }
  if (run.status === 'running') {
    await tx.updateTable('run').set(asked).where('id', '=', id).execute()
    return { outcome: 'asked', mustWake: false }
  }
  if (run.status !== 'queued' && run.status !== 'held' && run.status !== 'failed-retrying') {
    throw new Problem('conflict', `The run is over: ${run.status}`, { cure: 'There is nothing left to cancel' })
  }
  const journal = await tx
    .selectFrom('run_journal')
    .select('run_id')
    .where('run_id', '=', id)
    .limit(1)
    .executeTakeFirst()
  if (journal !== undefined) {
    const due = { status: 'queued', due_at: by.now } as const
    await tx
      .updateTable('run')
      .set({ ...asked, ...due })
      .where('id', '=', id)
      .execute()
    return { outcome: 'asked', mustWake: true }
  }
  const end = {
    status: 'canceled',
    reason: `Canceled by ${by.actor}`,
    finished_at: by.now,
    settled_at: by.now,
  } as const
  await tx
    .updateTable('run')
    .set({ ...asked, ...end })
    .where('id', '=', id)
    .execute()
  return { outcome: 'ended', mustWake: false }
}

/** Approves exactly the difference that `digest` names, and makes the run due. */
export async function approveRun(
  tx: Tx,
  id: RunId,
  digest: string,
  by: { readonly actor: string; readonly now: Date },
): Promise<void> {
  const run = await tx
    .selectFrom('run')
    .select(['status', 'outbox_digest'])
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirst()
  if (run === undefined) throw notFound('run', id)
  if (run.status !== 'held') {
    throw new Problem('conflict', `The run is not held: ${run.status}`, { cure: 'There is nothing to approve' })
  }
  if (run.outbox_digest !== digest) {
    throw new Problem('conflict', 'The difference is not the one that you looked at', {
      path: 'outboxDigest',
      cure: 'Look at the run again, and approve what it would send now',
    })
  }
  await tx
    .updateTable('run')
    .set({
      status: 'queued',
      reason: null,
      approved_digest: digest,
      approved_by: by.actor,
      approved_at: by.now,
      due_at: by.now,
    })
    .where('id', '=', id)
    .execute()
}
