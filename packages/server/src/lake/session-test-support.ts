/** What the tests of a session share: plans over small tables, and a session over a data engine that outlives it. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DEFAULT_FORMAT, DEFAULT_GUARD } from '../domain/export.ts'
import { newId, type ConnectionId, type ExportId, type RunId } from '../domain/ids.ts'
import type { LedgerRef, Plan, PlanColumn, PlanSource } from '../domain/plan.ts'
import type { FieldType, PinnedTable } from '../domain/table.ts'
import type { DuckDb, DuckDbValue, StartDuckDb } from './duckdb.ts'
import { DuckDbError } from './duckdb-error.ts'
import { startTestEngine } from './lake-test-support.ts'
import { openLakeSession } from './session.ts'
import type { AnsweredEntry, LakeSession, OutboxBatch, SourceDiff } from './session-types.ts'
import { quoteName, quoteText } from './sql-text.ts'

export const NOW = '2026-03-01T12:34:56.789Z'

export interface SessionLake {
  readonly root: string
  readonly db: DuckDb
  /** A session over the shared engine: starting a child for each of many small runs would be all the time that a test takes. */
  open(plan: Plan): Promise<LakeSession>
  /** A table made by one statement per file. */
  table(
    name: string,
    key: string,
    fields: Readonly<Record<string, FieldType>>,
    files: readonly string[],
  ): Promise<PinnedTable>
  remove(): Promise<void>
}

/** `prepare` is given the folder before the engine starts: what is mounted later, its sandbox does not see. */
export async function makeSessionLake(prepare: (root: string) => void = () => undefined): Promise<SessionLake> {
  const root = await mkdtemp(join(tmpdir(), 'patchbay-session-'))
  prepare(root)
  const engine = await startTestEngine(root)
  const db = withOwnWords(engine)
  const startDuckDb: StartDuckDb = async () => ({ ...db, close: async () => undefined })
  let tables = 0
  return {
    root,
    db,
    open: async (plan) =>
      openLakeSession({ root, startDuckDb, memoryLimitMb: 512, threads: 2 }, plan, new AbortController().signal),
    async table(name, key, fields, statements) {
      tables += 1
      const files = statements.map((_, file) => `table-${tables}-${file + 1}.parquet`)
      for (const [file, statement] of statements.entries()) {
        await db.run(`COPY (${statement}) TO ${quoteText(join(root, files[file] ?? ''))} (FORMAT parquet)`)
      }
      const rows = await countRows(db, root, files)
      return {
        id: newId('table', randomBytes),
        name,
        version: 1,
        key,
        fields: Object.entries(fields).map(([field, type]) => ({ name: field, label: field, type, tags: [] })),
        files,
        rows,
      }
    },
    async remove() {
      await engine.close()
      await rm(root, { recursive: true, force: true })
    },
  }
}

async function countRows(db: DuckDb, root: string, files: readonly string[]): Promise<number> {
  if (files.length === 0) return 0
  const paths = files.map((file) => quoteText(join(root, file))).join(', ')
  const [row] = await db.rows(`SELECT count(*) AS rows FROM read_parquet([${paths}])`)
  return Number(row?.['rows'])
}

/** In tests DuckDB's own words hurt nobody. */
function withOwnWords(db: DuckDb): DuckDb {
  const told = async <T>(sql: string, work: Promise<T>): Promise<T> => {
    try {
      return await work
    } catch (error) {
      if (!(error instanceof DuckDbError)) throw error
      throw new Error(`${error.rawMessage()}\n${sql}`, { cause: error })
    }
  }
  return {
    run: async (sql) => told(sql, db.run(sql)),
    rows: async (sql) => told(sql, db.rows(sql)),
    stream: (sql) => db.stream(sql),
    close: async () => db.close(),
  }
}

let runs = 0

export function planOf(change: Partial<Plan> & { readonly sources: readonly PlanSource[] }): Plan {
  runs += 1
  return {
    runId: `run_${String(runs)
      .padStart(20, 'a')
      .replaceAll(/\d/g, (digit) => 'bcdefghijk'[Number(digit)] ?? 'a')}` as RunId,
    exportId: 'exp_test' as ExportId,
    exportRevision: 1,
    connectionId: 'con_test' as ConnectionId,
    connectorId: 'test',
    destinationType: 'list',
    destination: {},
    delivers: 'rows',
    repeat: { kind: 'harmless' },
    mode: 'mirror',
    format: DEFAULT_FORMAT,
    guard: DEFAULT_GUARD,
    rowsPerRunMax: null,
    now: NOW,
    retryOf: null,
    ...change,
  }
}

export function sourceOf(table: PinnedTable, change: Partial<PlanSource> = {}): PlanSource {
  const columns = table.fields.map(({ name, type }) => column(name, type, { identifier: name === table.key }))
  return {
    name: table.name,
    table,
    columns,
    where: null,
    related: [],
    consentField: null,
    merge: { by: 'smallest-key' },
    ledger: null,
    ...change,
  }
}

export function column(name: string, type: FieldType, change: Partial<PlanColumn> = {}): PlanColumn {
  const sourceType = change.sourceType ?? type
  const becomesText = (change.transforms ?? []).length > 0
  return {
    to: name,
    from: name,
    transforms: [],
    identifier: false,
    type: becomesText ? 'text' : type,
    ...change,
    sourceType,
  }
}

export const LIMITS = { rowsPerBatch: 1000, bytesPerBatch: 1_000_000 }

export async function collect(
  session: LakeSession,
  source: PlanSource,
  diff: SourceDiff,
  limits = LIMITS,
  from = 1,
): Promise<OutboxBatch[]> {
  const batches: OutboxBatch[] = []
  for await (const batch of session.batches(source, diff, limits, from)) batches.push(batch)
  return batches
}

export function answeredBatch(batch: OutboxBatch, exceptionsPath: string | null = null): AnsweredEntry {
  return {
    source: batch.source,
    kind: 'batch',
    first: batch.first,
    last: batch.last,
    state: 'answered',
    uncertain: 0,
    exceptionsPath,
  }
}

export function committed(source: PlanSource, uncertain = 0): AnsweredEntry {
  return { source: source.name, kind: 'commit', first: 0, last: 0, state: 'answered', uncertain, exceptionsPath: null }
}

/** The ledger that a settling gave; throws where it gave none. */
export function ledgerOf(ledger: LedgerRef | null): LedgerRef {
  if (ledger === null) throw new Error('Settling gave no ledger')
  return ledger
}

/** `VALUES` with names and types, from plain rows. */
export function valuesOf(
  fields: Readonly<Record<string, FieldType>>,
  rows: readonly Readonly<Record<string, DuckDbValue>>[],
): string {
  const types = {
    text: 'VARCHAR',
    integer: 'BIGINT',
    decimal: 'DOUBLE',
    boolean: 'BOOLEAN',
    date: 'DATE',
    timestamp: 'TIMESTAMP',
  }
  const names = Object.keys(fields).map(quoteName)
  const cell = (value: DuckDbValue | undefined, type: FieldType): string =>
    `CAST(${value === null || value === undefined ? 'NULL' : quoteText(String(value))} AS ${types[type]})`
  const line = (row: Readonly<Record<string, DuckDbValue>>, isRow: boolean): string =>
    `(${Object.entries(fields)
      .map(([name, type]) => cell(row[name], type))
      .join(', ')}, ${isRow})`
  const lines = [line({}, false), ...rows.map((row) => line(row, true))]
  return `SELECT ${names.join(', ')} FROM (VALUES ${lines.join(', ')}) v(${names.join(', ')}, "is row") WHERE "is row"`
}
