import { sql } from 'kysely'
import type { ExportId } from '../domain/ids.ts'
import { nextSlots } from '../domain/schedule-slots.ts'
import type { Schedule } from '../domain/schedule.ts'
import { toJson } from './json.ts'
import type { Tx } from './schema.ts'

/** Part of making, editing, attaching and detaching an export. A change starts it afresh: no pause, no failures, next slot from now. */
export async function writeSchedule(
  tx: Tx,
  exportId: ExportId,
  schedule: Schedule | null,
  state: { readonly isAttached: boolean; readonly now: Date },
): Promise<void> {
  if (schedule === null) {
    await tx.deleteFrom('schedule').where('export_id', '=', exportId).execute()
    return
  }
  const nextAt = schedule.on && state.isAttached ? (nextSlots(schedule, state.now, 1)[0] ?? null) : null
  const row = { spec: toJson(schedule), is_on: schedule.on, next_at: nextAt }
  const fresh = { failures: 0, paused_reason: null, refresh_pending: false }
  await tx
    .insertInto('schedule')
    .values({ export_id: exportId, ...row, ...fresh })
    .onConflict((conflict) => conflict.column('export_id').doUpdateSet({ ...row, ...fresh }))
    .execute()
}

export interface DueSchedule {
  readonly exportId: ExportId
  readonly schedule: Schedule
  /** The slot that is due, or was missed. */
  readonly nextAt: Date
  readonly createdBy: string
  readonly isAttached: boolean
}

/** Takes one due schedule for this transaction; another scheduler at the same moment takes another one. */
export async function claimDueSchedule(tx: Tx, now: Date): Promise<DueSchedule | undefined> {
  const row = await tx
    .selectFrom('schedule')
    .innerJoin('export', 'export.id', 'schedule.export_id')
    .select(['schedule.export_id', 'schedule.spec', 'schedule.next_at', 'export.created_by', 'export.connection_id'])
    .where('schedule.next_at', '<=', now)
    .where('schedule.is_on', '=', true)
    .orderBy('schedule.next_at')
    .limit(1)
    .forUpdate('schedule')
    .skipLocked()
    .executeTakeFirst()
  if (row === undefined || row.next_at === null) return undefined
  return {
    exportId: row.export_id as ExportId,
    schedule: row.spec,
    nextAt: row.next_at,
    createdBy: row.created_by,
    isAttached: row.connection_id !== null,
  }
}

export async function setNextSlot(tx: Tx, exportId: ExportId, nextAt: Date | null): Promise<void> {
  await tx.updateTable('schedule').set({ next_at: nextAt }).where('export_id', '=', exportId).execute()
}

/** Exports that are to run after their tables were refreshed, and are neither off, paused nor detached. */
export async function listAfterRefresh(
  tx: Tx,
): Promise<readonly { readonly exportId: ExportId; readonly createdBy: string }[]> {
  const rows = await tx
    .selectFrom('schedule')
    .innerJoin('export', 'export.id', 'schedule.export_id')
    .select(['schedule.export_id', 'export.created_by'])
    .where(sql<boolean>`schedule.spec -> 'every' ->> 'type' = 'after-refresh'`)
    .where('schedule.is_on', '=', true)
    .where('schedule.paused_reason', 'is', null)
    .where('export.connection_id', 'is not', null)
    .execute()
  return rows.map((row) => ({ exportId: row.export_id as ExportId, createdBy: row.created_by }))
}

export async function setRefreshPending(tx: Tx, exportId: ExportId): Promise<void> {
  await tx.updateTable('schedule').set({ refresh_pending: true }).where('export_id', '=', exportId).execute()
}

/** Whether a refresh came while a run was going on; forgotten by being asked. */
export async function takeRefreshPending(tx: Tx, exportId: ExportId): Promise<boolean> {
  const row = await tx
    .updateTable('schedule')
    .set({ refresh_pending: false })
    .where('export_id', '=', exportId)
    .where('refresh_pending', '=', true)
    .where('is_on', '=', true)
    .where('paused_reason', 'is', null)
    .returning('export_id')
    .executeTakeFirst()
  return row !== undefined
}

/**
 * Counts a run that started by itself. At `failuresMax` failures in a row the schedule pauses, with one reason and not one
 * alert for each run; an edit of the export starts it again. Gives the reason when this was the failure that paused it.
 */
export async function countScheduledRun(
  tx: Tx,
  exportId: ExportId,
  outcome: { readonly failed: boolean; readonly reason: string | null },
  failuresMax: number,
): Promise<string | null> {
  if (!outcome.failed) {
    await tx.updateTable('schedule').set({ failures: 0 }).where('export_id', '=', exportId).execute()
    return null
  }
  const row = await tx
    .updateTable('schedule')
    .set((set) => ({ failures: set('failures', '+', 1) }))
    .where('export_id', '=', exportId)
    .where('paused_reason', 'is', null)
    .returning('failures')
    .executeTakeFirst()
  if (row === undefined || row.failures < failuresMax) return null
  const reason = `Paused after ${row.failures} failures in a row. The last: ${outcome.reason ?? 'no reason known'}`
  await tx
    .updateTable('schedule')
    .set({ paused_reason: reason, next_at: null })
    .where('export_id', '=', exportId)
    .execute()
  return reason
}

/** Every schedule that waits for a slot, locked: for when the clock went back. */
export async function listScheduled(
  tx: Tx,
): Promise<readonly { readonly exportId: ExportId; readonly schedule: Schedule; readonly nextAt: Date }[]> {
  const rows = await tx
    .selectFrom('schedule')
    .select(['export_id', 'spec', 'next_at'])
    .where('next_at', 'is not', null)
    .where('is_on', '=', true)
    .orderBy('export_id')
    .forUpdate()
    .execute()
  return rows.flatMap(({ export_id, spec, next_at }) =>
    next_at === null ? [] : [{ exportId: export_id as ExportId, schedule: spec, nextAt: next_at }],
  )
}
