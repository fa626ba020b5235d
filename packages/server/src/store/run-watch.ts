/** What workers look at every second: runs that nobody works on, and runs that are to stop. */
import { sql } from 'kysely'
import type { RunId } from '../domain/ids.ts'
import type { Db } from './schema.ts'

export interface RunningRun {
  readonly id: RunId
  readonly exportId: string
  readonly purpose: 'deliver' | 'preview'
  readonly holder: string | null
  /** Silent for longer than was asked, by the database's clock. */
  readonly isSilent: boolean
}

export async function listRunning(db: Db, silentMs: number): Promise<readonly RunningRun[]> {
  const rows = await db
    .selectFrom('run')
    .select(['id', 'export_id', 'purpose', 'holder'])
    .select(
      sql<boolean>`heartbeat_at IS NULL OR heartbeat_at < now() - ${silentMs} * interval '1 millisecond'`.as(
        'is_silent',
      ),
    )
    .where('status', '=', 'running')
    .orderBy('created_at')
    .execute()
  return rows.map((row) => ({
    id: row.id as RunId,
    exportId: row.export_id,
    purpose: row.purpose,
    holder: row.holder,
    isSilent: row.is_silent,
  }))
}

/** Of these runs, those that somebody wants canceled, and who. */
export async function listCancelRequests(
  db: Db,
  ids: readonly RunId[],
): Promise<readonly { readonly id: RunId; readonly by: string }[]> {
  if (ids.length === 0) return []
  const rows = await db
    .selectFrom('run')
    .select(['id', 'cancel_requested_by'])
    .where('id', 'in', [...ids])
    .where('cancel_requested_at', 'is not', null)
    .execute()
  return rows.map((row) => ({ id: row.id as RunId, by: row.cancel_requested_by ?? 'somebody' }))
}

/** Which of these advisory locks a session of this database holds. */
export async function listHeldLocks(db: Db, names: readonly string[]): Promise<ReadonlySet<string>> {
  if (names.length === 0) return new Set()
  const { rows } = await sql<{ name: string }>`
    SELECT name FROM unnest(${[...names]}::text[]) AS name
     WHERE EXISTS (
       SELECT FROM pg_locks
        WHERE locktype = 'advisory' AND granted AND objsubid = 1
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND ((classid::bigint << 32) | objid::bigint) = hashtextextended(name, 0))`.execute(db)
  return new Set(rows.map(({ name }) => name))
}

/** Ends every session of a worker that has gone silent: it then holds no lock, and its transactions are rolled back. */
export async function endSessions(db: Db, workerId: string): Promise<void> {
  await sql`
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE application_name = ${workerId} AND datname = current_database() AND pid <> pg_backend_pid()`.execute(db)
}
