import { sql } from 'kysely'
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
    .select(
      sql<Date | null>`least(
        (SELECT min(expires_at) FROM secret_expiry WHERE secret_expiry.connection_id = connection.id),
        (SELECT expires_at FROM oauth_grant WHERE oauth_grant.connection_id = connection.id))`.as('expires_at'),
    )
    .select((select) =>
      select
        .selectFrom('secret')
        .whereRef('secret.connection_id', '=', 'connection.id')
        .where('secret.vault_id', 'is not', null)
        .select((inner) =>
          inner.fn
            .agg<{ field: string; vault: string; name: string }[] | null>('json_agg', [
              sql`json_build_object('field', secret.field, 'vault', secret.vault_id, 'name', secret.vault_secret) ORDER BY secret.field`,
            ])
            .as('named'),
        )
        .as('vault_secrets'),
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
    vaultSecrets: (row.vault_secrets ?? []).map((named) => ({ ...named, vault: named.vault as ConnectionId })),
    policy: row.policy,
    sharing:
      row.sharing === 'named' ? { with: 'named', users: (row.shared_users ?? []).toSorted() } : { with: row.sharing },
    health: row.health,
    checkedAt: row.checked_at,
    failing:
      row.failing_step === null
        ? null
        : { step: row.failing_step, field: row.failing_field, message: row.failing_message ?? '' },
    expiresAt: row.expires_at,
    usedBy: row.used_by,
    createdAt: row.created_at,
    createdBy: row.created_by,
    revision: row.revision,
  }
}
