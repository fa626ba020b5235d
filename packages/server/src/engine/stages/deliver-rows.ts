import { Problem } from '../../domain/problem.ts'
import type { PlanSource } from '../../domain/plan.ts'
import { dueSources, journalText, NOTHING_STANDING, type Delivered, type Delivering } from '../delivering.ts'
import { endingOfError, type Ending } from '../ending.ts'
import type { JournalKey, OpenDestination, OutboxBatch } from '../ports.ts'
import { sendBatch, type Jobs } from './send-batch.ts'

type RowsDestination = Extract<OpenDestination, { delivers: 'rows' }>

/** What this execution knows of a batch that the service has taken and not answered yet. */
interface Waiting {
  readonly jobs: Jobs
  readonly intendedAt: Date
}

/**
 * The outbox in order, in batches, at most `batchesInFlight` at once and one where a lost answer would leave a batch
 * uncertain. After an ending no new batch goes out, but those in flight are waited for and what they answered is kept:
 * a row that was delivered and not written down would be delivered again.
 *
 * Where the service answers with jobs, a first pass hands over all batches, so that it works on many, and a second one goes
 * through the outbox again and collects: nothing is held in memory meanwhile but the names of the jobs.
 */
export async function deliverRows(run: Delivering, destination: RowsDestination): Promise<Delivered> {
  const batchesInFlight = run.plan.repeat.kind === 'blind' ? 1 : destination.limits.batchesInFlight
  const waiting = new Map<string, Waiting>()
  let answers = 0
  let ending: Ending | null = null
  // Not the destination's doing: the lease is lost, the worker stops, the store is gone. The run is left to be resumed.
  const broken: unknown[] = []
  const stop = (error: unknown): void => {
    if (error instanceof Problem) ending ??= endingOfError(error, run.plan.connectorId)
    else broken.push(error)
  }

  const pass = async (purpose: 'send' | 'collect'): Promise<void> => {
    const inFlight = new Set<Promise<void>>()
    // Answers on their way to the journal hold no place in flight: a next batch's intent can be written with them.
    const writing = new Set<Promise<void>>()
    // A run that ends still collects what its jobs say now, up to the first that does not.
    let isOver = purpose === 'send' && ending !== null
    const deliverOne = async (source: PlanSource, batch: OutboxBatch): Promise<void> => {
      try {
        const isEnding = () => ending !== null
        const told = { isServiceAlive: () => answers > 0, isEnding, purpose }
        const result = await deliverBatch(run, destination, source, batch, waiting, told)
        if (result.isAnswered) answers += 1
        const written: Promise<void> = result.written
          .catch((error: unknown) => {
            stop(error)
            isOver = true
          })
          .finally(() => writing.delete(written))
        writing.add(written)
        // Not `ending ??= await …`, which looks before it waits, and would forget a sibling's ending.
        ending ??= result.ending
        isOver ||= result.ending !== null
      } catch (error) {
        stop(error)
        isOver = true
      }
    }
    for (const { source, diff, due } of dueSources(run)) {
      if (due === 0 || isOver) continue
      try {
        for await (const batch of run.lake.batches(source, diff, destination.limits, 1)) {
          if (isOver) break
          if (purpose === 'collect' && !waiting.has(journalText(batchKey(source, batch)))) continue
          const task: Promise<void> = deliverOne(source, batch).finally(() => inFlight.delete(task))
          inFlight.add(task)
          if (inFlight.size >= batchesInFlight) await Promise.race(inFlight)
        }
      } catch (error) {
        stop(error)
        isOver = true
      }
    }
    await Promise.all(inFlight)
    await Promise.all(writing)
  }

  await pass('send')
  const goesOnLater = isRetryable(ending) && !run.isLastExecution
  if (waiting.size > 0 && broken.length === 0 && !goesOnLater) await pass('collect')
  if (broken.length > 0) {
    await closeQuietly(destination)
    throw broken[0]
  }
  try {
    await destination.delivery.close(ending === null ? 'finished' : 'abandoned')
  } catch (error) {
    ending ??= endingOfError(error, run.plan.connectorId)
  }
  return { ending, standing: NOTHING_STANDING }
}

interface BatchResult {
  readonly isAnswered: boolean
  readonly ending: Ending | null
  /** Resolves when the answer is in the journal. */
  readonly written: Promise<void>
}
const NOTHING_WRITTEN = Promise.resolve()

/** Sends one batch, or knows from the journal that it is done; its answer is on the way to the journal then. */
async function deliverBatch(
  run: Delivering,
  destination: RowsDestination,
  source: PlanSource,
  batch: OutboxBatch,
  waiting: Map<string, Waiting>,
  told: {
    readonly purpose: 'send' | 'collect'
    readonly isServiceAlive: () => boolean
    readonly isEnding: () => boolean
  },
): Promise<BatchResult> {
  const key = batchKey(source, batch)
  const known = run.journal.get(journalText(key))
  if (known?.state === 'answered') return { isAnswered: true, ending: null, written: NOTHING_WRITTEN }
  const handedOver = waiting.get(journalText(key))
  const jobs = handedOver?.jobs ?? new Map(Object.entries(known?.jobs ?? {}))
  const intendedAt = handedOver?.intendedAt ?? known?.intendedAt ?? run.ports.clock.now()
  const { outcome, ending, isUntouched } = await sendBatch({
    run,
    destination,
    key,
    batch,
    jobs,
    intendedAt,
    wasIntended: known !== undefined,
    ...told,
  })
  if (isUntouched && ending !== null) await run.ports.runs.withdraw(run.lease, key)
  // Either it waits for its job; or the end may pass, and the next execution sends it again under the same id.
  if (outcome.openRows.length > 0) {
    if (ending === null) waiting.set(journalText(key), { jobs, intendedAt })
    return { isAnswered: false, ending, written: NOTHING_WRITTEN }
  }
  if (isUntouched && ending !== null) return { isAnswered: false, ending, written: NOTHING_WRITTEN }
  const path = outcome.exceptions.length === 0 ? null : await run.lake.writeExceptions(source, key, outcome.exceptions)
  const written = run.ports.runs
    .answer(run.lease, outcome.answer(key, path))
    .then(() => run.ports.failpoint('answer-stored'))
  return { isAnswered: true, ending, written }
}

function batchKey(source: PlanSource, batch: OutboxBatch): JournalKey {
  return { source: source.name, kind: 'batch', first: batch.first, last: batch.last }
}

function isRetryable(ending: Ending | null): boolean {
  return ending?.type === 'failed' && ending.retryable
}

/** The execution breaks off anyway; what closing says cannot change that, and the first error must not be hidden by it. */
async function closeQuietly(destination: RowsDestination): Promise<void> {
  await destination.delivery.close('abandoned').catch(() => undefined)
}
