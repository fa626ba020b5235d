/** `LakeSession.diff`: selects a source, compares it with its ledger, and writes the outbox and what was set aside. */
import { createHash } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { canonicalJson } from '../domain/canonical-json.ts'
import type { LedgerRef, PlanSource } from '../domain/plan.ts'
import {
  comparedRows,
  countByFile,
  countCompared,
  countVanishing,
  dueOfAll,
  dueOfCompared,
  dueOfFiles,
  ledgerRows,
  sortedPiece,
  summariseOutbox,
  wholeLedger,
  type OutboxPiece,
} from './plan-sql/diff-sql.ts'
import { countForeignRemovals } from './plan-sql/rows-sql.ts'
import {
  countRead,
  FINGERPRINT_PROBE,
  hasJoins,
  identifierColumns,
  needsMerge,
  sendableRows,
  setAsideRows,
  type SelectContext,
  type SelectedSource,
} from './plan-sql/select-sql.ts'
import { Problem } from '../domain/problem.ts'
import { checkSource } from './session-check.ts'
import { isThere } from './session-files.ts'
import {
  copyParquet,
  count,
  prepareSelection,
  readCount,
  readPieces,
  selectContext,
  type Lake,
} from './session-select.ts'
import type { SourceDiff } from './session-types.ts'
import { parquetFiles } from './sql-text.ts'

/** As many rows as a table's file holds: what is sorted at once. */
const PIECE_ROWS = 1_000_000

type Changes = Pick<SourceDiff, 'unchanged' | 'uncertainBefore' | 'added' | 'changed' | 'removed' | 'digest'>
type Before = Pick<SourceDiff, 'ledgerRows' | 'vanishing' | 'fingerprintsStale'>

export async function diffSource(lake: Lake, source: PlanSource): Promise<SourceDiff> {
  const { db, files, plan } = lake
  checkSource(source, plan)
  const own = files.source(source.name)
  // What an execution that broke off left may be of a difference that was never written down.
  for (const path of [own.outbox, own.merged, own.selection, own.ledgerBefore]) {
    await rm(path, { recursive: true, force: true })
  }
  const unprepared = await selectContext(lake, source)
  if (unprepared.onlyIn !== null && !(await isThere(unprepared.onlyIn.path))) {
    throw new Problem('not-ready', `${source.name}: the list of failed rows of the earlier run is no longer there`, {
      cure: 'Run the export as a whole: rejected rows stay due and are sent again.',
    })
  }
  const context = await prepareSelection(lake, source, unprepared, own.merged)

  const read = await readCount(db, countRead(source, context))
  const aside = await writeSetAside(lake, source, context)
  const common = { source: source.name, read, ...aside }
  if (plan.mode !== 'replace') {
    const ledger = await ledgerFile(lake, source)
    const changes = await writeOutbox(lake, source, context, ledger?.path ?? null)
    const vanishing = plan.mode === 'mirror' ? changes.removed : 0
    const fingerprintsStale = ledger?.isStale ?? false
    const before = { ledgerRows: source.ledger?.rows ?? 0, vanishing, fingerprintsStale }
    return { ...common, ...changes, ...before, outboxPath: files.lakePath(own.outbox) }
  }
  const before = await beforeReplace(lake, source, context)
  if (plan.delivers === 'rows') {
    const changes = await writeOutbox(lake, source, context, null)
    return { ...common, ...changes, ...before, outboxPath: files.lakePath(own.outbox) }
  }
  return { ...common, ...(await countWhole(lake, source, context)), ...before, outboxPath: null }
}

async function writeSetAside(
  { db, files }: Lake,
  source: SelectedSource,
  context: SelectContext,
): Promise<Pick<SourceDiff, 'merged' | 'suppressed'>> {
  const { setAside } = files.source(source.name)
  await files.publish(setAside, async (path) => copyParquet(db, setAsideRows(source, context), path))
  const places = await db.rows(`SELECT place, count(*) AS rows FROM ${parquetFiles([setAside])} GROUP BY place`)
  const rowsIn = (place: string): number => count(places.find((row) => row['place'] === place)?.['rows'] ?? 0)
  return { merged: rowsIn('merged'), suppressed: rowsIn('suppressed') }
}

/** The ledger as a file of rows; null where the destination has nothing of this source. */
export async function ledgerFile(
  lake: Lake,
  source: PlanSource,
): Promise<{ readonly path: string; readonly isStale: boolean } | null> {
  const { ledger } = source
  if (ledger === null) return null
  if (ledger.kind === 'rows') {
    const path = lake.files.absolute(ledger.path)
    return { path, isStale: ledger.fingerprintProbe !== (await fingerprintProbe(lake)) }
  }
  const { ledgerBefore } = lake.files.source(source.name)
  if (!(await isThere(ledgerBefore))) {
    const context = await wholeContext(lake, ledger)
    const rows = wholeLedger(ledger.source, context)
    await lake.files.publish(ledgerBefore, async (path) => copyParquet(lake.db, rows, path))
  }
  return { path: ledgerBefore, isStale: false }
}

export async function fingerprintProbe({ db }: Lake): Promise<string> {
  const [row] = await db.rows(FINGERPRINT_PROBE)
  return String(row?.['probe'])
}

/** The selection of an earlier run, as it was then. */
async function wholeContext(lake: Lake, whole: Extract<LedgerRef, { kind: 'whole' }>): Promise<SelectContext> {
  const { root } = lake.files
  const then = { root, now: whole.now, delivers: lake.plan.delivers, onlyIn: null }
  return prepareSelection(lake, whole.source, then, lake.files.temporary('parquet'))
}

/**
 * Compares, then finds what is due, then sorts it: narrow passes, of which only the first goes through the columns. Where
 * there is nothing to compare with, all is due, and is sorted as it is selected, unless selecting it is work that is not to be
 * done for each piece.
 */
async function writeOutbox(
  lake: Lake,
  source: PlanSource,
  context: SelectContext,
  ledgerPath: string | null,
): Promise<Changes> {
  const { db, files, plan } = lake
  const { outbox } = files.source(source.name)
  const path = files.temporary('parquet')
  const isSelected = ledgerPath === null && !hasJoins(source, context.root, context.now)
  let matched = { unchanged: 0, uncertainBefore: 0 }
  if (ledgerPath !== null) matched = await writeDue(lake, source, context, ledgerPath, path)
  else if (!isSelected) await copyParquet(db, dueOfAll(source, context), path)
  const due = (numbers?: readonly number[]): string =>
    isSelected ? dueOfAll(source, context, numbers) : dueOfFiles(path, numbers)
  await files.publishFolder(outbox, async (folder) => sortInto(db, due, folder))
  await rm(path, { force: true })
  const pieces = await readPieces(db, outbox)
  const changes = await summary(db, pieces)
  if (plan.delivers !== 'rows' && changes.removed > 0) await checkRemovals(db, source, pieces)
  return { ...matched, ...changes }
}

async function writeDue(
  { db, files, plan }: Lake,
  source: PlanSource,
  context: SelectContext,
  ledgerPath: string,
  due: string,
): Promise<Pick<Changes, 'unchanged' | 'uncertainBefore'>> {
  const compared = files.temporary('parquet')
  const again = plan.retryOf?.include === 'rejected-and-uncertain'
  await copyParquet(db, comparedRows(source, context, ledgerPath, again), compared)
  const [counts] = await db.rows(countCompared(compared))
  if (context.onlyIn === null && count(counts?.['ledger_rows']) !== source.ledger?.rows) {
    throw new Error(`The ledger of ${source.name} has not the rows that the control store says`)
  }
  const removalPieces = Math.max(1, Math.ceil(count(counts?.['open']) / PIECE_ROWS))
  await copyParquet(db, dueOfCompared(compared, ledgerPath, plan.mode, removalPieces), due)
  await rm(compared)
  return { unchanged: count(counts?.['unchanged']), uncertainBefore: count(counts?.['uncertain']) }
}

async function sortInto(
  db: Lake['db'],
  due: (files?: readonly number[]) => string,
  folder: string,
): Promise<readonly string[]> {
  const counts = await db.rows(countByFile(due()))
  const files = counts.map((row) => ({ file: count(row['file']), rows: count(row['rows']) }))
  const paths: string[] = []
  for (const piece of piecesOf(files)) {
    const path = join(folder, `${String(paths.length + 1).padStart(5, '0')}.parquet`)
    await copyParquet(db, sortedPiece(due(piece), piece), path)
    paths.push(path)
  }
  return paths
}

/** Neighbouring files together as long as they are small. At least one piece, if an empty one. */
function piecesOf(files: readonly { readonly file: number; readonly rows: number }[]): readonly (readonly number[])[] {
  const pieces: number[][] = []
  let room = 0
  for (const { file, rows } of files) {
    if (rows > room || pieces.length === 0) {
      pieces.push([])
      room = PIECE_ROWS
    }
    pieces.at(-1)?.push(file)
    room -= rows
  }
  return pieces.length === 0 ? [[0]] : pieces
}

async function checkRemovals(db: Lake['db'], source: SelectedSource, outbox: readonly OutboxPiece[]): Promise<void> {
  const names = identifierColumns(source).map(({ to }) => to)
  const foreign = await readCount(db, countForeignRemovals(outbox, names))
  if (foreign === 0) return
  throw new Problem(
    'conflict',
    `${source.name}: ${foreign} rows at the destination were delivered under other identifiers and cannot be named in its columns any more`,
    { path: 'fields', cure: 'Bring the old identifier fields back, or deliver once in mode replace.' },
  )
}

async function summary(
  db: Lake['db'],
  outbox: readonly OutboxPiece[],
): Promise<Pick<Changes, 'added' | 'changed' | 'removed' | 'digest'>> {
  const rows = await db.rows(summariseOutbox(outbox))
  const rowsOf = (change: string): number => count(rows.find((row) => row['change'] === change)?.['rows'] ?? 0)
  return { added: rowsOf('added'), changed: rowsOf('changed'), removed: rowsOf('removed'), digest: digestOf(rows) }
}

function digestOf(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex')
}

// ---- replace -------------------------------------------------------------------------------------------------------

/** A whole is not listed but counted. Where its rule joins other tables, the keys are written down for the parts. */
async function countWhole({ db, files, plan }: Lake, source: PlanSource, context: SelectContext): Promise<Changes> {
  const rows = `SELECT file, key FROM (${sendableRows(source, context)})`
  const { selection } = files.source(source.name)
  if (hasJoins(source, context.root, context.now)) {
    await files.publish(selection, async (path) => copyParquet(db, rows, path))
  }
  const from = (await isThere(selection)) ? parquetFiles([selection]) : `(${rows})`
  const added = await readCount(db, `SELECT count(*) AS rows FROM ${from}`)
  // The plan over pinned versions is the content. The moment matters only where the rule may look at it.
  const { ledger: _, ...selected } = source
  const digest = digestOf([selected, source.where === null ? '' : plan.now, added])
  return { unchanged: 0, uncertainBefore: 0, added, changed: 0, removed: 0, digest }
}

async function beforeReplace(lake: Lake, source: PlanSource, context: SelectContext): Promise<Before> {
  const { ledger } = source
  if (ledger === null) return { ledgerRows: 0, vanishing: 0, fingerprintsStale: false }
  const before = { ledgerRows: ledger.rows, fingerprintsStale: false }
  if (ledger.kind === 'whole' && selectsTheSame(source, ledger.source)) return { ...before, vanishing: 0 }
  const keys =
    ledger.kind === 'rows'
      ? ledgerRows(lake.files.absolute(ledger.path))
      : `SELECT key FROM (${sendableRows(ledger.source, await wholeContext(lake, ledger))})`
  return { ...before, vanishing: await readCount(lake.db, countVanishing(keys, source, context)) }
}

/** Seen without reading: the same rows of the same version, whatever is delivered of them. */
function selectsTheSame(now: SelectedSource, then: SelectedSource): boolean {
  const selection = (source: SelectedSource): string =>
    canonicalJson([source.table.id, source.table.version, source.consentField, identifierColumns(source)])
  const isPlain = (source: SelectedSource): boolean => source.where === null && !needsMerge(source)
  return isPlain(now) && isPlain(then) && selection(now) === selection(then)
}
