/** A source made ready to be selected from: what its statements need beside the plan is worked out and written down once. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Plan } from '../domain/plan.ts'
import type { DuckDb } from './duckdb.ts'
import type { OutboxPiece } from './plan-sql/diff-sql.ts'
import {
  mergedRows,
  needsMerge,
  repeatedIdentities,
  type SelectContext,
  type SelectedSource,
} from './plan-sql/select-sql.ts'
import { isThere, type RunFiles } from './session-files.ts'
import { quoteText } from './sql-text.ts'

export interface Lake {
  readonly db: DuckDb
  readonly files: RunFiles
  readonly plan: Plan
}

/** The context of this run's own selection. `prepareSelection` must have been there before, in this execution or an earlier one. */
export async function selectContext(lake: Lake, source: SelectedSource): Promise<SelectContext> {
  const { files, plan } = lake
  const { merged } = files.source(source.name)
  return {
    root: files.root,
    now: plan.now,
    delivers: plan.delivers,
    mergedPath: needsMerge(source) && (await isThere(merged)) ? merged : null,
    onlyIn: onlyIn(lake, source),
  }
}

/** A run of failed rows looks at what the run before it rejected. A whole has no such rows: it is delivered again. */
function onlyIn({ files, plan }: Lake, source: SelectedSource): SelectContext['onlyIn'] {
  if (plan.retryOf === null || (plan.mode === 'replace' && plan.delivers !== 'rows')) return null
  const { runId, include } = plan.retryOf
  return {
    path: files.rejectsOf(runId, source.name),
    statuses: include === 'rejected' ? ['rejected'] : ['rejected', 'uncertain'],
  }
}

/**
 * Finds the rows that others stand for and writes them to `mergedPath`, where there are any. Rows with the same identifiers
 * are found by a 64-bit hash first: one number per row is all that memory must hold.
 */
export async function prepareSelection(
  { db, files }: Lake,
  source: SelectedSource,
  context: Omit<SelectContext, 'mergedPath'>,
  mergedPath: string,
): Promise<SelectContext> {
  const unmerged = { ...context, mergedPath: null }
  if (!needsMerge(source)) return unmerged
  const repeated = files.temporary('parquet')
  if ((await copyParquet(db, repeatedIdentities(source, unmerged), repeated)) === 0) return unmerged
  await files.publish(mergedPath, async (path) => copyParquet(db, mergedRows(source, unmerged, repeated), path))
  return { ...context, mergedPath }
}

/** Gives the number of rows that were written. */
export async function copyParquet(db: DuckDb, rows: string, path: string): Promise<number> {
  return copied(db, `COPY (${rows}) TO ${quoteText(path)} (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)`)
}

export async function copied(db: DuckDb, statement: string): Promise<number> {
  const [row] = await db.rows(statement)
  return count(row?.['Count'])
}

export async function readCount(db: DuckDb, sql: string): Promise<number> {
  const [row] = await db.rows(sql)
  return count(row?.['rows'])
}

/** The outbox as it stands in its folder, in order. */
export async function readPieces(db: DuckDb, folder: string): Promise<readonly OutboxPiece[]> {
  const paths = (await readdir(folder)).toSorted().map((name) => join(folder, name))
  const list = paths.map((path) => quoteText(path)).join(', ')
  const rows = await db.rows(`SELECT file_name, num_rows FROM parquet_file_metadata([${list}])`)
  const rowsOf = new Map(rows.map((row) => [row['file_name'], count(row['num_rows'])]))
  const pieces: OutboxPiece[] = []
  let first = 1
  for (const path of paths) {
    const piece = { path, first, rows: count(rowsOf.get(path)) }
    pieces.push(piece)
    first += piece.rows
  }
  return pieces
}

export function count(value: unknown): number {
  if (typeof value !== 'number') throw new TypeError('not a count')
  return value
}
