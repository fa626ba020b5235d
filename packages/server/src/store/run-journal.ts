/**
 * What was about to be sent and what came back, a row for each batch, part or commit. After a crash it is all that says what
 * the destination may have. Holds ranges, counts and paths; never a key or a value of a row.
 */
import { sql } from 'kysely'
import { toJson } from './json.ts'
import type { Hold } from './run-hold.ts'
import type { Db, StoredFile } from './schema.ts'

export interface EntryKey {
  readonly source: string
  readonly kind: 'batch' | 'part' | 'commit'
  readonly first: number
  readonly last: number
}

export interface Answer extends EntryKey {
  readonly accepted: number
  readonly rejected: number
  readonly uncertain: number
  readonly exceptionsPath: string | null
}

export interface Entry extends Answer {
  readonly state: 'intended' | 'answered'
  readonly file: StoredFile | null
  readonly intendedAt: Date
}

/** What the run's row said in the statement that wrote the entry. Nothing is written unless it may go on. */
export interface IntendOutcome {
  readonly canceledBy: string | null
  readonly isConnected: boolean
  readonly written: boolean
}

/**
 * One statement: it takes the run's row so that a take-over waits for it, or it waits for the take-over and then finds
 * another epoch. Undefined when the hold is lost.
 */
export async function intend(
  db: Db,
  hold: Hold,
  entry: EntryKey & { readonly file?: StoredFile },
): Promise<IntendOutcome | undefined> {
  const file = entry.file === undefined ? null : toJson(entry.file)
  const { rows } = await sql<{ canceled_by: string | null; is_connected: boolean; state: string | null }>`
    WITH held AS (
      SELECT run.id,
             CASE WHEN run.cancel_requested_at IS NOT NULL THEN coalesce(run.cancel_requested_by, '') END AS canceled_by,
             (run.connection_id IS NOT NULL AND export.connection_id IS NOT DISTINCT FROM run.connection_id) AS is_connected
        FROM run JOIN export ON export.id = run.export_id
       WHERE run.id = ${hold.runId} AND run.epoch = ${hold.epoch} AND run.status = 'running'
         FOR SHARE OF run
    ), written AS (
      INSERT INTO run_journal (run_id, source, kind, first_seq, last_seq, state, file)
      SELECT id, ${entry.source}::text, ${entry.kind}::text, ${entry.first}::bigint, ${entry.last}::bigint, 'intended',
             ${file}::jsonb
        FROM held WHERE canceled_by IS NULL AND is_connected
      ON CONFLICT (run_id, source, kind, first_seq, last_seq)
        DO UPDATE SET file = coalesce(EXCLUDED.file, run_journal.file)
      RETURNING state
    )
    SELECT held.canceled_by, held.is_connected, (SELECT state FROM written) AS state FROM held`.execute(db)
  const row = rows[0]
  if (row === undefined) return undefined
  if (row.state === 'answered') {
    throw new Error(
      `A bug: ${entry.kind} ${entry.first}-${entry.last} of ${hold.runId} was answered and would be sent again`,
    )
  }
  return { canceledBy: row.canceled_by, isConnected: row.is_connected, written: row.state !== null }
}

/** Also for what was never sent, such as a row that is too large alone. An answer that is told twice stays the first. */
export async function answer(db: Db, hold: Hold, entry: Answer): Promise<boolean> {
  const { rows } = await sql<{ one: number }>`
    WITH held AS (
      SELECT id FROM run
       WHERE id = ${hold.runId} AND epoch = ${hold.epoch} AND status = 'running'
         FOR SHARE
    ), written AS (
      INSERT INTO run_journal (run_id, source, kind, first_seq, last_seq, state, accepted, rejected, uncertain,
                               exceptions_path, answered_at)
      SELECT id, ${entry.source}::text, ${entry.kind}::text, ${entry.first}::bigint, ${entry.last}::bigint, 'answered',
             ${entry.accepted}::bigint, ${entry.rejected}::bigint, ${entry.uncertain}::bigint,
             ${entry.exceptionsPath}::text, now()
        FROM held
      ON CONFLICT (run_id, source, kind, first_seq, last_seq)
        DO UPDATE SET state = 'answered', accepted = EXCLUDED.accepted, rejected = EXCLUDED.rejected,
                      uncertain = EXCLUDED.uncertain, exceptions_path = EXCLUDED.exceptions_path, answered_at = now()
        WHERE run_journal.state = 'intended'
    )
    SELECT 1 AS one FROM held`.execute(db)
  return rows.length === 1
}

export async function readJournal(db: Db, runId: string): Promise<readonly Entry[]> {
  const rows = await db
    .selectFrom('run_journal')
    .selectAll()
    .where('run_id', '=', runId)
    .orderBy('source')
    .orderBy('kind')
    .orderBy('first_seq')
    .execute()
  return rows.map((row) => ({
    source: row.source,
    kind: row.kind,
    first: row.first_seq,
    last: row.last_seq,
    state: row.state,
    accepted: row.accepted,
    rejected: row.rejected,
    uncertain: row.uncertain,
    exceptionsPath: row.exceptions_path,
    file: row.file,
    intendedAt: row.intended_at,
  }))
}

/** For a screen that watches: sums over what was answered so far. */
export async function readProgress(
  db: Db,
  runId: string,
): Promise<{ readonly accepted: number; readonly rejected: number; readonly uncertain: number }> {
  const total = (column: 'accepted' | 'rejected' | 'uncertain') =>
    sql<number>`coalesce(sum(${sql.ref(column)}), 0)::bigint`
  return db
    .selectFrom('run_journal')
    .select([total('accepted').as('accepted'), total('rejected').as('rejected'), total('uncertain').as('uncertain')])
    .where('run_id', '=', runId)
    .executeTakeFirstOrThrow()
}

/**
 * Files that may stand under their final names although no settled run says so: a run that was not settled had begun to
 * publish them.
 */
export async function listUnsettledFiles(
  db: Db,
  owner: { readonly exportId: string; readonly destinationDigest: string },
  exceptRun: string,
): Promise<readonly StoredFile[]> {
  const rows = await db
    .selectFrom('run_journal as part')
    .innerJoin('run', 'run.id', 'part.run_id')
    .select('part.file')
    .where('run.export_id', '=', owner.exportId)
    .where('run.destination_digest', '=', owner.destinationDigest)
    .where('run.settled_at', 'is', null)
    .where('run.id', '<>', exceptRun)
    .where('part.file', 'is not', null)
    .where((where) =>
      where.exists(
        where
          .selectFrom('run_journal as commit')
          .select('commit.run_id')
          .whereRef('commit.run_id', '=', 'part.run_id')
          .where('commit.kind', '=', 'commit'),
      ),
    )
    .execute()
  return rows.flatMap(({ file }) => (file === null ? [] : [file]))
}
