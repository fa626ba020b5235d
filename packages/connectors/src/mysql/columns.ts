/** Which type a column gets in a new table, how its cells are read, and whether an existing table can take what the export sends. */
import { DestinationInvalid, type Column, type ColumnType, type Mode, type TableShape } from '@patchbay/connector-sdk'
import { quote, sameName } from './names.ts'

/**
 * `double`: what is a decimal here has at most the digits of one. `datetime` and not `timestamp`, which ends in 2038 and is
 * shown in each reader's own time zone: it holds UTC.
 */
const NEW_COLUMN_TYPES: Readonly<Record<ColumnType, string>> = {
  text: 'longtext',
  integer: 'bigint',
  decimal: 'double',
  boolean: 'tinyint(1)',
  date: 'date',
  timestamp: 'datetime(6)',
}

/** Of all text columns of a key together, in characters of up to four bytes: an index of InnoDB holds 3,072 bytes. */
const KEY_CHARACTERS = 700
const KEY_CHARACTERS_MAX = 512

const TEXTS = ['char', 'varchar', 'tinytext', 'text', 'mediumtext', 'longtext']

/** Types (as information_schema names them) that take each value whole, or refuse it aloud. */
const ACCEPTED_TYPES: Readonly<Record<ColumnType, readonly string[]>> = {
  text: [...TEXTS, 'json', 'enum', 'uuid', 'inet4', 'inet6'],
  integer: [...TEXTS, 'bigint', 'int', 'mediumint', 'smallint', 'tinyint', 'decimal'],
  decimal: [...TEXTS, 'double', 'decimal'],
  boolean: [...TEXTS, 'tinyint'],
  date: [...TEXTS, 'date', 'datetime'],
  timestamp: [...TEXTS, 'datetime', 'timestamp'],
}

export interface ExistingColumn {
  readonly name: string
  /** As an administrator writes it. */
  readonly shownType: string
  readonly baseType: string
  /** ` CHARACTER SET … COLLATE …`, or empty where it is no text. */
  readonly collation: string
  readonly isRequired: boolean
  readonly hasDefault: boolean
  readonly isComputed: boolean
}

export interface ExistingTable {
  /** As it is written: the server may tell names apart without regard to case. */
  readonly name: string
  readonly isTable: boolean
  readonly engine: string
  /** Whether the engine of the table knows transactions. */
  readonly isTransactional: boolean
  readonly isOurs: boolean
  /** Other tables' foreign keys that delete or blank their rows when rows of this one go. */
  readonly cascades: number
  readonly columns: readonly ExistingColumn[]
  /** Columns of each unique index over whole columns. */
  readonly uniqueKeys: readonly (readonly string[])[]
}

/** In the table's comment: its whole content belongs to Patchbay, and `replace` may take it away. */
export const OWNED_MARK = 'patchbay:owned'

/** Keys are told apart byte for byte: neither case nor accents nor spaces at the end make two of them one. */
export function newColumnType(column: Column, key: readonly string[], shape: TableShape, isMariaDb: boolean): string {
  if (column.type !== 'text' || !key.includes(column.name)) return NEW_COLUMN_TYPES[column.type]
  const texts = shape.columns.filter(({ name, type }) => type === 'text' && key.includes(name)).length
  const characters = Math.min(KEY_CHARACTERS_MAX, Math.floor(KEY_CHARACTERS / texts))
  const collation = isMariaDb ? 'utf8mb4_nopad_bin' : 'utf8mb4_0900_bin'
  return `varchar(${characters}) CHARACTER SET utf8mb4 COLLATE ${collation}`
}

/** How a cell of the file becomes a value of the column: undefined where it is taken as it stands. */
export function cellSql(type: ColumnType, baseType: string, cell: string): string | undefined {
  if (TEXTS.includes(baseType)) return undefined
  if (type === 'boolean') return `CASE ${cell} WHEN 'true' THEN 1 WHEN 'false' THEN 0 ELSE ${cell} END`
  // Neither server reads the Z of an ISO moment. It is in UTC, and so is the session.
  if (type === 'timestamp') return `TRIM(TRAILING 'Z' FROM ${cell})`
  return undefined
}

/** Throws `DestinationInvalid` for the first thing in the way, with the statement that cures it. */
export function checkExistingTable(existing: ExistingTable, shape: TableShape, mode: Mode): void {
  const name = quote(existing.name)
  const refuse = (message: string): never => {
    throw new DestinationInvalid('table', message)
  }
  if (!existing.isTable) refuse(`${name} is not a table; choose another name`)
  if (!existing.isTransactional)
    refuse(
      `${name} is kept by ${existing.engine}, which knows no transactions: a run could be seen half. ALTER TABLE ${name} ENGINE = InnoDB`,
    )
  if (mode === 'replace') checkReplaceable(name, existing, refuse)
  for (const column of shape.columns) checkColumn(name, existing, column, refuse)
  for (const { name: extra, isRequired, hasDefault } of existing.columns) {
    if (!isRequired || hasDefault || shape.columns.some((column) => sameName(column.name, extra))) continue
    refuse(
      `The column ${quote(extra)} of ${name} must be filled and the export does not send it: add it to the export, or give it a default there`,
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
        `the table over for good with ALTER TABLE ${name} COMMENT = '${OWNED_MARK}'`,
    )
  if (existing.cascades > 0)
    refuse(
      `Replacing ${name} would delete or blank rows of other tables, whose foreign keys say ON DELETE CASCADE or SET NULL: ` +
        'use the mode mirror, or drop those foreign keys',
    )
}

function checkColumn(name: string, existing: ExistingTable, column: Column, refuse: Refuse): void {
  const found = existing.columns.find((candidate) => sameName(candidate.name, column.name))
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
        `ALTER TABLE ${name} MODIFY COLUMN ${quoted} ${NEW_COLUMN_TYPES[column.type]}`,
    )
}

function checkKey(name: string, existing: ExistingTable, key: readonly string[], refuse: Refuse): void {
  const isSame = (columns: readonly string[]): boolean =>
    columns.length === key.length && key.every((column) => columns.some((other) => sameName(column, other)))
  if (existing.uniqueKeys.some(isSame)) return
  const list = key.map(quote).join(', ')
  refuse(`${name} has no unique index on exactly ${list}: ALTER TABLE ${name} ADD UNIQUE (${list})`)
}
