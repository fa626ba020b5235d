import type { Connection, DataPolicy, Sharing } from '../domain/connection.ts'
import { isId, newId, type ConnectionId } from '../domain/ids.ts'
import { appendAudit } from './audit.ts'
import type { By } from './by.ts'
import { notFound, stale, withUniqueName } from './conflict.ts'
import { connectionOf, selectConnections } from './connection-row.ts'
import { isSharedWith, writeSharing, type SharedReader } from './connection-sharing.ts'
import { toJson } from './json.ts'
import type { Db, Tx } from './schema.ts'

export interface ConnectionDraft {
  readonly name: string
  readonly settings: Connection['settings']
  readonly policy: DataPolicy
  /** Absent: Administrators alone for a new one, and as it was for another. */
  readonly sharing?: Sharing
}

/** Secrets come afterwards, by `writeSecret`, since sealing one needs the connection's id. */
export async function createConnection(
  tx: Tx,
  draft: ConnectionDraft & { readonly connectorId: string },
  by: By,
): Promise<Connection> {
  const id = newId('connection', by.randomBytes)
  await withUniqueName('connection', 'connection_name', draft.name, () =>
    tx
      .insertInto('connection')
      .values({
        id,
        name: draft.name,
        connector_id: draft.connectorId,
        settings: toJson(draft.settings),
        policy: toJson(draft.policy),
        checked_at: null,
        check_due_at: by.now,
        created_at: by.now,
        created_by: by.actor,
        updated_at: by.now,
      })
      .execute(),
  )
  const detail = { connectorId: draft.connectorId }
  await appendAudit(tx, { at: by.now, actor: by.actor, action: 'connection.created', subject: id, detail })
  if (draft.sharing !== undefined) await share(tx, id, { with: 'administrators' }, draft.sharing, by)
  return readConnection(tx, id)
}

/** By id or by name. */
export async function readConnection(db: Db, reference: string): Promise<Connection> {
  const connection = await findConnection(db, reference)
  if (connection === undefined) throw notFound('connection', reference)
  return connection
}

/** By id or by name, of those that are shared with the reader: another one does not exist for them. */
export async function readSharedConnection(db: Db, reader: SharedReader, reference: string): Promise<Connection> {
  const connection = await findConnection(db, reference, reader)
  if (connection === undefined) throw notFound('connection', reference)
  return connection
}

export async function findConnection(
  db: Db,
  reference: string,
  reader?: SharedReader,
): Promise<Connection | undefined> {
  const all = selectConnections(db)
  const query = reader === undefined ? all : all.where(isSharedWith(reader))
  const row = await (
    isId('connection', reference)
      ? query.where('id', '=', reference)
      : query.where((where) => where(where.fn('lower', ['name']), '=', where.fn('lower', [where.val(reference)])))
  ).executeTakeFirst()
  return row === undefined ? undefined : connectionOf(row)
}

/**
 * `dropSecrets` when a field changed that says where or as whom: whoever calls knows the connector's fields and decides
 * (`endpointIdentity` before and after). The sealed texts would not open any more either way.
 */
export async function editConnection(
  tx: Tx,
  id: ConnectionId,
  revision: number,
  change: ConnectionDraft & { readonly dropSecrets: boolean },
  by: By,
): Promise<Connection> {
  const row = await withUniqueName('connection', 'connection_name', change.name, () =>
    tx
      .updateTable('connection')
      .set({
        name: change.name,
        settings: toJson(change.settings),
        policy: toJson(change.policy),
        health: 'unknown',
        check_due_at: by.now,
        failing_step: null,
        failing_field: null,
        failing_message: null,
        failures: 0,
        updated_at: by.now,
        revision: revision + 1,
      })
      .where('id', '=', id)
      .where('revision', '=', revision)
      .returning('id')
      .executeTakeFirst(),
  )
  const after = await readConnection(tx, id)
  if (row === undefined) throw stale('connection', after.name)
  if (change.dropSecrets) {
    await tx.deleteFrom('secret').where('connection_id', '=', id).execute()
    await tx.deleteFrom('secret_expiry').where('connection_id', '=', id).execute()
    await tx.deleteFrom('oauth_grant').where('connection_id', '=', id).execute()
    await tx.deleteFrom('oauth_attempt').where('connection_id', '=', id).execute()
  }
  const detail = { secretsDropped: change.dropSecrets }
  await appendAudit(tx, { at: by.now, actor: by.actor, action: 'connection.edited', subject: id, detail })
  if (change.sharing !== undefined) await share(tx, id, after.sharing, change.sharing, by)
  return readConnection(tx, id)
}

async function share(tx: Tx, id: ConnectionId, before: Sharing, sharing: Sharing, by: By): Promise<void> {
  if (!(await writeSharing(tx, id, before, sharing))) return
  const detail = { before, after: sharing }
  await appendAudit(tx, { at: by.now, actor: by.actor, action: 'connection.shared', subject: id, detail })
}

/** So that none is attached to a connection that is being removed at the same moment. */
export async function holdConnection(tx: Tx, id: ConnectionId): Promise<void> {
  const row = await tx.selectFrom('connection').select('id').where('id', '=', id).forKeyShare().executeTakeFirst()
  if (row === undefined) throw notFound('connection', id)
}
