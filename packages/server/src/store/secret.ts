import type { ConnectionId } from '../domain/ids.ts'
import { Problem } from '../domain/problem.ts'
import { appendAudit } from './audit.ts'
import type { By } from './by.ts'
import type { Db, Tx } from './schema.ts'

/** Only ever a sealed text (see `vault/seal.ts`). No function of the store lists these; one is read to be opened at a request. */
export async function writeSecret(
  tx: Tx,
  secret: { readonly connectionId: ConnectionId; readonly field: string; readonly sealed: string },
  by: By,
): Promise<void> {
  const { connectionId, field, sealed } = secret
  const { numInsertedOrUpdatedRows } = await tx
    .insertInto('secret')
    .values({ connection_id: connectionId, field, sealed, vault_id: null, vault_secret: null, updated_at: by.now })
    .onConflict((conflict) =>
      conflict
        .columns(['connection_id', 'field'])
        .doUpdateSet({ sealed, updated_at: by.now })
        .where('secret.vault_id', 'is', null),
    )
    .executeTakeFirst()
  if (numInsertedOrUpdatedRows === 0n)
    throw new Problem('conflict', `secrets.${field}: This secret is kept in a key vault, and stays there`, {
      path: `secrets.${field}`,
      cure: 'Name another secret of the vault, or change it there',
    })
  const detail = { field }
  await appendAudit(tx, { at: by.now, actor: by.actor, action: 'connection.secret-set', subject: connectionId, detail })
}

/** From here on the field names a secret of a key vault and holds none; it cannot be turned back. */
export async function writeVaultSecret(
  tx: Tx,
  named: {
    readonly connectionId: ConnectionId
    readonly field: string
    readonly vaultId: ConnectionId
    readonly name: string
  },
  by: By,
): Promise<void> {
  const { connectionId, field, vaultId, name } = named
  const row = { sealed: '', vault_id: vaultId, vault_secret: name, updated_at: by.now }
  await tx
    .insertInto('secret')
    .values({ connection_id: connectionId, field, ...row })
    .onConflict((conflict) => conflict.columns(['connection_id', 'field']).doUpdateSet(row))
    .execute()
  const detail = { field, vault: vaultId, name }
  await appendAudit(tx, {
    at: by.now,
    actor: by.actor,
    action: 'connection.secret-named',
    subject: connectionId,
    detail,
  })
}

export type StoredSecret =
  { readonly sealed: string } | { readonly vaultId: ConnectionId; readonly vaultSecret: string }

export async function readSecret(db: Db, connectionId: ConnectionId, field: string): Promise<StoredSecret | undefined> {
  const row = await db
    .selectFrom('secret')
    .select(['sealed', 'vault_id', 'vault_secret'])
    .where('connection_id', '=', connectionId)
    .where('field', '=', field)
    .executeTakeFirst()
  if (row === undefined) return undefined
  return row.vault_id === null
    ? { sealed: row.sealed }
    : { vaultId: row.vault_id as ConnectionId, vaultSecret: row.vault_secret ?? '' }
}

/** The connections that name secrets of this vault. */
export async function listUsersOfVault(
  db: Db,
  vaultId: ConnectionId,
): Promise<readonly { readonly id: string; readonly name: string }[]> {
  return db
    .selectFrom('connection')
    .innerJoin('secret', 'secret.connection_id', 'connection.id')
    .select(['connection.id', 'connection.name'])
    .distinct()
    .where('secret.vault_id', '=', vaultId)
    .orderBy('connection.name')
    .execute()
}

export async function removeSecret(tx: Tx, connectionId: ConnectionId, field: string, by: By): Promise<void> {
  await tx.deleteFrom('secret').where('connection_id', '=', connectionId).where('field', '=', field).execute()
  await tx.deleteFrom('secret_expiry').where('connection_id', '=', connectionId).where('field', '=', field).execute()
  const detail = { field }
  await appendAudit(tx, {
    at: by.now,
    actor: by.actor,
    action: 'connection.secret-removed',
    subject: connectionId,
    detail,
  })
}
