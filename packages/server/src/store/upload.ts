import { isId, newId } from '../domain/ids.ts'
import type { By } from './by.ts'
import { notFound } from './conflict.ts'
import type { Db } from './schema.ts'

/** A file that somebody sends to be imported. Its bytes stand in the lake under the id; the name is for people only, never a path. */
export interface Upload {
  readonly id: string
  readonly name: string
  readonly sizeBytes: number
  readonly state: 'receiving' | 'complete'
  readonly createdBy: string
  readonly expiresAt: Date
}

const HOURS_KEPT = 24

export async function createUpload(db: Db, name: string, by: By): Promise<Upload> {
  const id = newId('upload', by.randomBytes)
  const expiresAt = new Date(by.now.getTime() + HOURS_KEPT * 3_600_000)
  await db
    .insertInto('upload')
    .values({
      id,
      name,
      size_bytes: 0,
      state: 'receiving',
      created_by: by.actor,
      created_at: by.now,
      expires_at: expiresAt,
    })
    .execute()
  return { id, name, sizeBytes: 0, state: 'receiving', createdBy: by.actor, expiresAt }
}

export async function finishUpload(db: Db, id: string, sizeBytes: number): Promise<void> {
  await db.updateTable('upload').set({ size_bytes: sizeBytes, state: 'complete' }).where('id', '=', id).execute()
}

export async function readUpload(db: Db, id: string): Promise<Upload> {
  const row = isId('upload', id)
    ? await db.selectFrom('upload').selectAll().where('id', '=', id).executeTakeFirst()
    : undefined
  if (row === undefined) throw notFound('upload', id)
  return {
    id: row.id,
    name: row.name,
    sizeBytes: row.size_bytes,
    state: row.state,
    createdBy: row.created_by,
    expiresAt: row.expires_at,
  }
}

/** Gives the ids whose bytes may go. */
export async function removeExpiredUploads(db: Db, now: Date): Promise<readonly string[]> {
  const rows = await db.deleteFrom('upload').where('expires_at', '<', now).returning('id').execute()
  return rows.map(({ id }) => id)
}

/** After its import, or when it is thrown away. Its bytes go separately. */
export async function removeUpload(db: Db, id: string): Promise<void> {
  await db.deleteFrom('upload').where('id', '=', id).execute()
}
