import type { Duplex } from 'node:stream'
import type { Choice, Fields, Secret, Values } from './fields.ts'
import type { DeliveredFile, FileDelivery, OutgoingFile } from './files.ts'
import type { Batch, RowAnswer } from './rows.ts'
import type { TableDelivery } from './tables.ts'

export type MaybePromise<T> = T | Promise<T>

/**
 * Everything a connector may touch. There is no other way to the network, the disk, the clock or the log.
 * Sign-in, rate limit, time-outs, size caps and redaction are the host's; a connector writes no retry and no sleep.
 */
export interface Context<S extends Fields = Fields> {
  readonly settings: Values<S>
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
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  /** Statuses that the connector wants to judge itself although the host would throw. */
  readonly accept?: readonly number[]
}

/** The answer, read whole (at most 1 MiB; a larger one is `Unavailable`). */
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

/**
 * How a connection signs in. The host puts it on each request to the connection's own origin and on no other:
 * what `origin` gives, or else the origin of the one endpoint field that holds a web address.
 */
export type Auth<S extends Fields> =
  | { readonly type: 'none' }
  /** The headers carry the stored secrets. */
  | {
      readonly type: 'header'
      readonly headers: (settings: Values<S>) => Readonly<Record<string, string>>
      readonly origin?: (settings: Values<S>) => string
    }
  | {
      readonly type: 'basic'
      readonly credentials: (settings: Values<S>) => { readonly user: string; readonly password: Secret }
      readonly origin?: (settings: Values<S>) => string
    }

/** One step of Verify, in the order in which they happen. The first that is not ok is the last. */
export type CheckStep =
  | {
      readonly step: 'resolved' | 'reached' | 'trusted' | 'signed-in' | 'may-write'
      readonly ok: true
      readonly detail?: string
    }
  | {
      readonly step: 'resolved' | 'reached' | 'trusted' | 'signed-in' | 'may-write'
      readonly ok: false
      /** The field of the set-up pane to mend. */
      readonly field?: string
      readonly message: string
      /** Proposes a value for a pin field that nobody has trusted yet. */
      readonly pin?: { readonly field: string; readonly value: string }
    }

export type Mode = 'append' | 'upsert' | 'mirror' | 'replace'

/**
 * What sending the same batch twice does, and so what may be done with one that was sent and not answered:
 * `harmless` (the same rows again change nothing) and `keyed` (the far end drops a repeated batch id) are sent again;
 * `readable` is asked first; `blind` is counted as uncertain.
 */
export type Repeat = 'harmless' | 'keyed' | 'readable' | 'blind'

export interface TargetField {
  readonly name: string
  readonly label: string
  readonly type: 'text' | 'number' | 'boolean' | 'date' | 'email' | 'phone'
  readonly required?: boolean
  /** May identify a person at the destination; a mapping needs at least one. */
  readonly identifier?: boolean
  /** The service wants this hashed; the engine normalises and hashes, connectors never do. */
  readonly hash?: 'sha256'
  /** Other names by which source fields are guessed. */
  readonly guesses?: readonly string[]
}

interface DestinationBase<S extends Fields, D extends Fields> {
  readonly name: string
  readonly modes: readonly Mode[]
  /** The fields that an export adds on top of the connection: which list, which folder, which table. */
  readonly fields: D
  /** What happens to rows that leave, in words for the export pane. */
  readonly removal: string
  readonly lookups?: Readonly<
    Record<string, (ctx: Context<S>, search: string, chosen: Partial<Values<D>>) => MaybePromise<readonly Choice[]>>
  >
}

export interface RowsDestination<S extends Fields, D extends Fields> extends DestinationBase<S, D> {
  readonly delivers: 'rows'
  readonly limits: {
    readonly rowsPerBatch: number
    /** Of the JSON texts together; a row larger than this is rejected as too-large without being sent. */
    readonly bytesPerBatch: number
    readonly batchesInFlight: number
    readonly requestsPerSecond?: number
    /** Least and most members, where the service has such limits; said before saving. */
    readonly rowsMin?: number
    readonly rowsMax?: number
  }
  /** For `keyed`, how long the far end remembers a batch id; later a batch is uncertain. */
  readonly repeat: (destination: Values<D>) => { readonly kind: Repeat; readonly forHours?: number }
  /** The service's own fields; undefined where any name goes. */
  readonly targetFields: (ctx: Context<S>, destination: Values<D>) => MaybePromise<readonly TargetField[] | undefined>
  readonly open: (ctx: Context<S>, destination: Values<D>, mode: Mode) => MaybePromise<RowDelivery>
}

/** One run's writing of rows. `deliver` may run `batchesInFlight` times at once; `close` once, after the last. */
export interface RowDelivery {
  deliver(batch: Batch): Promise<Iterable<RowAnswer>>
  /** Required for `readable`: the answers for a batch that was sent before, or undefined when the far end never saw it. */
  readBack?(batch: Batch): Promise<Iterable<RowAnswer> | undefined>
  close(outcome: 'finished' | 'abandoned'): Promise<void>
}

export interface FilesDestination<S extends Fields, D extends Fields> extends DestinationBase<S, D> {
  readonly delivers: 'files'
  readonly limits: { readonly partsPerTable: number; readonly partsInFlight: number }
  /** `delivered` are the files of this export's earlier runs: the only ones that may be overwritten or removed. */
  readonly open: (
    ctx: Context<S>,
    destination: Values<D>,
    run: { readonly runId: string; readonly delivered: readonly DeliveredFile[] },
  ) => MaybePromise<FileDelivery>
}

export interface TableDestination<S extends Fields, D extends Fields> extends DestinationBase<S, D> {
  readonly delivers: 'table'
  readonly open: (ctx: Context<S>, destination: Values<D>, mode: Mode) => MaybePromise<TableDelivery>
}

export type Destination<S extends Fields = Fields, D extends Fields = Fields> =
  RowsDestination<S, D> | FilesDestination<S, D> | TableDestination<S, D>

export interface ConnectorDefinition<S extends Fields, D extends Readonly<Record<string, Fields>>> {
  /** Kebab-case, for ever: it is stored with connections. */
  readonly id: string
  readonly name: string
  readonly summary: string
  readonly category: 'files' | 'database' | 'messaging' | 'mail' | 'advertising' | 'crm'
  readonly direction: 'export' | 'enrichment' | 'both'
  readonly settings: S
  readonly auth: Auth<S>
  /** Verify: yields each step as it happens, and works before the connection is saved. */
  readonly check: (ctx: Context<S>) => AsyncIterable<CheckStep>
  readonly destinations: { readonly [K in keyof D]: Destination<S, D[K]> }
}

/** The same with its types erased: what the registry, Discover and the engine hold. */
export type Connector = ConnectorDefinition<Fields, Readonly<Record<string, Fields>>>

/** Gives a connector the types of its own fields where it is written, and erases them for everybody else. */
export function defineConnector<const S extends Fields, const D extends Readonly<Record<string, Fields>>>(
  definition: ConnectorDefinition<S, D>,
): Connector {
  return definition as unknown as Connector
}
