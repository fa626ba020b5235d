import type { Export } from '../domain/export.ts'
import { isId, newId, type ConnectionId, type ExportId } from '../domain/ids.ts'
import { Problem } from '../domain/problem.ts'
import { appendAudit } from './audit.ts'
import type { By } from './by.ts'
import { notFound, stale, withUniqueName } from './conflict.ts'
import { holdConnection, readConnection } from './connection.ts'
import { exportOf, selectExports, type ScheduledExport } from './export-row.ts'
import { toJson } from './json.ts'
import { forgetCauses } from './notification.ts'
import { writeSchedule } from './schedule.ts'
import type { Db, Tx } from './schema.ts'

export type { ScheduledExport } from './export-row.ts'

/** What a person decides about an export. Whether fields, tables and policy fit is checked before (`makePlan` on the draft). */
export type ExportDraft = Pick<
  Export,
  'name' | 'destinationType' | 'destination' | 'mode' | 'source' | 'merge' | 'format' | 'guard' | 'schedule'
>

export async function createExport(
  tx: Tx,
  draft: ExportDraft & { readonly connectionId: ConnectionId },
  by: By,
): Promise<ScheduledExport> {
  await holdConnection(tx, draft.connectionId)
  const connection = await readConnection(tx, draft.connectionId)
  const id = newId('export', by.randomBytes)
  await withUniqueName('export', 'export_name', draft.name, () =>
    tx
      .insertInto('export')
      .values({
        id,
        connection_id: connection.id,
        connector_id: connection.connectorId,
        ...columnsOf(draft),
        created_at: by.now,
        created_by: by.actor,
        updated_at: by.now,
        updated_by: by.actor,
      })
      .execute(),
  )
  await writeSchedule(tx, id, draft.schedule, { isAttached: true, now: by.now })
  const detail = { connectionId: connection.id }
  await appendAudit(tx, { at: by.now, actor: by.actor, action: 'export.created', subject: id, detail })
  return readExport(tx, id)
}

/** By id or by name. */
export async function readExport(db: Db, reference: string): Promise<ScheduledExport> {
  const query = selectExports(db)
  const row = await (
    isId('export', reference)
      ? query.where('export.id', '=', reference)
      : query.where((where) =>
          where(where.fn('lower', ['export.name']), '=', where.fn('lower', [where.val(reference)])),
        )
  ).executeTakeFirst()
  if (row === undefined) throw notFound('export', reference)
  return exportOf(row)
}

/** All that are on a connection, by name. */
export async function listExportsOn(db: Db, connectionId: ConnectionId): Promise<readonly ScheduledExport[]> {
  const rows = await selectExports(db).where('export.connection_id', '=', connectionId).orderBy('export.name').execute()
  return rows.map(exportOf)
}

export async function editExport(
  tx: Tx,
  id: ExportId,
  revision: number,
  draft: ExportDraft,
  by: By,
): Promise<ScheduledExport> {
  const row = await withUniqueName('export', 'export_name', draft.name, () =>
    tx
      .updateTable('export')
      .set({ ...columnsOf(draft), updated_at: by.now, updated_by: by.actor, revision: revision + 1 })
      .where('id', '=', id)
      .where('revision', '=', revision)
      .returning('connection_id')
      .executeTakeFirst(),
  )
  if (row === undefined) throw stale('export', (await readExport(tx, id)).name)
  await writeSchedule(tx, id, draft.schedule, { isAttached: row.connection_id !== null, now: by.now })
  await appendAudit(tx, { at: by.now, actor: by.actor, action: 'export.edited', subject: id, detail: {} })
  return readExport(tx, id)
}

/** The copy starts without ledger and history, and with its schedule off. */
export async function duplicateExport(tx: Tx, id: ExportId, name: string, by: By): Promise<ScheduledExport> {
  const original = await readExport(tx, id)
  if (original.connectionId === null) throw detachedProblem(original.name)
  const schedule = original.schedule === null ? null : { ...original.schedule, on: false }
  return createExport(tx, { ...original, connectionId: original.connectionId, name, schedule }, by)
}

/** It keeps everything and does not run; a run that goes on stops before its next batch. */
export async function detachExport(tx: Tx, id: ExportId, by: By): Promise<ScheduledExport> {
  const before = await readExport(tx, id)
  await setConnection(tx, before, null, by)
  return readExport(tx, id)
}

/** Another connection of the same connector makes it active again. */
export async function attachExport(tx: Tx, id: ExportId, connectionId: ConnectionId, by: By): Promise<ScheduledExport> {
  const before = await readExport(tx, id)
  await holdConnection(tx, connectionId)
  const connection = await readConnection(tx, connectionId)
  if ((await leavingBy(tx, id)) !== null) {
    throw new Problem('not-ready', `"${before.name}" is being removed`, { cure: 'Make another export' })
  }
  if (connection.connectorId !== before.connectorId) {
    throw new Problem('invalid', `"${connection.name}" is a ${connection.connectorId} connection`, {
      path: 'connectionId',
      cure: `Choose a ${before.connectorId} connection`,
    })
  }
  await setConnection(tx, before, connection.id, by)
  return readExport(tx, id)
}

/** With its ledger and its history. What it delivered stays where it is. */
export async function removeExport(tx: Tx, id: ExportId, by: By): Promise<void> {
  const before = await readExport(tx, id)
  const running = await tx
    .selectFrom('run')
    .select('id')
    .where('export_id', '=', id)
    .where('status', '=', 'running')
    .executeTakeFirst()
  if (running !== undefined) {
    throw new Problem('not-ready', `A run of "${before.name}" is going on`, {
      cure: `Cancel it first: patchbay run cancel ${running.id}`,
    })
  }
  await tx.deleteFrom('export').where('id', '=', id).execute()
  await forgetCauses(tx, id)
  await appendAudit(tx, {
    at: by.now,
    actor: by.actor,
    action: 'export.removed',
    subject: id,
    detail: { name: before.name },
  })
}

/** Removes it now, or when the run that goes on has ended. */
export async function leaveExport(tx: Tx, id: ExportId, by: By): Promise<void> {
  const running = await tx
    .selectFrom('run')
    .select('id')
    .where('export_id', '=', id)
    .where('status', 'in', ['running', 'queued', 'failed-retrying'])
    .executeTakeFirst()
  if (running === undefined) return removeExport(tx, id, by)
  await tx.updateTable('export').set({ leaving_by: by.actor }).where('id', '=', id).execute()
}

async function leavingBy(tx: Tx, id: ExportId): Promise<string | null> {
  const row = await tx.selectFrom('export').select('leaving_by').where('id', '=', id).executeTakeFirst()
  return row?.leaving_by ?? null
}

/** After a run: what was to be removed and waited for it. */
export async function removeWhereLeaving(tx: Tx, id: ExportId, by: By): Promise<void> {
  const actor = await leavingBy(tx, id)
  if (actor !== null) await leaveExport(tx, id, { ...by, actor })
}

export function detachedProblem(name: string): Problem {
  return new Problem('not-ready', `The export "${name}" has no connection`, {
    path: 'connectionId',
    cure: 'Give it a connection of the same connector',
  })
}

async function setConnection(
  tx: Tx,
  before: ScheduledExport,
  connectionId: ConnectionId | null,
  by: By,
): Promise<void> {
  await tx
    .updateTable('export')
    .set({
      connection_id: connectionId,
      updated_at: by.now,
      updated_by: by.actor,
      revision: before.revision + 1,
    })
    .where('id', '=', before.id)
    .execute()
  await writeSchedule(tx, before.id, before.schedule, { isAttached: connectionId !== null, now: by.now })
  const action = connectionId === null ? 'export.detached' : 'export.attached'
  await appendAudit(tx, { at: by.now, actor: by.actor, action, subject: before.id, detail: { connectionId } })
}

function columnsOf(draft: ExportDraft) {
  return {
    name: draft.name,
    destination_type: draft.destinationType,
    destination: toJson(draft.destination),
    mode: draft.mode,
    source: toJson(draft.source),
    merge: toJson(draft.merge),
    format: toJson(draft.format),
    guard: toJson(draft.guard),
  }
}
