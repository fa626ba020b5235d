/** What a session gives and takes: the same shapes as the engine's ports, declared here since the lake does not know the engine. */
import type { Batch, DeliveredFile, OutgoingFile } from '@patchbay/connector-sdk'
import type { FileFormat } from '../domain/export.ts'
import type { LedgerRef, Plan, PlanSource } from '../domain/plan.ts'

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
  readonly ledgerRows: number
  readonly vanishing: number
  readonly fingerprintsStale: boolean
  /** Null for a `replace` of files or of a table; one of rows has an outbox, in which everything is added. */
  readonly outboxPath: string | null
  readonly digest: string
}

export interface OutboxBatch extends Batch {
  readonly source: string
  readonly first: number
  readonly last: number
  readonly sizeBytes: number
  /** Rows that are never sent, by their place in the batch: which fields hold what cannot be brought into their form. */
  readonly unsendable?: ReadonlyMap<number, string>
}

export interface BatchLimits {
  readonly rowsPerBatch: number
  readonly bytesPerBatch: number
}

export interface JournalKey {
  readonly source: string
  readonly kind: 'batch' | 'part' | 'commit'
  readonly first: number
  readonly last: number
}

export interface AnsweredEntry extends JournalKey {
  readonly state: 'intended' | 'answered'
  readonly uncertain: number
  readonly exceptionsPath: string | null
}

export interface RowException {
  readonly seq: number
  readonly status: 'rejected' | 'uncertain' | 'uncertain-due' | 'unsent'
  readonly reason: string
  readonly message: string
}

export interface UnsendableRows {
  readonly why: string
  readonly rows: number
}

export interface SpoolFile extends OutgoingFile {
  readonly path: string
}

export type PartFormat = FileFormat | 'csv-for-load'

export interface PartOf {
  readonly number: number
  readonly of: number
  /** How the export wants its files called, where it says so. */
  readonly layout?: string | undefined
}

export interface LakeSession {
  diff(source: PlanSource): Promise<SourceDiff>
  batches(source: PlanSource, diff: SourceDiff, limits: BatchLimits, from: number): AsyncIterable<OutboxBatch>
  countParts(source: PlanSource, diff: SourceDiff, partsMax: number): number
  writePart(source: PlanSource, diff: SourceDiff, part: PartOf, format: PartFormat): Promise<SpoolFile>
  writeModel(
    plan: Plan,
    files: readonly { readonly source: string; readonly file: DeliveredFile }[],
  ): Promise<SpoolFile>
  writeExceptions(source: PlanSource, key: JournalKey, exceptions: readonly RowException[]): Promise<string>
  settleLedger(source: PlanSource, diff: SourceDiff, answered: readonly AnsweredEntry[]): Promise<LedgerRef | null>
  writeRejects(source: PlanSource, diff: SourceDiff, answered: readonly AnsweredEntry[]): Promise<void>
  writeSample(source: PlanSource, diff: SourceDiff, rows: number): Promise<void>
  countUnsendable(source: PlanSource, diff: SourceDiff): Promise<readonly UnsendableRows[]>
  close(): Promise<void>
}
