import type {
  Batch,
  DeliveredFile,
  FileDelivery,
  Mode,
  OutgoingFile,
  RowDelivery,
  TableDelivery,
} from '@patchbay/connector-sdk'
import type { FileFormat } from '../domain/export.ts'
import type { RunId } from '../domain/ids.ts'
import type { LedgerRef, Plan, PlanSource } from '../domain/plan.ts'
import type { RunCounts, RunStatus, Stage } from '../domain/run.ts'

/** What the engine needs from outside, named by use. Implemented in `lake`, `store`, `connector-host`; put together in `main`. */
export interface EnginePorts {
  readonly runs: RunPort
  readonly lake: LakePort
  readonly destinations: DestinationPort
  readonly clock: Clock
  /** A number in [0, 1), for jitter. */
  readonly random: () => number
  /** The proof stops the process here; does nothing otherwise. */
  readonly failpoint: (name: Failpoint) => void
}

export type Failpoint =
  | 'claim'
  | 'lease'
  | 'snapshot'
  | 'diff'
  | 'outbox'
  | 'intent'
  | 'request-half'
  | 'request-sent'
  | 'answer-read'
  | 'job-stored'
  | 'answer-stored'
  | 'part-written'
  | 'renamed'
  | 'settle'
  | 'next-slot'

export interface Clock {
  now(): Date
  /** Ends early, by throwing the signal's reason, when the signal aborts. */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>
}

// ---- control store -------------------------------------------------------------------------------------------------

/** Thrown by every write of a run whose lease another worker has taken over: the engine stops at once and writes nothing more. */
export class LeaseLost extends Error {
  override readonly name = 'LeaseLost'
}

/**
 * The reasons with which the worker aborts a run's signal. `Canceled` ends the run (what was accepted is settled);
 * `ShuttingDown` leaves it as it is, to be resumed by the next worker. Batches in flight are given time to be answered.
 */
export class Canceled extends Error {
  override readonly name = 'Canceled'
}
export class ShuttingDown extends Error {
  override readonly name = 'ShuttingDown'
}

/** What became of one execution. A `retryable` failure is not settled: the same run goes on later, with its journal. */
export interface RunOutcome {
  readonly status: RunStatus
  readonly reason: string | null
  readonly retryable: boolean
}

/** One run under one lease. Each write is refused with `LeaseLost` when the epoch is not the newest. */
export interface RunPort {
  /** Takes what the run knows so far; an earlier, broken-off execution may have left a plan, a diff and a journal. */
  load(lease: Lease): Promise<RunState>
  /** Resolves export, connection, policy, table versions and rights of the owner; throws `Problem` where one of them is missing. */
  makePlan(lease: Lease): Promise<Plan>
  savePlan(lease: Lease, plan: Plan): Promise<void>
  saveDiff(lease: Lease, diff: RunDiff): Promise<void>
  setStage(lease: Lease, stage: Stage): Promise<void>
  /**
   * Writes down that a batch, a part or a commit is about to be sent. In the same statement it reads whether the run may go on:
   * lease, cancel request, the owner's rights, the connection. `go` is needed before every send.
   */
  intend(lease: Lease, entry: JournalKey & { readonly file?: DeliveredFile }): Promise<Permission>
  answer(lease: Lease, entry: JournalAnswer): Promise<void>
  /** Takes back an intent of which nothing was sent: what stays intended counts as perhaps sent. */
  withdraw(lease: Lease, key: JournalKey): Promise<void>
  /** Writes down the job in which the service works on a piece of an intended batch; null where the piece was cut in halves. */
  keepJob(lease: Lease, key: JournalKey, pieceId: string, job: string | null): Promise<void>
  hold(lease: Lease, reason: string): Promise<void>
  /** Ends the run, in one transaction with the new ledgers and the list of standing files. */
  settle(lease: Lease, settlement: Settlement): Promise<void>
}

export interface Lease {
  readonly runId: RunId
  /** Grows with each take-over. */
  readonly epoch: number
}

export type Permission =
  | { readonly go: true }
  | { readonly go: false; readonly because: 'canceled' | 'not-allowed' | 'connection-removed'; readonly reason: string }

export interface RunState {
  readonly plan: Plan | null
  readonly diff: RunDiff | null
  readonly purpose: 'deliver' | 'preview'
  /** The outbox digest that a person approved, where the run was held. */
  readonly approvedDigest: string | null
  readonly journal: readonly JournalEntry[]
  /** Files of this export that stand, or may stand, at the destination, from earlier runs. */
  readonly delivered: readonly DeliveredFile[]
}

/** A range of the outbox (rows), a part (files, tables: `first` = `last` = its number), or the commit that publishes them. */
export interface JournalKey {
  readonly source: string
  readonly kind: 'batch' | 'part' | 'commit'
  /** Sequence numbers in the outbox, from 1, both included. 0 for a commit. */
  readonly first: number
  readonly last: number
}

export interface JournalAnswer extends JournalKey {
  readonly accepted: number
  readonly rejected: number
  readonly uncertain: number
  /** Lake path of the rows that were not accepted, with their reasons; null when all were. */
  readonly exceptionsPath: string | null
}

export interface JournalEntry extends JournalKey {
  readonly state: 'intended' | 'answered'
  readonly accepted: number
  readonly rejected: number
  readonly uncertain: number
  readonly exceptionsPath: string | null
  readonly file: DeliveredFile | null
  /** When it was first about to be sent: a `keyed` destination remembers batch ids for a limited time only. */
  readonly intendedAt: Date
  /** By piece id: the job in which the service works on that piece; null where it was cut in halves. */
  readonly jobs: Readonly<Record<string, string | null>>
}

export interface Settlement {
  readonly status: RunStatus
  readonly reason: string | null
  readonly counts: RunCounts
  /** New ledger per source name; a source that is not named keeps the one it has. */
  readonly ledgers: Readonly<Record<string, LedgerRef>>
  readonly standing: { readonly added: readonly DeliveredFile[]; readonly removed: readonly string[] }
}

// ---- lake ----------------------------------------------------------------------------------------------------------

export interface LakePort {
  /** Starts the run's own data engine in a child process. Close it, whatever happens. */
  open(plan: Plan, signal: AbortSignal): Promise<LakeSession>
}

export interface RunDiff {
  readonly sources: readonly SourceDiff[]
  /** Over all sources: what an approval names. */
  readonly digest: string
}

export interface SourceDiff {
  readonly source: string
  readonly read: number
  readonly unchanged: number
  readonly merged: number
  readonly suppressed: number
  readonly uncertainBefore: number
  readonly added: number
  readonly changed: number
  readonly removed: number
  /** What the destination has of this source before the run. */
  readonly ledgerRows: number
  /** Rows that will be gone from the destination afterwards: `removed`, or with `replace` those that the new whole lacks. */
  readonly vanishing: number
  /** Set when the ledger's fingerprints are of another hash and everything would be sent as changed. */
  readonly fingerprintsStale: boolean
  /** Lake path of the outbox; null for `replace`, whose outbox is the whole selection. */
  readonly outboxPath: string | null
  readonly digest: string
}

/** A batch with what the engine must know of it. */
export interface OutboxBatch extends Batch {
  readonly source: string
  readonly first: number
  readonly last: number
  /** Bytes of the JSON texts together. */
  readonly sizeBytes: number
  /**
   * Rows that are never sent, by their place in the batch, with the reason: a value that cannot be brought into the form that
   * the destination asks for. Their JSON holds a mark instead of it.
   */
  readonly unsendable?: ReadonlyMap<number, string>
}

export interface RowException {
  readonly seq: number
  /**
   * `uncertain`: sent, and no answer came. `uncertain-due` is the same where sending again is harmless: so the next run does.
   * `unsent`: the run ended before this row of a batch in work was sent; it is due again, and not listed.
   */
  readonly status: 'rejected' | 'uncertain' | 'uncertain-due' | 'unsent'
  readonly reason: string
  /** The service's own words; may hold personal data, so it stays in the lake. */
  readonly message: string
}

/** Rows with a value that cannot be brought into the form that the destination asks for. */
export interface UnsendableRows {
  readonly why: string
  readonly rows: number
}

/** A finished part on the spool. `path` is absolute. */
export interface SpoolFile extends OutgoingFile {
  readonly path: string
}

export interface LakeSession {
  /** Select and difference of one source: writes its outbox and the list of rows set aside (merged, suppressed). */
  diff(source: PlanSource): Promise<SourceDiff>
  /** The outbox in order, from sequence number `from`, cut by rows and bytes. A row that alone is larger comes alone. */
  batches(
    source: PlanSource,
    diff: SourceDiff,
    limits: { readonly rowsPerBatch: number; readonly bytesPerBatch: number },
    from: number,
  ): AsyncIterable<OutboxBatch>
  /** How many parts the source is cut into: of about a million rows, at most `partsMax`, at least one, the same each time. */
  countParts(source: PlanSource, diff: SourceDiff, partsMax: number): number
  /**
   * Writes one part (from 1) to the spool: to a temporary name, fsynced, renamed. `csv-for-load` is the dialect of `TableDelivery`.
   */
  writePart(
    source: PlanSource,
    diff: SourceDiff,
    part: { readonly number: number; readonly of: number; readonly layout?: string | undefined },
    format: FileFormat | 'csv-for-load',
  ): Promise<SpoolFile>
  /** The description of the files (Common Data Model form), on the spool. */
  writeModel(
    plan: Plan,
    files: readonly { readonly source: string; readonly file: DeliveredFile }[],
  ): Promise<SpoolFile>
  /** Writes the exceptions of one answered batch, durable before it returns; gives the lake path. */
  writeExceptions(source: PlanSource, key: JournalKey, exceptions: readonly RowException[]): Promise<string>
  /**
   * The ledger after this run: the old one, plus and minus the rows of the answered ranges that are not exceptions. Null where
   * nothing more is known than before.
   */
  settleLedger(source: PlanSource, diff: SourceDiff, answered: readonly JournalEntry[]): Promise<LedgerRef | null>
  /** Gathers the exceptions of all batches, with row keys, into the run's list of rejected and uncertain rows. */
  writeRejects(source: PlanSource, diff: SourceDiff, answered: readonly JournalEntry[]): Promise<void>
  /** Keeps the first rows of the outbox as they would be sent, for the preview: `runs/<run>/<source>/sample.json`. */
  writeSample(source: PlanSource, diff: SourceDiff, rows: number): Promise<void>
  /** For the preview: rows that would be rejected before they are sent, by the reason, most first. */
  countUnsendable(source: PlanSource, diff: SourceDiff): Promise<readonly UnsendableRows[]>
  close(): Promise<void>
}

// ---- destination ---------------------------------------------------------------------------------------------------

export interface DestinationPort {
  /** Opens the plan's destination over its connection, for one run. Secrets are read here and nowhere before. */
  open(
    plan: Plan,
    state: { readonly delivered: readonly DeliveredFile[] },
    signal: AbortSignal,
  ): Promise<OpenDestination>
}

export type OpenDestination = {
  /** Lets go of sockets and limits. The delivery is over, or was given up. */
  readonly close: () => Promise<void>
} & (
  | {
      readonly delivers: 'rows'
      readonly mode: Mode
      readonly limits: {
        readonly rowsPerBatch: number
        readonly bytesPerBatch: number
        readonly batchesInFlight: number
        readonly hoursPerJob?: number
      }
      readonly delivery: RowDelivery
    }
  | {
      readonly delivers: 'files'
      readonly limits: { readonly partsPerTable: number; readonly partsInFlight: number }
      /** How the export wants its files called, where it says so. */
      readonly layout?: string | undefined
      readonly delivery: FileDelivery
    }
  | {
      readonly delivers: 'table'
      /** A fresh delivery: one for each attempt, since a broken connection takes its transaction with it. */
      readonly openDelivery: () => Promise<TableDelivery>
    }
)
