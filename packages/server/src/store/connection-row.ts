import type { Connection } from '../domain/connection.ts'
import type { ConnectionId } from '../domain/ids.ts'
import type { Db } from './schema.ts'

export function selectConnections(db: Db) {
  return db
    .selectFrom('connection')
    .selectAll('connection')
    .select((select) =>
      select
        .selectFrom('secret')
        .whereRef('secret.connection_id', '=', 'connection.id')
        .select((inner) => inner.fn.agg<string[] | null>('array_agg', ['secret.field']).as('fields'))
        .as('secrets_set'),
    )
    .select((select) =>
      select
        .selectFrom('connection_user')
        .whereRef('connection_user.connection_id', '=', 'connection.id')
        .select((inner) => inner.fn.agg<string[] | null>('array_agg', ['connection_user.user_id']).as('users'))
        .as('shared_users'),
    )
}

export function connectionOf(
  row: Awaited<ReturnType<ReturnType<typeof selectConnections>['executeTakeFirstOrThrow']>>,
): Connection {
  return {
    id: row.id as ConnectionId,
    name: row.name,
    connectorId: row.connector_id,
    settings: row.settings,
    secretsSet: (row.secrets_set ?? []).toSorted(),
    policy: row.policy,
    sharing:
      row.sharing === 'named' ? { with: 'named', users: (row.shared_users ?? []).toSorted() } : { with: row.sharing },
    health: row.health,
    checkedAt: row.checked_at,
    usedBy: row.used_by,
    createdAt: row.created_at,
    createdBy: row.created_by,
    revision: row.revision,
  }
}
