import { sql, type RawBuilder, type SelectQueryBuilder } from 'kysely'
import type { ExportId, RunId } from '../domain/ids.ts'
import { NO_COUNTS, type Run, type RunStatus, type StartedBy } from '../domain/run.ts'
import { notFound } from './conflict.ts'
import { pageOf, paged, patternOf, type Page, type PageRequest } from './page.ts'
import type { Db, Schema, Tx } from './schema.ts'

/** A run that is not over: only one of these that delivers may stand for an export. */
export const OPEN_STATUSES = ['queued', 'running', 'held', 'failed-retrying'] as const

export interface NewRun {
  readonly id: RunId
  readonly exportId: ExportId
  readonly purpose: 'deliver' | 'preview'
  readonly startedBy: StartedBy
  readonly actor: string
  readonly slot: Date | null
  readonly late: boolean
  readonly retryOf: { readonly runId: RunId; readonly include: 'rejected' | 'rejected-and-uncertain' } | null
  readonly now: Date
}

/** `open`: another run of the export is not over. `slot`: the slot has had its run. Neither breaks the transaction. */
export async function insertRun(tx: Tx, run: NewRun): Promise<'inserted' | 'open' | 'slot'> {
  const inserted = await tx
    .insertInto('run')
    .values({ ...columnsOf(run), status: 'queued', reason: null, finished_at: null })
    .onConflict((conflict) => conflict.doNothing())
    .returning('id')
    .executeTakeFirst()
  if (inserted !== undefined) return 'inserted'
  if (run.slot === null) return 'open'
  const sameSlot = await tx
    .selectFrom('run')
    .select('id')
    .where('export_id', '=', run.exportId)
    .where('slot', '=', run.slot)
    .executeTakeFirst()
  return sameSlot === undefined ? 'open' : 'slot'
}

/** A slot that came while it could not run keeps its place in the history, with the reason; once, however often it is tried. */
export async function insertSkippedRun(tx: Tx, run: NewRun, reason: string): Promise<boolean> {
  const inserted = await tx
    .insertInto('run')
    .values({ ...columnsOf(run), status: 'skipped', reason, finished_at: run.now })
    .onConflict((conflict) => conflict.doNothing())
    .returning('id')
    .executeTakeFirst()
  return inserted !== undefined
}

export async function findOpenRun(
  db: Db,
  exportId: ExportId,
): Promise<{ readonly id: RunId; readonly status: RunStatus } | undefined> {
  const row = await db
    .selectFrom('run')
    .select(['id', 'status'])
    .where('export_id', '=', exportId)
    .where('purpose', '=', 'deliver')
    .where('status', 'in', OPEN_STATUSES)
    .executeTakeFirst()
  return row === undefined ? undefined : { id: row.id as RunId, status: row.status }
}

/**
 * A run that failed for good with answers in its journal that no ledger has taken in. Until it is resumed the ledger does not
 * say what the destination has, so nothing else of the export may be sent.
 */
export async function findUnsettledRun(db: Db, exportId: ExportId): Promise<RunId | undefined> {
  const row = await db
    .selectFrom('run')
    .select('id')
    .where('export_id', '=', exportId)
    .where('status', '=', 'failed')
    .where('settled_at', 'is', null)
    .where((where) =>
      where.exists(where.selectFrom('run_journal').select('run_id').whereRef('run_journal.run_id', '=', 'run.id')),
    )
    .executeTakeFirst()
  return row?.id as RunId | undefined
}

export interface RunDetail extends Run {
  readonly exportName: string
  readonly stages: readonly { readonly stage: string; readonly at: string }[]
  readonly attempts: number
  readonly dueAt: Date
  readonly cancelRequestedAt: Date | null
  readonly approvedBy: string | null
  readonly approvedAt: Date | null
  readonly retryOf: RunId | null
  /** The engine's `RunDiff`, where the run got so far. */
  readonly diff: unknown
}

export async function readRun(db: Db, id: string): Promise<RunDetail> {
  const row = await selectRuns(db).select('run.diff').where('run.id', '=', id).executeTakeFirst()
  if (row === undefined) throw notFound('run', id)
  return { ...runOf(row), diff: row.diff }
}

/** The run of the same export and purpose that was asked for before this one. */
export async function findRunBefore(db: Db, run: RunDetail): Promise<RunDetail | undefined> {
  const row = await selectRuns(db)
    .select('run.diff')
    .where('run.export_id', '=', run.exportId)
    .where('run.purpose', '=', run.purpose)
    .where('run.status', '<>', 'skipped')
    .where(sql<boolean>`(run.created_at, run.id) < (SELECT created_at, id FROM run AS this WHERE this.id = ${run.id})`)
    .orderBy('run.created_at', 'desc')
    .orderBy('run.id', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row === undefined ? undefined : { ...runOf(row), diff: row.diff }
}

const FORGOTTEN_AT_ONCE = 500

/**
 * Forgets runs that are older, with their journals; gives how many. What the export still stands on stays: its newest run that
 * delivers, runs that are not over, and one that broke off and is to be resumed. Whole batches at a time, so that the store is
 * never held up for long.
 */
export async function forgetRuns(db: Db, before: Date): Promise<number> {
  const { rows } = await sql<{ id: string }>`
    DELETE FROM run WHERE id IN (
      SELECT run.id FROM run
       WHERE run.created_at < ${before} AND run.status NOT IN ('queued', 'running', 'held', 'failed-retrying')
         AND NOT (run.status = 'failed' AND run.settled_at IS NULL)
         AND NOT EXISTS (SELECT FROM export_last_run AS last WHERE last.run_id = run.id)
       ORDER BY run.created_at LIMIT ${FORGOTTEN_AT_ONCE})
    RETURNING id`.execute(db)
  return rows.length < FORGOTTEN_AT_ONCE ? rows.length : rows.length + (await forgetRuns(db, before))
}

export interface RunFilter {
  readonly exportId?: ExportId
  readonly status?: RunStatus
  readonly startedBy?: StartedBy
  readonly purpose?: 'deliver' | 'preview'
  /** Anywhere in the name of the export. */
  readonly search?: string
  readonly since?: Date
  readonly until?: Date
}

/** So many exports are looked through one by one; of more, the newest runs are soon found by going through the runs. */
const EXPORTS_ONE_BY_ONE = 200

/** By when they were asked for. */
export async function pageRuns(
  db: Db,
  filter: RunFilter,
  page: PageRequest<'created'>,
): Promise<Page<Omit<RunDetail, 'diff'>>> {
  const { search, ...rest } = filter
  const make = (rows: Awaited<ReturnType<typeof rowsOf>>) => pageOf(rows, page, runOf, ({ id }) => id)
  if (search === undefined) return make(await rowsOf(db, rest, page))
  const found = await db
    .selectFrom('export')
    .select('id')
    .where(sql<boolean>`lower(name) LIKE ${patternOf(search)}`)
    .orderBy('id')
    .limit(EXPORTS_ONE_BY_ONE + 1)
    .execute()
  if (found.length > EXPORTS_ONE_BY_ONE) return make(await rowsOf(db, filter, page))
  return make(await rowsOf(db, { ...rest, ids: await newestOf(db, found, rest, page) }, page))
}

/** The first runs of some exports, each found by its own index: however many runs there are, few are looked at. */
async function newestOf(
  db: Db,
  exports: readonly { readonly id: string }[],
  filter: RunFilter,
  page: PageRequest<'created'>,
): Promise<readonly string[]> {
  const ids = exports.map(({ id }) => id)
  const each = paged(
    filtered(
      db
        .selectFrom('run')
        .select('run.id')
        .where('run.export_id', '=', sql<string>`wanted.id`),
      filter,
    ),
    ORDER,
    page,
  )
  const way = sql.raw(page.descending ? 'DESC' : 'ASC')
  const { rows } = await sql<{ id: string }>`
    SELECT found.id FROM unnest(${ids}::text[]) AS wanted(id) CROSS JOIN LATERAL (${each}) AS found
     ORDER BY found.page_key::timestamptz ${way}, found.id ${way} LIMIT ${page.limit + 1}`.execute(db)
  return rows.map(({ id }) => id)
}

const ORDER = { key: sql.ref('run.created_at'), id: sql.ref('run.id'), type: 'timestamptz' } as const

async function rowsOf(
  db: Db,
  { ids, ...filter }: RunFilter & { readonly ids?: readonly string[] },
  page: PageRequest<'created'>,
) {
  const query = filtered(selectRuns(db), filter)
  const chosen = ids === undefined ? query : query.where(sql<boolean>`run.id = ANY (${[...ids]}::text[])`)
  return paged(chosen, ORDER, page).execute()
}

function filtered<T extends 'run' | 'export', O>(
  from: SelectQueryBuilder<Schema, T, O>,
  filter: RunFilter,
): SelectQueryBuilder<Schema, T, O> {
  let query = from
  const also = (condition: RawBuilder<boolean>): void => void (query = query.where(condition))
  if (filter.exportId !== undefined) also(sql`run.export_id = ${filter.exportId}`)
  if (filter.status !== undefined) also(sql`run.status = ${filter.status}`)
  if (filter.startedBy !== undefined) also(sql`run.started_by = ${filter.startedBy}`)
  if (filter.purpose !== undefined) also(sql`run.purpose = ${filter.purpose}`)
  if (filter.search !== undefined) also(sql`lower(export.name) LIKE ${patternOf(filter.search)}`)
  if (filter.since !== undefined) also(sql`run.created_at >= ${filter.since}`)
  if (filter.until !== undefined) also(sql`run.created_at < ${filter.until}`)
  return query
}

function selectRuns(db: Db) {
  return db
    .selectFrom('run')
    .innerJoin('export', 'export.id', 'run.export_id')
    .select([
      'run.id',
      'run.export_id',
      'export.name as export_name',
      'run.purpose',
      'run.status',
      'run.stage',
      'run.stages',
      'run.started_by',
      'run.actor',
      'run.counts',
      'run.reason',
      'run.outbox_digest',
      'run.late',
      'run.slot',
      'run.created_at',
      'run.started_at',
      'run.finished_at',
      'run.attempts',
      'run.due_at',
      'run.cancel_requested_at',
      'run.approved_by',
      'run.approved_at',
      'run.retry_of',
    ])
}

function runOf(
  row: Awaited<ReturnType<ReturnType<typeof selectRuns>['executeTakeFirstOrThrow']>>,
): Omit<RunDetail, 'diff'> {
  return {
    id: row.id as RunId,
    exportId: row.export_id as ExportId,
    exportName: row.export_name,
    purpose: row.purpose,
    status: row.status,
    stage: row.stage,
    stages: row.stages,
    startedBy: row.started_by,
    actor: row.actor,
    counts: row.counts ?? NO_COUNTS,
    reason: row.reason,
    outboxDigest: row.outbox_digest,
    late: row.late,
    slot: row.slot,
    createdAt: row.created_at,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    attempts: row.attempts,
    dueAt: row.due_at,
    cancelRequestedAt: row.cancel_requested_at,
    approvedBy: row.approved_by,
    approvedAt: row.approved_at,
    retryOf: row.retry_of as RunId | null,
  }
}

function columnsOf(run: NewRun) {
  return {
    id: run.id,
    export_id: run.exportId,
    purpose: run.purpose,
    stage: null,
    started_by: run.startedBy,
    actor: run.actor,
    counts: null,
    plan: null,
    diff: null,
    outbox_digest: null,
    approved_digest: null,
    approved_by: null,
    approved_at: null,
    cancel_requested_at: null,
    cancel_requested_by: null,
    slot: run.slot,
    late: run.late,
    heartbeat_at: null,
    holder: null,
    due_at: run.now,
    retry_of: run.retryOf?.runId ?? null,
    retry_include: run.retryOf?.include ?? null,
    connection_id: null,
    destination_digest: null,
    created_at: run.now,
    started_at: null,
    settled_at: null,
  }
}
