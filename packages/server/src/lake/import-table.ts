/**
 * Imports files as a new, immutable version of a table: all of it or nothing. One pass over the source writes the Parquet
 * parts; a second and third are needed only where inferred types turn out wrong or bad lines are to be left out.
 *
 * Rows are not kept in the order of the file (files of up to some 100,000 rows happen to be): keeping it costs a third of
 * the speed and memory for every thread's parts, and nothing relies on it, since rows are shown by key.
 */
import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { TableId } from '../domain/ids.ts'
import { nearestName } from '../domain/nearest-name.ts'
import { Problem } from '../domain/problem.ts'
import type { FieldType, TableField } from '../domain/table.ts'
import type { CsvDialect } from './csv-dialect.ts'
import type { DuckDb } from './duckdb.ts'
import { DuckDbError } from './duckdb-error.ts'
import { startDuckDb } from './duckdb-process.ts'
import {
  firstMisfit,
  misfitColumn,
  misfitReason,
  planAgain,
  planColumns,
  schemaChange,
  selectList,
} from './import-plan.ts'
import type { GivenTypes, PlannedColumn, SchemaChange } from './import-plan.ts'
import { BAD_LINES_NAMED, TooManyBadLines } from './import-source.ts'
import type { BadLine, ImportSource, OpenContext, OpenSource, SourceFile } from './import-source.ts'
import { openCsv } from './source-csv.ts'
import { openJsonLines } from './source-json-lines.ts'
import { openParquet } from './source-parquet.ts'
import { parquetFiles, quoteName, quoteText } from './sql-text.ts'
import { makeVersionFolder } from './version-folder.ts'

export interface ImportOptions {
  readonly root: string
  readonly tableId: TableId
  /** One that is not there yet. */
  readonly version: number
  readonly source: ImportSource
  /** The field that identifies a row: integer or text, never empty, unique. */
  readonly key: string
  readonly types?: Readonly<Record<string, FieldType>>
  /** The fields of the version before: labels, tags and types are kept. */
  readonly previous?: readonly TableField[]
  readonly allowSchemaChange?: boolean
  /** Lines that may be left out; 0 where absent. */
  readonly badLinesMax?: number
  readonly memoryLimitMb: number
  readonly threads: number
  readonly signal: AbortSignal
}

export interface ImportedTable {
  readonly fields: readonly TableField[]
  /** Names within `tables/<table id>/<version>/`. */
  readonly files: readonly { readonly name: string; readonly rows: number; readonly sizeBytes: number }[]
  readonly rows: number
  readonly badLines: number
  /** The first of them. */
  readonly badLinesNamed: readonly BadLine[]
  /** Sentences for a person: what is read in a way that may surprise. */
  readonly notes: readonly string[]
  readonly change: SchemaChange
  readonly encoding: string | null
  readonly dialect: CsvDialect | null
}

/** About a million rows: parts of this size are what is read side by side, and what is sent as one file. */
const ROW_GROUP_ROWS = 122_880
const ROW_GROUPS_PER_FILE = 8
/** Above this the folders of the files are opened to the engine, instead of each file by itself. */
const FILES_NAMED_MAX = 200

export async function importTable(options: ImportOptions): Promise<ImportedTable> {
  const { source } = options
  const folder = await makeVersionFolder(options.root, options.tableId, options.version)
  try {
    const db = await startDuckDb({
      read: readPaths(source.files),
      write: [folder.work],
      memoryLimitMb: options.memoryLimitMb,
      threads: options.threads,
      signal: options.signal,
    })
    try {
      const badLinesMax = options.badLinesMax ?? 0
      const context: OpenContext = { db, source, badLinesMax, workFolder: folder.work, signal: options.signal }
      const opened = await openSource(context)
      const written = await writeParts(context, opened, folder.parts, options)
      const names = await folder.nameParts()
      const paths = names.map((name) => join(folder.parts, name))
      const rows = await partRows(db, paths)
      await checkKey(db, paths, written.planned, options.key)
      const published = await folder.publish(names)
      return imported(
        opened,
        written,
        published.map((file, index) => ({ ...file, rows: rows[index] ?? 0 })),
        options,
      )
    } finally {
      await db.close()
    }
  } catch (error) {
    throw asProblem(error)
  } finally {
    await folder.remove()
  }
}

export function readPaths(files: readonly SourceFile[]): readonly string[] {
  const paths = files.map(({ path }) => path)
  return paths.length <= FILES_NAMED_MAX ? paths : [...new Set(paths.map((path) => dirname(path)))]
}

export async function openSource(context: OpenContext): Promise<OpenSource> {
  switch (context.source.format) {
    case 'csv':
      return openCsv(context)
    case 'json-lines':
      return openJsonLines(context)
    case 'parquet':
      return openParquet(context)
  }
}

interface Written {
  readonly planned: readonly PlannedColumn[]
  readonly badLines: number
  readonly named: readonly BadLine[]
}

async function writeParts(
  context: OpenContext,
  source: OpenSource,
  parts: string,
  options: ImportOptions,
): Promise<Written> {
  const { db } = context
  const most = context.badLinesMax
  const given: GivenTypes = {
    types: options.types ?? {},
    previous: options.previous ?? null,
    allowSchemaChange: options.allowSchemaChange ?? false,
    dateOrder: context.source.dateOrder,
  }
  let planned = await withMending(source, async () => planColumns(db, source, given))
  checkKeyField(planned, options.key)
  let misfits: BadLines = { count: 0, lines: [] }
  let leavesOut = false
  for (;;) {
    await rm(parts, { recursive: true, force: true })
    await source.forget()
    const at = await tryCopy(db, source, planned, leavesOut, parts)
    if (at === undefined) break
    if (planned[at]?.isGiven === true && !leavesOut) {
      misfits = await findMisfits(db, source, planned)
      if (misfits.count > most) throw new TooManyBadLines(misfits.lines, misfits.count)
      leavesOut = true
    } else planned = await planAgain(db, source, planned, given)
  }
  // As the copy saw it: after a quote that is not closed, the numbered lines may be cut in other places.
  const dropped = leavesOut ? await countMisfits(db, source, planned) : 0
  const leftOut = await source.leftOut()
  const badLines = leftOut.count + dropped
  const named = [...leftOut.lines, ...misfits.lines].toSorted(byPlace).slice(0, BAD_LINES_NAMED)
  if (badLines > most) throw new TooManyBadLines(named, badLines)
  return { planned, badLines, named }
}

interface BadLines {
  readonly count: number
  readonly lines: readonly BadLine[]
}

function byPlace(a: BadLine, b: BadLine): number {
  return a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1
}

/** Gives the place of the column that did not fit; undefined when all is written. */
async function tryCopy(
  db: DuckDb,
  source: OpenSource,
  planned: readonly PlannedColumn[],
  leavesOut: boolean,
  parts: string,
): Promise<number | undefined> {
  const where = leavesOut ? `WHERE (${firstMisfit(planned)}) IS NULL` : blankLines(source)
  const options = `FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE ${ROW_GROUP_ROWS}, ROW_GROUPS_PER_FILE ${ROW_GROUPS_PER_FILE}, FILENAME_PATTERN 'part-{i}'`
  try {
    await withMending(source, async () =>
      db.run(
        `COPY (SELECT ${selectList(planned)} FROM ${source.relation} ${where}) TO ${quoteText(parts)} (${options})`,
      ),
    )
    return undefined
  } catch (error) {
    const at = error instanceof DuckDbError ? misfitColumn(error.rawMessage()) : undefined
    if (at === undefined) throw error
    return at
  }
}

/** With one column, the engine takes a blank line for an empty value; with more, it skips it. */
function blankLines({ dialect, columns }: OpenSource): string {
  return dialect !== null && columns.length === 1 ? `WHERE ${columns[0]?.raw ?? 'TRUE'} IS NOT NULL` : ''
}

export async function withMending<T>(source: OpenSource, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const isParser =
      error instanceof DuckDbError && error.kind === 'invalid-input' && /state machine/.test(error.rawMessage())
    if (!isParser || !(await source.mend())) throw error
    await source.forget()
    return work()
  }
}

async function findMisfits(db: DuckDb, source: OpenSource, planned: readonly PlannedColumn[]): Promise<BadLines> {
  const { relation, file, line } = await source.numbered()
  const rows = await db.rows(
    `SELECT f, l, c, count(*) OVER () AS n FROM (SELECT ${file} AS f, ${line} AS l, ${firstMisfit(planned)} AS c FROM ${relation})
     WHERE c IS NOT NULL ORDER BY f, l LIMIT ${BAD_LINES_NAMED}`,
  )
  const lines = rows.map((row): BadLine => {
    const column = planned[Number(row['c'])]
    const field = column?.column.name ?? ''
    const reason = `"${field}" ${misfitReason(column?.type ?? 'text')}`
    return { file: String(row['f']), line: Number(row['l']), field, reason }
  })
  return { count: Number(rows[0]?.['n'] ?? 0), lines }
}

async function countMisfits(db: DuckDb, source: OpenSource, planned: readonly PlannedColumn[]): Promise<number> {
  const [row] = await db.rows(
    `SELECT count(*) AS n FROM ${source.relation} WHERE (${firstMisfit(planned)}) IS NOT NULL`,
  )
  return Number(row?.['n'])
}

async function partRows(db: DuckDb, paths: readonly string[]): Promise<readonly number[]> {
  const list = paths.map(quoteText).join(', ')
  const rows = await db.rows(`SELECT file_name, num_rows FROM parquet_file_metadata([${list}])`)
  return paths.map((path) => Number(rows.find((row) => row['file_name'] === path)?.['num_rows']))
}

function checkKeyField(planned: readonly PlannedColumn[], key: string): void {
  const names = planned.map(({ column }) => column.name)
  const field = planned.find(({ column }) => column.name === key)
  const path = 'key'
  if (field === undefined) {
    const nearest = nearestName(key, names)
    const cure = nearest === undefined ? `Its columns: ${names.slice(0, 20).join(', ')}.` : `Did you mean "${nearest}"?`
    throw new Problem('invalid', `The file has no column "${key}" to be the key`, { path, cure })
  }
  if (field.type === 'integer' || field.type === 'text') return
  throw new Problem('invalid', `"${key}" is ${field.type} and cannot be the key`, {
    path,
    cure: 'Choose a field of integers or texts that is different in each row.',
  })
}

/** Exact, over what was written: a key that comes twice would be one customer with two faces. */
async function checkKey(
  db: DuckDb,
  paths: readonly string[],
  planned: readonly PlannedColumn[],
  key: string,
): Promise<void> {
  checkKeyField(planned, key)
  const name = quoteName(key)
  const filled = planned.find(({ column }) => column.name === key)?.type === 'text' ? `nullif(${name}, '')` : name
  const [row] = await db.rows(
    `SELECT count(*) AS n, count(k) AS filled, count(DISTINCT k) AS distinct_keys
     FROM (SELECT ${filled} AS k FROM ${parquetFiles(paths)})`,
  )
  const empty = Number(row?.['n']) - Number(row?.['filled'])
  const repeated = Number(row?.['filled']) - Number(row?.['distinct_keys'])
  const cure = 'Choose another key, or mend the file.'
  if (empty > 0) throw new Problem('invalid', `The key "${key}" is empty in ${rowsWord(empty)}`, { path: 'key', cure })
  if (repeated > 0) {
    throw new Problem('invalid', `The key "${key}" repeats the one of another row in ${rowsWord(repeated)}`, {
      path: 'key',
      cure,
    })
  }
}

function rowsWord(count: number): string {
  return count === 1 ? '1 row' : `${count} rows`
}

function imported(
  source: OpenSource,
  { planned, badLines, named }: Written,
  files: ImportedTable['files'],
  options: ImportOptions,
): ImportedTable {
  const previous = options.previous ?? []
  const fields = planned.map(({ column: { name }, type }): TableField => {
    const before = previous.find((field) => field.name === name)
    return { name, label: before?.label ?? name, type, tags: before?.tags ?? [] }
  })
  return {
    fields,
    files,
    rows: files.reduce((sum, { rows }) => sum + rows, 0),
    badLines,
    badLinesNamed: named,
    notes: planned.flatMap(({ notes }) => notes),
    change: schemaChange(previous, planned),
    encoding: source.encoding,
    dialect: source.dialect,
  }
}

/** What a person can do something about; the rest is a bug. */
function asProblem(cause: unknown): unknown {
  const about = (message: string, cure: string): Problem => new Problem('unavailable', message, { cure, cause })
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  const kind = cause instanceof DuckDbError ? cause.kind : undefined
  if (kind === 'disk-full' || code === 'ENOSPC' || code === 'EDQUOT') {
    return about('There is no more room on the disk', 'Make room, then import again.')
  }
  if (kind === 'out-of-memory') {
    return about('The import needs more memory than it may take', 'Raise the memory limit of the data engine.')
  }
  return cause
}
