/** Sends notifications, beside the runs and never in their way: one that cannot be sent waits and is tried again. */
import { claimDelivery, endDelivery, type DueDelivery } from '../store/notification-delivery.ts'
import type { Db } from '../store/schema.ts'
import { repeat, type Repeating } from './repeat.ts'

export interface NotifyWatchOptions {
  readonly db: Db
  /** Whether the reader may still be told of it. Asked now, not when it happened. */
  readonly mayKnow: (delivery: DueDelivery) => Promise<boolean>
  /** Throws what went wrong, in words without anything personal. */
  readonly send: (delivery: DueDelivery, signal: AbortSignal) => Promise<void>
  readonly now: () => Date
  readonly onError: (error: unknown) => void
  readonly everyMs?: number
}

const LENGTH_MAX = 300

export function startNotifyWatch(options: NotifyWatchOptions): Repeating {
  return repeat(options.everyMs ?? 2000, (signal) => sendDue(options, signal), options.onError)
}

async function sendDue({ db, mayKnow, send, now }: NotifyWatchOptions, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const due = await db.transaction().execute((tx) => claimDelivery(tx, now()))
    if (due === undefined) return
    if (!(await mayKnow(due))) {
      await endDelivery(db, due, { ended: 'not-theirs' })
      continue
    }
    try {
      await send(due, signal)
      await endDelivery(db, due, { ended: 'sent' })
    } catch (error) {
      const words = error instanceof Error ? error.message : 'It could not be sent'
      await endDelivery(db, due, { error: words.slice(0, LENGTH_MAX) })
    }
  }
}
