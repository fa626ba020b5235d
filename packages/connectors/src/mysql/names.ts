import { DestinationInvalid, type TableShape } from '@patchbay/connector-sdk'
import { NAME_LENGTH_MAX } from './settings.ts'

/** The table of markers, one in each database that Patchbay writes to. */
export const MARKER_TABLE = 'patchbay_run'

/** Any name, as an identifier in a statement. */
export function quote(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``
}

/** Says what is wrong with a name, or undefined: quoted, MySQL takes every other one. */
function nameFault(name: string): string | undefined {
  if (name === '') return 'it is empty'
  if (!name.isWellFormed()) return 'it is not valid Unicode'
  if (name.includes('\0')) return 'it holds a zero character'
  if (/[\u{10000}-\u{10ffff}]/u.test(name)) return 'it holds a character that MySQL has no room for in names'
  if (name.endsWith(' ')) return 'it ends in a space'
  return name.length > NAME_LENGTH_MAX ? `it is longer than ${NAME_LENGTH_MAX} characters` : undefined
}

export function checkTableName(table: string): string {
  const fault = table.toLowerCase() === MARKER_TABLE ? 'Patchbay keeps its own notes in it' : nameFault(table)
  if (fault !== undefined)
    throw new DestinationInvalid('table', `${JSON.stringify(table)} cannot be the table: ${fault}`)
  return table
}

/** MySQL tells column names apart without regard to case. */
export function sameName(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase()
}

export function checkColumnNames({ columns }: TableShape): void {
  const seen = new Set<string>()
  for (const { name } of columns) {
    const fault = seen.has(name.toLowerCase()) ? 'there are two of it, but for case' : nameFault(name)
    if (fault !== undefined)
      throw new DestinationInvalid('table', `The column ${JSON.stringify(name)} cannot be written: ${fault}; rename it`)
    seen.add(name.toLowerCase())
  }
}
