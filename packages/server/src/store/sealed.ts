/** Every sealed text of the store that is kept for good, so that a rotation can seal it anew. Attempts to sign in end by themselves. */
import { sql } from 'kysely'
import type { ConnectionId } from '../domain/ids.ts'
import type { Db } from './schema.ts'

export interface SealedRow {
  readonly kind: 'secret' | 'grant' | 'notification'
  /** Of a notification's signing key, whose it is. */
  readonly connectionId: ConnectionId
  /** Empty for a grant; the web address that a signing key is for. */
  readonly field: string
  readonly sealed: string
}

/** Not under this key, after a place in the order. */
export async function listSealedOtherwise(
  db: Db,
  keyId: string,
  after: SealedRow | undefined,
  limit: number,
): Promise<readonly SealedRow[]> {
  const { rows } = await sql<{ kind: SealedRow['kind']; connection_id: string; field: string; sealed: string }>`
    SELECT kind, connection_id, field, sealed FROM (
      SELECT 'secret' AS kind, connection_id, field, sealed FROM secret WHERE vault_id IS NULL AND split_part(sealed, '.', 2) <> ${keyId}
      UNION ALL
      SELECT 'grant', connection_id, '', sealed FROM oauth_grant WHERE split_part(sealed, '.', 2) <> ${keyId}
      UNION ALL
      SELECT 'notification', reader, webhook_url, webhook_secret FROM notification_setting
       WHERE webhook_secret IS NOT NULL AND split_part(webhook_secret, '.', 2) <> ${keyId}
    ) AS sealed_row
    WHERE (connection_id, kind, field) > (${after?.connectionId ?? ''}, ${after?.kind ?? ''}, ${after?.field ?? ''})
    ORDER BY connection_id, kind, field LIMIT ${limit}`.execute(db)
  return rows.map(({ connection_id, ...row }) => ({ ...row, connectionId: connection_id as ConnectionId }))
}

export async function countSealedOtherwise(db: Db, keyId: string): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    SELECT (SELECT count(*) FROM secret WHERE vault_id IS NULL AND split_part(sealed, '.', 2) <> ${keyId})
         + (SELECT count(*) FROM oauth_grant WHERE split_part(sealed, '.', 2) <> ${keyId})
         + (SELECT count(*) FROM notification_setting
             WHERE webhook_secret IS NOT NULL AND split_part(webhook_secret, '.', 2) <> ${keyId}) AS count`.execute(db)
  return Number(rows[0]?.count ?? 0)
}

/** The same secret, sealed anew. Nothing happens where it was changed meanwhile: that is under the new key already. */
export async function replaceSealed(db: Db, row: SealedRow, sealed: string): Promise<void> {
  if (row.kind === 'secret')
    await db
      .updateTable('secret')
      .set({ sealed })
      .where('connection_id', '=', row.connectionId)
      .where('field', '=', row.field)
      .where('sealed', '=', row.sealed)
      .execute()
  else if (row.kind === 'notification')
    await db
      .updateTable('notification_setting')
      .set({ webhook_secret: sealed })
      .where('reader', '=', row.connectionId)
      .where('webhook_secret', '=', row.sealed)
      .execute()
  else
    await db
      .updateTable('oauth_grant')
      .set({ sealed })
      .where('connection_id', '=', row.connectionId)
      .where('sealed', '=', row.sealed)
      .execute()
}
