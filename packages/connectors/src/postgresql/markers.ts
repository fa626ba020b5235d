/**
 * What a run did, written in the run's own transaction: the only witness when the answer to a COMMIT is lost.
 * And the locks by which one run waits for another: PostgreSQL frees them after a commit can be seen by everybody,
 * so whoever gets the lock reads the truth.
 */
import { DestinationInvalid, Unavailable, type TableOutcome } from '@patchbay/connector-sdk'
import { DatabaseError } from 'pg'
import { MARKER_TABLE, quote, quoteTable, type TableName } from './names.ts'
import { openSession, type PostgresqlContext, type Session } from './session.ts'

/** Markers are read within minutes or hours of their run; older ones of the same table go with each commit. */
const KEEP_MARKERS = '90 days'
/** A COMMIT that waits for a slow disk or a standby gets this long before its session is ended. */
const GRACE_SECONDS = 5
/** And after that, this long for the server to end it. */
const END_SECONDS = 20

const LOCK_NOT_AVAILABLE = '55P03'

/** Sixty-four bits of a hash: with another program's advisory locks in the same database there is no clash to expect. */
const lockKey = (subject: string): string => `pg_catalog.hashtextextended('patchbay ${subject} ' || $1::text, 0)`

export async function lockRun(session: Session, runId: string): Promise<void> {
  await session.query(`SELECT pg_catalog.pg_advisory_xact_lock(${lockKey('run')})`, [runId])
}

/** One run at a time makes, replaces or merges into a table; readers and other programs' writers are not held up by it. */
export async function lockTable(session: Session, target: TableName): Promise<void> {
  await session.query(`SELECT pg_catalog.pg_advisory_xact_lock(${lockKey('table')})`, [quoteTable(target)])
}

/** Makes the table of markers where it is missing, in a transaction of its own: first runs do not wait for each other. */
export async function ensureMarkerTable(session: Session, schema: string): Promise<void> {
  const rights = await readSchemaRights(session, schema)
  const fault = schemaFault(schema, rights)
  if (fault !== undefined) throw new DestinationInvalid('schema', fault)
  if (rights?.isMarked === true) return
  await session.query('BEGIN')
  await session.query(`SELECT pg_catalog.pg_advisory_xact_lock(${lockKey('markers')})`, [schema])
  await session.query(markerTableSql(schema))
  await session.query('COMMIT')
}

export interface SchemaRights {
  readonly mayUse: boolean
  readonly mayCreate: boolean
  readonly isMarked: boolean
  readonly mayMark: boolean
}

/** Undefined where there is no such schema. */
export async function readSchemaRights(session: Session, schema: string): Promise<SchemaRights | undefined> {
  const { rows } = await session.query<{
    may_use: boolean
    may_create: boolean
    is_marked: boolean
    may_mark: boolean
  }>(
    `SELECT pg_catalog.has_schema_privilege(n.oid, 'USAGE') AS may_use,
       pg_catalog.has_schema_privilege(n.oid, 'CREATE') AS may_create,
       c.oid IS NOT NULL AS is_marked,
       coalesce(pg_catalog.has_table_privilege(c.oid, 'SELECT') AND pg_catalog.has_table_privilege(c.oid, 'INSERT')
         AND pg_catalog.has_table_privilege(c.oid, 'DELETE'), false) AS may_mark
     FROM pg_catalog.pg_namespace n LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = $2
     WHERE n.nspname = $1`,
    [schema, MARKER_TABLE],
  )
  const [row] = rows
  if (row === undefined) return undefined
  return { mayUse: row.may_use, mayCreate: row.may_create, isMarked: row.is_marked, mayMark: row.may_mark }
}

/** Says what keeps Patchbay from leaving its markers in the schema, with the statement that cures it. */
export function schemaFault(schema: string, rights: SchemaRights | undefined): string | undefined {
  const name = quote(schema)
  if (rights === undefined) return `There is no schema ${name}: CREATE SCHEMA ${name}`
  if (!rights.mayUse) return `Patchbay's role may not use the schema: GRANT USAGE, CREATE ON SCHEMA ${name}`
  if (!rights.isMarked && !rights.mayCreate)
    return (
      `Patchbay's role may not make its table ${MARKER_TABLE} in the schema: GRANT USAGE, CREATE ON SCHEMA ${name}, ` +
      "or make that table first, as the connector's page shows"
    )
  if (rights.isMarked && !rights.mayMark)
    return `Patchbay's role may not write its markers: GRANT SELECT, INSERT, DELETE ON ${markersOf(schema)}`
  return undefined
}

export function markerTableSql(schema: string): string {
  return `CREATE TABLE IF NOT EXISTS ${markersOf(schema)} (
    run_id text PRIMARY KEY,
    table_name text NOT NULL,
    committed_at timestamp with time zone NOT NULL DEFAULT pg_catalog.now(),
    added bigint NOT NULL,
    changed bigint NOT NULL,
    removed bigint NOT NULL
  )`
}

export async function readMarker(session: Session, schema: string, runId: string): Promise<TableOutcome | undefined> {
  const { rows } = await session.query<{ added: string; changed: string; removed: string }>(
    `SELECT added, changed, removed FROM ${markersOf(schema)} WHERE run_id = $1`,
    [runId],
  )
  const [row] = rows
  if (row === undefined) return undefined
  return { added: Number(row.added), changed: Number(row.changed), removed: Number(row.removed) }
}

export async function writeMarker(
  session: Session,
  { schema, table }: TableName,
  runId: string,
  { added, changed, removed }: TableOutcome,
): Promise<void> {
  await session.query(
    `DELETE FROM ${markersOf(schema)} WHERE table_name = $1 AND committed_at < pg_catalog.now() - interval '${KEEP_MARKERS}'`,
    [table],
  )
  await session.query(
    `INSERT INTO ${markersOf(schema)} (run_id, table_name, added, changed, removed) VALUES ($1, $2, $3, $4, $5)`,
    [runId, table, added, changed, removed],
  )
}

/**
 * The truth about a run, on a session of its own. The run's first session may live on at the server (its client was
 * killed, the network was cut) and may still be at the COMMIT: its lock is waited for, and when it holds on to it, that
 * session is ended. An answer is given only with the lock in hand; after it, no session of that run can commit any more.
 */
export async function readOutcome(
  ctx: PostgresqlContext,
  schema: string,
  runId: string,
): Promise<TableOutcome | undefined> {
  const session = await openSession(ctx)
  try {
    if (!(await tryLockRun(session, runId, GRACE_SECONDS))) {
      await endHolders(session, runId)
      if (!(await tryLockRun(session, runId, END_SECONDS)))
        throw new Unavailable('maybe', 'An earlier session of this run is still at work at the server')
    }
    const rights = await readSchemaRights(session, schema)
    return rights?.isMarked === true ? await readMarker(session, schema, runId) : undefined
  } finally {
    await session.close()
  }
}

/** Leaves a transaction open that holds the lock; it ends with the session. */
async function tryLockRun(session: Session, runId: string, seconds: number): Promise<boolean> {
  await session.query('BEGIN ISOLATION LEVEL READ COMMITTED')
  await session.query(`SET LOCAL lock_timeout = '${seconds}s'`)
  try {
    await lockRun(session, runId)
    return true
  } catch (error) {
    if (!(error instanceof DatabaseError && error.code === LOCK_NOT_AVAILABLE)) throw error
    await session.query('ROLLBACK')
    return false
  }
}

/** A role may end its own sessions. The two halves of a lock's key are shown as two numbers without sign. */
async function endHolders(session: Session, runId: string): Promise<void> {
  await session.query(
    `SELECT pg_catalog.pg_terminate_backend(l.pid)
     FROM pg_catalog.pg_locks l, (SELECT ${lockKey('run')} AS key) k
     WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.pid <> pg_catalog.pg_backend_pid()
       AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
       AND l.classid::bigint = (k.key >> 32) & 4294967295 AND l.objid::bigint = k.key & 4294967295`,
    [runId],
  )
}

function markersOf(schema: string): string {
  return quoteTable({ schema, table: MARKER_TABLE })
}
