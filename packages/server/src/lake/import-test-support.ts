/** Imports small files made on the spot, and reads back what became of them. */
import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { newId } from '../domain/ids.ts'
import { Problem } from '../domain/problem.ts'
import type { DuckDbValue } from './duckdb.ts'
import type { ImportFormat, ImportSource } from './import-source.ts'
import { importTable } from './import-table.ts'
import type { ImportOptions, ImportedTable } from './import-table.ts'
import type { TestLake } from './lake-test-support.ts'
import { parquetFiles, quoteName } from './sql-text.ts'

export type ImportHow = Partial<Omit<ImportOptions, 'source' | 'root'>> & {
  readonly read?: Partial<ImportSource>
  readonly format?: ImportFormat
}
export interface Result extends ImportedTable {
  /** By the key. */
  readonly data: readonly (readonly DuckDbValue[])[]
  /** `name:type` of each field. */
  readonly types: string
}

let files = 0

export async function writeSource(
  lake: TestLake,
  content: string | Uint8Array,
  name = 'data.csv',
): Promise<{ path: string; name: string }> {
  files += 1
  const folder = join(lake.root, 'incoming', String(files))
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, name), content)
  return { path: join(folder, name), name }
}

export async function importContent(
  lake: TestLake,
  content: string | Uint8Array,
  how: ImportHow = {},
): Promise<Result> {
  return importFiles(lake, [await writeSource(lake, content)], how)
}

export async function importFiles(
  lake: TestLake,
  sources: ImportSource['files'],
  how: ImportHow = {},
): Promise<Result> {
  const { read, format, ...options } = how
  const tableId = options.tableId ?? newId('table', randomBytes)
  const key = options.key ?? 'id'
  const made = await importTable({
    version: 1,
    memoryLimitMb: 512,
    threads: 2,
    signal: new AbortController().signal,
    ...options,
    root: lake.root,
    tableId,
    key,
    source: { format: format ?? 'csv', files: sources, ...read },
  })
  const parts = made.files.map(({ name }) => join(lake.root, 'tables', tableId, String(options.version ?? 1), name))
  const rows = await lake.db.rows(`SELECT * FROM ${parquetFiles(parts)} ORDER BY ${quoteName(key)} LIMIT 1000`)
  return {
    ...made,
    data: rows.map((row) => Object.values(row)),
    types: made.fields.map(({ name, type }) => `${name}:${type}`).join(' '),
  }
}

/** The problem that the work ends in; anything else is a failure of the test. */
export async function refusal<P extends Problem = Problem>(work: Promise<unknown>): Promise<P> {
  const error: unknown = await work.then(
    () => new Error('was not refused'),
    (reason: unknown) => reason,
  )
  if (error instanceof Problem) return error as P
  throw error
}
