import type { contract } from '@patchbay/contract'
import { authorizeExport } from '../access/reach.ts'
import { Problem } from '../domain/problem.ts'
import type { Schedule } from '../domain/schedule.ts'
import { checkSchedule } from '../domain/schedule-text.ts'
import { pageExports } from '../store/export-list.ts'
import { detachedProblem, editExport, readExport, type ScheduledExport } from '../store/export.ts'
import { readRun } from '../store/run.ts'
import type { Tx } from '../store/schema.ts'
import { listedExportsOf, scheduleOf } from './export-answer.ts'
import type { Call, Handlers } from './handler.ts'
import { cursorOf, pageRequest } from './paging.ts'
import type { HttpPorts } from './ports.ts'
import { refuseRestored } from './refuse-restored.ts'
import { runOf } from './run-answer.ts'

type Many = Pick<Handlers<typeof contract.exports>, 'scheduleMany' | 'runMany' | 'runAll'>

/** So many are started in one transaction; the embedded store does nothing else meanwhile. */
const AT_ONCE = 500

export function makeExportManyHandlers(ports: HttpPorts): Many {
  const start = async (tx: Tx, references: readonly string[], call: Call) => {
    const items = []
    for (const reference of references) {
      const done = await each(tx, reference, call, async (target) => {
        const id = await ports.jobs.startRun(tx, { exportId: target.id, purpose: 'deliver' }, call.by)
        return { run: runOf(await readRun(tx, id)) }
      })
      items.push({ run: null, ...done })
    }
    return items
  }

  return {
    async scheduleMany({ body }, call) {
      const { change } = body
      // A schedule that cannot be is the same mistake for all of them, and none is changed.
      if (change.to === 'this') checkIn('change', () => checkSchedule(change.schedule, call.now))
      return call.change(async (tx) => {
        const items = []
        for (const reference of body.exports) {
          const done = await each(tx, reference, call, async (target) => {
            const schedule = changed(target, change)
            if (schedule === null && target.schedule === null) return {}
            const edited = await editExport(tx, target.id, target.revision, { ...target, schedule }, call.by)
            return { schedule: shown(edited.schedule), nextAt: edited.nextAt?.toISOString() ?? null }
          })
          items.push({ schedule: null, nextAt: null, ...done })
        }
        return { items }
      })
    },

    async runMany({ body }, call) {
      await refuseRestored(ports.system)
      return call.change(async (tx) => ({ items: await start(tx, body.exports, call) }))
    },

    async runAll({ body }, call) {
      await refuseRestored(ports.system)
      return call.change(async (tx) => {
        const query = {
          sort: 'created' as const,
          limit: AT_ONCE,
          ...(body.cursor === undefined ? {} : { cursor: body.cursor }),
        }
        const { items, next } = await pageExports(tx, { schedule: 'on', isAttached: true }, pageRequest(query))
        const listed = await listedExportsOf(tx, items, call.identity)
        const mine = listed.filter(({ yourPermissions }) => yourPermissions === 'edit').map(({ id }) => id)
        return { items: await start(tx, mine, call), next: cursorOf(query.sort, next) }
      })
    },
  }
}

/** What one of them cannot do is said of it; it changes nothing, and the others go on. */
async function each<T extends object>(
  tx: Tx,
  reference: string,
  call: Call,
  work: (target: ScheduledExport) => Promise<T>,
) {
  let found: ScheduledExport | undefined
  const named = () => ({ export: reference, id: found?.id ?? null, name: found?.name ?? null })
  try {
    found = await readExport(tx, reference)
    await authorizeExport(tx, call.identity, found)
    return { ...named(), ...(await work(found)), problem: null }
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    return { ...named(), problem: { code: error.code, detail: error.message, cure: error.cure } }
  }
}

type Change = Parameters<Many['scheduleMany']>[0]['body']['change']

function changed(target: ScheduledExport, change: Change): Schedule | null {
  if (change.to === 'none') return null
  if (change.to === 'this') return change.schedule
  if (change.to === 'on' && target.connectionId === null) throw detachedProblem(target.name)
  if (target.schedule !== null) return { ...target.schedule, on: change.to === 'on' }
  if (change.to === 'off') return null
  throw new Problem('not-ready', `The export "${target.name}" has no schedule to turn on`, {
    cure: 'Give it one first: patchbay export schedule',
  })
}

/** A mistake at its place in this body, which holds what is checked a level deeper. */
function checkIn(place: string, check: () => void): void {
  try {
    check()
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    const { code, message, path, cure } = error
    throw new Problem(code, message, { path: `${place}.${path}`, cure, cause: error })
  }
}

function shown(schedule: Schedule | null) {
  return schedule === null ? null : scheduleOf(schedule)
}
