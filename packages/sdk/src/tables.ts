import type { OutgoingFile } from './files.ts'

export type ColumnType = 'text' | 'integer' | 'decimal' | 'boolean' | 'date' | 'timestamp'

export interface Column {
  readonly name: string
  readonly type: ColumnType
  readonly nullable: boolean
}

/** The rows that `load` brings: the columns in this order, preceded by `change` when `withChange`. */
export interface TableShape {
  readonly columns: readonly Column[]
  /** Column names that identify a row; empty for `append` and `replace` without a key. */
  readonly key: readonly string[]
  /** Each line starts with `added`, `changed` or `removed`; a removed line has only its key columns filled. */
  readonly withChange: boolean
}

export interface TableOutcome {
  readonly added: number
  readonly changed: number
  readonly removed: number
}

/**
 * One run's writing of a table, in one transaction: `begin`, `load` each file in order, then `commit` or `abandon`.
 * Files are CSV by RFC 4180: UTF-8, comma, `"` quotes, `\n`, no header, an unquoted empty cell is NULL and `""` is empty text.
 * `commit` leaves a marker with the run's id, in the same transaction, by which `isCommitted` tells what an unanswered commit did.
 */
export interface TableDelivery {
  isCommitted(runId: string): Promise<TableOutcome | undefined>
  begin(shape: TableShape, runId: string): Promise<void>
  /** Gives the number of rows that the far end counted. */
  load(file: OutgoingFile): Promise<number>
  commit(): Promise<TableOutcome>
  abandon(): Promise<void>
}
