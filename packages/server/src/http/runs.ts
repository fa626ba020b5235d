import { COUNT_NAMES, type contract } from '@patchbay/contract'
import { authorizeExport } from '../access/reach.ts'
import { readExport } from '../store/export.ts'
import { findRunBefore, pageRuns, readRun, type RunDetail, type RunFilter } from '../store/run.ts'
import type { Db } from '../store/schema.ts'
import { sourceNames } from './counts-so-far.ts'
import type { Call, Handlers } from './handler.ts'
import { cursorOf, pageRequest, pick } from './paging.ts'
import type { HttpPorts } from './ports.ts'
import { refuseRestored } from './refuse-restored.ts'
import { runOf, showRun } from './run-answer.ts'
import { followRun } from './run-events.ts'
import { makeRunRowHandlers } from './run-rows.ts'

export function makeRunHandlers(ports: HttpPorts): Handlers<typeof contract.runs> {
  const { db, lake } = ports
  return {
    ...makeRunRowHandlers(ports),

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

    show: ({ params }) => showRun(db, params.run),

    async comparison({ params }) {
      const run = await readRun(db, params.run)
      const before = await findRunBefore(db, run)
      if (before === undefined) return { before: null, change: null, secondsMore: null }
      const change = Object.fromEntries(COUNT_NAMES.map((name) => [name, run.counts[name] - before.counts[name]]))
      const [took, tookBefore] = [secondsOf(run), secondsOf(before)]
      return {
        before: runOf(before),
        change: change as Record<(typeof COUNT_NAMES)[number], number>,
        secondsMore: took === null || tookBefore === null ? null : took - tookBefore,
      }
    },

    async events({ params }, call) {
      // A run that is not there is said before the stream begins.
      const { id } = await readRun(db, params.run)
      return followRun(ports, id, call)
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

function secondsOf({ startedAt, finishedAt }: RunDetail): number | null {
  return startedAt === null || finishedAt === null ? null : (finishedAt.getTime() - startedAt.getTime()) / 1000
}
