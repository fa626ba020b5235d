import type { RowAnswer } from '@patchbay/connector-sdk'
import type { Piece } from './outbox-piece.ts'
import type { JournalAnswer, JournalKey, OutboxBatch, RowException } from './ports.ts'

/** A connector broke its contract. Never the service's fault, so it is shown as a bug. */
export class ConnectorBug extends Error {
  override readonly name = 'ConnectorBug'
}

/**
 * What is known of each row of one batch. A row is open until it is answered; `close` decides what the open ones become.
 * Invariant: accepted + exceptions + open = size.
 */
export class BatchOutcome {
  readonly #batch: OutboxBatch
  readonly #open: Set<number>
  readonly #exceptions: RowException[] = []
  #accepted = 0
  #isUntouched = true

  constructor(batch: OutboxBatch) {
    this.#batch = batch
    this.#open = new Set(batch.keys.keys())
  }

  /**
   * Takes the answers to a piece, by key. Gives the rows that the service wants again, with the longest pause it asked for.
   * Rows without an answer stay open. A key that was not asked, or twice, throws; what came before it is kept.
   */
  take(piece: Piece, answers: Iterable<RowAnswer>): { readonly again: number[]; readonly afterSeconds: number } {
    this.touch()
    const waiting = new Map(piece.keys.map((key, position) => [key, piece.indexes[position]]))
    const again: number[] = []
    let afterSeconds = 0
    for (const answer of answers) {
      const index = waiting.get(answer.key)
      if (index === undefined)
        throw new ConnectorBug('The connector answered a row twice, or one that it was not given')
      waiting.delete(answer.key)
      switch (answer.status) {
        case 'accepted':
          this.#open.delete(index)
          this.#accepted += 1
          break
        case 'rejected':
          this.except([index], 'rejected', answer.reason, answer.message)
          break
        case 'retry':
          again.push(index)
          afterSeconds = Math.max(afterSeconds, answer.afterSeconds ?? 0)
          break
        default:
          // An answer of no known kind says nothing: the row stays open and is treated as unanswered.
          answer satisfies never
      }
    }
    return { again, afterSeconds }
  }

  /** Gives rows that are still open an end other than accepted. */
  except(indexes: Iterable<number>, status: RowException['status'], reason: string, message: string): void {
    for (const index of indexes) {
      if (!this.#open.delete(index)) continue
      this.#exceptions.push({ seq: this.#batch.first + index, status, reason, message })
    }
  }

  /** The far end has seen some of it, or may have: what happens later does not take that back. */
  touch(): void {
    this.#isUntouched = false
  }

  /** The far end can have seen none of its rows. */
  get isUntouched(): boolean {
    return this.#isUntouched
  }

  openOf(piece: Piece): number[] {
    return piece.indexes.filter((index) => this.#open.has(index))
  }

  get openRows(): readonly number[] {
    return [...this.#open]
  }

  get exceptions(): readonly RowException[] {
    return this.#exceptions.toSorted((a, b) => a.seq - b.seq)
  }

  /** The journal's words for it. Rows still open here would be lost, so that is refused. */
  answer(key: JournalKey, exceptionsPath: string | null): JournalAnswer {
    if (this.#open.size > 0) throw new Error(`${this.#open.size} rows of a batch have no end`)
    const count = (status: RowException['status']) => this.#exceptions.filter((row) => row.status === status).length
    return {
      ...key,
      accepted: this.#accepted,
      rejected: count('rejected'),
      uncertain: count('uncertain') + count('uncertain-due'),
      exceptionsPath,
    }
  }
}
