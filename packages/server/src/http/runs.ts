import type { contract } from '@patchbay/contract'
import { authorizeExport } from '../access/reach.ts'
import { readExport } from '../store/export.ts'
import { pageRuns, readRun, type RunDetail, type RunFilter } from '../store/run.ts'
import type { Db } from '../store/schema.ts'
import { readProgress } from '../store/run-journal.ts'
import { countsSoFar, sourceNames } from './counts-so-far.ts'
import type { Call, Handlers } from './handler.ts'
import { cursorOf, cursorProblem, makeCursor, pageRequest, pick, readCursor } from './paging.ts'
import type { HttpPorts } from './ports.ts'
import { refuseRestored } from './refuse-restored.ts'

export function makeRunHandlers(ports: HttpPorts): Handlers<typeof contract.runs> {
  const { db, lake } = ports
  return {
    async list({ query }) {
      const filter: RunFilter = {
        ...pick(query, ['search', 'status', 'startedBy', 'purpose']),
        ...(query.export === undefined ? {} : { exportId: (await readExport(db, query.export)).id }),
        ...(query.since === undefined ? {} : { since: new Date(query.since) }),
        ...(query.until === undefined ? {} : { until: new Date(query.until) }),
      }
      const { items, next } = await pageRuns(db, filter, pageRequest(query))
      return { items: items.map(runOf), next: cursorOf(query.sort, next) }
    },

    async show({ params }) {
      const run = await readRun(db, params.run)
      const isGoingOn = run.status === 'running' || run.status === 'held'
      const counts = isGoingOn ? countsSoFar(run.diff, await readProgress(db, run.id)) : run.counts
      return runOf({ ...run, counts })
    },

    async rows({ params, query }, { signal }) {
      const run = await readRun(db, params.run)
      const sources = sourceNames(run.diff)
      const place = query.cursor === undefined ? undefined : rowPlaceOf(query.cursor, query.which, sources)
      const items: (Awaited<ReturnType<typeof lake.readRunRows>>[number] & { readonly source: string })[] = []
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
        items: items.slice(0, query.limit).map(({ at: _at, ...row }) => row),
        next: isMore ? makeCursor(query.which, last.source, String(last.at)) : null,
      }
    },

    async sample({ params, query }) {
      const run = await readRun(db, params.run)
      const items: { source: string; row: Record<string, unknown> }[] = []
      for (const source of sourceNames(run.diff)) {
        const rows = (await lake.readSample(run.id, source)) ?? []
        items.push(...rows.slice(0, query.limit).map((row) => ({ source, row: { ...(row as object) } })))
      }
      return { items }
    },

    async cancel({ params }, call) {
      return call.change(async (tx) => {
        const { id } = await reach(tx, params.run, call)
        await ports.jobs.cancelRun(tx, id, call.by)
        return runOf(await readRun(tx, id))
      })
    },

    async approve({ params, body }, call) {
      await refuseRestored(ports.system)
      return call.change(async (tx) => {
        const { id } = await reach(tx, params.run, call)
        await ports.jobs.approveRun(tx, id, body.outboxDigest, call.by)
        return runOf(await readRun(tx, id))
      })
    },

    async retry({ params, body }, call) {
      await refuseRestored(ports.system)
      return call.change(async (tx) => {
        const { id } = await reach(tx, params.run, call)
        return runOf(await readRun(tx, await ports.jobs.retryRun(tx, id, body.include, call.by)))
      })
    },
  }
}

/** Who may make a run do something is who may make its export do something. */
async function reach(db: Db, id: string, { identity }: Call): Promise<RunDetail> {
  const run = await readRun(db, id)
  await authorizeExport(db, identity, await readExport(db, run.exportId))
  return run
}

export function runOf(run: Omit<RunDetail, 'diff'>) {
  return {
    id: run.id,
    exportId: run.exportId,
    exportName: run.exportName,
    purpose: run.purpose,
    status: run.status,
    stage: run.stage,
    stages: run.stages.map(({ stage, at }) => ({ stage, at: new Date(at).toISOString() })),
    startedBy: run.startedBy,
    actor: run.actor,
    counts: { ...run.counts },
    reason: run.reason,
    outboxDigest: run.outboxDigest,
    late: run.late,
    slot: textOf(run.slot),
    attempts: run.attempts,
    dueAt: run.dueAt.toISOString(),
    cancelRequestedAt: textOf(run.cancelRequestedAt),
    approvedBy: run.approvedBy,
    approvedAt: textOf(run.approvedAt),
    retryOf: run.retryOf,
    createdAt: run.createdAt.toISOString(),
    startedAt: textOf(run.startedAt),
    finishedAt: textOf(run.finishedAt),
  }
}

function textOf(date: Date | null): string | null {
  return date?.toISOString() ?? null
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
