/** What the importers of the formats have in common: a file opened for reading, and what may be wrong with its lines. */
import type { FieldType } from '../domain/table.ts'
import { Problem } from '../domain/problem.ts'
import type { CsvChoices, CsvDialect } from './csv-dialect.ts'
import type { DuckDb } from './duckdb.ts'
import type { Reading } from './value-sql.ts'

export type ImportFormat = 'csv' | 'json-lines' | 'parquet'

export interface SourceFile {
  /** Absolute, on the local disk. */
  readonly path: string
  /** For messages: an upload is stored under another name than it came with. */
  readonly name: string
}

export interface ImportSource {
  readonly format: ImportFormat
  /** Of one shape, read in this order. */
  readonly files: readonly SourceFile[]
  /** `auto` (default) or a name of the Encoding Standard; for CSV and JSON lines. */
  readonly encoding?: string
  readonly csv?: CsvChoices
  /** What `03/04/2026` means. Without it such columns become dates only where some day is above 12. */
  readonly dateOrder?: 'day-first' | 'month-first'
}

/** A line that is not imported. Holds no value. For Parquet, `line` is the row in the file. */
export interface BadLine {
  readonly file: string
  readonly line: number
  /** The field; null when the whole line is meant. */
  readonly field: string | null
  readonly reason: string
}

/** How many of the bad lines are named; all are counted. */
export const BAD_LINES_NAMED = 1000
export const LINE_BYTES_MAX = 10_000_000
/** Each line that the engine leaves out is kept in its memory, whole: no more than are needed to know that they are too many. */
export function rejectsKept(badLinesMax: number): number {
  return Math.max(BAD_LINES_NAMED, badLinesMax) + 1
}

/** What each thread reads ahead. The engine's own choice would be sixteen times the longest line. */
export const CSV_BUFFER_BYTES = 24_000_000
const COLUMNS_MAX = 1000
const NAME_LENGTH_MAX = 128

/** More lines are bad than the import allows; nothing was changed. */
export class TooManyBadLines extends Problem {
  readonly badLines: readonly BadLine[]
  /** At least: no more are counted than are needed to refuse the import. */
  readonly count: number
  constructor(badLines: readonly BadLine[], count: number) {
    const [first] = badLines
    const where = first === undefined ? '' : `: ${first.file}, line ${first.line}: ${first.reason}`
    super('invalid', `${linesWord(count)} of the file cannot be imported${where}`, {
      path: 'files',
      cure: 'Mend the lines, choose text as the type of the field, or allow this many bad lines.',
    })
    this.badLines = badLines
    this.count = count
  }
}

function linesWord(count: number): string {
  if (count > BAD_LINES_NAMED) return `More than ${BAD_LINES_NAMED} lines`
  return count === 1 ? 'A line' : `${count} lines`
}

export interface SourceColumn {
  readonly name: string
  /** Its text, or NULL, over `relation`. */
  readonly raw: string
  /** Types to try, best first; none means text. */
  readonly candidates: readonly Reading[]
  /** What it is where the rows looked at are all empty; text where absent. Later rows may prove it wrong. */
  readonly whenEmpty?: Reading
  /** Where the file itself says the type: the value, NULL kept, and what makes it one. */
  readonly declared?: { readonly type: FieldType; readonly value: string; readonly isValue: string }
  /** What a person should know about how it is read. */
  readonly note?: string
}

export interface OpenSource {
  /** What stands after FROM. */
  readonly relation: string
  readonly columns: readonly SourceColumn[]
  readonly encoding: string | null
  readonly dialect: CsvDialect | null
  /** Texts are looked through for NUL characters: formats that can hold one without its being a bad line already. */
  readonly checksText: boolean
  /** Before each statement whose left-out lines are to be known. */
  forget(): Promise<void>
  /** Lines that the statements since left out; each counts once, however many read it. */
  leftOut(): Promise<{ readonly count: number; readonly lines: readonly BadLine[] }>
  /** The same rows with their places; made on demand, since it costs a pass. Texts as in `columns`. */
  numbered(): Promise<{ readonly relation: string; readonly file: string; readonly line: string }>
  /** Reads another way, where the engine cannot read the file as it is; false when there is no other way. */
  mend(): Promise<boolean>
}

export interface OpenContext {
  readonly db: DuckDb
  readonly source: ImportSource
  /** As many bad lines must be countable. */
  readonly badLinesMax: number
  /** An empty folder for copies. */
  readonly workFolder: string
  readonly signal: AbortSignal
}

/** Names as rules and files use them: filled, different regardless of case, without control characters. */
export function checkColumnNames(names: readonly string[], file: string): void {
  if (names.length === 0) throw badHeader(`${file} is empty`, 'Choose a file that has a header line.')
  if (names.length > COLUMNS_MAX) {
    throw badHeader(
      `${file} has ${names.length} columns, and ${COLUMNS_MAX} is the most`,
      'Leave out what is not needed.',
    )
  }
  const seen = new Map<string, number>()
  for (const [index, name] of names.entries()) {
    const place = `column ${index + 1} of ${file}`
    if (name === '')
      throw badHeader(`The name of ${place} is empty`, 'Give every column a name, or say that there is no header.')
    if (/[\p{Cc}\uFFFD]/u.test(name))
      throw badHeader(`The name of ${place} holds control or broken characters`, 'Check the encoding.')
    if (Array.from(name).length > NAME_LENGTH_MAX) {
      throw badHeader(
        `The name of ${place} is longer than ${NAME_LENGTH_MAX} characters`,
        'Say that there is no header, or shorten it.',
      )
    }
    const before = seen.get(name.toLowerCase())
    if (before !== undefined) {
      throw badHeader(
        `Columns ${before + 1} and ${index + 1} of ${file} have the same name "${name}"`,
        'Rename one of them.',
      )
    }
    seen.set(name.toLowerCase(), index)
  }
}

/** All files of one import have the same columns in the same order. */
export function checkSameColumns(first: readonly string[], file: string, names: readonly string[]): void {
  const at = Array.from({ length: Math.max(first.length, names.length) }, (_, index) => index).find(
    (index) => first[index] !== names[index],
  )
  if (at === undefined) return
  const [wanted, found] = [first[at], names[at]].map((name) => (name === undefined ? 'no column' : `"${name}"`))
  throw badHeader(
    `${file} has ${found} where the first file has ${wanted} (column ${at + 1})`,
    'Import files of the same columns only, or import them into different tables.',
  )
}

function badHeader(message: string, cure: string): Problem {
  return new Problem('invalid', message, { path: 'files', cure })
}
