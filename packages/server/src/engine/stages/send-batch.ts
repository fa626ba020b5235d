import { BatchRejected, RateLimited, Unavailable, type RowAnswer } from '@patchbay/connector-sdk'
import { attempt, ATTEMPTS_MAX, PATIENCE_MS, pauseMs } from '../attempts.ts'
import { backOffMs } from '../back-off.ts'
import { BatchOutcome, ConnectorBug } from '../batch-outcome.ts'
import type { Delivering } from '../delivering.ts'
import { endingOfError, endingOfRefusal, type Ending } from '../ending.ts'
import { pieceOf, wholePiece, type Piece } from '../outbox-piece.ts'
import { unansweredStatus } from './close-unanswered.ts'
import { Canceled, LeaseLost, ShuttingDown, type JournalKey, type OpenDestination, type OutboxBatch } from '../ports.ts'

type RowsDestination = Extract<OpenDestination, { delivers: 'rows' }>

/** Rounds in which a service may say "not now" of the same row; after that the row is rejected and stays due. */
const ROUNDS_MAX = 5
/** Tries for a half of a batch that the service, alive otherwise, keeps failing on. */
const HALF_ATTEMPTS_MAX = 2
/** A `keyed` destination's memory is trusted for a little less than it promises. */
const KEY_MARGIN_MS = 10 * 60_000
/** How long a service may work on a job, where its connector says nothing. */
const HOURS_PER_JOB = 6

export interface SendBatch {
  readonly run: Delivering
  readonly destination: RowsDestination
  readonly key: JournalKey
  readonly batch: OutboxBatch
  /** Jobs that the service works on, kept in the journal too. */
  readonly jobs: Jobs
  /** When it was first about to be sent. */
  readonly intendedAt: Date
  /** An earlier execution was about to send it and left no answer. */
  readonly wasIntended: boolean
  /** In the pass that sends, a batch that was taken as a job is left to the pass that collects. */
  readonly purpose: 'send' | 'collect'
  /** Whether this execution has had an answer to anything: what fails then is the batch, not the service. */
  readonly isServiceAlive: () => boolean
  /** Whether the run ends: then a job is asked once and not waited for. */
  readonly isEnding: () => boolean
}

/** By piece id: the job in which the service works on that piece; null where it was cut in halves. */
export type Jobs = Map<string, string | null>

/** A piece on its way: how often it failed, and whether the far end may have seen it without our knowing. */
interface Try {
  readonly piece: Piece
  readonly round: number
  readonly attemptsMax: number
  /** The batch as it comes, of which nothing else was sent yet. */
  readonly isFirst: boolean
  failures: number
  ambiguous: boolean
  /** How often its job was asked and still pending. */
  questions: number
}

export interface SentBatch {
  readonly outcome: BatchOutcome
  readonly ending: Ending | null
  /** The far end can have seen nothing of it. */
  readonly isUntouched: boolean
}

/**
 * Sends one batch until each of its rows has an end, or the run must stop. A piece that is refused whole, or that a living
 * service keeps failing on, is cut in halves until the bad rows stand alone. Gives the outcome, in which rows may still be
 * open when there is an `ending`, or when the whole waits for its job; throws only what is not the destination's doing
 * (lease lost, shutting down, store gone).
 */
export async function sendBatch(send: SendBatch): Promise<SentBatch> {
  const outcome = new BatchOutcome(send.batch)
  const piece = sendablePiece(send.batch, outcome)
  if (piece === null) return { outcome, ending: null, isUntouched: true }
  const first = { ...newTry(send, piece, 0, ATTEMPTS_MAX), isFirst: true }
  const ending = await sendPieces(send, outcome, [first])
  return { outcome, ending, isUntouched: !send.wasIntended && send.jobs.size === 0 && outcome.isUntouched }
}

async function sendPieces(send: SendBatch, outcome: BatchOutcome, todo: Try[]): Promise<Ending | null> {
  if (send.batch.size === 1 && send.batch.sizeBytes > send.destination.limits.bytesPerBatch) {
    outcome.except(
      [0],
      'rejected',
      'too-large',
      `The row is larger than a request may be (${send.destination.limits.bytesPerBatch} bytes)`,
    )
    return null
  }
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    const result = await sendPiece(send, outcome, next).catch((error: unknown) => endIfCanceled(error))
    if (result.ending) {
      closeSilent(send, outcome, [next, ...todo], result.ending)
      return result.ending
    }
    todo.push(...result.todo.toReversed())
  }
  return null
}

/** The batch without the rows that the data engine could not bring into the destination's form: those are rejected here. */
function sendablePiece(batch: OutboxBatch, outcome: BatchOutcome): Piece | null {
  const { unsendable } = batch
  if (unsendable === undefined) return wholePiece(batch)
  for (const [index, why] of unsendable) outcome.except([index], 'rejected', 'invalid-field', why)
  const rest = outcome.openRows
  return rest.length === 0 ? null : pieceOf(batch, rest, 0)
}

interface PieceResult {
  readonly todo: readonly Try[]
  readonly ending: Ending | null
}
const DONE: PieceResult = { todo: [], ending: null }

/** A cancel that comes during a wait ends the run; everything else that is thrown breaks the execution off. */
function endIfCanceled(error: unknown): PieceResult {
  if (!(error instanceof Canceled)) throw error
  return { todo: [], ending: { type: 'canceled', reason: error.message } }
}

async function sendPiece(send: SendBatch, outcome: BatchOutcome, current: Try): Promise<PieceResult> {
  const { run, destination } = send
  const start = run.ports.clock.now().getTime()
  for (;;) {
    const job = send.jobs.get(current.piece.id)
    if (job === null) return cut(send, outcome, current)
    if (job !== undefined) {
      if (send.purpose === 'send' && current.isFirst) return DONE
      const result = await collectPiece(send, outcome, current, job)
      if (result !== 'again') return result
      continue
    }
    await run.pace.wait(run.signal)
    const step = stepAfterSilence(send, current)
    if (step === 'uncertain') return leaveUncertain(send, outcome, current)
    const permission = await run.ports.runs.intend(run.lease, send.key)
    run.ports.failpoint('intent')
    if (!permission.go) return { todo: [], ending: endingOfRefusal(permission) }
    try {
      const answers =
        step === 'read-back'
          ? await destination.delivery.readBack?.(current.piece)
          : await destination.delivery.deliver(current.piece)
      if (answers === undefined) {
        current.ambiguous = false
        continue
      }
      if ('job' in answers) {
        current.ambiguous = true
        await run.ports.runs.keepJob(run.lease, send.key, current.piece.id, answers.job)
        run.ports.failpoint('job-stored')
        send.jobs.set(current.piece.id, answers.job)
        continue
      }
      return takeAnswers(send, outcome, current, answers)
    } catch (error) {
      const result = await afterError(send, outcome, current, error, run.ports.clock.now().getTime() - start)
      if (result !== 'again') return result
    }
  }
}

/** Asks for the answers of a piece that the service has taken as a job, and waits a while where it still works on it. */
async function collectPiece(
  send: SendBatch,
  outcome: BatchOutcome,
  current: Try,
  job: string,
): Promise<PieceResult | 'again'> {
  const { run, destination } = send
  const { delivery } = destination
  current.ambiguous = true
  if (delivery.collect === undefined) {
    const bug = new ConnectorBug('The connector gave a job and has no way to collect it')
    return { todo: [], ending: endingOfError(bug, run.plan.connectorId) }
  }
  const ask = delivery.collect.bind(delivery, job, current.piece)
  try {
    const answers = send.isEnding() ? await ask() : await attempt(ask, run)
    if (answers !== 'pending') return takeAnswers(send, outcome, current, answers)
  } catch (error) {
    if (error instanceof LeaseLost || error instanceof ShuttingDown || error instanceof Canceled) throw error
    if (error instanceof BatchRejected) return splitOrReject(send, outcome, current, error.message)
    return { todo: [], ending: endingOfError(error, run.plan.connectorId) }
  }
  if (send.isEnding()) return leaveUncertain(send, outcome, current)
  const hours = destination.limits.hoursPerJob ?? HOURS_PER_JOB
  const ageMs = run.ports.clock.now().getTime() - send.intendedAt.getTime()
  if (ageMs > hours * 3_600_000) return leaveUncertain(send, outcome, current)
  current.questions += 1
  await run.ports.clock.sleep(backOffMs(current.questions, run.ports.random), run.signal)
  return 'again'
}

/** What may be done with a piece that was perhaps sent before. */
function stepAfterSilence(send: SendBatch, current: Try): 'send' | 'read-back' | 'uncertain' {
  if (!current.ambiguous) return 'send'
  const { repeat } = send.run.plan
  switch (repeat.kind) {
    case 'harmless':
      return 'send'
    case 'readable':
      return 'read-back'
    case 'blind':
      return 'uncertain'
    case 'keyed': {
      if (repeat.forHours === undefined) return 'send'
      const ageMs = send.run.ports.clock.now().getTime() - send.intendedAt.getTime()
      return ageMs < repeat.forHours * 3_600_000 - KEY_MARGIN_MS ? 'send' : 'uncertain'
    }
    default:
      return repeat.kind satisfies never
  }
}

function leaveUncertain(send: SendBatch, outcome: BatchOutcome, current: Try): PieceResult {
  outcome.except(current.piece.indexes, unansweredStatus(send.run), 'unanswered', 'Sent, and no answer came')
  return DONE
}

function takeAnswers(send: SendBatch, outcome: BatchOutcome, current: Try, answers: Iterable<RowAnswer>): PieceResult {
  const { again, afterSeconds } = outcome.take(current.piece, answers)
  const wanted = new Set(again)
  const silent = outcome.openOf(current.piece).filter((index) => !wanted.has(index))
  // Silence is never a success. Where a row may not be sent twice it is uncertain, else it is rejected and stays due.
  if (send.run.plan.repeat.kind === 'blind') {
    outcome.except(silent, 'uncertain', 'unanswered', 'The service did not answer for this row')
  } else {
    outcome.except(silent, 'rejected', 'unanswered', 'The service did not answer for this row')
  }
  if (again.length === 0) return DONE
  if (current.round >= ROUNDS_MAX) {
    outcome.except(again, 'rejected', 'other', `The service asked ${ROUNDS_MAX} times to try this row later`)
    return DONE
  }
  const round = current.round + 1
  const pauseMilliseconds = Math.max(afterSeconds * 1000, backOffMs(round, send.run.ports.random))
  send.run.pace.pause(Math.min(pauseMilliseconds, PATIENCE_MS))
  return { todo: [newTry(send, pieceOf(send.batch, again, round), round, ATTEMPTS_MAX)], ending: null }
}

async function afterError(
  send: SendBatch,
  outcome: BatchOutcome,
  current: Try,
  error: unknown,
  waitedMs: number,
): Promise<PieceResult | 'again'> {
  const { run } = send
  if (error instanceof LeaseLost || error instanceof ShuttingDown) throw error
  if (error instanceof RateLimited && waitedMs < PATIENCE_MS) {
    run.pace.pause(pauseMs(error, current.failures, run.ports.random))
    return 'again'
  }
  if (error instanceof BatchRejected) return splitOrReject(send, outcome, current, error.message)
  if (error instanceof Unavailable) {
    current.failures += 1
    if (error.sent === 'maybe') {
      current.ambiguous = true
      outcome.touch()
    }
    if (error.afterSeconds !== undefined) run.pace.pause(Math.min(error.afterSeconds * 1000, PATIENCE_MS))
    if (stepAfterSilence(send, current) === 'uncertain') return 'again'
    if (current.failures < current.attemptsMax) {
      await run.ports.clock.sleep(backOffMs(current.failures, run.ports.random), run.signal)
      return 'again'
    }
    if (error.sent === 'maybe' && send.isServiceAlive()) {
      // Cutting makes new batch ids, which only a destination that does not count on them can take.
      if (send.run.plan.repeat.kind !== 'harmless') return leaveUncertain(send, outcome, current)
      return splitOrReject(send, outcome, current, error.message)
    }
  }
  if (error instanceof ConnectorBug || !isExpected(error)) {
    current.ambiguous = true
    outcome.touch()
  }
  return { todo: [], ending: endingOfError(error, run.plan.connectorId) }
}

/** Errors of which it is known that the far end took nothing, or that `ambiguous` has been set for. */
function isExpected(error: unknown): boolean {
  return error instanceof Error && 'code' in error
}

async function splitOrReject(
  send: SendBatch,
  outcome: BatchOutcome,
  current: Try,
  message: string,
): Promise<PieceResult> {
  outcome.touch()
  const rows = outcome.openOf(current.piece)
  if (rows.length <= 1) {
    outcome.except(rows, 'rejected', 'other', message)
    return DONE
  }
  // Halves may become jobs: after a restart they are asked for, and the whole is not sent once more.
  if (send.destination.delivery.collect !== undefined) {
    await send.run.ports.runs.keepJob(send.run.lease, send.key, current.piece.id, null)
    send.jobs.set(current.piece.id, null)
  }
  return cut(send, outcome, current)
}

function cut(send: SendBatch, outcome: BatchOutcome, current: Try): PieceResult {
  const rows = outcome.openOf(current.piece)
  const middle = Math.ceil(rows.length / 2)
  const halves = [rows.slice(0, middle), rows.slice(middle)].filter((half) => half.length > 0)
  return {
    todo: halves.map((half) =>
      newTry(send, pieceOf(send.batch, half, current.round), current.round, HALF_ATTEMPTS_MAX),
    ),
    ending: null,
  }
}

/** Whatever an earlier execution may have sent of the batch, it may have sent of this piece. */
function newTry(send: SendBatch, piece: Piece, round: number, attemptsMax: number): Try {
  return { piece, round, attemptsMax, failures: 0, ambiguous: send.wasIntended, questions: 0, isFirst: false }
}

/**
 * The run ends here: rows that the far end may have taken are uncertain. A retryable end leaves them open: the same batch is
 * sent again, under the same id, when the run goes on.
 */
function closeSilent(send: SendBatch, outcome: BatchOutcome, tries: readonly Try[], ending: Ending): void {
  if (ending.type === 'failed' && ending.retryable && !send.run.isLastExecution) return
  for (const current of tries) {
    if (current.ambiguous) leaveUncertain(send, outcome, current)
  }
  outcome.except(outcome.openRows, 'unsent', 'unsent', 'The run ended before this row was sent')
}
