/** The rows of a run that were not delivered: in pages, as a file, and by cause. */
import type { contract } from '@patchbay/contract'
import type { RunId } from '../domain/ids.ts'
import { appendAudit } from '../store/audit.ts'
import { readRun } from '../store/run.ts'
import { sourceNames } from './counts-so-far.ts'
import { csvLine } from './csv.ts'
import type { Call, Handlers } from './handler.ts'
import { cursorProblem, makeCursor, readCursor } from './paging.ts'
import type { HttpPorts, LakePort } from './ports.ts'

type Rows = Pick<Handlers<typeof contract.runs>, 'rows' | 'rowsCsv' | 'rowsJsonLines' | 'causes'>
type Which = Parameters<LakePort['readRunRows']>[2]
type Row = Awaited<ReturnType<LakePort['readRunRows']>>[number] & { readonly source: string }

/** Read at once for a file: each page starts a data engine of its own. */
const FILE_PAGE = 20_000
const CAUSES_SHOWN = 100

export function makeRunRowHandlers(ports: HttpPorts): Rows {
  const { db, lake } = ports

  const toFile = async (
    id: RunId,
    which: Which,
    call: Call,
    head: string,
    lineOf: (row: Row) => string,
  ): Promise<ReadableStream<Uint8Array>> => {
    const run = await readRun(db, id)
    await call.change((tx) =>
      appendAudit(tx, {
        at: call.now,
        actor: call.by.actor,
        action: 'run.rows-downloaded',
        subject: run.id,
        detail: { which },
      }),
    )
    return fileOf(lake, run.id, sourceNames(run.diff), which, call.signal, head, lineOf)
  }

  return {
    async rows({ params, query }, { signal }) {
      const run = await readRun(db, params.run)
      const sources = sourceNames(run.diff)
      const place = query.cursor === undefined ? undefined : rowPlaceOf(query.cursor, query.which, sources)
      const items: Row[] = []
      // One more than asked for tells whether there is another page.
      for (const source of sources.slice(place?.index ?? 0)) {
        const after = source === sources[place?.index ?? 0] ? (place?.after ?? 0) : 0
        const page = { after, limit: query.limit + 1 - items.length }
        if (page.limit > 0)
          for (const row of await lake.readRunRows(run.id, source, query.which, page, signal))
            items.push({ source, ...row })
      }
      const last = items[query.limit - 1]
      const isMore = last !== undefined && items.length > query.limit
      return {
        items: items.slice(0, query.limit).map(shown),
        next: isMore ? makeCursor(query.which, last.source, String(last.at)) : null,
      }
    },

    rowsCsv: ({ params, query }, call) =>
      toFile(
        params.run,
        query.which,
        call,
        csvLine(['source', 'key', 'change', 'reason', 'message', 'stands for']),
        ({ source, key, change, reason, message, standsFor }) =>
          csvLine([source, key, change, reason, message, standsFor]),
      ),

    rowsJsonLines: ({ params, query }, call) =>
      toFile(params.run, query.which, call, '', (row) => `${JSON.stringify(shown(row))}\n`),

    async causes({ params, query }, { signal }) {
      const run = await readRun(db, params.run)
      const found: { reason: string; message: string | null; rows: number }[] = []
      for (const source of sourceNames(run.diff))
        for (const group of await lake.groupRunRows(run.id, source, query.which, CAUSES_SHOWN + 1, signal)) {
          const same = found.find(({ reason, message }) => reason === group.reason && message === group.message)
          if (same === undefined) found.push({ ...group })
          else same.rows += group.rows
        }
      const items = found.toSorted((a, b) => b.rows - a.rows)
      return { items: items.slice(0, CAUSES_SHOWN), isMore: items.length > CAUSES_SHOWN }
    },
  }
}

function shown({ source, key, change, reason, message, standsFor }: Row) {
  return { source, key, change, reason, message, standsFor }
}

/** As it is read: the whole of it is never in memory, and nothing is read before somebody takes it. */
function fileOf(
  lake: LakePort,
  runId: RunId,
  sources: readonly string[],
  which: Which,
  signal: AbortSignal,
  head: string,
  lineOf: (row: Row) => string,
): ReadableStream<Uint8Array> {
  const left = new AbortController()
  const either = AbortSignal.any([signal, left.signal])
  const encoder = new TextEncoder()
  const pieces = (async function* (): AsyncGenerator<string> {
    if (head !== '') yield head
    for (const source of sources)
      for (let after = 0; ;) {
        const rows = await lake.readRunRows(runId, source, which, { after, limit: FILE_PAGE }, either)
        if (rows.length > 0) yield rows.map((row) => lineOf({ source, ...row })).join('')
        after = rows.at(-1)?.at ?? after
        if (rows.length < FILE_PAGE) break
      }
  })()
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await pieces.next()
      if (done === true) controller.close()
      else controller.enqueue(encoder.encode(value))
    },
    async cancel() {
      left.abort()
      await pieces.return(undefined)
    },
  })
}

function rowPlaceOf(
  cursor: string,
  which: string,
  sources: readonly string[],
): { readonly index: number; readonly after: number } {
  const [list, source = '', at = ''] = readCursor(cursor, 3)
  const index = sources.indexOf(source)
  if (list !== which || index < 0 || !/^\d{1,15}$/.test(at)) throw cursorProblem()
  return { index, after: Number(at) }
}
