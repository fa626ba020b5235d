/** What the tests of this folder share: a lake in a temporary folder, a data engine over it, and tables made from plain rows. */
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { mkdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { newId } from '../domain/ids.ts'
import type { FieldType, PinnedTable } from '../domain/table.ts'
import type { DuckDb } from './duckdb.ts'
import { startDuckDb } from './duckdb-process.ts'
import { DuckDbError } from './duckdb-error.ts'
import { SQL_TYPE, literal, quoteName, quoteText } from './sql-text.ts'
import { randomBytes } from 'node:crypto'

export type TestValue = string | number | boolean | null
export type TestRow = Readonly<Record<string, TestValue>>

export interface TestLake {
  readonly root: string
  readonly db: DuckDb
  write(
    name: string,
    key: string,
    types: Readonly<Record<string, FieldType>>,
    rows: readonly TestRow[],
  ): Promise<PinnedTable>
  remove(): Promise<void>
}

/** Sample data beside the repository, where it is there; tests that want it are skipped by name otherwise. */
export const SAMPLE_DATA = join(dirname(fileURLToPath(import.meta.url)), '../../../../../shared/data')

export async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

export async function makeTestLake(): Promise<TestLake> {
  const root = await mkdtemp(join(tmpdir(), 'patchbay-lake-'))
  const db = await startTestEngine(root)
  return {
    root,
    db,
    write: async (name, key, types, rows) => writeTable(db, root, name, key, types, rows),
    async remove() {
      await db.close()
      await rm(root, { recursive: true, force: true })
    },
  }
}

export async function startTestEngine(folder: string, signal = new AbortController().signal): Promise<DuckDb> {
  return startDuckDb({ read: [], write: [folder], memoryLimitMb: 512, threads: 2, signal })
}

async function writeTable(
  db: DuckDb,
  root: string,
  name: string,
  key: string,
  types: Readonly<Record<string, FieldType>>,
  rows: readonly TestRow[],
): Promise<PinnedTable> {
  const id = newId('table', randomBytes)
  const columns = Object.entries(types)
  const file = `tables/${id}/1/part-0001.parquet`
  await mkdir(dirname(join(root, file)), { recursive: true })
  const line = (row: TestRow): string =>
    `(${columns.map(([column, type]) => sqlValue(row[column] ?? null, type)).join(', ')})`
  // A first line of NULLs gives the types even where there are no rows.
  const none = `(${columns.map(([, type]) => `NULL::${SQL_TYPE[type]}`).join(', ')}, FALSE)`
  const values = [none, ...rows.map((row) => `${line(row).slice(0, -1)}, TRUE)`)].join(',\n')
  const names = columns.map(([column]) => quoteName(column)).join(', ')
  await run(
    db,
    `COPY (SELECT ${names} FROM (VALUES ${values}) AS v(${names}, "is row") WHERE "is row")
     TO ${quoteText(join(root, file))} (FORMAT parquet)`,
  )
  const fields = columns.map(([column, type]) => ({ name: column, label: column, type, tags: [] }))
  return { id, name, version: 1, key, fields, files: [file], rows: rows.length }
}

function sqlValue(value: TestValue, type: FieldType): string {
  return value === null ? 'NULL' : literal(value, type)
}

/** As `db.run`, but with DuckDB's own words: in tests they hurt nobody. */
export async function run(db: DuckDb, sql: string): Promise<void> {
  try {
    await db.run(sql)
  } catch (error) {
    throw error instanceof DuckDbError
      ? new Error(`${error.rawMessage()}\n${sql.slice(0, 4000)}`, { cause: error })
      : error
  }
}
