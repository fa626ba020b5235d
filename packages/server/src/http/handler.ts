import type { Contract, Endpoint, InputOf, OutputOf } from '@patchbay/contract'
import type { Identity } from '../access/identity.ts'
import type { By } from '../store/by.ts'
import type { Tx } from '../store/schema.ts'

/** One request that was let in: who asks, and how a change is made for them. */
export interface Call {
  readonly identity: Identity
  /** The request's own headers, and where it came from: for signing in alone. */
  readonly request: { readonly headers: Headers; readonly address: string; readonly isOperator: boolean }
  /** Goes out with the answer. */
  readonly setCookies: (cookies: readonly string[]) => void
  readonly now: Date
  readonly signal: AbortSignal
  /** From If-Match; undefined where the endpoint has none, or where the request says `*`. */
  readonly revision: number | undefined
  /** What a stream of events was left at, by whoever comes back. */
  readonly lastEventId: string | undefined
  /** Who asks, looked up anew: undefined when they may not do this any more. For answers that go on for long. */
  readonly again: () => Promise<Identity | undefined>
  readonly by: By
  /**
   * Everything in one transaction, together with the memory of the request's Idempotency-Key: the same key again gives
   * what the first gave, and `work` is not called.
   */
  readonly change: <T>(work: (tx: Tx) => Promise<T>) => Promise<T>
}

export type Handler<E extends Endpoint> = (input: InputOf<E>, call: Call) => Promise<OutputOf<E>>

/** A handler for every endpoint of a resource: one that is missing does not compile. */
export type Handlers<R extends Readonly<Record<string, Endpoint>>> = { readonly [N in keyof R]: Handler<R[N]> }
export type AllHandlers<C extends Contract> = { readonly [R in keyof C]: Handlers<C[R]> }
