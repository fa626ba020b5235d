import type { ConnectionId } from '../domain/ids.ts'
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
  await tx
    .insertInto('secret')
    .values({ connection_id: connectionId, field, sealed, updated_at: by.now })
    .onConflict((conflict) => conflict.columns(['connection_id', 'field']).doUpdateSet({ sealed, updated_at: by.now }))
    .execute()
  const detail = { field }
  await appendAudit(tx, { at: by.now, actor: by.actor, action: 'connection.secret-set', subject: connectionId, detail })
}

export async function readSecret(db: Db, connectionId: ConnectionId, field: string): Promise<string | undefined> {
  const row = await db
    .selectFrom('secret')
    .select('sealed')
    .where('connection_id', '=', connectionId)
    .where('field', '=', field)
    .executeTakeFirst()
  return row?.sealed
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
