import type { Duplex } from 'node:stream'
import type { Account } from './account.ts'
import type { Fields, Values } from './fields.ts'
import type { OutgoingFile } from './files.ts'

export type MaybePromise<T> = T | Promise<T>

/**
 * Everything a connector may touch. There is no other way to the network, the disk, the clock or the log.
 * Sign-in, rate limit, time-outs, size caps and redaction are the host's; a connector writes no retry and no sleep.
 */
export interface Context<S extends Fields = Fields> {
  readonly settings: Values<S>
  /** Who consented, where the sign-in is `oauth2` and somebody did. */
  readonly account?: Account | undefined
  /**
   * One HTTP request through the one egress door, with the declared sign-in on it. Redirects are not followed.
   * Throws `ConnectionRefused` on 401 and 403, `RateLimited` on 429, `Unavailable` on 5xx and broken sockets;
   * every other status is the connector's to judge.
   */
  readonly fetch: (url: string | URL, init?: FetchInit) => Promise<FetchAnswer>
  /** A connected socket through the same door, for drivers that speak something else. The driver must take it and open none of its own. */
  readonly connect: (address: { readonly host: string; readonly port: number }) => Promise<Duplex>
  /** A folder of this machine, below a root that the operator listed; refused elsewhere. */
  readonly folder: (path: string) => Promise<Folder>
  readonly now: () => Date
  readonly signal: AbortSignal
  /** Ids, counts and codes only: names and values of rows do not belong into a log. */
  readonly log: (message: string, data?: Readonly<Record<string, string | number | boolean>>) => void
}

export interface FetchInit {
  readonly method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** `authorization` only where the connector's sign-in is `signed`, and to its own origins; the host refuses it elsewhere. */
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  /** Statuses that the connector wants to judge itself although the host would throw. */
  readonly accept?: readonly number[]
  /** Where a service repeats every row in its answer: how much of one is read. 1 MiB where nothing is said, at most 8 MiB. */
  readonly answerBytesMax?: number
  /** Where a service works on a request for long before it says a word: how long it may. 30 where nothing is said, at most 120. */
  readonly patienceSeconds?: number
}

/** The answer, read whole (at most 1 MiB unless the request said otherwise; a larger one is `Unavailable`). */
export interface FetchAnswer {
  readonly status: number
  readonly headers: Headers
  text(): string
  /** Throws `Unavailable('maybe')` when the body is not JSON: an unreadable answer is never taken for a success. */
  json(): unknown
}

/** The few things a folder at the far end must be able to do; `folderDelivery` makes a whole delivery of them. */
export interface Folder {
  /** Size of a file, or undefined where there is none. Throws where the name is something else than a plain file. */
  sizeOf(name: string): Promise<number | undefined>
  /** Writes the whole file under `name` (made or overwritten) and gives the size that now stands there, flushed to disk where the far end can. */
  write(name: string, file: OutgoingFile): Promise<number>
  /** Moves a file over another in one step. */
  rename(from: string, to: string): Promise<void>
  /** Removes a file; one that is gone already is no error. */
  remove(name: string): Promise<void>
  /** Makes the folder and those above it, where missing. */
  makeFolder(name: string): Promise<void>
  /** Names of the plain files directly in the folder; none where there is no such folder. `''` is the root. */
  list(name: string): Promise<readonly string[]>
  close(): Promise<void>
}
