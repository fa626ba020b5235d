/** Removing a connection, and putting it back. Its secrets are gone with the removal, and nothing brings them back. */
import { createHash } from 'node:crypto'
import type { Connection } from '../domain/connection.ts'
import type { ConnectionId, ExportId, RunId } from '../domain/ids.ts'
import { Problem } from '../domain/problem.ts'
import { appendAudit } from './audit.ts'
import type { By } from './by.ts'
import { withUniqueName } from './conflict.ts'
import { readConnection } from './connection.ts'
import { writeSharing } from './connection-sharing.ts'
import { attachExport, detachExport, leaveExport } from './export.ts'
import { toJson } from './json.ts'
import { forgetCauses } from './notification.ts'
import { OPEN_STATUSES } from './run.ts'
import type { Db, Tx } from './schema.ts'

const DAY_MS = 86_400_000
export const RESTORABLE_DAYS = 30

export interface Dependent {
  readonly id: ExportId
  readonly name: string
  readonly createdBy: string
  readonly isScheduled: boolean
  /** Runs that are not over, previews among them. */
  readonly runs: readonly RunId[]
}

/** Everything that a removal would touch. */
export async function listDependents(db: Db, id: ConnectionId): Promise<readonly Dependent[]> {
  const rows = await db
    .selectFrom('export')
    .leftJoin('schedule', 'schedule.export_id', 'export.id')
    .select(['export.id', 'export.name', 'export.created_by', 'schedule.is_on'])
    .where('export.connection_id', '=', id)
    .orderBy('export.name')
    .execute()
  const runs = await db
    .selectFrom('run')
    .innerJoin('export', 'export.id', 'run.export_id')
    .select(['run.id', 'run.export_id'])
    .where('export.connection_id', '=', id)
    .where('run.status', 'in', OPEN_STATUSES)
    .execute()
  const runsOf = Map.groupBy(runs, (run) => run.export_id)
  return rows.map((row) => ({
    id: row.id as ExportId,
    name: row.name,
    createdBy: row.created_by,
    isScheduled: row.is_on ?? false,
    runs: (runsOf.get(row.id) ?? []).map((run) => run.id as RunId),
  }))
}

/** Names the connection and exactly these exports. Runs begin and end by themselves and are no part of it. */
export function dependentsToken(id: ConnectionId, dependents: readonly Pick<Dependent, 'id'>[]): string {
  const ids = dependents.map((dependent) => dependent.id).toSorted()
  return createHash('sha256')
    .update(JSON.stringify([id, ids]))
    .digest('base64url')
}

/** Nobody attaches an export to it until this transaction is over. */
export async function lockForRemoval(tx: Tx, id: ConnectionId): Promise<void> {
  await tx.selectFrom('connection').select('id').where('id', '=', id).forUpdate().execute()
}

/**
 * Takes the connection and its secrets away. Its exports are detached and keep everything, or are removed where that was
 * chosen; those whose run goes on leave when it has ended.
 */
export async function removeConnection(
  tx: Tx,
  id: ConnectionId,
  chosen: { readonly remove: ReadonlySet<string> },
  by: By,
): Promise<{ readonly detached: readonly Dependent[]; readonly removed: readonly Dependent[] }> {
  const connection = await readConnection(tx, id)
  const dependents = await listDependents(tx, id)
  const removed = dependents.filter((dependent) => chosen.remove.has(dependent.id))
  const detached = dependents.filter((dependent) => !chosen.remove.has(dependent.id))
  await tx
    .insertInto('removed_connection')
    .values({
      id,
      name: connection.name,
      connector_id: connection.connectorId,
      settings: toJson(connection.settings),
      policy: toJson(connection.policy),
      sharing: toJson(connection.sharing),
      created_at: connection.createdAt,
      created_by: connection.createdBy,
      revision: connection.revision,
      detached: toJson(detached.map((dependent) => dependent.id)),
      removed_at: by.now,
      removed_by: by.actor,
    })
    .execute()
  for (const dependent of dependents) await detachExport(tx, dependent.id, by)
  for (const dependent of removed) await leaveExport(tx, dependent.id, by)
  await tx.deleteFrom('connection').where('id', '=', id).execute()
  await forgetCauses(tx, id)
  const ids = (of: readonly Dependent[]): readonly string[] => of.map((dependent) => dependent.id)
  const detail = {
    name: connection.name,
    connectorId: connection.connectorId,
    detached: ids(detached),
    removed: ids(removed),
    secretsDestroyed: connection.secretsSet,
  }
  await appendAudit(tx, { at: by.now, actor: by.actor, action: 'connection.removed', subject: id, detail })
  return { detached, removed }
}

export interface RemovedConnection {
  readonly id: ConnectionId
  readonly name: string
  readonly connectorId: string
  readonly removedAt: Date
  readonly removedBy: string
  readonly restorableUntil: Date
  /** Exports that were detached by the removal and have no connection still. */
  readonly detached: readonly { readonly id: ExportId; readonly name: string }[]
}

/** The newest first; only those that can be put back. */
export async function listRemovedConnections(db: Db, now: Date): Promise<readonly RemovedConnection[]> {
  const rows = await db
    .selectFrom('removed_connection')
    .select(['id', 'name', 'connector_id', 'removed_at', 'removed_by', 'detached'])
    .where('removed_at', '>', new Date(now.getTime() - RESTORABLE_DAYS * DAY_MS))
    .orderBy('removed_at', 'desc')
    .orderBy('id')
    .limit(500)
    .execute()
  const free = await listDetached(
    db,
    rows.flatMap((row) => row.detached),
  )
  return rows.map((row) => ({
    id: row.id as ConnectionId,
    name: row.name,
    connectorId: row.connector_id,
    removedAt: row.removed_at,
    removedBy: row.removed_by,
    restorableUntil: new Date(row.removed_at.getTime() + RESTORABLE_DAYS * DAY_MS),
    detached: row.detached.flatMap((id) => free.get(id) ?? []),
  }))
}

async function listDetached(
  db: Db,
  ids: readonly string[],
): Promise<ReadonlyMap<string, { readonly id: ExportId; readonly name: string }>> {
  if (ids.length === 0) return new Map()
  const rows = await db
    .selectFrom('export')
    .select(['id', 'name'])
    .where('id', 'in', [...ids])
    .where('connection_id', 'is', null)
    .where('leaving_by', 'is', null)
    .execute()
  return new Map(rows.map((row) => [row.id, { id: row.id as ExportId, name: row.name }]))
}

/** With its id and everything but its secrets; its exports are on it again where nobody gave them another connection. */
export async function restoreConnection(
  tx: Tx,
  id: string,
  name: string | undefined,
  by: By,
): Promise<{
  readonly connection: Connection
  readonly attached: readonly { readonly id: ExportId; readonly name: string }[]
}> {
  const row = await tx.selectFrom('removed_connection').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
  if (row === undefined || row.removed_at.getTime() <= by.now.getTime() - RESTORABLE_DAYS * DAY_MS) {
    throw new Problem('not-found', `There is no removed connection "${id}"`, {
      cure: `A connection can be put back for ${RESTORABLE_DAYS} days after its removal`,
    })
  }
  const kept = { name: name ?? row.name, connector_id: row.connector_id, created_by: row.created_by }
  await withUniqueName('connection', 'connection_name', kept.name, () =>
    tx
      .insertInto('connection')
      .values({
        id,
        ...kept,
        settings: toJson(row.settings),
        policy: toJson(row.policy),
        checked_at: null,
        check_due_at: by.now,
        created_at: row.created_at,
        updated_at: by.now,
        // What somebody still shows of it is older than this.
        revision: row.revision + 1,
      })
      .execute(),
  )
  const connectionId = id as ConnectionId
  await writeSharing(tx, connectionId, { with: 'administrators' }, row.sharing)
  await tx.deleteFrom('removed_connection').where('id', '=', id).execute()
  const free = await listDetached(tx, row.detached)
  const attached = [...free.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1))
  for (const target of attached) await attachExport(tx, target.id, connectionId, by)
  const detail = { name: kept.name, attached: attached.map((target) => target.id) }
  await appendAudit(tx, { at: by.now, actor: by.actor, action: 'connection.restored', subject: id, detail })
  return { connection: await readConnection(tx, id), attached }
}

export async function forgetRemovedConnections(db: Db, now: Date): Promise<void> {
  const before = new Date(now.getTime() - RESTORABLE_DAYS * DAY_MS)
  await db.deleteFrom('removed_connection').where('removed_at', '<=', before).execute()
}
