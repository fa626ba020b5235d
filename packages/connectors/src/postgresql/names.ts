import { DestinationInvalid, type TableShape } from '@patchbay/connector-sdk'

/** PostgreSQL cuts longer names off without an error, and two columns could become one. */
const NAME_BYTES_MAX = 63

/** The table of markers, one in each schema that Patchbay writes to. */
export const MARKER_TABLE = 'patchbay_run'

/** Columns that every table has already, under names that no other column can take. */
const SYSTEM_COLUMNS = new Set(['tableoid', 'xmin', 'cmin', 'xmax', 'cmax', 'ctid'])

/** A table by its checked names. */
export interface TableName {
  readonly schema: string
  readonly table: string
}

/** Any name, as an identifier in a statement. */
export function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

export function quoteTable({ schema, table }: TableName): string {
  return `${quote(schema)}.${quote(table)}`
}

/** Says what is wrong with a name, or undefined: quoted, PostgreSQL takes every other one. */
export function nameFault(name: string): string | undefined {
  if (name === '') return 'it is empty'
  if (!name.isWellFormed()) return 'it is not valid Unicode'
  if (name.includes('\0')) return 'it holds a zero character'
  const bytes = new TextEncoder().encode(name).length
  return bytes > NAME_BYTES_MAX ? `it is ${bytes} bytes long, and PostgreSQL keeps ${NAME_BYTES_MAX}` : undefined
}

export function checkTableName(target: TableName): TableName {
  const schemaFault = nameFault(target.schema)
  if (schemaFault !== undefined)
    throw new DestinationInvalid('schema', `${JSON.stringify(target.schema)} cannot be a schema: ${schemaFault}`)
  const fault = target.table === MARKER_TABLE ? 'Patchbay keeps its own notes in it' : nameFault(target.table)
  if (fault !== undefined)
    throw new DestinationInvalid('table', `${JSON.stringify(target.table)} cannot be the table: ${fault}`)
  return target
}

export function checkColumnNames({ columns }: TableShape): void {
  const seen = new Set<string>()
  for (const { name } of columns) {
    const fault = SYSTEM_COLUMNS.has(name)
      ? 'PostgreSQL has a column of its own by this name'
      : seen.has(name)
        ? 'there are two of it'
        : nameFault(name)
    if (fault !== undefined)
      throw new DestinationInvalid('table', `The column ${JSON.stringify(name)} cannot be written: ${fault}; rename it`)
    seen.add(name)
  }
}
