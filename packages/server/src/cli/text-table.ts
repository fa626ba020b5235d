import { printable, widthOf } from './printable.ts'

export type Cell = string | number | boolean | null | undefined

const CELL_WIDTH_MAX = 60

/** Aligned columns: numbers to the right, everything else to the left. A column is one of numbers when all its cells are. */
export function textTable(header: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const shown = rows.map((row) => header.map((_, column) => cellText(row[column])))
  const isNumber = header.map(
    (_, column) => rows.length > 0 && rows.every((row) => typeof row[column] === 'number' || row[column] === null),
  )
  const widths = header.map((title, column) =>
    Math.max(widthOf(title), ...shown.map((row) => widthOf(row[column] ?? ''))),
  )
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => {
        const space = ' '.repeat((widths[column] ?? 0) - widthOf(cell))
        return isNumber[column] === true ? space + cell : cell + space
      })
      .join('  ')
      .trimEnd()
  return [line(header), line(widths.map((width) => '─'.repeat(width))), ...shown.map(line)].join('\n')
}

/** Pairs of a name and a value, one a line. */
export function textPairs(pairs: readonly (readonly [string, Cell])[]): string {
  const width = Math.max(...pairs.map(([name]) => widthOf(name)))
  return pairs.map(([name, value]) => `${name.padEnd(width)}  ${cellText(value)}`.trimEnd()).join('\n')
}

export function numberText(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 6 })
}

function cellText(cell: Cell): string {
  if (cell === null || cell === undefined) return ''
  if (typeof cell === 'number') return numberText(cell)
  if (typeof cell === 'boolean') return cell ? 'yes' : 'no'
  const text = printable(cell)
  return widthOf(text) > CELL_WIDTH_MAX ? `${cut(text)}…` : text
}

function cut(text: string): string {
  let kept = ''
  for (const character of text) {
    if (widthOf(kept) + widthOf(character) >= CELL_WIDTH_MAX) break
    kept += character
  }
  return kept
}
