/**
 * What the audit log hears of requests that change nothing: that something was refused, and that values of customers were
 * shown. Of the same from the same in a short while, the first: a log that anybody can fill up at will says nothing.
 */
import type { Endpoint } from '@patchbay/contract'
import { actorOf, type Identity } from '../access/identity.ts'
import { appendAudit } from '../store/audit.ts'
import type { Db } from '../store/schema.ts'

export interface Witness {
  refused(seen: Seen): Promise<void>
  shown(seen: Seen): Promise<void>
}

export interface Seen {
  readonly identity: Identity
  /** Of the endpoint: `runs.rows`. */
  readonly id: string
  readonly endpoint: Endpoint
  readonly params: unknown
}

const QUIET_MS = { refused: 60_000, shown: 600_000 } as const
const KEPT_MAX = 10_000

export function makeWitness(db: Db, now: () => Date): Witness {
  const told = new Map<string, number>()
  const tell = async (what: keyof typeof QUIET_MS, { identity, id, params }: Seen): Promise<void> => {
    const subject = subjectOf(params)
    const actor = actorOf(identity)
    const at = now()
    const key = JSON.stringify([what, actor, id, subject])
    const last = told.get(key)
    if (last !== undefined && at.getTime() - last < QUIET_MS[what]) return
    told.delete(key)
    told.set(key, at.getTime())
    const [oldest] = told.keys()
    if (told.size > KEPT_MAX && oldest !== undefined) told.delete(oldest)
    const action = what === 'refused' ? 'access.refused' : 'rows.shown'
    await db.transaction().execute((tx) => appendAudit(tx, { at, actor, action, subject, detail: { endpoint: id } }))
  }
  return {
    refused: (seen) => tell('refused', seen),
    // The downloads tell of themselves, each time.
    shown: async (seen) => {
      if (seen.endpoint.permission === 'row.read' && seen.endpoint.media === undefined) await tell('shown', seen)
    },
  }
}

/** The thing that the address names; only an id, since everything else in an address can be anybody's words. */
function subjectOf(params: unknown): string {
  const named = Object.values((params ?? {}) as Record<string, unknown>).find(
    (value): value is string => typeof value === 'string' && /^[a-z]{3}_[a-z2-7]{20}$/.test(value),
  )
  return named ?? ''
}
