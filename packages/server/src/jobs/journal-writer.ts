import type { JournalAnswer, JournalKey, Lease } from '../engine/ports.ts'
import { answer, intend, type IntendOutcome } from '../store/run-journal.ts'
import type { Db, StoredFile } from '../store/schema.ts'

interface WaitingAnswer {
  readonly entry: JournalAnswer
  readonly done: (isWritten: boolean) => void
  readonly failed: (error: unknown) => void
}

/**
 * Writes what the engine says of its batches. Of a run that is under way, each answer makes room for a next batch, whose
 * intent comes at once: the two go in one statement. An answer that no intent follows is written by itself, before anything
 * else is waited for.
 */
export class JournalWriter {
  readonly #db: Db
  readonly #waiting = new WeakMap<Lease, WaitingAnswer[]>()

  constructor(db: Db) {
    this.#db = db
  }

  /** False when the lease is lost. */
  answer(lease: Lease, entry: JournalAnswer): Promise<boolean> {
    return new Promise((done, failed) => {
      const waiting = this.#waiting.get(lease)
      if (waiting !== undefined) {
        waiting.push({ entry, done, failed })
        return
      }
      this.#waiting.set(lease, [{ entry, done, failed }])
      setImmediate(() => void this.#writeAlone(lease))
    })
  }

  /** Undefined when the lease is lost. */
  async intend(
    lease: Lease,
    entry: JournalKey & { readonly file?: StoredFile },
    known: { readonly connectionId: string; readonly revision: number },
  ): Promise<IntendOutcome | undefined> {
    return this.#settling(lease, async (answers) => {
      const outcome = await intend(this.#db, lease, entry, answers, known)
      return { outcome, isWritten: outcome !== undefined }
    })
  }

  async #writeAlone(lease: Lease): Promise<void> {
    if (!this.#waiting.has(lease)) return
    await this.#settling(lease, async (answers) => ({
      outcome: undefined,
      isWritten: await answer(this.#db, lease, answers),
    })).catch(() => undefined)
  }

  /** Takes the answers that wait, and tells each what became of it. */
  async #settling<T>(
    lease: Lease,
    write: (answers: readonly JournalAnswer[]) => Promise<{ readonly outcome: T; readonly isWritten: boolean }>,
  ): Promise<T> {
    const waiting = this.#waiting.get(lease) ?? []
    this.#waiting.delete(lease)
    try {
      const { outcome, isWritten } = await write(waiting.map(({ entry }) => entry))
      for (const { done } of waiting) done(isWritten)
      return outcome
    } catch (error) {
      for (const { failed } of waiting) failed(error)
      throw error
    }
  }
}
