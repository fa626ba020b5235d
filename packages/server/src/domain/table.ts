import type { TableId } from './ids.ts'

/** `decimal` is a double or a decimal of the source; `timestamp` is UTC where the source names no zone. */
export type FieldType = 'text' | 'integer' | 'decimal' | 'boolean' | 'date' | 'timestamp'
export type FieldTag = 'personal' | 'sensitive' | 'identifier'

export interface TableField {
  /** As the file's header has it; any text without control characters, at most 128 characters. */
  readonly name: string
  readonly label: string
  readonly type: FieldType
  readonly tags: readonly FieldTag[]
}

export interface Table {
  readonly id: TableId
  /** Unique regardless of case; letters, digits, `_`, `-`, space, dot; used in rules and file names. */
  readonly name: string
  /** The one table with a row per customer, which segments pick from. */
  readonly isProfile: boolean
  /** Name of the field that identifies a row: unique and never null in every version. */
  readonly key: string
  readonly fields: readonly TableField[]
  readonly currentVersion: number
  readonly createdAt: Date
  readonly updatedAt: Date
  /** Grows with each edit and each refresh. */
  readonly revision: number
}

/** One immutable import. Its Parquet files stand under `tables/<table id>/<version>/`. */
export interface TableVersion {
  readonly tableId: TableId
  readonly version: number
  readonly fields: readonly TableField[]
  readonly files: readonly { readonly name: string; readonly rows: number; readonly sizeBytes: number }[]
  readonly rows: number
  readonly badLines: number
  readonly createdAt: Date
}

/** A table as a plan pins it: everything that compiling a statement needs. `files` are paths relative to the lake's root. */
export interface PinnedTable {
  readonly id: TableId
  readonly name: string
  readonly version: number
  readonly key: string
  readonly fields: readonly TableField[]
  readonly files: readonly string[]
  readonly rows: number
}
