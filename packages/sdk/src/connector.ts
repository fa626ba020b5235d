import type { Auth } from './auth.ts'
import type { Context, MaybePromise } from './context.ts'
import type { Choice, Fields, Values } from './fields.ts'
import type { DeliveredFile, FileDelivery } from './files.ts'
import type { NormalForm } from './normal-form.ts'
import type { AcceptedJob, Batch, RowAnswer } from './rows.ts'
import type { TableDelivery } from './tables.ts'

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
  /** The form in which the service wants it; a value that cannot be brought into it is rejected with its row, and not sent. */
  readonly normal?: NormalForm
  /**
   * The service wants this hashed, as 64 hex digits in lower case; the engine normalises and hashes, connectors never do.
   * What comes as 64 hex digits is taken for hashed already, and passed on.
   */
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
    /** How long a job may take before its rows are counted as unanswered; 6 where nothing is said. */
    readonly hoursPerJob?: number
    /** Least and most members, where the service has such limits; said before saving. */
    readonly rowsMin?: number
    readonly rowsMax?: number
  }
  /** For `keyed`, how long the far end remembers a batch id; later a batch is uncertain. */
  readonly repeat: (destination: Values<D>) => { readonly kind: Repeat; readonly forHours?: number }
  /**
   * Fields that are the same in every account, known without asking: a plan is made without the service, so all that are
   * `normal` or hashed must be here. `targetFields` gives them too, with those of the account.
   */
  readonly fixedFields?: readonly TargetField[]
  /** There are no others: an export that maps to another name is refused when it is saved. */
  readonly onlyFixedFields?: true
  /** The service's own fields; undefined where any name goes. */
  readonly targetFields: (ctx: Context<S>, destination: Values<D>) => MaybePromise<readonly TargetField[] | undefined>
  readonly open: (ctx: Context<S>, destination: Values<D>, mode: Mode) => MaybePromise<RowDelivery>
}

/** One run's writing of rows. `deliver` may run `batchesInFlight` times at once; `close` once, after the last. */
export interface RowDelivery {
  /** The answers to the rows, or the job in which the service works on them: `collect` asks for its answers later. */
  deliver(batch: Batch): Promise<Iterable<RowAnswer> | AcceptedJob>
  /**
   * Required where `deliver` gives jobs: the answers to a batch that was taken as `job`, the same however often it is asked,
   * or `pending` while the service still works on it. Also called on a new delivery, after a restart. Asks once and does not
   * wait: the engine does. `BatchRejected` says that the job as a whole was refused and none of it taken.
   */
  collect?(job: string, batch: Batch): Promise<Iterable<RowAnswer> | 'pending'>
  /** Required for `readable`: the answers for a batch that was sent before, or undefined when the far end never saw it. */
  readBack?(batch: Batch): Promise<Iterable<RowAnswer> | undefined>
  close(outcome: 'finished' | 'abandoned'): Promise<void>
}

export interface FilesDestination<S extends Fields, D extends Fields> extends DestinationBase<S, D> {
  readonly delivers: 'files'
  readonly limits: {
    readonly partsPerTable: number
    readonly partsInFlight: number
    /** For services spoken to by `ctx.fetch`: of all requests together. */
    readonly requestsInFlight?: number
  }
  /**
   * A template of file names that an export chose, below its folder: `{table}`, `{part}`, `{yyyy}`, `{MM}`, `{dd}`, `{HH}`,
   * `{mm}`, `{HHmm}`. Undefined for the engine's own. `layoutFields` are the fields to offer it by, and `layoutOf` reads them.
   */
  readonly layout?: (destination: Values<D>) => string | undefined
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

/** Listed and read, never written. */
export interface SecretStore<S extends Fields> {
  /** Names below a folder (`''` is the root); one that ends in `/` is a folder itself. */
  readonly list: (ctx: Context<S>, folder: string) => MaybePromise<readonly string[]>
  /** The newest version; undefined where there is none, also where it was deleted. */
  readonly read: (ctx: Context<S>, name: string) => MaybePromise<string | undefined>
}

export interface ConnectorDefinition<S extends Fields, D extends Readonly<Record<string, Fields>>> {
  /** Kebab-case, for ever: it is stored with connections. */
  readonly id: string
  readonly name: string
  readonly summary: string
  readonly category: 'files' | 'database' | 'messaging' | 'mail' | 'advertising' | 'crm' | 'key-vault'
  readonly direction: 'export' | 'enrichment' | 'both'
  readonly settings: S
  readonly auth: Auth<S>
  /** Verify: yields each step as it happens, and works before the connection is saved. */
  readonly check: (ctx: Context<S>) => AsyncIterable<CheckStep>
  /** A key vault, whose secrets other connections may name instead of holding one. */
  readonly secrets?: SecretStore<S>
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
