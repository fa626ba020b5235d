/**
 * Starts exports at their slots. A slot's run and the move to the next slot are one transaction, and a slot can have one run
 * only, whatever the clock does and however many schedulers look at once.
 */
import { newestSlot, nextSlots } from '../domain/schedule-slots.ts'
import { readSetting, writeSetting } from '../store/setting.ts'
import { claimDueSchedule, listScheduled, setNextSlot, type DueSchedule } from '../store/schedule.ts'
import type { Store } from '../store/open-store.ts'
import type { Tx } from '../store/schema.ts'
import { enqueueByItself } from './enqueue-run.ts'
import type { Queue } from './queue.ts'

export interface SchedulerOptions {
  readonly store: Store
  readonly queue: Queue
  readonly now: () => Date
  readonly randomBytes: (size: number) => Uint8Array
  readonly onError: (error: unknown) => void
  /** The proof stops the process here: between the slot's run and the move to the next slot. */
  readonly failpoint?: (name: 'next-slot') => void
  readonly everyMs?: number
}

export interface Scheduler {
  /** Does what is due now. */
  tick(): Promise<void>
  stop(): Promise<void>
}

/** A run that starts later than this after its slot was missed, and says so. */
const LATE_MS = 120_000
/** The clock has to go back by more than this before slots are looked at again. */
const BACK_MS = 60_000
const SEEN = 'scheduler.seen'

export function startScheduler(options: SchedulerOptions): Scheduler {
  let timer: NodeJS.Timeout | undefined
  let isStopped = false
  let ticking: Promise<void> = Promise.resolve()
  const tick = (): Promise<void> => (ticking = ticking.catch(() => undefined).then(() => runDueSlots(options)))
  const next = (): void => {
    if (isStopped) return
    timer = setTimeout(() => {
      tick().catch(options.onError).finally(next)
    }, options.everyMs ?? 1000)
  }
  if (options.everyMs !== 0) next()
  return {
    tick,
    stop: async () => {
      isStopped = true
      clearTimeout(timer)
      await ticking.catch(() => undefined)
    },
  }
}

async function runDueSlots(options: SchedulerOptions): Promise<void> {
  const { store, queue, failpoint } = options
  const now = options.now()
  await noticeClockGoingBack(options, now)
  for (let hasQueued = true; hasQueued;) {
    hasQueued = await store.db.transaction().execute(async (tx) => {
      const due = await claimDueSchedule(tx, now)
      if (due === undefined) return false
      await startSlot(tx, options, due, now)
      failpoint?.('next-slot')
      await setNextSlot(tx, due.exportId, nextOf(due, now))
      return true
    })
    if (hasQueued) queue.wake()
  }
}

async function startSlot(tx: Tx, { queue, randomBytes }: SchedulerOptions, due: DueSchedule, now: Date): Promise<void> {
  if (!due.isAttached) return
  // Of several slots that were missed, the newest stands for all.
  const slot = newestSlot(due.schedule, due.nextAt, now)
  const late = now.getTime() - slot.getTime() > LATE_MS
  const startedBy = due.schedule.every.type === 'after-refresh' ? 'refresh' : 'schedule'
  const by = { actor: due.createdBy, now, randomBytes }
  await enqueueByItself(tx, queue, { exportId: due.exportId, startedBy, slot, late }, by)
}

function nextOf(due: DueSchedule, now: Date): Date | null {
  return due.isAttached ? (nextSlots(due.schedule, now, 1)[0] ?? null) : null
}

/**
 * A clock that was ahead has moved every next slot ahead with it. When it comes back, they are worked out anew; those that
 * had their run before are known by their slot and do nothing.
 */
async function noticeClockGoingBack({ store }: SchedulerOptions, now: Date): Promise<void> {
  const seen = await readSetting(store.db, SEEN)
  const seenMs = typeof seen === 'string' ? Date.parse(seen) : Number.NEGATIVE_INFINITY
  const backMs = seenMs - now.getTime()
  if (backMs > BACK_MS) {
    await store.db.transaction().execute(async (tx) => {
      for (const { exportId, schedule, nextAt } of await listScheduled(tx)) {
        const [next] = nextSlots(schedule, now, 1)
        if (next !== undefined && next < nextAt) await setNextSlot(tx, exportId, next)
      }
    })
  }
  // Once a minute is often enough to know the clock by.
  if (backMs > BACK_MS || backMs < -BACK_MS) await writeSetting(store.db, SEEN, now.toISOString(), now)
}
