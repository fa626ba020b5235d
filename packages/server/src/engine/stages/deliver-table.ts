import { ConnectorError, Unavailable, type TableDelivery, type TableShape } from '@patchbay/connector-sdk'
import type { PlanSource } from '../../domain/plan.ts'
import { attempt } from '../attempts.ts'
import { dueSources, journalText, NOTHING_STANDING, type Delivered, type Delivering } from '../delivering.ts'
import { endingOfError, endingOfRefusal, type Ending } from '../ending.ts'
import { LeaseLost, ShuttingDown, type JournalKey, type OpenDestination, type SourceDiff } from '../ports.ts'
import { withFailpoints } from './deliver-files.ts'

type TableDestination = Extract<OpenDestination, { delivers: 'table' }>

/** Of a table of a thousand million rows. */
const PARTS_MAX = 1024

/** The permission to go on was refused in the middle of an attempt. */
class Refused extends Error {
  override readonly name = 'Refused'
  readonly ending: Ending
  constructor(ending: Ending) {
    super('The run may not go on')
    this.ending = ending
  }
}

/**
 * Each source is one transaction at the far end, with a marker of the run in it. A broken attempt starts again from its first
 * part; whether a commit without an answer took hold is read from the marker, so nothing is written twice or lost. Where the
 * marker cannot be read to the last, the commit stays intended in the journal, and its rows are told as uncertain.
 */
export async function deliverTable(run: Delivering, destination: TableDestination): Promise<Delivered> {
  for (const { source, diff, due } of dueSources(run)) {
    const key: JournalKey = { source: source.name, kind: 'commit', first: 0, last: 0 }
    const known = run.journal.get(journalText(key))
    if (known?.state === 'answered') continue
    if (due === 0 && run.plan.mode !== 'replace') continue
    let mayBeCommitted = known !== undefined
    try {
      await attempt(async () => {
        const delivery = await destination.openDelivery()
        const marker = `${run.plan.runId}:${source.name}`
        if (mayBeCommitted && (await delivery.isCommitted(marker)) !== undefined) return
        mayBeCommitted = false
        try {
          await loadSource(run, delivery, source, diff, due, marker)
          const permission = await run.ports.runs.intend(run.lease, key)
          if (!permission.go) throw new Refused(endingOfRefusal(permission))
          run.ports.failpoint('intent')
          mayBeCommitted = true
          await delivery.commit()
          run.ports.failpoint('answer-read')
        } catch (error) {
          // An answer that refuses the commit is an answer. Of a broken one only the marker tells, so it is asked first.
          if (isRefusal(error)) mayBeCommitted = false
          if (!(error instanceof Unavailable)) await delivery.abandon()
          throw error
        }
      }, run)
    } catch (error) {
      if (error instanceof LeaseLost || error instanceof ShuttingDown) throw error
      if (!mayBeCommitted) await run.ports.runs.withdraw(run.lease, key)
      const ending = error instanceof Refused ? error.ending : endingOfError(error, run.plan.connectorId)
      return { ending, standing: NOTHING_STANDING }
    }
    await run.ports.runs.answer(run.lease, { ...key, accepted: due, rejected: 0, uncertain: 0, exceptionsPath: null })
    run.ports.failpoint('answer-stored')
  }
  return { ending: null, standing: NOTHING_STANDING }
}

/** The far end said that it did not commit, or nothing reached it. */
function isRefusal(error: unknown): boolean {
  return error instanceof ConnectorError && !(error instanceof Unavailable && error.sent === 'maybe')
}

/** The next part is written while the one before is loaded; a write that fails is told by the load that waits for it. */
async function loadSource(
  run: Delivering,
  delivery: TableDelivery,
  source: PlanSource,
  diff: SourceDiff,
  due: number,
  marker: string,
): Promise<void> {
  await delivery.begin(shapeOf(run, source), marker)
  const of = run.lake.countParts(source, diff, PARTS_MAX)
  const write = (number: number) => run.lake.writePart(source, diff, { number, of }, 'csv-for-load')
  let rows = 0
  let next = write(1)
  for (let number = 1; number <= of; number++) {
    run.signal.throwIfAborted()
    const file = await next
    run.ports.failpoint('part-written')
    if (number < of) {
      next = write(number + 1)
      // Told where it is awaited; without this a failed write during a failed load would end the process.
      next.catch(() => undefined)
    }
    const permission = await run.ports.runs.intend(run.lease, {
      source: source.name,
      kind: 'part',
      first: number,
      last: number,
    })
    if (!permission.go) throw new Refused(endingOfRefusal(permission))
    rows += await delivery.load(withFailpoints(file, run.ports.failpoint))
  }
  if (rows !== due) throw new Error(`The sums do not add up: ${due} changes were due and ${rows} were loaded`)
}

function shapeOf(run: Delivering, source: PlanSource): TableShape {
  const withChange = run.plan.mode === 'upsert' || run.plan.mode === 'mirror'
  const key = source.columns.filter((column) => column.identifier).map((column) => column.to)
  return {
    columns: source.columns.map((column) => ({
      name: column.to,
      type: column.type,
      nullable: !column.identifier,
    })),
    key: withChange ? key : [],
    withChange,
  }
}
