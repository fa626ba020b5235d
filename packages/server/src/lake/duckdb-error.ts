/** What went wrong, as far as a caller may want to act on it. The names follow DuckDB's own error classes. */
export type DuckDbErrorKind =
  | 'conversion' // a value does not fit its type
  | 'invalid-input'
  | 'out-of-range'
  | 'constraint'
  | 'out-of-memory'
  | 'disk-full' // the spool or the spilled data found no more room
  | 'io'
  | 'permission' // DuckDB's own locks said no
  | 'interrupted'
  | 'syntax' // parser, binder and catalog: our compilers made a wrong statement
  | 'ended' // the child is gone: closed, killed, or crashed
  | 'other'

const KIND_OF_CLASS: Readonly<Record<string, DuckDbErrorKind>> = {
  Conversion: 'conversion',
  'Invalid Input': 'invalid-input',
  'Out of Range': 'out-of-range',
  Constraint: 'constraint',
  'Out of Memory': 'out-of-memory',
  IO: 'io',
  HTTP: 'io',
  Permission: 'permission',
  INTERRUPT: 'interrupted',
  Interrupt: 'interrupted',
  Parser: 'syntax',
  Syntax: 'syntax',
  Binder: 'syntax',
  Catalog: 'syntax',
}

const WORDS: Readonly<Record<DuckDbErrorKind, string>> = {
  conversion: 'a value does not fit its type',
  'invalid-input': 'the input is not as expected',
  'out-of-range': 'a number is out of range',
  constraint: 'a constraint is violated',
  'out-of-memory': 'the memory limit is reached',
  'disk-full': 'no more room on the disk',
  io: 'a file cannot be read or written',
  permission: 'not permitted',
  interrupted: 'interrupted',
  syntax: 'the statement is wrong',
  ended: 'the engine process has ended',
  other: 'the statement failed',
}

/**
 * An error of the data engine. DuckDB's own words quote values of rows and literals of rules, so they are no part of
 * `message`, nor of anything that a logger or `inspect` prints: only `rawMessage()` gives them, for tests and for code
 * that reads a line number out of them.
 */
export class DuckDbError extends Error {
  override readonly name = 'DuckDbError'
  readonly kind: DuckDbErrorKind
  readonly #raw: string
  constructor(kind: DuckDbErrorKind, raw: string) {
    super(`Data engine: ${WORDS[kind]}`)
    this.kind = kind
    this.#raw = raw
  }

  /** Never to be logged or shown. */
  rawMessage(): string {
    return this.#raw
  }
}

export function duckDbError(raw: string): DuckDbError {
  return new DuckDbError(kindOf(raw), raw)
}

function kindOf(raw: string): DuckDbErrorKind {
  const className = /^([A-Za-z][A-Za-z ]*?) Error:/.exec(raw)?.[1] ?? ''
  const kind = KIND_OF_CLASS[className] ?? 'other'
  // The text after the class may quote a value, so these words count only in the classes that speak of files and memory.
  if ((kind === 'io' || kind === 'out-of-memory') && saysDiskFull(raw)) return 'disk-full'
  if (kind === 'io' && /Cannot access file|file system operations are disabled/.test(raw)) return 'permission'
  return kind
}

function saysDiskFull(raw: string): boolean {
  return /No space left on device|Disk quota exceeded|max_temp_directory_size/.test(raw)
}
