/** Who is in a segment, now: how many, and the first of them. */
import type { Rule } from '../domain/segment.ts'
import type { PinnedTable } from '../domain/table.ts'
import type { DuckDb } from './duckdb.ts'
import { cellOf, shownFields, type Cell } from './read-table.ts'
import { compileRule } from './rule-sql.ts'
import { quoteName, relationOf } from './sql-text.ts'

/** A rule with its segments resolved, over the profile table, and the related tables that it speaks of. */
export interface Selection {
  readonly table: PinnedTable
  readonly where: Rule
  readonly related: readonly PinnedTable[]
  readonly now: Date
}

export async function countMembers(db: DuckDb, root: string, selection: Selection): Promise<number> {
  const [row] = await db.rows(`SELECT count(*) AS n ${fromWhere(root, selection)}`)
  return Number(row?.['n'] ?? 0)
}

/** In the order of the key; cells in the order of the table's fields. */
export async function readMembers(
  db: DuckDb,
  root: string,
  selection: Selection,
  limit: number,
): Promise<readonly (readonly Cell[])[]> {
  const { table } = selection
  const rows = await db.rows(
    `SELECT ${shownFields(table)} ${fromWhere(root, selection)} ORDER BY t.${quoteName(table.key)} LIMIT ${Math.trunc(limit)}`,
  )
  return rows.map((row) => table.fields.map((_, index) => cellOf(row[`c${index}`])))
}

function fromWhere(root: string, { table, where, related, now }: Selection): string {
  const { joins, condition } = compileRule(where, table, related, now.toISOString(), root)
  return `FROM ${relationOf(table, root)} AS t${joins} WHERE ${condition}`
}
