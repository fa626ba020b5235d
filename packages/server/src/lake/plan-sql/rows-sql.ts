/** What goes out, as SQL: the JSON of single rows, and the lines of files. Rows come from the outbox and their table's files. */
import { parquetFiles, quoteName, quoteText, SQL_TYPE } from '../sql-text.ts'
import { outboxRows, ROWS_LANE, type OutboxPiece } from './diff-sql.ts'
import { UNSENDABLE_MARK } from './normal-sql.ts'
import { columnName, rowsOfFiles, type SelectedSource } from './select-sql.ts'
import { csvCell, jsonObject, jsonValue, neutralised, valueInJson, type NamedValue } from './cell-sql.ts'

/** A range of sequence numbers within one piece of the outbox, both ends included, and the table's files that hold its rows. */
export interface OutboxWindow {
  readonly piece: OutboxPiece
  readonly first: number
  readonly last: number
  /** Empty for removals: all that is known of them stands in the outbox. */
  readonly files: readonly number[]
}

/** Where a piece of the outbox changes from one file to the next. */
export function fileRanges(piece: OutboxPiece): string {
  return `SELECT file, min(seq) AS first, max(seq) AS last, count(*) AS rows
    FROM ${outboxRows([piece])} GROUP BY file ORDER BY first`
}

/**
 * `lane`, `seq`, `key`, the row's JSON text and its bytes, and which columns hold a value that cannot be sent (their places,
 * with a space after each; empty where all can), in the outbox's order.
 */
export function jsonRows(source: SelectedSource, root: string, { piece, first, last, files }: OutboxWindow): string {
  const outbox = `SELECT lane, file_row_number + ${piece.first} AS seq, change, key, identifiers FROM ${parquetFiles([piece.path])}
    WHERE file_row_number BETWEEN ${first - piece.first} AND ${last - piece.first}`
  const rows =
    files.length === 0
      ? `SELECT o.lane, o.seq, o.key, ${rowJson('o.change', 'o.key', "coalesce(o.identifiers, '{}')")} AS json, '' AS unsendable
         FROM (${outbox}) o`
      : `SELECT o.lane, o.seq, o.key, ${rowJson('o.change', 'o.key', fieldsJson(source))} AS json, ${unsendable(source)} AS unsendable
         FROM (${rowsOfFiles(source, root, files)}) b JOIN (${outbox}) o ON o.key = b.k`
  return `SELECT lane, seq, key, json, strlen(json) AS bytes, unsendable FROM (${rows}) ORDER BY seq`
}

/** How many rows of a window hold values that cannot be sent, by their columns as `jsonRows` names them. */
export function countUnsendable(
  source: SelectedSource,
  root: string,
  { piece, first, last, files }: OutboxWindow,
): string {
  const outbox = `SELECT key FROM ${parquetFiles([piece.path])}
    WHERE file_row_number BETWEEN ${first - piece.first} AND ${last - piece.first}`
  return `SELECT unsendable, count(*) AS rows FROM (SELECT ${unsendable(source)} AS unsendable
      FROM (${rowsOfFiles(source, root, files)}) b JOIN (${outbox}) o ON o.key = b.k)
    WHERE unsendable <> '' GROUP BY unsendable`
}

function unsendable(source: SelectedSource): string {
  const tests = source.columns.flatMap(({ normal }, at) =>
    normal === undefined
      ? []
      : [`CASE WHEN starts_with(b.${columnName(at)}, ${UNSENDABLE_MARK}) THEN '${at} ' ELSE '' END`],
  )
  return tests.length === 0 ? "''" : `concat(${tests.join(', ')})`
}

/** The first rows of a selection that has no outbox, as they would be sent. */
export function firstJsonRows(source: SelectedSource, sendable: string, rows: number): string {
  const json = rowJson("'added'", 'b.key', fieldsJson(source))
  return `SELECT ${json} AS json FROM (SELECT * FROM (${sendable}) ORDER BY file, key LIMIT ${rows}) b ORDER BY b.file, b.key`
}

function rowJson(change: string, key: string, fields: string): string {
  return `concat('{"change":"', ${change}, '","key":', ${jsonValue(key, 'text')}, ',"fields":', ${fields}, '}')`
}

function columnsOf(source: SelectedSource): NamedValue[] {
  return source.columns.map(({ to, type }, at) => ({ name: to, type, value: `b.${columnName(at)}` }))
}

function fieldsJson(source: SelectedSource): string {
  return jsonObject(columnsOf(source))
}

// ---- files ---------------------------------------------------------------------------------------------------------

/** The name of the column that says what became of a row. */
export const CHANGE_COLUMN = 'change'

/** The rows of one part: `change` and the columns `c0`, `c1`, … */
export interface PartRows {
  readonly sql: string
  readonly withChange: boolean
}

/** Rows of the outbox that stand in these files of the table, and all removals where `withRemoved`. */
export function partOfOutbox(
  source: SelectedSource,
  root: string,
  pieces: readonly OutboxPiece[],
  part: { readonly files: readonly number[]; readonly withRemoved: boolean; readonly withChange: boolean },
): PartRows {
  const outbox = outboxRows(pieces)
  const values = source.columns.map((_, at) => `b.${columnName(at)}`)
  const rows = `SELECT o.change, ${values.join(', ')} FROM (${rowsOfFiles(source, root, part.files)}) b
    JOIN (SELECT key, change FROM ${outbox} WHERE lane = ${ROWS_LANE} AND file IN (${[-2, ...part.files].join(', ')})) o ON o.key = b.k`
  const old = source.columns.map(({ to, type, identifier }, at) => {
    const value = identifier ? valueInJson('identifiers', to, type) : `CAST(NULL AS ${SQL_TYPE[type]})`
    return `${value} AS ${columnName(at)}`
  })
  const removed = `SELECT change, ${old.join(', ')} FROM ${outbox} WHERE change = 'removed'`
  return { sql: part.withRemoved ? `${rows} UNION ALL ${removed}` : rows, withChange: part.withChange }
}

/** Rows of a whole that was written down, since its rule joins other tables. */
export function partOfSelection(
  source: SelectedSource,
  root: string,
  selectionPath: string,
  files: readonly number[],
): PartRows {
  const values = source.columns.map((_, at) => `b.${columnName(at)}`)
  const keys = `SELECT key FROM ${parquetFiles([selectionPath])} WHERE file IN (${[-2, ...files].join(', ')})`
  return {
    sql: `SELECT ${values.join(', ')} FROM (${rowsOfFiles(source, root, files)}) b WHERE b.k IN (${keys})`,
    withChange: false,
  }
}

/** Removals whose identifiers are not those that the mapping has now: a file has no column for them. */
export function countForeignRemovals(pieces: readonly OutboxPiece[], identifiers: readonly string[]): string {
  const names = identifiers.map((name) => quoteText(name.toWellFormed())).join(', ')
  return `SELECT count(*) AS rows FROM ${outboxRows(pieces)}
    WHERE change = 'removed' AND json_keys(identifiers) IS DISTINCT FROM [${names}]`
}

export function csvLines(
  source: SelectedSource,
  { sql, withChange }: PartRows,
  options: { readonly delimiter: string; readonly neutralise: boolean },
): string {
  const isAlone = source.columns.length === 1 && !withChange
  const safe = source.columns.map(({ type }, at) => {
    const value = columnName(at)
    return `${options.neutralise && type === 'text' ? neutralised(value) : value} AS ${value}`
  })
  const cells = source.columns.map(({ type }, at) => csvCell(columnName(at), type, options.delimiter, isAlone))
  if (withChange) cells.unshift(CHANGE_COLUMN)
  const pieces = cells.flatMap((cell, index) => (index === 0 ? [cell] : [quoteText(options.delimiter), cell]))
  const columns = withChange ? [CHANGE_COLUMN, ...safe] : safe
  return `SELECT concat(${pieces.join(', ')}) AS line FROM (SELECT ${columns.join(', ')} FROM (${sql}))`
}

export function jsonLines(source: SelectedSource, { sql, withChange }: PartRows): string {
  const columns = columnsOf(source)
  const change: NamedValue = { name: CHANGE_COLUMN, type: 'text', value: `b.${CHANGE_COLUMN}` }
  const all = jsonObject(withChange ? [change, ...columns] : columns)
  if (!withChange) return `SELECT ${all} AS line FROM (${sql}) b`
  const known = jsonObject([change, ...columns.filter((_, at) => source.columns[at]?.identifier === true)])
  return `SELECT CASE WHEN b.${CHANGE_COLUMN} = 'removed' THEN ${known} ELSE ${all} END AS line FROM (${sql}) b`
}

export function parquetRows(source: SelectedSource, { sql, withChange }: PartRows): string {
  const columns = source.columns.map(({ to }, at) => `${columnName(at)} AS ${quoteName(to)}`)
  return `SELECT ${(withChange ? [CHANGE_COLUMN, ...columns] : columns).join(', ')} FROM (${sql})`
}

/** How lines that are complete are written as they are: no quotes, no escapes, and a delimiter that one column never needs. */
export function copyLines(lines: string, path: string, header: string | null): string {
  const named = header === null ? lines : `SELECT line AS ${quoteName(header)} FROM (${lines})`
  return `COPY (${named}) TO ${quoteText(path)}
    (FORMAT csv, HEADER ${header !== null}, QUOTE '', ESCAPE '', DELIMITER ${quoteText('\u0001')}, USE_TMP_FILE false)`
}

export function copyParquet(rows: string, path: string): string {
  return `COPY (${rows}) TO ${quoteText(path)} (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)`
}
