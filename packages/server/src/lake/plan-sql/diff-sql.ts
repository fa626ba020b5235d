/**
 * The difference of a source to its ledger, as SQL in two steps. The first goes through all rows and compares two 64-bit
 * hashes (fingerprint and identity), which is all that memory must hold; it writes one narrow line per row, so that what
 * is unchanged is counted and not worked out. The second looks only at what did not match, by the exact identity.
 */
import type { Mode } from '@patchbay/connector-sdk'
import { parquetFiles, quoteText } from '../sql-text.ts'
import {
  identityOf,
  rowIdentifiers,
  rowKey,
  sendableCells,
  sendableRows,
  type SelectContext,
  type SelectedSource,
} from './select-sql.ts'

/**
 * The order of an outbox: removals first, since they make room below a service's limit, and then the rows in the order of
 * the table's files. `lane` keeps apart what must not share a batch: a row key can be removed under its old identifiers and
 * added under new ones, and even removed under two old ones. Removals have negative file numbers.
 */
export const ROWS_LANE = 1_000_000
const ORDER = 'file, lane, key'

/** Columns of a ledger and of the rows of an outbox that become a ledger. */
const LEDGER_COLUMNS = 'key, identifiers, identity_hash, fingerprint, state, since'

/**
 * One of the files that an outbox consists of. Each is sorted by itself, and one after the other they are in order: so no
 * sort is ever larger than a file. Sequence numbers are places in the files, and need not be counted out in one thread.
 */
export interface OutboxPiece {
  readonly path: string
  /** Sequence number of its first row. */
  readonly first: number
  readonly rows: number
}

/** The rows of an outbox with their sequence numbers `seq`. */
export function outboxRows(pieces: readonly OutboxPiece[]): string {
  const selects = pieces.map(
    ({ path, first }) => `SELECT *, file_row_number + ${first} AS seq FROM ${parquetFiles([path])}`,
  )
  return `(${selects.join(' UNION ALL ')})`
}

export function ledgerRows(path: string, condition = 'TRUE'): string {
  return `SELECT ${LEDGER_COLUMNS}, file_row_number AS row FROM ${parquetFiles([path])} l WHERE ${condition}`
}

/** The ledger that `replace` left: what an earlier source selects, with nothing uncertain in it. */
export function wholeLedger(source: SelectedSource, context: SelectContext): string {
  return `SELECT key, identifiers, identity_hash, fingerprint, 'accepted' AS state, ${timestamp(context.now)} AS since
    FROM (${sendableRows(source, context)})`
}

/**
 * One line per row of either side: matched; or the candidate's columns; or `ledger_row`. With `again`, what an earlier run
 * left uncertain matches nothing and so is due.
 */
export function comparedRows(
  source: SelectedSource,
  context: SelectContext,
  ledgerPath: string,
  again: boolean,
): string {
  const fingerprint = again ? "CASE WHEN state <> 'uncertain' THEN fingerprint END" : 'fingerprint'
  // All that memory holds of a ledger row. `uncertain` is NULL on lines without one.
  const ledger = `SELECT ${fingerprint} AS fingerprint, identity_hash, state = 'uncertain' AS uncertain, CAST(row AS UINTEGER) AS row
    FROM (${ledgerRows(ledgerPath, lookedAt('l', context))})`
  const mine = (value: string): string => `CASE WHEN l.uncertain IS NULL THEN ${value} END`
  return `SELECT c.f IS NOT NULL AND l.uncertain IS NOT NULL AS matched,
      c.f IS NOT NULL AND coalesce(l.uncertain, FALSE) AS uncertain,
      c.f IS NOT NULL AS is_candidate,
      ${mine('c.f')} AS file, ${mine(rowKey(source, 'c'))} AS key, ${mine(rowIdentifiers(source, 'c'))} AS identifiers,
      ${mine('c.identity_hash')} AS identity_hash, ${mine('c.fingerprint')} AS fingerprint,
      CASE WHEN c.f IS NULL THEN l.row END AS ledger_row
    FROM (${sendableCells(source, context)}) c FULL JOIN (${ledger}) l
      ON c.fingerprint = l.fingerprint AND c.identity_hash = l.identity_hash`
}

function lookedAt(alias: string, { onlyIn }: SelectContext): string {
  if (onlyIn === null) return 'TRUE'
  const statuses = onlyIn.statuses.map(quoteText).join(', ')
  const only = `SELECT ${identityOf('o')} FROM ${parquetFiles([onlyIn.path])} o WHERE o.status IN (${statuses})`
  return `${identityOf(alias)} IN (${only})`
}

/** Counts of the first step, from the file that it wrote. */
export function countCompared(comparedPath: string): string {
  return `SELECT count(*) FILTER (matched AND NOT uncertain) AS unchanged, count(*) FILTER (matched AND uncertain) AS uncertain,
      count(*) FILTER (matched OR NOT is_candidate) AS ledger_rows,
      count(*) FILTER (NOT is_candidate) AS open
    FROM ${parquetFiles([comparedPath])}`
}

/** What is due, in no order yet, where the destination has nothing, or is replaced row by row; only of some files where `files` says so. */
export function dueOfAll(source: SelectedSource, context: SelectContext, files?: readonly number[]): string {
  return `SELECT file, 'added' AS change, key, identifiers, identity_hash, fingerprint
    FROM (${sendableRows(source, context, files)})`
}

/**
 * What is due of what did not match. Where nothing is removed (`append`, `upsert`), ledger rows that are gone stay as they
 * are. Removals are dealt out over `removalPieces` by their keys, numbered upwards to -1.
 */
export function dueOfCompared(comparedPath: string, ledgerPath: string, mode: Mode, removalPieces: number): string {
  const compared = parquetFiles([comparedPath])
  const candidates = `SELECT file, key, identifiers, identity_hash, fingerprint FROM ${compared} WHERE is_candidate AND NOT matched`
  const open = `SELECT l.key, l.identifiers, l.identity_hash, l.fingerprint FROM (${ledgerRows(ledgerPath)}) l
    WHERE l.row IN (SELECT ledger_row FROM ${compared} WHERE NOT is_candidate)`
  const pick = (column: string): string => `CASE WHEN c.key IS NULL THEN l.${column} ELSE c.${column} END AS ${column}`
  const piece = `CAST(hash(l.key) % ${removalPieces} AS INTEGER) - ${removalPieces}`
  return `SELECT CASE WHEN c.key IS NULL THEN ${piece} ELSE c.file END AS file,
      CASE WHEN c.key IS NULL THEN 'removed' WHEN l.key IS NULL THEN 'added' ELSE 'changed' END AS change,
      ${['key', 'identifiers', 'identity_hash', 'fingerprint'].map(pick).join(', ')}
    FROM (${candidates}) c ${mode === 'mirror' ? 'FULL' : 'LEFT'} JOIN (${open}) l ON ${identityOf('c')} = ${identityOf('l')}`
}

/** What is due, from the file in which it was written down; only of neighbouring files where `files` says so. */
export function dueOfFiles(duePath: string, files?: readonly number[]): string {
  const [first = 0] = files ?? []
  const condition = files === undefined ? 'TRUE' : `file BETWEEN ${first} AND ${files.at(-1) ?? first}`
  return `SELECT * FROM ${parquetFiles([duePath])} WHERE ${condition}`
}

export function countByFile(due: string): string {
  return `SELECT file, count(*) AS rows FROM (SELECT file FROM (${due})) GROUP BY file ORDER BY file`
}

/** One piece of the outbox: what is due in neighbouring files, in order. All removals of a key are in one piece. */
export function sortedPiece(due: string, files: readonly number[]): string {
  const [first = 0] = files
  const removal = 'row_number() OVER (PARTITION BY file < 0, key ORDER BY identifiers)'
  const lane = first < 0 ? `CASE WHEN file < 0 THEN ${removal} ELSE ${ROWS_LANE} END` : String(ROWS_LANE)
  return `SELECT ${lane} AS lane, * FROM (${due}) ORDER BY ${ORDER}`
}

/**
 * Counts and a digest of the outbox that does not depend on its order: two runs with the same digest would make the same
 * changes to the same rows.
 */
export function summariseOutbox(pieces: readonly OutboxPiece[]): string {
  const row = `hash(change, ${identityOf('o')}, key, fingerprint)`
  return `SELECT change, count(*) AS rows, CAST(sum(CAST(${row} AS HUGEINT)) AS VARCHAR) AS sum, CAST(bit_xor(${row}) AS VARCHAR) AS mix
    FROM ${outboxRows(pieces)} o GROUP BY change ORDER BY change`
}

/** For the guard of `replace`: rows of the ledger that the new whole lacks, by row key. */
export function countVanishing(ledgerKeys: string, source: SelectedSource, context: SelectContext): string {
  return `SELECT count(*) AS rows FROM (${ledgerKeys}) l
    WHERE NOT EXISTS (SELECT 1 FROM (${sendableRows(source, context)}) s WHERE s.key = l.key)`
}

export interface SettledRanges {
  /** What was answered, in order and without overlap; null: all of it was accepted. */
  readonly ranges: readonly { readonly first: number; readonly last: number }[] | null
  /** SQL that gives `seq` and `status` of the rows that were not accepted. */
  readonly exceptions: string
}

/**
 * The ledger after a run: a row for each identity that stands at the destination, or may. What is not answered, rejected
 * or unsent leaves the ledger as it was. An uncertain removal leaves the row with no fingerprint, so that it is due whatever
 * comes; an uncertain change is remembered as it was sent, so that it is not sent again. Where that would be harmless (the
 * outcome `uncertain-due`) it is remembered without a fingerprint: due, and known to be there if it has to be removed.
 */
export function settledLedger(
  pieces: readonly OutboxPiece[],
  ledgerPath: string | null,
  { ranges, exceptions }: SettledRanges,
  now: string,
): string {
  const done = `SELECT o.*, coalesce(e.status, 'accepted') AS outcome
    FROM ${outboxRows(pieces)} o LEFT JOIN (${exceptions}) e ON e.seq = o.seq
    WHERE ${ranges === null ? 'TRUE' : isWithin('o.seq', ranges)} AND coalesce(e.status, 'accepted') IN ('accepted', 'uncertain', 'uncertain-due')`
  const kept = `SELECT key, identifiers, identity_hash, CASE WHEN outcome <> 'uncertain-due' THEN fingerprint END AS fingerprint,
      CASE outcome WHEN 'accepted' THEN outcome ELSE 'uncertain' END AS state, ${timestamp(now)} AS since, change
    FROM (${done})`
  if (ledgerPath === null) return `SELECT ${LEDGER_COLUMNS} FROM (${kept}) WHERE change <> 'removed'`
  const pick = (column: string): string =>
    `CASE WHEN d.change <> 'removed' THEN d.${column} ELSE l.${column} END AS ${column}`
  return `SELECT ${pick('key')}, ${pick('identifiers')}, ${pick('identity_hash')},
      CASE WHEN d.change IS NULL THEN l.fingerprint WHEN d.change <> 'removed' THEN d.fingerprint END AS fingerprint,
      coalesce(d.state, l.state) AS state, coalesce(l.since, d.since) AS since
    FROM (${ledgerRows(ledgerPath)}) l FULL JOIN (${kept}) d ON ${identityOf('l')} = ${identityOf('d')}
    WHERE d.change IS NULL OR d.change <> 'removed' OR d.state = 'uncertain'`
}

/** Mostly there is one range. Where a run was canceled with many batches on their way, the numbers are listed instead. */
function isWithin(seq: string, ranges: readonly { readonly first: number; readonly last: number }[]): string {
  if (ranges.length === 0) return 'FALSE'
  if (ranges.length <= 20)
    return `(${ranges.map(({ first, last }) => `${seq} BETWEEN ${first} AND ${last}`).join(' OR ')})`
  const values = ranges.map(({ first, last }) => `(${first}, ${last})`).join(', ')
  return `${seq} IN (SELECT unnest(range(a, b + 1)) FROM (VALUES ${values}) v(a, b))`
}

function timestamp(iso: string): string {
  return `CAST(${quoteText(iso)} AS TIMESTAMP)`
}
