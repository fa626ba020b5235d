/** A CSV file, or several of one shape, for the importer. Every cell is read as text; the types are made in SQL. */
import { join } from 'node:path'
import { Problem } from '../domain/problem.ts'
import { copyRecords, linesAt } from './csv-records.ts'
import { sniffCsv } from './csv-dialect.ts'
import type { CsvDialect, CsvSample } from './csv-dialect.ts'
import type { DuckDbValue } from './duckdb.ts'
import {
  BAD_LINES_NAMED,
  CSV_BUFFER_BYTES,
  LINE_BYTES_MAX,
  checkColumnNames,
  checkSameColumns,
  rejectsKept,
} from './import-source.ts'
import type { BadLine, OpenContext, OpenSource, SourceColumn, SourceFile } from './import-source.ts'
import { candidatesFor } from './infer-types.ts'
import { quoteName, quoteText } from './sql-text.ts'
import { readTextStart, utf8File } from './text-encoding.ts'
import type { Utf8File } from './text-encoding.ts'

const SAMPLE_BYTES = 256 * 1024
/** Sorts before nothing: the name of the line number's column, which no header can have since it holds a control character. */
const LINE_COLUMN = 'line\u0001'

export async function openCsv(context: OpenContext): Promise<OpenSource> {
  const { source, workFolder, signal } = context
  const texts: Utf8File[] = []
  for (const [index, { path }] of source.files.entries()) {
    texts.push(await utf8File(path, source.encoding ?? 'auto', join(workFolder, `text-${index}`), signal))
  }
  const sample = await readShape(source.files, texts, context)
  return new CsvSource(context, texts, sample)
}

/** The first file says how all are written; the others must have the same header. */
async function readShape(
  files: readonly SourceFile[],
  texts: readonly Utf8File[],
  { source }: OpenContext,
): Promise<CsvSample> {
  let shape: CsvSample | undefined
  for (const [index, { path }] of texts.entries()) {
    const name = files[index]?.name ?? ''
    const { text, isWhole } = await readTextStart(path, SAMPLE_BYTES)
    const choices = shape === undefined ? (source.csv ?? {}) : { ...shape.dialect, header: shape.dialect.hasHeader }
    const sample = sniffCsv(text, isWhole, choices)
    checkColumnNames(sample.names, name)
    if (shape !== undefined) checkSameColumns(shape.names, name, sample.names)
    shape ??= sample
  }
  if (shape === undefined) {
    throw new Problem('invalid', 'There is no file to import', { path: 'files', cure: 'Name at least one file.' })
  }
  return shape
}

class CsvSource implements OpenSource {
  readonly columns: readonly SourceColumn[]
  readonly encoding: string
  readonly dialect: CsvDialect
  readonly checksText = false
  readonly #context: OpenContext
  #texts: readonly Utf8File[]
  #isMended = false

  constructor(context: OpenContext, texts: readonly Utf8File[], sample: CsvSample) {
    this.#context = context
    this.#texts = texts
    this.dialect = sample.dialect
    this.encoding = [...new Set(texts.map(({ encoding }) => encoding))].join(', ')
    this.columns = csvColumns(sample)
  }

  get relation(): string {
    return this.#read(
      this.#texts.map(({ path }) => path),
      this.columns.map(({ name }) => name),
      this.dialect.hasHeader,
      'rejects',
    )
  }

  async forget(): Promise<void> {
    await this.#context.db.run('DROP TABLE IF EXISTS rejects; DROP TABLE IF EXISTS rejects_scans')
  }

  async leftOut(): Promise<{ count: number; lines: readonly BadLine[] }> {
    const { db } = this.#context
    const rows = await db.rows(
      `SELECT file_path, line_byte_position AS position, min(column_name) AS field, min(error_type::VARCHAR) AS error
       FROM rejects JOIN rejects_scans USING (scan_id, file_id) GROUP BY ALL ORDER BY file_path, position`,
    )
    await this.forget()
    return { count: rows.length, lines: await this.#named(rows.slice(0, BAD_LINES_NAMED)) }
  }

  async #named(rows: readonly Readonly<Record<string, DuckDbValue>>[]): Promise<readonly BadLine[]> {
    const lines: BadLine[] = []
    for (const [index, { path }] of this.#texts.entries()) {
      const mine = rows.filter((row) => row['file_path'] === path)
      if (mine.length === 0) continue
      const positions = mine.map((row) => Number(row['position']))
      const numbers = await linesAt(path, positions, this.#context.signal)
      const file = this.#context.source.files[index]?.name ?? ''
      for (const [at, row] of mine.entries()) {
        const field = typeof row['field'] === 'string' && row['error'] === 'INVALID ENCODING' ? row['field'] : null
        const { line = 0, sizeBytes = 0 } = numbers[at] ?? {}
        const reason = reasonOf(
          sizeBytes > LINE_BYTES_MAX ? 'LINE SIZE OVER MAXIMUM' : String(row['error']),
          this.encoding,
        )
        lines.push({ file, line, field, reason: field === null ? reason : `"${field}" ${reason}` })
      }
    }
    return lines
  }

  async numbered(): Promise<{ relation: string; file: string; line: string }> {
    const { workFolder, signal } = this.#context
    const { quote, delimiter, hasHeader } = this.dialect
    const paths: string[] = []
    for (const [index, { path }] of this.#texts.entries()) {
      const copy = join(workFolder, `numbered-${index}`)
      await copyRecords(path, copy, { quoting: { quote, delimiter }, numberEnd: delimiter }, signal)
      paths.push(copy)
    }
    const names = [LINE_COLUMN, ...this.columns.map(({ name }) => name)]
    const relation = this.#read(paths, names, hasHeader, 'numbered_rejects', true)
    return { relation, file: this.#fileName(paths), line: `${quoteName(LINE_COLUMN)}::BIGINT` }
  }

  /** The one thing known that the strict parser does not take: line ends of different kinds in one file. */
  async mend(): Promise<boolean> {
    if (this.#isMended) return false
    this.#isMended = true
    const { workFolder, signal } = this.#context
    const { quote, delimiter } = this.dialect
    const mended: Utf8File[] = []
    for (const [index, { path, encoding }] of this.#texts.entries()) {
      const copy = join(workFolder, `mended-${index}`)
      await copyRecords(path, copy, { quoting: { quote, delimiter }, numberEnd: null }, signal)
      mended.push({ path: copy, encoding, isCopy: true })
    }
    this.#texts = mended
    return true
  }

  #fileName(paths: readonly string[]): string {
    const cases = paths.map((path, index) => {
      const name = this.#context.source.files[index]?.name ?? ''
      return `WHEN ${quoteText(path)} THEN ${quoteText(name)}`
    })
    return `CASE filename ${cases.join(' ')} END`
  }

  /** Every option is said, so that nothing is guessed by the engine. */
  #read(
    paths: readonly string[],
    names: readonly string[],
    header: boolean,
    rejects: string,
    filename = false,
  ): string {
    const { delimiter, quote } = this.dialect
    const columns = names.map((name) => `${quoteText(name)}: 'VARCHAR'`).join(', ')
    const options = [
      'auto_detect = false',
      `columns = {${columns}}`,
      `delim = ${quoteText(delimiter)}`,
      `quote = ${quoteText(quote)}`,
      `escape = ${quoteText(quote)}`,
      `header = ${header}`,
      "nullstr = ''",
      'allow_quoted_nulls = false',
      "comment = ''",
      'strict_mode = true',
      'null_padding = false',
      `max_line_size = ${LINE_BYTES_MAX}`,
      `buffer_size = ${CSV_BUFFER_BYTES}`,
      'store_rejects = true',
      `rejects_table = '${rejects}'`,
      `rejects_scan = '${rejects}_scans'`,
      `rejects_limit = ${rejectsKept(this.#context.badLinesMax)}`,
      `filename = ${filename}`,
      'hive_partitioning = false',
    ]
    return `read_csv([${paths.map(quoteText).join(', ')}], ${options.join(', ')})`
  }
}

function csvColumns({ names, records, dialect }: CsvSample): readonly SourceColumn[] {
  const cells = names.map((_, index) => records.map((record) => record[index]).filter((cell) => cell !== undefined))
  // Where some columns are quoted throughout and others never, the writer tells texts from numbers.
  const filled = cells.map((column) => column.filter(({ text }) => text !== ''))
  const isAllQuoted = filled.map((column) => column.length > 0 && column.every(({ isQuoted }) => isQuoted))
  const hasBare = filled.some((column) => column.length > 0 && column.every(({ isQuoted }) => !isQuoted))
  return names.map((name, index) => ({
    name,
    raw: quoteName(name),
    candidates:
      dialect.quote !== '' && hasBare && isAllQuoted[index] === true
        ? []
        : candidatesFor((cells[index] ?? []).map(({ text }) => text)),
  }))
}

function reasonOf(error: string, encoding: string): string {
  switch (error) {
    case 'MISSING COLUMNS':
      return 'has fewer cells than the header'
    case 'TOO MANY COLUMNS':
      return 'has more cells than the header'
    case 'UNQUOTED VALUE':
      return 'has a quote that is not closed, or text after a closing quote'
    case 'LINE SIZE OVER MAXIMUM':
      return `is longer than ${LINE_BYTES_MAX / 1_000_000} MB`
    case 'INVALID ENCODING':
      return `holds a NUL character or bytes that are not ${encoding}`
    default:
      return 'cannot be read'
  }
}
