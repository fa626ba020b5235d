/**
 * Looks at connections in the background: when one was saved, and every hour those in use, few at a time. The store says
 * which is due, so any number of servers share the work.
 */
import type { ConnectionId } from '../domain/ids.ts'
import { claimDueCheck, tellExpiring, type CheckStartedBy } from '../store/connection-health.ts'
import { readSetting, writeSetting } from '../store/setting.ts'
import type { Db } from '../store/schema.ts'
import { repeat, type Repeating } from './repeat.ts'

export interface HealthWatchOptions {
  readonly db: Db
  /** Checks the connection as it is now, and writes down what it found. */
  readonly check: (id: ConnectionId, startedBy: CheckStartedBy, signal: AbortSignal) => Promise<void>
  readonly now: () => Date
  readonly random: () => number
  readonly randomBytes: (size: number) => Uint8Array
  readonly onError: (error: unknown) => void
  readonly everyMs?: number
}

const AT_ONCE = 4
/** So long ahead it is told that a secret or a sign-in ends. */
const EXPIRING_DAYS = 14
const EXPIRY_EVERY_MS = 3_600_000
const TOLD = 'expiry.told'

export function startHealthWatch(options: HealthWatchOptions): Repeating {
  const { now, onError } = options
  const work = async (signal: AbortSignal): Promise<void> => {
    await Promise.all(Array.from({ length: AT_ONCE }, () => checkDue(options, signal)))
    await tellEnding(options, now())
  }
  return repeat(options.everyMs ?? 2000, work, onError)
}

async function checkDue({ db, check, now, random, onError }: HealthWatchOptions, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const due = await db.transaction().execute((tx) => claimDueCheck(tx, now(), random()))
    if (due === undefined) return
    if (due === 'unused') continue
    // One that cannot be checked at all must not keep the others from it.
    await check(due.id, due.startedBy, signal).catch((error: unknown) => {
      if (!signal.aborted) onError(error)
    })
  }
}

async function tellEnding({ db, randomBytes }: HealthWatchOptions, now: Date): Promise<void> {
  const told = await readSetting(db, TOLD)
  if (typeof told === 'string' && now.getTime() - Date.parse(told) < EXPIRY_EVERY_MS) return
  await db.transaction().execute((tx) => tellExpiring(tx, now, EXPIRING_DAYS, randomBytes))
  await writeSetting(db, TOLD, now.toISOString(), now)
}
