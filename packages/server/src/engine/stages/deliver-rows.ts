import { Problem } from '../../domain/problem.ts'
import {
  answeredEntry,
  dueSources,
  journalText,
  NOTHING_STANDING,
  type Delivered,
  type Delivering,
} from '../delivering.ts'
import { endingOfError, type Ending } from '../ending.ts'
import type { JournalEntry, JournalKey, OpenDestination, OutboxBatch } from '../ports.ts'
import { sendBatch } from './send-batch.ts'
import type { PlanSource } from '../../domain/plan.ts'

type RowsDestination = Extract<OpenDestination, { delivers: 'rows' }>

/**
 * The outbox in order, in batches, at most `batchesInFlight` at once and one where a lost answer would leave a batch
 * uncertain. After an ending no new batch goes out, but those in flight are waited for and what they answered is kept:
 * a row that was delivered and not written down would be delivered again.
 */
export async function deliverRows(run: Delivering, destination: RowsDestination): Promise<Delivered> {
  const answered: JournalEntry[] = []
  const inFlight = new Set<Promise<void>>()
  const batchesInFlight = destination.repeat.kind === 'blind' ? 1 : destination.limits.batchesInFlight
  let ending: Ending | null = null
  // Not the destination's doing: the lease is lost, the worker stops, the store is gone. The run is left to be resumed.
  const broken: unknown[] = []
  const isStopped = () => ending !== null || broken.length > 0
  const stop = (error: unknown): void => {
    if (error instanceof Problem) ending ??= endingOfError(error, run.plan.connectorId)
    else broken.push(error)
  }

  const sendOne = async (source: PlanSource, batch: OutboxBatch): Promise<void> => {
    try {
      // Not `ending ??= await …`, which looks before it waits, and would forget a sibling's ending.
      const result = await deliverBatch(run, destination, source, batch, answered)
      ending ??= result
    } catch (error) {
      stop(error)
    }
  }

  for (const { source, diff, due } of dueSources(run)) {
    if (due === 0 || isStopped()) continue
    try {
      for await (const batch of run.lake.batches(source, diff, destination.limits, 1)) {
        if (isStopped()) break
        const task: Promise<void> = sendOne(source, batch).finally(() => inFlight.delete(task))
        inFlight.add(task)
        if (inFlight.size >= batchesInFlight) await Promise.race(inFlight)
      }
    } catch (error) {
      stop(error)
    }
  }
  await Promise.all(inFlight)
  if (broken.length > 0) {
    await closeQuietly(destination)
    throw broken[0]
  }
  try {
    await destination.delivery.close(ending === null ? 'finished' : 'abandoned')
  } catch (error) {
    ending ??= endingOfError(error, run.plan.connectorId)
  }
  return { answered, ending, standing: NOTHING_STANDING }
}

/** Sends one batch, or knows from the journal that it is done; writes the answer down before it counts. */
async function deliverBatch(
  run: Delivering,
  destination: RowsDestination,
  source: PlanSource,
  batch: OutboxBatch,
  answered: JournalEntry[],
): Promise<Ending | null> {
  const key: JournalKey = { source: source.name, kind: 'batch', first: batch.first, last: batch.last }
  const known = run.journal.get(journalText(key))
  if (known?.state === 'answered') {
    answered.push(known)
    return null
  }
  const { outcome, ending } = await sendBatch({
    run,
    destination,
    key,
    batch,
    intendedBefore: known?.intendedAt ?? null,
    isServiceAlive: () => answered.length > 0,
  })
  // A retryable ending leaves rows open: the batch stays `intended`, and the next execution sends it again under the same id.
  if (outcome.openRows.length > 0) return ending
  // Nothing of it was sent, so there is nothing to remember.
  if (
    ending !== null &&
    outcome.exceptions.every((row) => row.status === 'unsent') &&
    outcome.exceptions.length === batch.size
  )
    return ending
  const path = outcome.exceptions.length === 0 ? null : await run.lake.writeExceptions(source, key, outcome.exceptions)
  const answer = outcome.answer(key, path)
  await run.ports.runs.answer(run.lease, answer)
  answered.push(answeredEntry(answer, known?.intendedAt ?? run.ports.clock.now()))
  run.ports.failpoint('answer-stored')
  return ending
}

/** The execution breaks off anyway; what closing says cannot change that, and the first error must not be hidden by it. */
async function closeQuietly(destination: RowsDestination): Promise<void> {
  await destination.delivery.close('abandoned').catch(() => undefined)
}
