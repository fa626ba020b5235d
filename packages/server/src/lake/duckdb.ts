/**
 * One DuckDB instance in a child process of its own: no secrets, no network, no environment, only the folders it is given.
 * SQL text comes from our compilers alone; nobody's input reaches it but as a quoted identifier or literal.
 */
export interface DuckDb {
  /** Runs statements that give nothing back. */
  run(sql: string): Promise<void>
  /** A small result, whole: objects by column name. 64-bit integers come as numbers where they are safe, else as text. */
  rows(sql: string): Promise<readonly Readonly<Record<string, DuckDbValue>>[]>
  /** A large result, column-wise in chunks of a few thousand rows, with back-pressure; memory stays at a few chunks. */
  stream(sql: string): AsyncIterable<DuckDbChunk>
  /** Ends the child. Safe to call twice; pending calls are rejected. */
  close(): Promise<void>
}

export type DuckDbValue = string | number | boolean | null | readonly DuckDbValue[]

export interface DuckDbChunk {
  readonly rows: number
  /** One array per column, in the statement's order. */
  readonly columns: readonly (readonly DuckDbValue[])[]
}

export interface DuckDbOptions {
  /** Absolute paths that may be read. */
  readonly read: readonly string[]
  /** Absolute paths that may be written (and read); the first also takes spilled data. */
  readonly write: readonly string[]
  readonly memoryLimitMb: number
  readonly threads: number
  readonly signal: AbortSignal
}

export type StartDuckDb = (options: DuckDbOptions) => Promise<DuckDb>
