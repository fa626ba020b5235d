import type { ColumnType, Mode, NormalForm, Repeat } from '@patchbay/connector-sdk'
import type { FileFormat, GuardLimits, MergeRule, Transform } from './export.ts'
import type { ConnectionId, ExportId, RunId } from './ids.ts'
import type { Rule } from './segment.ts'
import type { PinnedTable } from './table.ts'

/**
 * Everything that a run will do, resolved once and frozen as data: a run that resumes reads its plan, never the export.
 * Holds no secret and no row. The same plan over the same pinned versions always selects the same rows.
 */
export interface Plan {
  readonly runId: RunId
  readonly exportId: ExportId
  readonly exportRevision: number
  readonly connectionId: ConnectionId
  readonly connectorId: string
  readonly destinationType: string
  readonly destination: Readonly<Record<string, string | number | boolean>>
  readonly delivers: 'rows' | 'files' | 'table'
  readonly mode: Mode
  /**
   * What sending the same changes twice does. Frozen with the rest, since what was sent and not answered must be told even
   * where the destination cannot be opened any more.
   */
  readonly repeat: { readonly kind: Repeat; readonly forHours?: number }
  readonly format: FileFormat
  readonly guard: GuardLimits
  readonly rowsPerRunMax: number | null
  readonly sources: readonly PlanSource[]
  /** The moment for "in the last N days", and for file times. ISO 8601, UTC. */
  readonly now: string
  /** Only rows that this run rejected or left uncertain are looked at. */
  readonly retryOf: { readonly runId: RunId; readonly include: 'rejected' | 'rejected-and-uncertain' } | null
}

/** One table's way to the destination. Most plans have one. */
export interface PlanSource {
  /** Its name at the destination, unique in the plan; used in file names and as the ledger's name. */
  readonly name: string
  readonly table: PinnedTable
  readonly columns: readonly PlanColumn[]
  /** Which rows; membership in segments is resolved into it, so it holds no `memberOf`. Null means all. */
  readonly where: Rule | null
  /** The related tables that `where` speaks of. */
  readonly related: readonly PinnedTable[]
  /** Rows where this field is not true are suppressed. */
  readonly consentField: string | null
  readonly merge: MergeRule
  /** SHA-256 (hex) of the row keys of people who are erased: never sent, whatever selects them. Absent where there are none. */
  readonly erased?: readonly string[]
  readonly ledger: LedgerRef | null
}

export interface PlanColumn {
  readonly to: string
  readonly from: string
  readonly sourceType: ColumnType
  /** The type after the transforms and the normal form: text for a hash. */
  readonly type: ColumnType
  readonly transforms: readonly Transform[]
  /** The destination's own form for it, after the transforms, and whether it wants the hash of that. */
  readonly normal?: NormalForm
  readonly hash?: 'sha256'
  readonly identifier: boolean
}

/**
 * What the destination has accepted from an export so far, for one source. `rows` is a Parquet file of keys and fingerprints;
 * `whole` (after mode `replace`, which delivers all or nothing) is exactly what an earlier source selects from its pinned
 * versions, so nothing has to be written: those versions are kept as long as the ledger says so.
 */
export type LedgerRef =
  | {
      readonly kind: 'rows'
      /** Relative to the lake's root: `ledgers/<export>/<version>.parquet`. */
      readonly path: string
      readonly rows: number
      /**
       * What the data engine's hash makes of fixed sample values. DuckDB does not promise a stable `hash()`:
       * where an upgrade gives another probe, stored fingerprints cannot be compared, and the run is held instead of sending everything.
       */
      readonly fingerprintProbe: string
    }
  | { readonly kind: 'whole'; readonly source: Omit<PlanSource, 'ledger'>; readonly now: string; readonly rows: number }
