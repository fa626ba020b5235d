/** Who may use a connection besides Administrators. Read when it is asked, and never kept: a change holds at once. */
import { sql, type Expression, type SqlBool } from 'kysely'
import type { Sharing } from '../domain/connection.ts'
import type { ConnectionId } from '../domain/ids.ts'
import type { Db, Tx } from './schema.ts'

/** Somebody who is no Administrator. `userId` is null for an API key, which no list of users can name. */
export interface SharedReader {
  readonly userId: string | null
}

/** A condition on the table `connection` of a query. */
export function isSharedWith({ userId }: SharedReader): Expression<SqlBool> {
  return userId === null
    ? sql<SqlBool>`connection.sharing = 'contributors'`
    : sql<SqlBool>`(connection.sharing = 'contributors' OR (connection.sharing = 'named' AND EXISTS (
        SELECT FROM connection_user
         WHERE connection_user.connection_id = connection.id AND connection_user.user_id = ${userId})))`
}

/** Of these connections, those that are shared with the reader. */
export async function sharedAmong(db: Db, reader: SharedReader, ids: readonly string[]): Promise<ReadonlySet<string>> {
  if (ids.length === 0) return new Set()
  const rows = await db
    .selectFrom('connection')
    .select('connection.id')
    .where('connection.id', 'in', [...ids])
    .where(isSharedWith(reader))
    .execute()
  return new Set(rows.map(({ id }) => id))
}

/** True when something changed. */
export async function writeSharing(tx: Tx, id: ConnectionId, before: Sharing, sharing: Sharing): Promise<boolean> {
  const users = sharing.with === 'named' ? [...new Set(sharing.users)] : []
  const earlier = before.with === 'named' ? before.users : []
  const isSame =
    before.with === sharing.with && users.length === earlier.length && users.every((user) => earlier.includes(user))
  if (isSame) return false
  await tx.updateTable('connection').set({ sharing: sharing.with }).where('id', '=', id).execute()
  await tx.deleteFrom('connection_user').where('connection_id', '=', id).execute()
  if (users.length > 0) {
    const rows = users.map((user) => ({ connection_id: id, user_id: user }))
    await tx.insertInto('connection_user').values(rows).execute()
  }
  return true
}
