/** Which PostgreSQL type a column gets in a new table, and whether an existing table can take what the export sends. */
import { DestinationInvalid, type Column, type ColumnType, type Mode, type TableShape } from '@patchbay/connector-sdk'
import { quote, quoteTable, type TableName } from './names.ts'

/**
 * `numeric` and not `double precision`: a sum of money arrives digit for digit. Measured, it costs nothing that shows.
 * `timestamptz`: a moment. Each run sets the session's zone to UTC, so a text without an offset is taken as UTC.
 */
export const NEW_COLUMN_TYPES: Readonly<Record<ColumnType, string>> = {
  text: 'text',
  integer: 'bigint',
  decimal: 'numeric',
  boolean: 'boolean',
  date: 'date',
  timestamp: 'timestamp with time zone',
}

/** Every value has a text form, and it is the one in the file. */
const TEXTS = ['text', 'varchar', 'bpchar', 'citext']

/**
 * Types (by their names in pg_type) that take each value whole, or refuse it aloud as too large or too long.
 * Those that would round in silence (`real`, `double precision` for integers) or read it by locale (`money`) are left out.
 */
const ACCEPTED_TYPES: Readonly<Record<ColumnType, readonly string[]>> = {
  text: [...TEXTS, 'uuid', 'json', 'jsonb', 'enum'],
  integer: [...TEXTS, 'int8', 'int4', 'int2', 'numeric'],
  decimal: [...TEXTS, 'numeric', 'float8'],
  boolean: [...TEXTS, 'bool'],
  date: [...TEXTS, 'date', 'timestamp', 'timestamptz'],
  timestamp: [...TEXTS, 'timestamptz', 'timestamp'],
}

export interface ExistingColumn {
  readonly name: string
  /** As an administrator writes it. */
  readonly shownType: string
  /** Of pg_type, below a domain; `enum` for every enumeration. */
  readonly baseType: string
  readonly isRequired: boolean
  readonly hasDefault: boolean
  /** Computed by the table itself: `GENERATED ALWAYS`. */
  readonly isComputed: boolean
}

export interface ExistingTable {
  /** `r` and `p` are tables; everything else (views, foreign tables) cannot be loaded. */
  readonly kind: string
  readonly isOurs: boolean
  readonly hasRowSecurity: boolean
  /** Other tables' foreign keys that delete or blank their rows when rows of this one go. */
  readonly cascades: number
  /** Of SELECT, INSERT, UPDATE and DELETE. */
  readonly missingRights: readonly string[]
  readonly columns: readonly ExistingColumn[]
  /** Columns of each unique index that can tell rows apart: whole, valid, checked at once. */
  readonly uniqueKeys: readonly (readonly string[])[]
}

/** In the table's comment: its whole content belongs to Patchbay, and `replace` may take it away. */
export const OWNED_MARK = 'patchbay:owned'

const RIGHTS: Readonly<Record<Mode, readonly string[]>> = {
  append: ['INSERT'],
  replace: ['INSERT', 'DELETE'],
  upsert: ['SELECT', 'INSERT', 'UPDATE'],
  mirror: ['SELECT', 'INSERT', 'UPDATE', 'DELETE'],
}

/** Throws `DestinationInvalid` for the first thing in the way, with the statement that cures it. */
export function checkExistingTable(target: TableName, existing: ExistingTable, shape: TableShape, mode: Mode): void {
  const name = quoteTable(target)
  const refuse = (message: string): never => {
    throw new DestinationInvalid('table', message)
  }
  if (existing.kind !== 'r' && existing.kind !== 'p') refuse(`${name} is not a table; choose another name`)
  if (existing.hasRowSecurity)
    refuse(`Row-level security applies to Patchbay's role on ${name}; exempt it (BYPASSRLS) or choose another table`)
  const missing = RIGHTS[mode].filter((right) => existing.missingRights.includes(right))
  if (missing.length > 0) refuse(`Patchbay's role lacks rights: GRANT ${RIGHTS[mode].join(', ')} ON ${name}`)
  if (mode === 'replace') checkReplaceable(name, existing, refuse)

  for (const column of shape.columns) checkColumn(name, existing, column, refuse)
  for (const { name: extra, isRequired, hasDefault } of existing.columns) {
    if (!isRequired || hasDefault || shape.columns.some((column) => column.name === extra)) continue
    refuse(
      `The column ${quote(extra)} of ${name} must be filled and the export does not send it: add it to the export, ` +
        `or ALTER TABLE ${name} ALTER COLUMN ${quote(extra)} DROP NOT NULL`,
    )
  }
  if (mode === 'upsert' || mode === 'mirror') checkKey(name, existing, shape.key, refuse)
}

type Refuse = (message: string) => never

/** Replacing deletes every row, so it must be certain that none is somebody else's and that nothing hangs on them. */
function checkReplaceable(name: string, existing: ExistingTable, refuse: Refuse): void {
  if (!existing.isOurs)
    refuse(
      `Patchbay did not make ${name}, and replacing would delete rows of others: choose another table or mode, or hand ` +
        `the table over for good with COMMENT ON TABLE ${name} IS '${OWNED_MARK}'`,
    )
  if (existing.cascades > 0)
    refuse(
      `Replacing ${name} would delete or blank rows of other tables, whose foreign keys say ON DELETE CASCADE, SET NULL ` +
        'or SET DEFAULT: use the mode mirror, or drop those foreign keys',
    )
}

function checkColumn(name: string, existing: ExistingTable, column: Column, refuse: Refuse): void {
  const found = existing.columns.find((candidate) => candidate.name === column.name)
  const quoted = quote(column.name)
  if (found === undefined)
    return refuse(
      `${name} has no column ${quoted}: leave it out of the export, or ` +
        `ALTER TABLE ${name} ADD COLUMN ${quoted} ${NEW_COLUMN_TYPES[column.type]}`,
    )
  if (found.isComputed) refuse(`The column ${quoted} of ${name} is computed by the table: leave it out of the export`)
  if (!ACCEPTED_TYPES[column.type].includes(found.baseType))
    refuse(
      `The column ${quoted} of ${name} is ${found.shownType} and cannot take ${column.type}: map another field, or ` +
        `ALTER TABLE ${name} ALTER COLUMN ${quoted} TYPE ${NEW_COLUMN_TYPES[column.type]}`,
    )
}

function checkKey(name: string, existing: ExistingTable, key: readonly string[], refuse: Refuse): void {
  const isSame = (columns: readonly string[]): boolean =>
    columns.length === key.length && key.every((column) => columns.includes(column))
  if (existing.uniqueKeys.some(isSame)) return
  const list = key.map(quote).join(', ')
  refuse(`${name} has no unique index on exactly ${list}: CREATE UNIQUE INDEX ON ${name} (${list})`)
}
