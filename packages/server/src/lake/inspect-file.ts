/** What an import of these files would make, without importing: looks at the first rows, and leaves nothing behind. */
import { open } from 'node:fs/promises'
import type { FieldType } from '../domain/table.ts'
import { Problem } from '../domain/problem.ts'
import type { CsvDialect } from './csv-dialect.ts'
import type { DuckDb, DuckDbValue } from './duckdb.ts'
import { startDuckDb } from './duckdb-process.ts'
import { SAMPLE_ROWS, planColumns } from './import-plan.ts'
import type { GivenTypes, PlannedColumn } from './import-plan.ts'
import { openSource, readPaths, withMending } from './import-table.ts'
import type { BadLine, ImportFormat, ImportSource, OpenContext, OpenSource } from './import-source.ts'

export interface InspectOptions {
  readonly source: ImportSource
  readonly types?: Readonly<Record<string, FieldType>>
  /** An empty folder of this question alone; the caller removes it. */
  readonly workFolder: string
  readonly memoryLimitMb: number
  readonly signal: AbortSignal
}

export interface Inspection {
  readonly fields: readonly {
    readonly name: string
    readonly type: FieldType
    /** Unique and never empty in the rows looked at; null when there are none. */
    readonly isKeyCandidate: boolean | null
  }[]
  readonly suggestedKey: string | null
  /** The first rows, cells in the order of the fields. */
  readonly sample: readonly (readonly DuckDbValue[])[]
  readonly notes: readonly string[]
  /** In the part of the file that was looked at. */
  readonly badLines: readonly BadLine[]
  readonly encoding: string | null
  readonly dialect: CsvDialect | null
}

const ROWS_SHOWN = 20
const CELL_CHARACTERS_MAX = 1000
const COLUMNS_AT_A_TIME = 100

export async function inspectFile(options: InspectOptions): Promise<Inspection> {
  const { source, workFolder, signal, memoryLimitMb } = options
  // One thread reads in the order of the file, so that the first rows are the first.
  const engine = { read: readPaths(source.files), write: [workFolder], memoryLimitMb, threads: 1, signal }
  const db = await startDuckDb(engine)
  try {
    const context: OpenContext = { db, source, badLinesMax: 0, workFolder, signal }
    const opened = await openSource(context)
    const given: GivenTypes = {
      types: options.types ?? {},
      previous: null,
      allowSchemaChange: false,
      dateOrder: source.dateOrder,
    }
    const planned = await withMending(opened, async () => planColumns(db, opened, given))
    const isKey = await keyCandidates(db, opened, planned)
    const sample = await readSample(db, opened, planned)
    const { lines } = await opened.leftOut()
    const fields = planned.map(({ column: { name }, type }, index) => ({
      name,
      type,
      isKeyCandidate: isKey[index] ?? null,
    }))
    return {
      fields,
      suggestedKey: suggestKey(fields),
      sample,
      notes: planned.flatMap(({ notes }) => notes),
      badLines: lines,
      encoding: opened.encoding,
      dialect: opened.dialect,
    }
  } finally {
    await db.close()
  }
}

/** By the first bytes: Parquet says so, JSON lines start with a brace, the rest is CSV. */
export async function detectFormat(files: ImportSource['files']): Promise<ImportFormat> {
  const formats = await Promise.all(files.map(async ({ path }) => formatOf(path)))
  const [first = 'csv'] = formats
  if (formats.every((format) => format === first)) return first
  throw new Problem('invalid', 'The files are of different formats', {
    path: 'files',
    cure: 'Import files of one format and the same columns together.',
  })
}

async function formatOf(path: string): Promise<ImportFormat> {
  const file = await open(path)
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(64), 0, 64, 0)
    const start = buffer.subarray(0, bytesRead)
    if (start.subarray(0, 4).toString('latin1') === 'PAR1') return 'parquet'
    return /^\uFEFF?\s*\{/.test(start.toString('utf8').replaceAll('\0', '')) ? 'json-lines' : 'csv'
  } finally {
    await file.close()
  }
}

/** What is most likely the key: by its name among the candidates, else the first of them. */
function suggestKey(fields: Inspection['fields']): string | null {
  const candidates = fields.filter(({ isKeyCandidate }) => isKeyCandidate === true).map(({ name }) => name)
  const byName =
    candidates.find((name) => /^(?:id|key|uuid|guid)$/i.test(name)) ?? candidates.find((name) => /id$|key$/i.test(name))
  return byName ?? candidates[0] ?? null
}

async function keyCandidates(
  db: DuckDb,
  source: OpenSource,
  planned: readonly PlannedColumn[],
): Promise<readonly (boolean | null)[]> {
  const results: (boolean | null)[] = []
  for (let first = 0; first < planned.length; first += COLUMNS_AT_A_TIME) {
    const group = planned.slice(first, first + COLUMNS_AT_A_TIME)
    const figures = group.flatMap(({ column, type }, index) =>
      type === 'integer' || type === 'text' ? [`count(DISTINCT nullif(${column.raw}, '')) AS d${index}`] : [],
    )
    const rows = `(SELECT * FROM ${source.relation} LIMIT ${SAMPLE_ROWS})`
    const [row = {}] = await db.rows(`SELECT ${['count(*) AS n', ...figures].join(', ')} FROM ${rows}`)
    const count = Number(row['n'])
    results.push(...group.map((_, index) => (count === 0 ? null : row[`d${index}`] === count)))
  }
  return results
}

/** A row with a value that does not fit is shown without it: the import would name it. */
async function readSample(
  db: DuckDb,
  source: OpenSource,
  planned: readonly PlannedColumn[],
): Promise<readonly (readonly DuckDbValue[])[]> {
  const cells = planned.map(({ value, type }, index) => {
    return `${type === 'text' ? `left(${value}, ${CELL_CHARACTERS_MAX})` : value} AS c${index}`
  })
  const rows = await db.rows(`SELECT ${cells.join(', ')} FROM ${source.relation} LIMIT ${ROWS_SHOWN}`)
  return rows.map((row) => planned.map((_, index) => row[`c${index}`] ?? null))
}
