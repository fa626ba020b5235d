/** Looks into a table's current version: pages of rows, and what the values of one field are like. */
import type { PinnedTable } from '../domain/table.ts'
import { Problem } from '../domain/problem.ts'
import type { DuckDb, DuckDbValue } from './duckdb.ts'
import { quoteName, relationOf } from './sql-text.ts'

export type Cell = string | number | boolean | null

export interface FieldProfile {
  readonly rows: number
  /** Null, or text of no characters. */
  readonly empty: number
  /** Estimated (HyperLogLog): within a few per cent. */
  readonly distinct: number
  readonly smallest: Cell
  readonly largest: Cell
  readonly common: readonly { readonly value: Cell; readonly rows: number }[]
}

const COMMON_VALUES = 10
/** A cell is shown, not exported: longer text is cut in the answer. */
const CELL_CHARACTERS_MAX = 1000

/** Rows in the order of the key, as the fields are ordered. */
export async function readTableRows(
  db: DuckDb,
  root: string,
  table: PinnedTable,
  page: { readonly offset: number; readonly limit: number },
): Promise<readonly (readonly Cell[])[]> {
  const rows = await db.rows(
    `SELECT ${shownFields(table)} FROM ${relationOf(table, root)} AS t ORDER BY t.${quoteName(table.key)} LIMIT ${whole(page.limit)} OFFSET ${whole(page.offset)}`,
  )
  return rows.map((row) => table.fields.map((_, index) => cellOf(row[`c${index}`])))
}

/** A select list that gives each field as something to show, called `c0`, `c1` …; the table is `t`. */
export function shownFields(table: PinnedTable): string {
  return table.fields
    .map((field, index) => `${shown(`t.${quoteName(field.name)}`, field.type)} AS c${index}`)
    .join(', ')
}

export async function profileTableField(
  db: DuckDb,
  root: string,
  table: PinnedTable,
  name: string,
): Promise<FieldProfile> {
  const field = table.fields.find((candidate) => candidate.name === name)
  if (field === undefined) {
    throw new Problem('not-found', `The table "${table.name}" has no field "${name}"`, {
      path: 'field',
      cure: 'Use one of its fields: see `patchbay table show`',
    })
  }
  const column = `t.${quoteName(name)}`
  const empty = field.type === 'text' ? `${column} IS NULL OR ${column} = ''` : `${column} IS NULL`
  const from = relationOf(table, root)
  const [summary] = await db.rows(
    `SELECT count(*) AS n, count(*) FILTER (WHERE ${empty}) AS empty, approx_count_distinct(${column}) AS distinct_values,
      ${shown(`min(${column})`, field.type)} AS smallest, ${shown(`max(${column})`, field.type)} AS largest FROM ${from} AS t`,
  )
  const common = await db.rows(
    `SELECT ${shown('value', field.type)} AS value, n FROM (SELECT ${column} AS value, count(*) AS n FROM ${from} AS t
      WHERE NOT (${empty}) GROUP BY 1 ORDER BY n DESC, value LIMIT ${COMMON_VALUES})`,
  )
  return {
    rows: Number(summary?.['n'] ?? 0),
    empty: Number(summary?.['empty'] ?? 0),
    distinct: Number(summary?.['distinct_values'] ?? 0),
    smallest: cellOf(summary?.['smallest']),
    largest: cellOf(summary?.['largest']),
    common: common.map((row) => ({ value: cellOf(row['value']), rows: Number(row['n']) })),
  }
}

/** Numbers and switches as they are; dates and times as ISO 8601 text; text cut. */
function shown(expression: string, type: PinnedTable['fields'][number]['type']): string {
  switch (type) {
    case 'text':
      return `left(${expression}, ${CELL_CHARACTERS_MAX})`
    case 'date':
      return `strftime(${expression}, '%Y-%m-%d')`
    case 'timestamp':
      return `strftime(${expression}, '%Y-%m-%dT%H:%M:%S.%gZ')`
    case 'integer':
    case 'decimal':
    case 'boolean':
      return expression
  }
}

export function cellOf(value: DuckDbValue | undefined): Cell {
  if (value === undefined || value === null) return null
  if (typeof value === 'object') return JSON.stringify(value)
  // JSON has no word for these, and an answer with them would be null.
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value
}

function whole(value: number): number {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError('Not a whole number')
  return value
}
