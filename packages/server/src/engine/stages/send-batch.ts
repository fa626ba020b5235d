import { BatchRejected, RateLimited, Unavailable, type RowAnswer } from '@patchbay/connector-sdk'
import { ATTEMPTS_MAX, PATIENCE_MS, pauseMs } from '../attempts.ts'
import { backOffMs } from '../back-off.ts'
import { BatchOutcome, ConnectorBug } from '../batch-outcome.ts'
import type { Delivering } from '../delivering.ts'
import { endingOfError, endingOfRefusal, type Ending } from '../ending.ts'
import { pieceOf, wholePiece, type Piece } from '../outbox-piece.ts'
import { Canceled, LeaseLost, ShuttingDown, type JournalKey, type OpenDestination, type OutboxBatch } from '../ports.ts'

type RowsDestination = Extract<OpenDestination, { delivers: 'rows' }>

/** Rounds in which a service may say "not now" of the same row; after that the row is rejected and stays due. */
const ROUNDS_MAX = 5
/** Tries for a half of a batch that the service, alive otherwise, keeps failing on. */
const HALF_ATTEMPTS_MAX = 2
/** A `keyed` destination's memory is trusted for a little less than it promises. */
const KEY_MARGIN_MS = 10 * 60_000

export interface SendBatch {
  readonly run: Delivering
  readonly destination: RowsDestination
  readonly key: JournalKey
  readonly batch: OutboxBatch
  /** When an earlier execution was about to send it and left no answer. */
  readonly intendedBefore: Date | null
  /** Whether this execution has had an answer to anything: what fails then is the batch, not the service. */
  readonly isServiceAlive: () => boolean
}

/** A piece on its way: how often it failed, and whether the far end may have seen it without our knowing. */
interface Try {
  readonly piece: Piece
  readonly round: number
  readonly attemptsMax: number
  failures: number
  ambiguous: boolean
}

/**
 * Sends one batch until each of its rows has an end, or the run must stop. A piece that is refused whole, or that a living
 * service keeps failing on, is cut in halves until the bad rows stand alone. Gives the outcome, in which rows may still be
 * open when there is an `ending`; throws only what is not the destination's doing (lease lost, shutting down, store gone).
 */
export async function sendBatch(
  send: SendBatch,
): Promise<{ readonly outcome: BatchOutcome; readonly ending: Ending | null }> {
  const outcome = new BatchOutcome(send.batch)
  const piece = sendablePiece(send.batch, outcome)
  if (piece === null) return { outcome, ending: null }
  const todo: Try[] = [
    { piece, round: 0, attemptsMax: ATTEMPTS_MAX, failures: 0, ambiguous: send.intendedBefore !== null },
  ]
  if (send.batch.size === 1 && send.batch.sizeBytes > send.destination.limits.bytesPerBatch) {
    outcome.except(
      [0],
      'rejected',
      'too-large',
      `The row is larger than a request may be (${send.destination.limits.bytesPerBatch} bytes)`,
    )
    return { outcome, ending: null }
  }
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    const result = await sendPiece(send, outcome, next).catch((error: unknown) => endIfCanceled(error))
    if (result.ending) {
      closeSilent(send, outcome, [next], result.ending)
      return { outcome, ending: result.ending }
    }
    todo.push(...result.todo.toReversed())
  }
  return { outcome, ending: null }
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
    await run.pace.wait(run.signal)
    const step = stepAfterSilence(send, current)
    if (step === 'uncertain') return leaveUncertain(outcome, current)
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
      return takeAnswers(send, outcome, current, answers)
    } catch (error) {
      const result = await afterError(send, outcome, current, error, run.ports.clock.now().getTime() - start)
      if (result !== 'again') return result
    }
  }
}

/** What may be done with a piece that was perhaps sent before. */
function stepAfterSilence(send: SendBatch, current: Try): 'send' | 'read-back' | 'uncertain' {
  if (!current.ambiguous) return 'send'
  const { repeat } = send.destination
  switch (repeat.kind) {
    case 'harmless':
      return 'send'
    case 'readable':
      return 'read-back'
    case 'blind':
      return 'uncertain'
    case 'keyed': {
      const since = send.intendedBefore
      if (since === null || repeat.forHours === undefined) return 'send'
      const ageMs = send.run.ports.clock.now().getTime() - since.getTime()
      return ageMs < repeat.forHours * 3_600_000 - KEY_MARGIN_MS ? 'send' : 'uncertain'
    }
    default:
      return repeat.kind satisfies never
  }
}

function leaveUncertain(outcome: BatchOutcome, current: Try): PieceResult {
  outcome.except(current.piece.indexes, 'uncertain', 'unanswered', 'Sent, and no answer came')
  return DONE
}

function takeAnswers(send: SendBatch, outcome: BatchOutcome, current: Try, answers: Iterable<RowAnswer>): PieceResult {
  const { again, afterSeconds } = outcome.take(current.piece, answers)
  const wanted = new Set(again)
  const silent = outcome.openOf(current.piece).filter((index) => !wanted.has(index))
  // Silence is never a success. Where a row may not be sent twice it is uncertain, else it is rejected and stays due.
  if (send.destination.repeat.kind === 'blind') {
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
  return { todo: [newTry(pieceOf(send.batch, again, round), round, ATTEMPTS_MAX)], ending: null }
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
    current.ambiguous ||= error.sent === 'maybe'
    if (error.afterSeconds !== undefined) run.pace.pause(Math.min(error.afterSeconds * 1000, PATIENCE_MS))
    if (stepAfterSilence(send, current) === 'uncertain') return 'again'
    if (current.failures < current.attemptsMax) {
      await run.ports.clock.sleep(backOffMs(current.failures, run.ports.random), run.signal)
      return 'again'
    }
    if (error.sent === 'maybe' && send.isServiceAlive()) {
      // Cutting makes new batch ids, which only a destination that does not count on them can take.
      if (send.destination.repeat.kind !== 'harmless') return leaveUncertain(outcome, current)
      return splitOrReject(send, outcome, current, error.message)
    }
  }
  if (error instanceof ConnectorBug || !isExpected(error)) current.ambiguous = true
  return { todo: [], ending: endingOfError(error, run.plan.connectorId) }
}

/** Errors of which it is known that the far end took nothing, or that `ambiguous` has been set for. */
function isExpected(error: unknown): boolean {
  return error instanceof Error && 'code' in error
}

function splitOrReject(send: SendBatch, outcome: BatchOutcome, current: Try, message: string): PieceResult {
  const rows = outcome.openOf(current.piece)
  if (rows.length <= 1) {
    outcome.except(rows, 'rejected', 'other', message)
    return DONE
  }
  const middle = Math.ceil(rows.length / 2)
  const halves = [rows.slice(0, middle), rows.slice(middle)]
  return {
    todo: halves.map((half) => newTry(pieceOf(send.batch, half, current.round), current.round, HALF_ATTEMPTS_MAX)),
    ending: null,
  }
}

function newTry(piece: Piece, round: number, attemptsMax: number): Try {
  return { piece, round, attemptsMax, failures: 0, ambiguous: false }
}

/**
 * The run ends here: rows that the far end may have taken are uncertain, unless sending them again is harmless.
 * A retryable end leaves them open: the same batch is sent again, under the same id, when the run goes on.
 */
function closeSilent(send: SendBatch, outcome: BatchOutcome, tries: readonly Try[], ending: Ending): void {
  if (ending.type === 'failed' && ending.retryable && !send.run.isLastExecution) return
  for (const { piece, ambiguous } of tries) {
    if (ambiguous && send.destination.repeat.kind !== 'harmless') {
      outcome.except(piece.indexes, 'uncertain', 'unanswered', 'Sent, and no answer came')
    }
  }
  outcome.except(outcome.openRows, 'unsent', 'unsent', 'The run ended before this row was sent')
}
