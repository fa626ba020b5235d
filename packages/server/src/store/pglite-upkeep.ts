/**
 * What PostgreSQL's background processes would do, and the embedded store has none of: without a checkpoint its log grows
 * for ever, and without a vacuum its tables do.
 */
import type { PGlite } from '@electric-sql/pglite'

const EVERY_MS = 30_000
const LOG_BYTES_MAX = 32 * 1024 * 1024
const DEAD_ROWS_MIN = 5000

/** `onError` hears of trouble; the next round tries again. Gives the way to end it. */
export function startUpkeep(database: PGlite, onError: (error: unknown) => void): () => Promise<void> {
  let working: Promise<void> = Promise.resolve()
  const timer = setInterval(() => {
    working = working.then(() => keepUp(database)).catch(onError)
  }, EVERY_MS)
  timer.unref()
  return () => {
    clearInterval(timer)
    return working
  }
}

export async function keepUp(database: PGlite): Promise<void> {
  const log = await database.query<{ bytes: number }>(
    'SELECT pg_current_wal_insert_lsn() - redo_lsn AS bytes FROM pg_control_checkpoint()',
  )
  if (Number(log.rows[0]?.bytes ?? 0) > LOG_BYTES_MAX) await database.query('CHECKPOINT')
  const { rows } = await database.query<{ name: string }>(
    `SELECT format('%I.%I', schemaname, relname) AS name FROM pg_stat_user_tables
      WHERE n_dead_tup > $1 AND n_dead_tup > n_live_tup * 0.2
         OR n_mod_since_analyze > $1 AND n_mod_since_analyze > n_live_tup * 0.1`,
    [DEAD_ROWS_MIN],
  )
  // One at a time, so that whoever waits for the connection waits for one table at most.
  for (const { name } of rows) await database.query(`VACUUM (ANALYZE) ${name}`)
}
