/** Where one person's rows are: in a table, and in what destinations have accepted. */
import { join } from 'node:path'
import { Problem } from '../domain/problem.ts'
import type { LedgerRef } from '../domain/plan.ts'
import type { PinnedTable } from '../domain/table.ts'
import type { DuckDb } from './duckdb.ts'
import { fieldValue, plainText } from './plan-sql/cell-sql.ts'
import { sendableRows } from './plan-sql/select-sql.ts'
import { parquetFiles, quoteText, relationOf } from './sql-text.ts'

/** Row keys, and identifiers as they may have been sent. */
export interface WantedPerson {
  readonly keys: readonly string[]
  readonly values: readonly string[]
}

export interface LedgerHit {
  readonly key: string
  readonly state: 'accepted' | 'uncertain'
  /** ISO 8601; null where only the whole is known, by its run. */
  readonly since: string | null
}

const HITS_MAX = 100

/** Keys of rows in which the field is this text, whatever its case and the spaces around it. */
export async function findKeys(
  db: DuckDb,
  root: string,
  table: PinnedTable,
  name: string,
  value: string,
  limit: number,
): Promise<readonly string[]> {
  const field = table.fields.find((candidate) => candidate.name === name)
  const key = table.fields.find((candidate) => candidate.name === table.key)
  if (field === undefined || key === undefined)
    throw new Problem('invalid', `who.field: The table "${table.name}" has no field "${name}"`, {
      path: 'who.field',
      cure: `Its fields are ${table.fields.map((known) => known.name).join(', ')}`,
    })
  const text = `lower(trim(${plainText(fieldValue(field.name, field.type), field.type)}))`
  const rows = await db.rows(
    `SELECT ${plainText(fieldValue(key.name, key.type), key.type)} AS key FROM ${relationOf(table, root)} AS t
      WHERE ${text} = lower(trim(${quoteText(value)})) ORDER BY 1 LIMIT ${Math.trunc(limit)}`,
  )
  return rows.map((row) => String(row['key']))
}

/** Rows of one ledger that are this person's: by their key, or by an identifier that was sent, plain or hashed. */
export async function findInLedger(
  db: DuckDb,
  root: string,
  ref: LedgerRef,
  { keys, values }: WantedPerson,
): Promise<readonly LedgerHit[]> {
  const conditions = [
    ...(keys.length === 0 ? [] : [`key IN (${keys.map(quoteText).join(', ')})`]),
    // Identifiers are JSON made by the data engine: a value stands between a colon and what ends it.
    ...values.map((value) => `contains(lower(identifiers), ${quoteText(`:${JSON.stringify(value)}`)})`),
  ]
  if (conditions.length === 0) return []
  const rows = await db.rows(
    `SELECT key, state, since FROM (${ledgerOf(root, ref)}) WHERE ${conditions.join(' OR ')} ORDER BY key LIMIT ${HITS_MAX}`,
  )
  return rows.map((row) => ({
    key: String(row['key']),
    state: row['state'] === 'uncertain' ? 'uncertain' : 'accepted',
    since: typeof row['since'] === 'string' ? row['since'] : null,
  }))
}

function ledgerOf(root: string, ref: LedgerRef): string {
  if (ref.kind === 'rows')
    return `SELECT key, identifiers, state, strftime(since, '%Y-%m-%dT%H:%M:%S.%gZ') AS since FROM ${parquetFiles([join(root, ref.path)])}`
  const context = { root, now: ref.now, delivers: 'rows', mergedPath: null, onlyIn: null } as const
  return `SELECT key, identifiers, 'accepted' AS state, ${quoteText(ref.now)} AS since FROM (${sendableRows(ref.source, context)})`
}

/** The folders and files that these ledgers stand in, for the data engine's own fence. */
export function placesOf(root: string, refs: readonly LedgerRef[]): readonly string[] {
  return refs.flatMap((ref) =>
    ref.kind === 'rows'
      ? [join(root, ref.path)]
      : [ref.source.table, ...ref.source.related].map(({ id }) => join(root, 'tables', id)),
  )
}
