/**
 * JSON lines for the importer: each line an object, its keys the columns. All lines are looked through first for the keys
 * and the kinds of value there are, since any line may bring a new one. Objects and lists within become JSON text.
 */
import { join } from 'node:path'
import { Problem } from '../domain/problem.ts'
import { copyRecords, linesAt } from './csv-records.ts'
import type { DuckDbValue } from './duckdb.ts'
import { BAD_LINES_NAMED, CSV_BUFFER_BYTES, LINE_BYTES_MAX, checkColumnNames, rejectsKept } from './import-source.ts'
import type { BadLine, OpenContext, OpenSource, SourceColumn } from './import-source.ts'
import { candidatesFor } from './infer-types.ts'
import { quoteText } from './sql-text.ts'
import { readTextStart, utf8File } from './text-encoding.ts'
import type { Utf8File } from './text-encoding.ts'
import { DATE_FORMS } from './value-sql.ts'
import type { Reading } from './value-sql.ts'

const SAMPLE_BYTES = 256 * 1024
const KEYS_MAX = 1000
/** Never an error: the order in which the engine tests conditions is its own. */
const JSON_OF_LINE = 'TRY_CAST(line AS JSON)'
const IS_OBJECT = `coalesce(json_type(${JSON_OF_LINE}) = 'OBJECT', FALSE)`
/** A NUL may stand in JSON as an escape; an even number of backslashes before it means that it is none. */
const HOLDS_NUL = `regexp_matches(line, '(^|[^\\\\])(\\\\\\\\)*\\\\u0000')`

export async function openJsonLines(context: OpenContext): Promise<OpenSource> {
  const { source, workFolder, signal, db } = context
  const texts: Utf8File[] = []
  for (const [index, { path }] of source.files.entries()) {
    texts.push(await utf8File(path, source.encoding ?? 'auto', join(workFolder, `text-${index}`), signal))
  }
  const lines = readLines(
    texts.map(({ path }) => path),
    'scan',
    1,
    false,
  )
  const [figures] = await db.rows(
    `SELECT count(*) FILTER (WHERE NOT ${IS_OBJECT}) AS broken, coalesce(bool_or(${HOLDS_NUL}), FALSE) AS nul
     FROM ${lines} WHERE line IS NOT NULL`,
  )
  const objects = `${lines} WHERE line IS NOT NULL AND ${IS_OBJECT}`
  const keys = await readKeys(context, texts, objects)
  const kinds = await readKinds(context, keys, objects)
  await db.run('DROP TABLE scan; DROP TABLE scan_scans')
  const columns = keys.map((name, index) => columnOf(name, index, kinds[index] ?? []))
  return new JsonLinesSource(context, texts, columns, Number(figures?.['broken'] ?? 0), figures?.['nul'] === true)
}

/** As they come in the first lines; the others after them, by name. */
async function readKeys(
  { db, source }: OpenContext,
  texts: readonly Utf8File[],
  objects: string,
): Promise<readonly string[]> {
  const rows = await db.rows(
    `SELECT DISTINCT unnest(json_keys(${JSON_OF_LINE})) AS k FROM ${objects} LIMIT ${KEYS_MAX + 1}`,
  )
  const found = rows.map((row) => String(row['k']))
  const [first] = texts
  const early = first === undefined ? [] : keysInSample((await readTextStart(first.path, SAMPLE_BYTES)).text)
  const known = early.filter((key) => found.includes(key))
  const keys = [...known, ...found.filter((key) => !known.includes(key)).toSorted()]
  const name = source.files[0]?.name ?? ''
  if (keys.length === 0) {
    throw new Problem('invalid', `${name} holds no JSON object on any of its lines`, {
      path: 'files',
      cure: 'Choose a file with one JSON object per line.',
    })
  }
  checkColumnNames(keys, name)
  return keys
}

function keysInSample(text: string): readonly string[] {
  const keys = new Set<string>()
  for (const line of text.split('\n').slice(0, 200)) {
    try {
      const value: unknown = JSON.parse(line)
      if (typeof value === 'object' && value !== null && !Array.isArray(value))
        for (const key of Object.keys(value)) keys.add(key)
    } catch {
      // A broken line has its place in the list of bad lines; here only the order of the columns is looked for.
    }
  }
  return [...keys]
}

async function readKinds(
  { db }: OpenContext,
  keys: readonly string[],
  objects: string,
): Promise<readonly (readonly string[])[]> {
  const lists = keys.map((_, index) => `list(DISTINCT kinds[${index + 1}]) AS k${index}`)
  const [row = {}] = await db.rows(
    `SELECT ${lists.join(', ')} FROM (SELECT json_type(${JSON_OF_LINE}, ${pathsOf(keys)}) AS kinds FROM ${objects})`,
  )
  return keys.map((_, index) => {
    const list = row[`k${index}`]
    return Array.isArray(list) ? list.filter((kind) => kind !== null && kind !== 'NULL').map(String) : []
  })
}

/** JSON pointers, in which every key can be said. */
function pathsOf(keys: readonly string[]): string {
  return `[${keys.map((key) => quoteText(`/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`)).join(', ')}]`
}

function columnOf(name: string, index: number, kinds: readonly string[]): SourceColumn {
  const raw = `v[${index + 1}]`
  const only = (...allowed: readonly string[]): boolean =>
    kinds.length > 0 && kinds.every((kind) => allowed.includes(kind))
  const reading = (type: Reading['type'], measure: Reading['measure']): Reading => ({ type, form: 'iso', measure })
  if (kinds.includes('OBJECT') || kinds.includes('ARRAY')) {
    return { name, raw, candidates: [], note: `Objects and lists in "${name}" are kept as JSON text.` }
  }
  // What JSON writes as a text stays one, unless all are dates: "007" was put in quotes on purpose.
  if (only('VARCHAR')) return { name, raw, candidates: candidatesFor([], TIMES) }
  const known = (...candidates: readonly [Reading, ...Reading[]]): SourceColumn => ({
    name,
    raw,
    candidates,
    whenEmpty: candidates[0],
  })
  if (only('BIGINT', 'UBIGINT')) return known(reading('integer', 'strict'), reading('decimal', 'strict'))
  if (only('BIGINT', 'UBIGINT', 'DOUBLE')) return known(reading('decimal', 'lenient'))
  if (only('BOOLEAN')) return known(reading('boolean', 'strict'))
  return { name, raw, candidates: [] }
}

const TIMES: readonly Reading[] = (['date', 'timestamp'] as const).flatMap((type) =>
  DATE_FORMS.map((form): Reading => ({ type, form, measure: 'strict' })),
)

class JsonLinesSource implements OpenSource {
  readonly columns: readonly SourceColumn[]
  readonly encoding: string
  readonly dialect = null
  readonly checksText: boolean
  readonly relation: string
  readonly #context: OpenContext
  readonly #texts: readonly Utf8File[]
  readonly #broken: number

  constructor(
    context: OpenContext,
    texts: readonly Utf8File[],
    columns: readonly SourceColumn[],
    broken: number,
    holdsNul: boolean,
  ) {
    this.#context = context
    this.#texts = texts
    this.#broken = broken
    this.columns = columns
    this.checksText = holdsNul
    this.encoding = [...new Set(texts.map(({ encoding }) => encoding))].join(', ')
    const lines = readLines(
      texts.map(({ path }) => path),
      'rejects',
      rejectsKept(context.badLinesMax),
      false,
    )
    this.relation = `(SELECT json_extract_string(${JSON_OF_LINE}, ${this.#paths()}) AS v FROM ${lines} WHERE line IS NOT NULL AND ${IS_OBJECT})`
  }

  #paths(): string {
    return pathsOf(this.columns.map(({ name }) => name))
  }

  async forget(): Promise<void> {
    await this.#context.db.run('DROP TABLE IF EXISTS rejects; DROP TABLE IF EXISTS rejects_scans')
  }

  async leftOut(): Promise<{ count: number; lines: readonly BadLine[] }> {
    const { db } = this.#context
    const rejects = await db.rows(
      `SELECT file_path, line_byte_position AS position, min(error_type::VARCHAR) AS error
       FROM rejects JOIN rejects_scans USING (scan_id, file_id) GROUP BY ALL ORDER BY file_path, position`,
    )
    await this.forget()
    const broken = this.#broken === 0 ? [] : await this.#brokenLines()
    const lines = [...(await this.#named(rejects.slice(0, BAD_LINES_NAMED))), ...broken]
    return { count: rejects.length + this.#broken, lines: lines.slice(0, BAD_LINES_NAMED) }
  }

  async #named(rows: readonly Readonly<Record<string, DuckDbValue>>[]): Promise<readonly BadLine[]> {
    const lines: BadLine[] = []
    for (const [index, { path }] of this.#texts.entries()) {
      const mine = rows.filter((row) => row['file_path'] === path)
      const positions = mine.map((row) => Number(row['position']))
      const numbers = mine.length === 0 ? [] : await linesAt(path, positions, this.#context.signal)
      for (const [at, row] of mine.entries()) {
        const reason =
          row['error'] === 'LINE SIZE OVER MAXIMUM'
            ? `is longer than ${LINE_BYTES_MAX / 1_000_000} MB`
            : `holds bytes that are not ${this.encoding}, or control characters`
        lines.push({ file: this.#name(index), line: numbers[at]?.line ?? 0, field: null, reason })
      }
    }
    return lines
  }

  async #brokenLines(): Promise<readonly BadLine[]> {
    const paths = await this.#numberedCopies()
    const rows = await this.#context.db.rows(
      `SELECT file, n, json_valid(line) AS valid FROM ${this.#numberedLines(paths)} WHERE NOT ${IS_OBJECT} ORDER BY file, n LIMIT ${BAD_LINES_NAMED}`,
    )
    return rows.map((row) => ({
      file: String(row['file']),
      line: Number(row['n']),
      field: null,
      reason: row['valid'] === true ? 'is no JSON object' : 'is no valid JSON',
    }))
  }

  async numbered(): Promise<{ relation: string; file: string; line: string }> {
    const paths = await this.#numberedCopies()
    const lines = this.#numberedLines(paths)
    const relation = `(SELECT file, n, json_extract_string(${JSON_OF_LINE}, ${this.#paths()}) AS v FROM ${lines} WHERE ${IS_OBJECT})`
    return { relation, file: 'file', line: 'n' }
  }

  async #numberedCopies(): Promise<readonly string[]> {
    const { workFolder, signal } = this.#context
    const paths: string[] = []
    for (const [index, { path }] of this.#texts.entries()) {
      const copy = join(workFolder, `numbered-${index}`)
      await copyRecords(path, copy, { quoting: null, numberEnd: ':' }, signal)
      paths.push(copy)
    }
    return paths
  }

  #numberedLines(paths: readonly string[]): string {
    const names = paths.map((path, index) => `WHEN ${quoteText(path)} THEN ${quoteText(this.#name(index))}`)
    const at = "instr(line, ':')"
    return `(SELECT CASE filename ${names.join(' ')} END AS file, left(line, ${at} - 1)::BIGINT AS n, substr(line, ${at} + 1) AS line
      FROM ${readLines(paths, 'numbered_rejects', 1, true)} WHERE line IS NOT NULL)`
  }

  #name(index: number): string {
    return this.#context.source.files[index]?.name ?? ''
  }

  async mend(): Promise<boolean> {
    return false
  }
}

/** Lines as they are: a CSV of one column without quotes, whose delimiter is a character that JSON never holds bare. */
function readLines(paths: readonly string[], rejects: string, kept: number, filename: boolean): string {
  return `read_csv([${paths.map(quoteText).join(', ')}], auto_detect = false, columns = {'line': 'VARCHAR'}, delim = '\u0001',
    quote = '', escape = '', header = false, nullstr = '', comment = '', strict_mode = true, null_padding = false,
    max_line_size = ${LINE_BYTES_MAX}, buffer_size = ${CSV_BUFFER_BYTES}, store_rejects = true, rejects_table = '${rejects}', rejects_scan = '${rejects}_scans',
    rejects_limit = ${kept}, filename = ${filename}, hive_partitioning = false)`
}
