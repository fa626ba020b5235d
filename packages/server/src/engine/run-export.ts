import { holdReason } from '../domain/guard.ts'
import { Problem } from '../domain/problem.ts'
import { NO_COUNTS, addCounts } from '../domain/run.ts'
import { Pace } from './back-off.ts'
import { journalText, NOTHING_STANDING, type Delivered, type Delivering } from './delivering.ts'
import { endingOfError } from './ending.ts'
import {
  Canceled,
  type Clock,
  LeaseLost,
  ShuttingDown,
  type EnginePorts,
  type LakeSession,
  type Lease,
  type RunDiff,
  type RunOutcome,
  type RunState,
  type UnsendableRows,
} from './ports.ts'
import type { Plan } from '../domain/plan.ts'
import { createHash } from 'node:crypto'
import { deliverFiles } from './stages/deliver-files.ts'
import { deliverRows } from './stages/deliver-rows.ts'
import { deliverTable } from './stages/deliver-table.ts'
import { countsOf, settle } from './stages/settle.ts'

/** How long batches in flight may take to be answered after the run was told to stop. */
const GRACE_MS = 30_000
const SAMPLE_ROWS = 100

/**
 * Carries one run through its stages: plan → select → diff → guard → deliver → settle. What an earlier, broken-off execution
 * of the same run has reached (plan, difference, answered batches) is taken from the store and not done again.
 *
 * Gives the status that the run now has. Throws `LeaseLost` and `ShuttingDown`, and what the store or the disk throws: then
 * nothing was settled, and the next execution goes on from the journal. `isLastExecution` settles a failure that could
 * have been tried again.
 */
export async function runExport(
  lease: Lease,
  ports: EnginePorts,
  signal: AbortSignal,
  isLastExecution = false,
): Promise<RunOutcome> {
  ports.failpoint('lease')
  const planned = await planRun(lease, await ports.runs.load(lease), ports, isLastExecution)
  if ('outcome' in planned) return planned.outcome
  const { plan } = planned
  // Once more: which files of earlier runs stand at the destination is known only when the plan names the destination.
  const state = await ports.runs.load(lease)
  const over = new AbortController()
  const hardStop = graceAfter(ports.clock, signal, over.signal)
  const lake = await ports.lake.open(plan, hardStop)
  try {
    const diff = state.diff ?? (await diffSources(lease, plan, lake, ports).catch(asProblem))
    if (diff instanceof Problem) return await endEarly(lease, ports, diff, isLastExecution)
    if (state.purpose === 'preview') return await finishPreview(lease, plan, diff, lake, ports)

    await ports.runs.setStage(lease, 'guard')
    const held = holdReason(diff.sources, plan.guard, plan.mode, plan.rowsPerRunMax)
    if (held !== null && state.approvedDigest !== diff.digest) {
      await ports.runs.hold(lease, held)
      return { status: 'held', reason: held, retryable: false }
    }

    const run: Delivering = {
      lease,
      plan,
      diff,
      state,
      journal: new Map(state.journal.map((entry) => [journalText(entry), entry])),
      lake,
      ports,
      pace: new Pace(ports.clock),
      signal,
      isLastExecution,
    }
    await ports.runs.setStage(lease, 'deliver')
    const delivered = await deliver(run, hardStop)
    if (delivered.ending?.type === 'failed' && delivered.ending.retryable && !isLastExecution) {
      return { status: 'failed-retrying', reason: delivered.ending.reason, retryable: true }
    }
    await ports.runs.setStage(lease, 'settle')
    return await settle(run, delivered)
  } finally {
    over.abort(new Error('The execution is over'))
    await lake.close()
  }
}

/** Freezes the plan, or ends the run before anything is sent, naming what is missing. */
async function planRun(
  lease: Lease,
  state: RunState,
  ports: EnginePorts,
  isLastExecution: boolean,
): Promise<{ readonly plan: Plan } | { readonly outcome: RunOutcome }> {
  if (state.plan !== null) return { plan: state.plan }
  await ports.runs.setStage(lease, 'plan')
  try {
    const plan = await ports.runs.makePlan(lease)
    await ports.runs.savePlan(lease, plan)
    ports.failpoint('snapshot')
    return { plan }
  } catch (error) {
    if (error instanceof Canceled) return { outcome: await endEarly(lease, ports, error, isLastExecution) }
    return { outcome: await endEarly(lease, ports, asProblem(error), isLastExecution) }
  }
}

/** Whatever is no `Problem` is thrown on: it says nothing that a person could act on. */
function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error
  throw error
}

/** Nothing was sent, and the run says why and what to do. What may pass by itself is tried again. */
async function endEarly(
  lease: Lease,
  ports: EnginePorts,
  problem: Problem | Canceled,
  isLastExecution: boolean,
): Promise<RunOutcome> {
  const ending = endingOfError(problem, '')
  if (ending.type === 'failed' && ending.retryable && !isLastExecution) {
    return { status: 'failed-retrying', reason: ending.reason, retryable: true }
  }
  const end = { status: ending.type, reason: ending.reason, counts: NO_COUNTS, ledgers: {} } as const
  await ports.runs.settle(lease, { ...end, standing: NOTHING_STANDING })
  return { status: ending.type, reason: ending.reason, retryable: false }
}

async function diffSources(lease: Lease, plan: Plan, lake: LakeSession, ports: EnginePorts): Promise<RunDiff> {
  await ports.runs.setStage(lease, 'diff')
  const sources = []
  for (const source of plan.sources) {
    sources.push(await lake.diff(source))
    ports.failpoint('diff')
  }
  const digest = createHash('sha256')
  for (const { source, digest: text } of sources) digest.update(`${source}\0${text}\0`)
  const diff: RunDiff = { sources, digest: digest.digest('hex') }
  await ports.runs.saveDiff(lease, diff)
  ports.failpoint('outbox')
  return diff
}

async function finishPreview(
  lease: Lease,
  plan: Plan,
  diff: RunDiff,
  lake: LakeSession,
  ports: EnginePorts,
): Promise<RunOutcome> {
  let counts = NO_COUNTS
  const unsendable: UnsendableRows[] = []
  for (const source of plan.sources) {
    const sourceDiff = diff.sources.find((candidate) => candidate.source === source.name)
    if (sourceDiff === undefined) throw new Error('The plan has a source without a difference')
    await lake.writeSample(source, sourceDiff, SAMPLE_ROWS)
    unsendable.push(...(await lake.countUnsendable(source, sourceDiff)))
    counts = addCounts(counts, countsOf(sourceDiff, []))
  }
  const held = holdReason(diff.sources, plan.guard, plan.mode, plan.rowsPerRunMax)
  const reasons = [held, rejectReason(unsendable)].filter((part) => part !== null)
  const reason = reasons.length === 0 ? null : reasons.join('. ')
  const end = { status: 'successful', reason, counts, ledgers: {} } as const
  await ports.runs.settle(lease, { ...end, standing: NOTHING_STANDING })
  return { status: 'successful', reason, retryable: false }
}

const REASONS_SHOWN = 5

/** What a run would reject by itself, before anything is sent. */
function rejectReason(unsendable: readonly UnsendableRows[]): string | null {
  if (unsendable.length === 0) return null
  const rows = unsendable.reduce((sum, one) => sum + one.rows, 0)
  const shown = unsendable.slice(0, REASONS_SHOWN).map((one) => `${one.rows}: ${one.why}`)
  if (unsendable.length > shown.length) shown.push('…')
  return `${rows} of these rows would be rejected and not sent (${shown.join('; ')})`
}

/** Opens the destination and delivers in its own way. */
async function deliver(run: Delivering, hardStop: AbortSignal): Promise<Delivered> {
  try {
    run.signal.throwIfAborted()
    const destination = await run.ports.destinations.open(run.plan, run.state, hardStop)
    try {
      switch (destination.delivers) {
        case 'rows':
          return await deliverRows(run, destination)
        case 'files':
          return await deliverFiles(run, destination)
        case 'table':
          return await deliverTable(run, destination)
        default:
          return destination satisfies never
      }
    } finally {
      await destination.close()
    }
  } catch (error) {
    if (error instanceof LeaseLost || error instanceof ShuttingDown) throw error
    const ending = endingOfError(error, run.plan.connectorId)
    return { ending, standing: NOTHING_STANDING }
  }
}

/**
 * A signal for requests on their way and for the data engine: aborted some time after the run's, so that a batch that was
 * sent can still be answered, and what was accepted be settled.
 */
function graceAfter(clock: Clock, signal: AbortSignal, over: AbortSignal): AbortSignal {
  const hard = new AbortController()
  const stop = (): void => {
    clock.sleep(GRACE_MS, over).then(
      () => hard.abort(signal.reason),
      () => undefined,
    )
  }
  if (signal.aborted) stop()
  else signal.addEventListener('abort', stop, { once: true, signal: over })
  return hard.signal
}
