import type { Mode } from '@patchbay/connector-sdk'
import type { ConnectionId, ExportId } from './ids.ts'
import type { Schedule } from './schedule.ts'

/** What is done to a value on its way out, in this order. `hash` is the privacy hash that a destination asks for: hex SHA-256. */
export type Transform = 'trim' | 'lowercase' | 'digits' | 'hash'

export interface MappedField {
  /** The destination's name for it: a column, a property of the service. */
  readonly to: string
  /** Field of the source table. */
  readonly from: string
  readonly transforms: readonly Transform[]
  /** Together with the others so marked, identifies a person or row at the destination. */
  readonly identifier: boolean
}

/** What is sent. A segment export sends fields of the profile's rows; a data-out export sends whole tables. */
export type ExportSource =
  | { readonly kind: 'segment'; readonly segments: readonly string[]; readonly fields: readonly MappedField[] }
  | { readonly kind: 'data-out'; readonly tables: readonly DataOutTable[] }

export interface DataOutTable {
  readonly table: string
  /** Its name at the destination; the table's own where absent. */
  readonly to?: string
  /** Absent: every field under its own name, the table's key as identifier. */
  readonly fields?: readonly MappedField[]
}

export interface FileFormat {
  readonly type: 'csv' | 'parquet' | 'json-lines'
  readonly gzip: boolean
  readonly delimiter: ',' | ';' | '\t' | '|'
  readonly header: boolean
  /** Cells that a spreadsheet would run get a leading `'`. Off only for machine readers. */
  readonly neutraliseFormulas: boolean
}

/** Above these a run is held for approval. Both must be exceeded for removals. */
export interface GuardLimits {
  readonly removedShareMax: number
  readonly removedRowsMin: number
  readonly allowEmptySource: boolean
}

/** Which of several rows with the same identifiers is sent. */
export type MergeRule = { readonly by: 'smallest-key' } | { readonly by: 'newest'; readonly field: string }

export interface Export {
  readonly id: ExportId
  readonly name: string
  /** Null when detached: it keeps everything and does not run. */
  readonly connectionId: ConnectionId | null
  readonly connectorId: string
  /** Key in the connector's `destinations`. */
  readonly destinationType: string
  readonly destination: Readonly<Record<string, string | number | boolean>>
  readonly mode: Mode
  readonly source: ExportSource
  readonly merge: MergeRule
  /** Used where the destination takes files. */
  readonly format: FileFormat
  readonly guard: GuardLimits
  readonly schedule: Schedule | null
  readonly createdAt: Date
  readonly createdBy: string
  readonly revision: number
}

export const DEFAULT_FORMAT: FileFormat = {
  type: 'csv',
  gzip: false,
  delimiter: ',',
  header: true,
  neutraliseFormulas: true,
}
export const DEFAULT_GUARD: GuardLimits = { removedShareMax: 0.2, removedRowsMin: 100, allowEmptySource: false }
