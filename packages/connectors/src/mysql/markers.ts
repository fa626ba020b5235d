/**
 * What a run did, written in the run's own transaction: the only witness when the answer to a COMMIT is lost. And the locks
 * by which one run waits for another: they are the session's, so whoever gets one knows that no session of that run can
 * commit any more.
 */
import { createHash } from 'node:crypto'
import { Unavailable, type TableOutcome } from '@patchbay/connector-sdk'
import { MARKER_TABLE, quote } from './names.ts'
import { openSession, type MysqlContext, type Session } from './session.ts'

/** A COMMIT that waits for a slow disk or a replica gets this long before its session is ended. */
const GRACE_SECONDS = 5
/** And after that, this long for the server to end it. */
const END_SECONDS = 20
const WAIT_SECONDS = 60

/** Locks are known to the whole server: the database is part of the name. */
function lockName(kind: 'run' | 'table', { database }: MysqlContext['settings'], subject: string): string {
  return `patchbay ${createHash('sha256').update(`${kind} ${database} ${subject}`).digest('hex').slice(0, 48)}`
}

export async function lockRun(session: Session, settings: MysqlContext['settings'], runId: string): Promise<void> {
  if (!(await takeLock(session, lockName('run', settings, runId), WAIT_SECONDS)))
    throw new Unavailable('maybe', 'An earlier session of this run is still at work at the server')
}

/** One run at a time makes, replaces or merges into a table; readers and other programs' writers are not held up by it. */
export async function lockTable(session: Session, settings: MysqlContext['settings'], table: string): Promise<void> {
  if (!(await takeLock(session, lockName('table', settings, table), WAIT_SECONDS)))
    throw new Unavailable('no', 'Another run of Patchbay writes into the table')
}

async function takeLock(session: Session, name: string, seconds: number): Promise<boolean> {
  const [row] = await session.query<{ got: string | number | null }>('SELECT GET_LOCK(?, ?) AS got', [name, seconds])
  return Number(row?.got) === 1
}

/** Makes the table of markers where it is missing. */
export async function ensureMarkerTable(session: Session): Promise<void> {
  if (await hasMarkerTable(session)) return
  await session.run(
    `CREATE TABLE IF NOT EXISTS ${quote(MARKER_TABLE)} (
       run_id varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
       table_name varchar(64) NOT NULL,
       committed_at datetime(6) NOT NULL,
       added bigint NOT NULL,
       changed bigint NOT NULL,
       removed bigint NOT NULL
     ) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4`,
  )
}

async function hasMarkerTable(session: Session): Promise<boolean> {
  const rows = await session.query(
    'SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND LOWER(TABLE_NAME) = ?',
    [MARKER_TABLE],
  )
  return rows.length > 0
}

export async function readMarker(session: Session, runId: string): Promise<TableOutcome | undefined> {
  type Counts = Readonly<Record<'added' | 'changed' | 'removed', string | number>>
  const sql = `SELECT added, changed, removed FROM ${quote(MARKER_TABLE)} WHERE run_id = ?`
  const [row] = await session.query<Counts>(sql, [runId])
  if (row === undefined) return undefined
  return { added: Number(row.added), changed: Number(row.changed), removed: Number(row.removed) }
}

/** Markers are read within minutes or hours of their run; older ones of the same table go with each commit. */
export async function writeMarker(
  session: Session,
  table: string,
  runId: string,
  { added, changed, removed }: TableOutcome,
): Promise<void> {
  await session.run(
    `DELETE FROM ${quote(MARKER_TABLE)} WHERE table_name = ? AND committed_at < UTC_TIMESTAMP(6) - INTERVAL 90 DAY`,
    [table],
  )
  await session.run(
    `INSERT INTO ${quote(MARKER_TABLE)} (run_id, table_name, committed_at, added, changed, removed)
     VALUES (?, ?, UTC_TIMESTAMP(6), ?, ?, ?)`,
    [runId, table, added, changed, removed],
  )
}

/**
 * The truth about a run, on a session of its own. The run's first session may live on at the server (its client was killed,
 * the network was cut) and may still be at the COMMIT: its lock is waited for, and when it holds on to it, that session is
 * ended. An answer is given only with the lock in hand.
 */
export async function readOutcome(ctx: MysqlContext, runId: string): Promise<TableOutcome | undefined> {
  const session = await openSession(ctx)
  try {
    const name = lockName('run', ctx.settings, runId)
    if (!(await takeLock(session, name, GRACE_SECONDS))) {
      await endHolder(session, name)
      if (!(await takeLock(session, name, END_SECONDS)))
        throw new Unavailable('maybe', 'An earlier session of this run is still at work at the server')
    }
    return (await hasMarkerTable(session)) ? await readMarker(session, runId) : undefined
  } finally {
    await session.close()
  }
}

/** A user may end sessions of its own. */
async function endHolder(session: Session, name: string): Promise<void> {
  const [row] = await session.query<{ holder: string | number | null }>('SELECT IS_USED_LOCK(?) AS holder', [name])
  const holder = Number(row?.holder ?? 0)
  // It may have ended by itself in the meantime, which is as good.
  if (Number.isSafeInteger(holder) && holder > 0) await session.run(`KILL ${holder}`).catch(() => undefined)
}
