/**
 * `LakeSession.batches`: the outbox in order, as bodies. The outbox holds no bodies: they are made from the table's pinned
 * files while earlier ones are on their way, window by window, so that nothing is written twice and memory stays at two
 * windows however long the outbox is.
 */
import { createHash } from 'node:crypto'
import { NORMAL_FORMS, type Change, type RowKey } from '@patchbay/connector-sdk'
import type { DuckDb, DuckDbChunk } from './duckdb.ts'
import { countUnsendable, fileRanges, firstJsonRows, jsonRows, type OutboxWindow } from './plan-sql/rows-sql.ts'
import { sendableRows, type SelectedSource } from './plan-sql/select-sql.ts'
import { writeText } from './session-files.ts'
import { count, readPieces, selectContext, type Lake } from './session-select.ts'
import type { BatchLimits, OutboxBatch, SourceDiff, UnsendableRows } from './session-types.ts'

/** Rows that are sorted at once. A file of the table is read again for each window in it, so not too few. */
const WINDOW_ROWS = 245_760

interface OutboxRow {
  readonly lane: number
  readonly seq: number
  readonly key: string
  readonly json: string
  readonly bytes: number
  readonly unsendable: string
}

export async function* outboxBatches(
  lake: Lake,
  source: SelectedSource,
  diff: SourceDiff,
  limits: BatchLimits,
  from: number,
): AsyncGenerator<OutboxBatch, void, undefined> {
  if (diff.outboxPath === null) throw new TypeError('a whole has no outbox')
  const outbox = lake.files.absolute(diff.outboxPath)
  const windows = (await readWindows(lake.db, outbox)).flatMap((window) =>
    window.last < from ? [] : [{ ...window, first: Math.max(window.first, from) }],
  )
  const statements = windows.map((window) => jsonRows(source, lake.files.root, window))
  const due = diff.added + diff.changed + diff.removed
  const { runId } = lake.plan
  let next = from
  let rows: OutboxRow[] = []
  let bytes = 0
  for await (const chunk of oneAhead(lake.db, statements)) {
    for (const row of rowsOf(chunk)) {
      if (row.seq !== next) throw new Error(`Row ${next} of the outbox is not in its table's files`)
      next += 1
      // A row key stands once in a lane, and so in a batch.
      const isFull = rows.length >= limits.rowsPerBatch || bytes + row.bytes > limits.bytesPerBatch
      if (rows.length > 0 && (isFull || rows.at(-1)?.lane !== row.lane)) {
        yield makeBatch(runId, source, rows, bytes)
        rows = []
        bytes = 0
      }
      rows.push(row)
      bytes += row.bytes
    }
  }
  if (rows.length > 0) yield makeBatch(runId, source, rows, bytes)
  if (next !== due + 1 && from <= due) throw new Error(`The outbox ends at row ${next - 1} of ${due}`)
}

function* rowsOf(chunk: DuckDbChunk): Generator<OutboxRow, void, undefined> {
  const [lanes, seqs, keys, texts, sizes, unsendable] = chunk.columns
  for (let row = 0; row < chunk.rows; row += 1) {
    yield {
      lane: count(lanes?.[row]),
      seq: count(seqs?.[row]),
      key: String(keys?.[row]),
      json: String(texts?.[row]),
      bytes: count(sizes?.[row]),
      unsendable: String(unsendable?.[row]),
    }
  }
}

function makeBatch(runId: string, source: SelectedSource, rows: readonly OutboxRow[], sizeBytes: number): OutboxBatch {
  const first = rows[0]?.seq ?? 0
  const last = first + rows.length - 1
  const json = rows.map((row) => row.json)
  let changes: readonly Change[] | undefined
  return {
    id: batchId(runId, source.name, first, last),
    source: source.name,
    first,
    last,
    size: rows.length,
    sizeBytes,
    keys: rows.map((row) => row.key as RowKey),
    json,
    get changes() {
      changes ??= json.map((text) => JSON.parse(text) as Change)
      return changes
    },
    ...unsendableRows(source, rows),
  }
}

function unsendableRows(source: SelectedSource, rows: readonly OutboxRow[]): Pick<OutboxBatch, 'unsendable'> {
  const found = rows.flatMap((row, index): [number, string][] =>
    row.unsendable === '' ? [] : [[index, whyUnsendable(source, row.unsendable)]],
  )
  return found.length === 0 ? {} : { unsendable: new Map(found) }
}

/** Says which fields, and never what is in them. */
function whyUnsendable({ columns }: SelectedSource, places: string): string {
  const reasons = places
    .trim()
    .split(' ')
    .map((place) => columns[Number(place)])
    .flatMap((column) =>
      column?.normal === undefined
        ? []
        : [`"${column.to}" (from ${column.from}) is not ${NORMAL_FORMS[column.normal]}`],
    )
  return reasons.join(' and ')
}

/** The same for the same rows of the same run, whoever makes it and however often. */
function batchId(runId: string, source: string, first: number, last: number): string {
  return `${runId}-${createHash('sha256').update(source).digest('hex').slice(0, 8)}-${first}-${last}`
}

/** Small stretches of the outbox together, large ones cut, removals apart from rows. */
async function readWindows(db: DuckDb, folder: string): Promise<readonly OutboxWindow[]> {
  const windows: OutboxWindow[] = []
  for (const piece of await readPieces(db, folder)) {
    for (const range of await db.rows(fileRanges(piece))) {
      const last = count(range['last'])
      if (count(range['rows']) !== last - count(range['first']) + 1) throw new Error('The outbox is out of order')
      const file = count(range['file'])
      for (let first = count(range['first']); first <= last; first += WINDOW_ROWS) {
        addWindow(windows, {
          piece,
          first,
          last: Math.min(last, first + WINDOW_ROWS - 1),
          files: file < 0 ? [] : [file],
        })
      }
    }
  }
  return windows
}

function addWindow(windows: OutboxWindow[], window: OutboxWindow): void {
  const before = windows.at(-1)
  const isJoinable =
    before?.piece === window.piece &&
    (before.files.length === 0) === (window.files.length === 0) &&
    window.last - before.first < WINDOW_ROWS
  if (isJoinable) {
    const files = [...new Set([...before.files, ...window.files])]
    windows[windows.length - 1] = { ...before, last: window.last, files }
  } else windows.push(window)
}

/** The results of several statements one after the other, each begun while the one before it is read. */
async function* oneAhead(db: DuckDb, statements: readonly string[]): AsyncGenerator<DuckDbChunk, void, undefined> {
  let ahead = statements[0] === undefined ? undefined : begin(db, statements[0])
  try {
    for (let index = 0; ahead !== undefined; index += 1) {
      const current = ahead
      const following = statements[index + 1]
      let result = await current.first
      ahead = following === undefined ? undefined : begin(db, following)
      while (result.done !== true) {
        yield result.value
        result = await current.chunks.next()
      }
    }
  } finally {
    await ahead?.chunks.return?.()
  }
}

function begin(
  db: DuckDb,
  sql: string,
): { readonly chunks: AsyncIterator<DuckDbChunk>; readonly first: Promise<IteratorResult<DuckDbChunk>> } {
  const chunks = db.stream(sql)[Symbol.asyncIterator]()
  const first = chunks.next()
  // Told where it is awaited; until then nobody waits for it.
  first.catch(() => undefined)
  return { chunks, first }
}

export async function writeSample(lake: Lake, source: SelectedSource, diff: SourceDiff, rows: number): Promise<void> {
  const { db, files } = lake
  let texts: string[]
  if (diff.outboxPath === null) {
    const sendable = sendableRows(source, await selectContext(lake, source))
    const found = await db.rows(firstJsonRows(source, sendable, rows))
    texts = found.map((row) => String(row['json']))
  } else {
    const outbox = files.absolute(diff.outboxPath)
    texts = []
    for (const window of await readWindows(db, outbox)) {
      if (window.first > rows) break
      const found = await db.rows(jsonRows(source, files.root, { ...window, last: Math.min(window.last, rows) }))
      texts.push(...found.map((row) => String(row['json'])))
    }
  }
  await writeText(files, files.source(source.name).sample, `[${texts.map(withoutMarks).join(',\n')}]`)
}

/** For a preview: how many rows would be rejected before they are sent, by the reason. */
export async function countUnsendableRows(
  { db, files }: Lake,
  source: SelectedSource,
  diff: SourceDiff,
): Promise<readonly UnsendableRows[]> {
  if (diff.outboxPath === null || source.columns.every(({ normal }) => normal === undefined)) return []
  const rowsOfWhy = new Map<string, number>()
  for (const window of await readWindows(db, files.absolute(diff.outboxPath))) {
    if (window.files.length === 0) continue
    for (const { unsendable, rows } of await db.rows(countUnsendable(source, files.root, window))) {
      const why = whyUnsendable(source, String(unsendable))
      rowsOfWhy.set(why, (rowsOfWhy.get(why) ?? 0) + count(rows))
    }
  }
  return [...rowsOfWhy]
    .map(([why, rows]) => ({ why, rows }))
    .toSorted((a, b) => b.rows - a.rows || (a.why < b.why ? -1 : 1))
}

/** In a preview, words stand where a value cannot be sent. */
function withoutMarks(json: string): string {
  return json.replaceAll(/"\\u0001[0-9a-f]{64}"/g, '"(cannot be sent: not in the form that the destination asks for)"')
}
