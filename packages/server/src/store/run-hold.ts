/**
 * Writes of whoever holds a run. Each names the epoch it was given and changes nothing when another has taken over; the
 * caller then gets `undefined` or `false`. Times are the database's, since the clocks of two workers differ.
 */
import { sql } from 'kysely'
import type { RunId } from '../domain/ids.ts'
import type { Plan } from '../domain/plan.ts'
import type { RunCounts, RunStatus, Stage } from '../domain/run.ts'
import { toJson } from './json.ts'
import type { Db, Tx } from './schema.ts'

export interface Hold {
  readonly runId: RunId
  readonly epoch: number
}

export interface RunToTake {
  readonly id: RunId
  readonly exportId: string
  readonly purpose: 'deliver' | 'preview'
  readonly status: RunStatus
  readonly epoch: number
}

/** Locks the row, so that of two workers one waits and then sees what the other made of it. */
export async function lockRun(tx: Tx, id: string): Promise<RunToTake | undefined> {
  const row = await tx
    .selectFrom('run')
    .select(['id', 'export_id', 'purpose', 'status', 'epoch'])
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirst()
  if (row === undefined) return undefined
  const { id: runId, export_id, ...rest } = row
  return { id: runId as RunId, exportId: export_id, ...rest }
}

/** Makes the run the holder's: from here on, writes with an older epoch are refused. */
export async function takeRun(tx: Tx, id: RunId, holder: string): Promise<Hold> {
  const row = await tx
    .updateTable('run')
    .set({
      status: 'running',
      epoch: sql`epoch + 1`,
      holder,
      heartbeat_at: sql`now()`,
      started_at: sql`coalesce(started_at, now())`,
    })
    .where('id', '=', id)
    .returning('epoch')
    .executeTakeFirstOrThrow()
  return { runId: id, epoch: row.epoch }
}

/** False only when another worker has the run: one that has just ended is no loss. */
export async function beat(db: Db, hold: Hold): Promise<boolean> {
  const result = await db
    .updateTable('run')
    .set({ heartbeat_at: sql`now()` })
    .where('id', '=', hold.runId)
    .where('epoch', '=', hold.epoch)
    .executeTakeFirst()
  return changed(result)
}

export async function setStage(db: Db, hold: Hold, stage: Stage): Promise<boolean> {
  const entry = sql`stages || jsonb_build_object('stage', ${stage}::text, 'at', to_char(now() AT TIME ZONE 'UTC', ${ISO}))`
  return changed(
    await held(db, hold)
      .set({ stage, stages: sql`${entry}` })
      .executeTakeFirst(),
  )
}

/** Where the run delivers to, kept apart from the plan: cancelling and ledgers ask for it. */
export async function setTarget(
  db: Db,
  hold: Hold,
  target: { readonly connectionId: string; readonly destinationDigest: string },
): Promise<boolean> {
  const set = { connection_id: target.connectionId, destination_digest: target.destinationDigest }
  return changed(await held(db, hold).set(set).executeTakeFirst())
}

export async function savePlan(db: Db, hold: Hold, plan: Plan): Promise<boolean> {
  return changed(
    await held(db, hold)
      .set({ plan: toJson(plan) })
      .executeTakeFirst(),
  )
}

export async function saveDiff(db: Db, hold: Hold, diff: { readonly digest: string }): Promise<boolean> {
  return changed(
    await held(db, hold)
      .set({ diff: toJson(diff), outbox_digest: diff.digest })
      .executeTakeFirst(),
  )
}

/** Held for approval: it is over for this holder, and goes on under another epoch. */
export async function holdForApproval(db: Db, hold: Hold, reason: string): Promise<boolean> {
  const set = { status: 'held', reason, approved_digest: null, holder: null, heartbeat_at: null } as const
  return changed(await held(db, hold).set(set).executeTakeFirst())
}

/** Ends the run. `settled` says that its answers are in the ledgers, by the same transaction. */
export async function finishRun(
  tx: Tx,
  hold: Hold,
  end: {
    readonly status: RunStatus
    readonly reason: string | null
    readonly counts: RunCounts | null
    readonly settled: boolean
  },
): Promise<FinishedRun | undefined> {
  const row = await held(tx, hold)
    .set({
      status: end.status,
      reason: end.reason,
      ...(end.counts === null ? {} : { counts: toJson(end.counts) }),
      stage: null,
      holder: null,
      heartbeat_at: null,
      finished_at: sql`now()`,
      settled_at: end.settled ? sql`now()` : null,
    })
    .returning(['export_id', 'purpose', 'started_by', 'actor', 'destination_digest', 'finished_at'])
    .executeTakeFirst()
  if (row === undefined) return undefined
  return {
    exportId: row.export_id,
    purpose: row.purpose,
    startedBy: row.started_by,
    actor: row.actor,
    destinationDigest: row.destination_digest,
    finishedAt: row.finished_at ?? new Date(0),
  }
}

export interface FinishedRun {
  readonly exportId: string
  readonly purpose: 'deliver' | 'preview'
  readonly startedBy: 'person' | 'schedule' | 'refresh' | 'retry'
  readonly actor: string
  readonly destinationDigest: string | null
  readonly finishedAt: Date
}

/** Goes on later, with its plan and its journal. Gives how often it failed so far, this time included. */
export async function putOff(
  tx: Tx,
  hold: Hold,
  later: { readonly status: 'failed-retrying' | 'queued'; readonly reason: string | null; readonly delayMs: number },
): Promise<{ readonly attempts: number; readonly dueAt: Date } | undefined> {
  const row = await held(tx, hold)
    .set((set) => ({
      status: later.status,
      reason: later.reason,
      attempts: later.status === 'queued' ? set.ref('attempts') : set('attempts', '+', 1),
      holder: null,
      heartbeat_at: null,
      due_at: sql`now() + ${later.delayMs} * interval '1 millisecond'`,
    }))
    .returning(['attempts', 'due_at'])
    .executeTakeFirst()
  return row === undefined ? undefined : { attempts: row.attempts, dueAt: row.due_at }
}

export async function readAttempts(db: Db, hold: Hold): Promise<number | undefined> {
  const row = await db
    .selectFrom('run')
    .select('attempts')
    .where('id', '=', hold.runId)
    .where('epoch', '=', hold.epoch)
    .executeTakeFirst()
  return row?.attempts
}

const ISO = 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'

function held(db: Db, hold: Hold) {
  return db
    .updateTable('run')
    .where('id', '=', hold.runId)
    .where('epoch', '=', hold.epoch)
    .where('status', '=', 'running')
}

function changed(result: { readonly numUpdatedRows: bigint }): boolean {
  return result.numUpdatedRows === 1n
}
