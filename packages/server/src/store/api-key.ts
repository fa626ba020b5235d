import { isId, newId } from '../domain/ids.ts'
import { appendAudit } from './audit.ts'
import type { By } from './by.ts'
import { notFound, withUniqueName } from './conflict.ts'
import type { Db, Tx } from './schema.ts'

/** The key's text is shown once and is not here: `hash` is its SHA-256, enough for 256 random bits. */
export interface ApiKey {
  readonly id: string
  readonly name: string
  readonly role: string
  readonly createdAt: Date
  readonly createdBy: string
  readonly expiresAt: Date | null
  readonly lastUsedAt: Date | null
}

export async function createApiKey(
  tx: Tx,
  draft: { readonly name: string; readonly role: string; readonly hash: string; readonly expiresAt: Date | null },
  by: By,
): Promise<ApiKey> {
  const id = newId('key', by.randomBytes)
  const row = await withUniqueName('API key', 'api_key_name', draft.name, () =>
    tx
      .insertInto('api_key')
      .values({
        id,
        name: draft.name,
        role: draft.role,
        hash: draft.hash,
        created_at: by.now,
        created_by: by.actor,
        expires_at: draft.expiresAt,
        last_used_at: null,
      })
      .returningAll()
      .executeTakeFirstOrThrow(),
  )
  const detail = { role: draft.role }
  await appendAudit(tx, { at: by.now, actor: by.actor, action: 'api-key.created', subject: id, detail })
  return apiKeyOf(row)
}

/** Finds a key that has not expired, and notes that it was used (to the minute, so that a busy key does not write each time). */
export async function useApiKey(db: Db, hash: string, now: Date): Promise<ApiKey | undefined> {
  const row = await db.selectFrom('api_key').selectAll().where('hash', '=', hash).executeTakeFirst()
  if (row === undefined || (row.expires_at !== null && row.expires_at <= now)) return undefined
  if (row.last_used_at === null || now.getTime() - row.last_used_at.getTime() >= 60_000) {
    await db.updateTable('api_key').set({ last_used_at: now }).where('id', '=', row.id).execute()
  }
  return apiKeyOf(row)
}

export async function listApiKeys(db: Db): Promise<readonly ApiKey[]> {
  return (await db.selectFrom('api_key').selectAll().orderBy('name').execute()).map(apiKeyOf)
}

export async function removeApiKey(tx: Tx, id: string, by: By): Promise<void> {
  const removed = isId('key', id)
    ? await tx.deleteFrom('api_key').where('id', '=', id).returning(['name', 'created_by']).executeTakeFirst()
    : undefined
  if (removed === undefined) throw notFound('API key', id)
  // Those that it made are its maker's from now on, and keep working.
  const made = tx.updateTable('api_key').set({ created_by: removed.created_by })
  await made.where('created_by', '=', `key:${removed.name}`).execute()
  await appendAudit(tx, { at: by.now, actor: by.actor, action: 'api-key.removed', subject: id, detail: {} })
}

function apiKeyOf(row: {
  readonly id: string
  readonly name: string
  readonly role: string
  readonly created_at: Date
  readonly created_by: string
  readonly expires_at: Date | null
  readonly last_used_at: Date | null
}): ApiKey {
  return {
    id: row.id,
    name: row.name,
    role: row.role,
    createdAt: row.created_at,
    createdBy: row.created_by,
    expiresAt: row.expires_at,
    lastUsedAt: row.last_used_at,
  }
}
