/** What a run learned from its destination: exceptions while it goes on, then the ledger and the list of rejected rows. */
import { join } from 'node:path'
import { distinctStem } from '../domain/file-names.ts'
import type { LedgerRef, PlanSource } from '../domain/plan.ts'
import { outboxRows, settledLedger, type OutboxPiece, type SettledRanges } from './plan-sql/diff-sql.ts'
import { fingerprintProbe, ledgerFile } from './session-diff.ts'
import { writeText } from './session-files.ts'
import { copyParquet, readPieces, type Lake } from './session-select.ts'
import type { AnsweredEntry, JournalKey, RowException, SourceDiff } from './session-types.ts'
import { quoteText } from './sql-text.ts'

/** A service may answer with a page of HTML; that much of it helps. */
const MESSAGE_LENGTH_MAX = 2000

/** One JSON line per row. The name is the batch's, so that the same answer written again replaces itself. */
export async function writeExceptions(
  { files }: Lake,
  source: PlanSource,
  key: JournalKey,
  exceptions: readonly RowException[],
): Promise<string> {
  const path = join(files.source(source.name).answers, `${key.kind}-${key.first}-${key.last}.jsonl`)
  const lines = exceptions.map(({ seq, status, reason, message }) =>
    // An unpaired surrogate can be written as JSON, and not be read by everybody.
    JSON.stringify({ seq, status, reason, message: message.slice(0, MESSAGE_LENGTH_MAX).toWellFormed() }),
  )
  await writeText(files, path, `${lines.join('\n')}\n`)
  return files.lakePath(path)
}

export async function settleLedger(
  lake: Lake,
  source: PlanSource,
  diff: SourceDiff,
  answered: readonly AnsweredEntry[],
): Promise<LedgerRef | null> {
  const { db, files, plan } = lake
  const outbox = diff.outboxPath === null ? null : await readPieces(db, files.absolute(diff.outboxPath))
  const ranges = settledRanges(lake, diff, answered, outbox)
  if (outbox === null) {
    // Either whole may stand there: the next run replaces it, and until then the earlier one is what is known.
    if (answered.some(({ uncertain }) => uncertain > 0)) return null
    if (ranges.ranges !== null) throw new Error(`${source.name} is settled as a whole, and was not committed`)
    const { ledger: _, ...whole } = source
    return { kind: 'whole', source: whole, now: plan.now, rows: diff.added }
  }
  // Row by row replaced: what was there before is gone.
  const before = plan.mode === 'replace' ? null : await ledgerFile(lake, source)
  const folder = join(files.root, 'ledgers', plan.exportId)
  const path = join(folder, `${plan.runId}-${distinctStem(source.name)}.parquet`)
  const rows = settledLedger(outbox, before?.path ?? null, ranges, plan.now)
  const written = await files.publish(path, async (temporary) => copyParquet(db, rows, temporary))
  const probe = await fingerprintProbe(lake)
  return { kind: 'rows', path: files.lakePath(path), rows: written, fingerprintProbe: probe }
}

/** Batches are answered by range; files and tables are taken as a whole, by the commit. */
function settledRanges(
  lake: Lake,
  diff: SourceDiff,
  answered: readonly AnsweredEntry[],
  outbox: readonly OutboxPiece[] | null,
): SettledRanges {
  const own = answered.filter(({ source, state }) => source === diff.source && state === 'answered')
  if (lake.plan.delivers !== 'rows') {
    const commit = own.find(({ kind }) => kind === 'commit')
    if (commit === undefined) return { ranges: [], exceptions: NO_EXCEPTIONS }
    const isUncertain = commit.uncertain > 0 && outbox !== null
    return { ranges: null, exceptions: isUncertain ? allUncertain(lake, outbox) : NO_EXCEPTIONS }
  }
  const batches = own.filter(({ kind }) => kind === 'batch')
  return { ranges: joined(batches), exceptions: exceptionRows(lake, batches) }
}

/** Neighbouring ranges as one: ten thousand batches are mostly one range. */
function joined(batches: readonly JournalKey[]): { first: number; last: number }[] {
  const ranges: { first: number; last: number }[] = []
  for (const { first, last } of batches.toSorted((a, b) => a.first - b.first)) {
    const before = ranges.at(-1)
    if (before !== undefined && first <= before.last + 1) before.last = Math.max(before.last, last)
    else ranges.push({ first, last })
  }
  return ranges
}

const NO_EXCEPTIONS = `SELECT CAST(NULL AS BIGINT) AS seq, CAST(NULL AS VARCHAR) AS status, CAST(NULL AS VARCHAR) AS reason,
  CAST(NULL AS VARCHAR) AS message WHERE FALSE`

/** A commit that was sent and never answered: all of its rows may stand at the destination, or none. */
function allUncertain({ plan }: Lake, outbox: readonly OutboxPiece[]): string {
  const status = plan.repeat.kind === 'harmless' ? 'uncertain-due' : 'uncertain'
  return `SELECT seq, '${status}' AS status, 'unanswered' AS reason, 'The commit was sent, and no answer came' AS message
    FROM ${outboxRows(outbox)}`
}

function exceptionRows({ files }: Lake, batches: readonly AnsweredEntry[]): string {
  const paths = batches.flatMap(({ exceptionsPath }) => (exceptionsPath === null ? [] : [exceptionsPath]))
  if (paths.length === 0) return NO_EXCEPTIONS
  const list = paths.map((path) => quoteText(files.absolute(path))).join(', ')
  return `SELECT * FROM read_json([${list}], format = 'newline_delimited',
    columns = {seq: 'BIGINT', status: 'VARCHAR', reason: 'VARCHAR', message: 'VARCHAR'})`
}

/** Always a file, if an empty one: a run of failed rows looks for it. */
export async function writeRejects(
  lake: Lake,
  source: PlanSource,
  diff: SourceDiff,
  answered: readonly AnsweredEntry[],
): Promise<void> {
  const { db, files } = lake
  const pieces = diff.outboxPath === null ? null : await readPieces(db, files.absolute(diff.outboxPath))
  const { exceptions } = settledRanges(lake, diff, answered, pieces)
  const outbox =
    pieces === null
      ? "SELECT 0 AS seq, '' AS key, '' AS change, '' AS identifiers WHERE FALSE"
      : `SELECT seq, key, change, identifiers FROM ${outboxRows(pieces)}`
  const status = "CASE e.status WHEN 'uncertain-due' THEN 'uncertain' ELSE e.status END AS status"
  const rows = `SELECT e.seq, o.key, o.change, o.identifiers, ${status}, e.reason, e.message
    FROM (${exceptions}) e JOIN (${outbox}) o ON o.seq = e.seq WHERE e.status <> 'unsent' ORDER BY e.seq`
  await files.publish(files.source(source.name).rejects, async (path) => copyParquet(db, rows, path))
}
