/** Parquet files for the importer. They say their types themselves; what has no counterpart becomes text. */
import { Problem } from '../domain/problem.ts'
import { DuckDbError } from './duckdb-error.ts'
import type { DuckDb } from './duckdb.ts'
import { checkColumnNames, checkSameColumns } from './import-source.ts'
import type { OpenContext, OpenSource, SourceColumn } from './import-source.ts'
import { parquetFiles, quoteName, quoteText } from './sql-text.ts'

interface ParquetColumn {
  readonly name: string
  readonly type: string
}

export async function openParquet({ db, source }: OpenContext): Promise<OpenSource> {
  let shape: readonly ParquetColumn[] | undefined
  for (const { path, name: file } of source.files) {
    const columns = await describe(db, path, file)
    checkColumnNames(
      columns.map(({ name }) => name),
      file,
    )
    if (shape !== undefined) checkSameShape(shape, columns, file)
    shape ??= columns
  }
  if (shape === undefined) {
    throw new Problem('invalid', 'There is no file to import', { path: 'files', cure: 'Name at least one file.' })
  }
  const relation = parquetFiles(source.files.map(({ path }) => path))
  const withPlace = relation.replace(/\)$/, ', filename = true, file_row_number = true)')
  const names = source.files.map(({ path, name }) => `WHEN ${quoteText(path)} THEN ${quoteText(name)}`)
  return {
    relation,
    columns: shape.map(columnOf),
    encoding: null,
    dialect: null,
    checksText: true,
    forget: async () => undefined,
    leftOut: async () => ({ count: 0, lines: [] }),
    numbered: async () => ({
      relation: withPlace,
      file: `CASE filename ${names.join(' ')} END`,
      line: 'file_row_number + 1',
    }),
    mend: async () => false,
  }
}

async function describe(db: DuckDb, path: string, file: string): Promise<readonly ParquetColumn[]> {
  try {
    const rows = await db.rows(`SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM ${parquetFiles([path])})`)
    return rows.map((row) => ({ name: String(row['column_name']), type: String(row['column_type']) }))
  } catch (error) {
    if (!(error instanceof DuckDbError) || (error.kind !== 'invalid-input' && error.kind !== 'io')) throw error
    throw new Problem('invalid', `${file} is no Parquet file, or is damaged`, {
      path: 'files',
      cure: 'Choose another file, or another format.',
      cause: error,
    })
  }
}

function checkSameShape(first: readonly ParquetColumn[], columns: readonly ParquetColumn[], file: string): void {
  checkSameColumns(
    first.map(({ name }) => name),
    file,
    columns.map(({ name }) => name),
  )
  const at = columns.findIndex(({ type }, index) => type !== first[index]?.type)
  const column = columns[at]
  if (column === undefined) return
  throw new Problem('invalid', `"${column.name}" has another type in ${file} than in the first file`, {
    path: 'files',
    cure: 'Import files of the same columns and types only.',
  })
}

function columnOf({ name, type }: ParquetColumn): SourceColumn {
  const field = quoteName(name)
  const raw = `CAST(${field} AS VARCHAR)`
  const declared = (as: NonNullable<SourceColumn['declared']>): SourceColumn => ({
    name,
    raw,
    candidates: [],
    declared: as,
  })
  const asText = (value: string, note?: string): SourceColumn => ({
    name,
    raw: value,
    candidates: [],
    ...(note === undefined ? {} : { note }),
  })
  if (/^(?:TINYINT|SMALLINT|INTEGER|BIGINT|UTINYINT|USMALLINT|UINTEGER)$/.test(type)) {
    return declared({ type: 'integer', value: `${field}::BIGINT`, isValue: 'TRUE' })
  }
  if (/^(?:UBIGINT|HUGEINT|UHUGEINT)$/.test(type))
    return asText(raw, `"${name}" has integers of more than 64 bits and is text.`)
  if (type.startsWith('DECIMAL(')) return declared({ type: 'decimal', value: field, isValue: 'TRUE' })
  if (type === 'DOUBLE') return declared({ type: 'decimal', value: field, isValue: `isfinite(${field})` })
  // By way of text, or 0.1 would become 0.10000000149.
  if (type === 'FLOAT') return declared({ type: 'decimal', value: `${raw}::DOUBLE`, isValue: `isfinite(${field})` })
  if (type === 'BOOLEAN') return declared({ type: 'boolean', value: field, isValue: 'TRUE' })
  if (type === 'DATE') return declared({ type: 'date', value: field, isValue: inYears(field, 'DATE') })
  if (type.startsWith('TIMESTAMP')) {
    const value = type === 'TIMESTAMP WITH TIME ZONE' ? `${field} AT TIME ZONE 'UTC'` : `${field}::TIMESTAMP`
    return declared({ type: 'timestamp', value, isValue: inYears(value, 'TIMESTAMP') })
  }
  if (type === 'VARCHAR' || type === 'UUID' || /^(?:ENUM|TIME|INTERVAL)/.test(type)) return asText(raw)
  if (type === 'BLOB' || type === 'BIT')
    return asText(`base64(${field}::BLOB)`, `"${name}" holds bytes and is kept as Base64 text.`)
  return asText(`CAST(to_json(${field}) AS VARCHAR)`, `"${name}" holds lists or structures, kept as JSON text.`)
}

/** The years that ISO 8601 writes with four digits; not infinity either. */
function inYears(value: string, type: string): string {
  return `${value} >= ${type} '0001-01-01' AND ${value} < ${type} '10000-01-01'`
}
