/**
 * What was about to be sent and what came back, a row for each batch, part or commit. After a crash it is all that says what
 * the destination may have. Holds ranges, counts and paths; never a key or a value of a row.
 */
import { sql, type RawBuilder } from 'kysely'
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
  /** By piece of a batch: the service's own id of the job in which it works on it; null where the piece was cut in halves. */
  readonly jobs: Readonly<Record<string, string | null>>
}

/** What the run's row said in the statement that wrote the entry. Nothing is written unless it may go on. */
export interface IntendOutcome {
  /** Of the connection; null where it is gone. Where it is another than was expected, the run's row was not asked. */
  readonly connectionRevision: number | null
  readonly canceledBy: string | null
  readonly isConnected: boolean
  readonly written: boolean
}

/**
 * Writes the answers of earlier entries too, so that a batch costs one statement. The entry itself is written only where the
 * connection is as it was `known` to be, or gone, which `run_intend` (in the migrations) tells by itself. Undefined when the
 * hold is lost; then nothing is written.
 */
export async function intend(
  db: Db,
  hold: Hold,
  entry: EntryKey & { readonly file?: StoredFile },
  answers: readonly Answer[],
  known: { readonly connectionId: string; readonly revision: number },
): Promise<IntendOutcome | undefined> {
  const file = entry.file === undefined ? null : toJson(entry.file)
  const { source, kind, first, last } = entry
  const answered =
    answers.length === 0
      ? sql``
      : sql`WITH answered AS MATERIALIZED (SELECT bool_and(a.written) AS ok FROM (${answering(hold, answers)}) a)`
  const { rows } = await sql<IntendRow>`
    ${answered} SELECT ${answers.length === 0 ? sql`true` : sql`(SELECT ok FROM answered)`} AS ok, c.revision, i.*
      FROM (SELECT 1) one
      LEFT JOIN connection c ON c.id = ${known.connectionId}
      LEFT JOIN LATERAL run_intend(${hold.runId}, ${hold.epoch}, ${source}, ${kind}, ${first}, ${last}, ${file}) i
        ON coalesce(c.revision, ${known.revision}) = ${known.revision}`.execute(db)
  const row = rows[0]
  const isExpected = row?.revision === null || row?.revision === known.revision
  if (row?.ok !== true || (isExpected && row.is_connected === null)) return undefined
  if (row.is_connected === null) {
    return { connectionRevision: row.revision, canceledBy: null, isConnected: true, written: false }
  }
  if (row.entry_state === 'answered') {
    throw new Error(`A bug: ${kind} ${first}-${last} of ${hold.runId} was answered and would be sent again`)
  }
  return {
    connectionRevision: row.revision,
    canceledBy: row.canceled_by,
    isConnected: row.is_connected,
    written: row.entry_state !== null,
  }
}

/** The columns of `run_intend` are null where it was not asked, or the hold is lost. */
interface IntendRow {
  /** Whether the answers were written. */
  readonly ok: boolean
  readonly revision: number | null
  readonly canceled_by: string | null
  readonly is_connected: boolean | null
  readonly entry_state: string | null
}

/**
 * False when the hold is lost. Also for what was never sent, such as a row that is too large alone. Of two answers for the
 * same entry the first stays.
 */
export async function answer(db: Db, hold: Hold, answers: readonly Answer[]): Promise<boolean> {
  const { rows } = await answering(hold, answers).execute(db)
  return rows.every(({ written }) => written)
}

function answering(hold: Hold, answers: readonly Answer[]): RawBuilder<{ readonly written: boolean }> {
  return sql<{ readonly written: boolean }>`
    SELECT run_answer(${hold.runId}, ${hold.epoch}, e.source, e.kind, e.first, e.last, e.accepted, e.rejected, e.uncertain,
                      e."exceptionsPath") AS written
      FROM jsonb_to_recordset(${toJson(answers)}::jsonb) AS e(source text, kind text, first bigint, last bigint, accepted bigint,
                                                rejected bigint, uncertain bigint, "exceptionsPath" text)`
}

/** False when the hold is lost. An entry that was answered stays. */
export async function withdraw(db: Db, hold: Hold, key: EntryKey): Promise<boolean> {
  return isUnderHold(
    await sql<{ held: boolean }>`
      WITH held AS (${heldRun(hold)}),
           gone AS (DELETE FROM run_journal USING held WHERE ${isEntry(hold, key)} AND run_journal.state = 'intended')
      SELECT EXISTS (SELECT FROM held) AS held`.execute(db),
  )
}

/** False when the hold is lost. */
export async function keepJob(
  db: Db,
  hold: Hold,
  key: EntryKey,
  piece: { readonly id: string; readonly job: string | null },
): Promise<boolean> {
  return isUnderHold(
    await sql<{ held: boolean }>`
      WITH held AS (${heldRun(hold)}),
           kept AS (UPDATE run_journal SET jobs = jobs || jsonb_build_object(${piece.id}::text, ${piece.job}::text)
                      FROM held WHERE ${isEntry(hold, key)} AND run_journal.state = 'intended')
      SELECT EXISTS (SELECT FROM held) AS held`.execute(db),
  )
}

function heldRun({ runId, epoch }: Hold): RawBuilder<unknown> {
  return sql`SELECT id FROM run WHERE id = ${runId} AND epoch = ${epoch} AND status = 'running' FOR SHARE`
}

function isEntry({ runId }: Hold, { source, kind, first, last }: EntryKey): RawBuilder<unknown> {
  return sql`run_journal.run_id = ${runId} AND run_journal.source = ${source} AND run_journal.kind = ${kind}
    AND run_journal.first_seq = ${first} AND run_journal.last_seq = ${last}`
}

function isUnderHold({ rows }: { readonly rows: readonly { readonly held: boolean }[] }): boolean {
  return rows[0]?.held === true
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
    jobs: row.jobs,
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

/** How many rows were answered within the last minute, and over how many seconds: for the rate, and the time that is left. */
export async function readRate(db: Db, runId: string): Promise<{ readonly rows: number; readonly seconds: number }> {
  const { rows } = await sql<{ answered: number; seconds: number }>`
    SELECT coalesce(sum(accepted + rejected + uncertain), 0)::bigint AS answered,
           coalesce(extract(epoch FROM now() - min(intended_at)), 0)::float8 AS seconds
      FROM run_journal WHERE run_id = ${runId} AND answered_at > now() - interval '1 minute'`.execute(db)
  return { rows: rows[0]?.answered ?? 0, seconds: rows[0]?.seconds ?? 0 }
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
