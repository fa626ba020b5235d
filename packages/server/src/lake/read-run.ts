/** What the pages of a run show of its rows: rejected, uncertain, merged and suppressed ones, page by page, and the sample. */
import { readFile } from 'node:fs/promises'
import type { DuckDb } from './duckdb.ts'
import { isThere, sourceFilesIn } from './session-files.ts'
import { parquetFiles, quoteText } from './sql-text.ts'

export interface RunRow {
  /** Where the page after this row begins. */
  readonly at: number
  readonly key: string
  readonly change: string | null
  readonly reason: string
  /** The service's own words. */
  readonly message: string | null
  /** Of a merged row, the key of the one that was sent. */
  readonly standsFor: string | null
}

export type RunRowKind = 'rejected' | 'uncertain' | 'merged' | 'suppressed'

/**
 * The rows of one kind after `after` (0 for the first page), in the outbox's order or by key. A run that has not come so far,
 * or whose folder was cleared, has none. `db` must be able to read the run's folder.
 */
export async function readRunRows(
  db: DuckDb,
  runFolder: string,
  source: string,
  which: RunRowKind,
  after: number,
  limit: number,
): Promise<readonly RunRow[]> {
  const files = sourceFilesIn(runFolder, source)
  const isAnswer = which === 'rejected' || which === 'uncertain'
  const path = isAnswer ? files.rejects : files.setAside
  if (!(await isThere(path))) return []
  const from = parquetFiles([path])
  const columns = isAnswer
    ? `seq AS position, key, change, reason, message, CAST(NULL AS VARCHAR) AS stands_for FROM ${from} WHERE status = ${quoteText(which)}`
    : `file_row_number + 1 AS position, key, CAST(NULL AS VARCHAR) AS change, reason, CAST(NULL AS VARCHAR) AS message, stands_for
       FROM ${from} WHERE place = ${quoteText(which)}`
  const rows = await db.rows(
    `SELECT * FROM (SELECT ${columns}) WHERE position > ${Math.trunc(after)} ORDER BY position LIMIT ${Math.trunc(limit)}`,
  )
  return rows.map((row) => ({
    at: Number(row['position']),
    key: String(row['key']),
    change: textOrNull(row['change']),
    reason: String(row['reason']),
    message: textOrNull(row['message']),
    standsFor: textOrNull(row['stands_for']),
  }))
}

/** How often each reason and message stands among the rows of one kind, the commonest first. */
export async function groupRunRows(
  db: DuckDb,
  runFolder: string,
  source: string,
  which: RunRowKind,
  limit: number,
): Promise<readonly { readonly reason: string; readonly message: string | null; readonly rows: number }[]> {
  const files = sourceFilesIn(runFolder, source)
  const isAnswer = which === 'rejected' || which === 'uncertain'
  const path = isAnswer ? files.rejects : files.setAside
  if (!(await isThere(path))) return []
  const columns = isAnswer
    ? `reason, message FROM ${parquetFiles([path])} WHERE status = ${quoteText(which)}`
    : `reason, CAST(NULL AS VARCHAR) AS message FROM ${parquetFiles([path])} WHERE place = ${quoteText(which)}`
  const rows = await db.rows(
    `SELECT reason, message, count(*) AS n FROM (SELECT ${columns}) GROUP BY ALL ORDER BY n DESC, reason, message LIMIT ${Math.trunc(limit)}`,
  )
  return rows.map((row) => ({
    reason: String(row['reason']),
    message: textOrNull(row['message']),
    rows: Number(row['n']),
  }))
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

/** The first rows of a preview, as they would be sent; undefined where there was none. */
export async function readSample(runFolder: string, source: string): Promise<readonly unknown[] | undefined> {
  const { sample } = sourceFilesIn(runFolder, source)
  if (!(await isThere(sample))) return undefined
  return JSON.parse(await readFile(sample, 'utf8')) as readonly unknown[]
}
