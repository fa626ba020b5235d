/** The only ways by which a name or a value gets into SQL text. */
import { join } from 'node:path'
import type { Literal } from '../domain/segment.ts'
import type { FieldType, PinnedTable } from '../domain/table.ts'
import { timestampMicros } from '../domain/iso-time.ts'

/** An identifier. Control characters are refused where names come in; NUL would end the statement, so it is refused here too. */
export function quoteName(name: string): string {
  if (name === '' || name.includes('\0')) throw new TypeError('not a name')
  return `"${name.replaceAll('"', '""')}"`
}

/** A text literal. NUL cannot stand in a statement and is put together; an unpaired surrogate becomes U+FFFD, as in every UTF-8. */
export function quoteText(text: string): string {
  const parts = text.split('\0').map((part) => `'${part.replaceAll("'", "''")}'`)
  return parts.length === 1 ? parts.join('') : `(${parts.join(' || chr(0) || ')})`
}

/** What DuckDB calls the type as we store it. */
export const SQL_TYPE: Readonly<Record<FieldType, string>> = {
  text: 'VARCHAR',
  integer: 'BIGINT',
  decimal: 'DOUBLE',
  boolean: 'BOOLEAN',
  date: 'DATE',
  timestamp: 'TIMESTAMP',
}

/**
 * A value of a rule as a literal of the field's type. Rules are checked before, so a value of another type is a bug.
 * A number with a fraction stays a double beside an integer field. Integers beyond 2^53 come as text.
 */
export function literal(value: Literal, type: FieldType): string {
  switch (type) {
    case 'text':
      return quoteText(String(value))
    case 'integer':
      if (Number.isSafeInteger(value)) return `${value}::BIGINT`
      if (typeof value === 'string' && /^-?\d{1,30}$/.test(value)) return `'${value}'::HUGEINT`
      return double(value)
    case 'decimal':
      return double(value)
    case 'boolean':
      return value === true ? 'TRUE' : 'FALSE'
    case 'date':
      return `${quoteText(String(value))}::DATE`
    case 'timestamp':
      return timestampLiteral(String(value))
  }
}

function double(value: Literal): string {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new TypeError('not a number')
  return `'${value}'::DOUBLE`
}

function timestampLiteral(text: string): string {
  const micros = timestampMicros(text)
  if (micros === undefined) throw new TypeError('not a timestamp')
  return `make_timestamp(${micros}::BIGINT)`
}

/** A table's rows: exactly the files that its version names, whatever else lies in the folder. */
export function relationOf(table: PinnedTable, root: string): string {
  return parquetFiles(table.files.map((file) => join(root, file)))
}

/**
 * `hive_partitioning` is off, since a folder on the way may be called `a=b`. A path with `*`, `?` or `[` in it means the
 * file of that very name wherever there is one (tried, 1.5.6), and ours are there.
 */
export function parquetFiles(paths: readonly string[]): string {
  return `read_parquet([${paths.map(quoteText).join(', ')}], hive_partitioning = false)`
}
