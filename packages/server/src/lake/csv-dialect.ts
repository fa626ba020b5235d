/** How a CSV file is written: delimiter, quote, header. Guessed from its first part where nobody said so. */
import { Problem } from '../domain/problem.ts'

export interface CsvChoices {
  /** One character. */
  readonly delimiter?: string
  /** `"` or `'`; empty for files without quoting. */
  readonly quote?: '"' | "'" | ''
  readonly header?: boolean
}

export interface CsvDialect {
  readonly delimiter: string
  readonly quote: '"' | "'" | ''
  readonly hasHeader: boolean
}

export interface CsvCell {
  readonly text: string
  readonly isQuoted: boolean
}

export interface CsvSample {
  readonly dialect: CsvDialect
  /** Names from the header, or `column1` and so on. */
  readonly names: readonly string[]
  /** Records after the header. The last one of a sample that is not the whole file is left out. */
  readonly records: readonly (readonly CsvCell[])[]
}

const DELIMITERS = [',', ';', '\t', '|']
const RECORDS_LOOKED_AT = 200

export function sniffCsv(text: string, isWhole: boolean, choices: CsvChoices): CsvSample {
  const quote = choices.quote ?? guessQuote(text)
  const delimiter = choices.delimiter ?? guessDelimiter(text, isWhole, quote)
  checkDelimiter(delimiter, quote)
  const records = splitCsv(text, isWhole, delimiter, quote)
  const [first = []] = records
  const hasHeader = choices.header ?? looksLikeHeader(records)
  const names = hasHeader
    ? first.map(({ text: name }) => name.trim())
    : Array.from(records[0] ?? [], (_, index) => `column${index + 1}`)
  return { dialect: { delimiter, quote, hasHeader }, names, records: records.slice(hasHeader ? 1 : 0) }
}

function checkDelimiter(delimiter: string, quote: string): void {
  if (/^[^\r\n\0\p{L}\p{N}]$/u.test(delimiter) && delimiter.length === 1 && delimiter !== quote) return
  throw new Problem('invalid', 'The delimiter cannot be this', {
    path: 'delimiter',
    cure: 'Use one character that is no letter, no digit and not the quote.',
  })
}

function guessQuote(text: string): '"' | "'" {
  const [line = ''] = text.split(/\r\n|\n|\r/, 1)
  return DELIMITERS.some((delimiter) => {
    const cells = line.split(delimiter)
    return cells.length > 1 && cells.every((cell) => cell.length > 1 && cell.startsWith("'") && cell.endsWith("'"))
  })
    ? "'"
    : '"'
}

/** The one that cuts the most records into the same number of cells as the first; more cells decide between equals. */
function guessDelimiter(text: string, isWhole: boolean, quote: string): string {
  let best = { delimiter: ',', score: 0, cells: 1 }
  for (const delimiter of DELIMITERS) {
    const records = splitCsv(text, isWhole, delimiter, quote)
    const cells = records[0]?.length ?? 1
    if (cells < 2) continue
    const score = records.filter((record) => record.length === cells).length / records.length
    if (score > best.score || (score === best.score && cells > best.cells)) best = { delimiter, score, cells }
  }
  return best.delimiter
}

/**
 * Unless something in the first line is plainly a value: a number, a date, an address. Names that are empty or come twice
 * do not speak against a header: they are a mistake in it, and are shown as one.
 */
function looksLikeHeader(records: readonly (readonly CsvCell[])[]): boolean {
  const [first] = records
  if (first === undefined) return true
  const names = first.map(({ text }) => text.trim())
  return names.some((name) => name !== '') && !names.some((name) => /^[-+]?[\d.,:/ -]+$|@/.test(name))
}

/** Cuts the start of a file into records, leniently: the engine judges, this only looks. Empty lines are skipped. */
function splitCsv(text: string, isWhole: boolean, delimiter: string, quote: string): CsvCell[][] {
  const records: CsvCell[][] = []
  let at = 0
  while (at < text.length && records.length < RECORDS_LOOKED_AT) {
    const { cells, end, isEnded } = readRecord(text, at, delimiter, quote)
    at = end
    const isBlank = cells.length === 1 && cells[0]?.text === '' && !cells[0].isQuoted
    if (!isBlank && (isEnded || isWhole)) records.push(cells)
  }
  return records
}

function readRecord(
  text: string,
  from: number,
  delimiter: string,
  quote: string,
): { cells: CsvCell[]; end: number; isEnded: boolean } {
  const cells: CsvCell[] = []
  let at = from
  for (;;) {
    const cell =
      quote !== '' && text[at] === quote ? readQuoted(text, at, quote) : { text: '', end: at, isQuoted: false }
    const stop = nextStop(text, cell.end, delimiter)
    cells.push({ text: cell.text + text.slice(cell.end, stop), isQuoted: cell.isQuoted })
    if (stop >= text.length) return { cells, end: stop, isEnded: false }
    at = stop + 1
    if (text[stop] === delimiter) continue
    return { cells, end: text[stop] === '\r' && text[at] === '\n' ? at + 1 : at, isEnded: true }
  }
}

function readQuoted(text: string, from: number, quote: string): { text: string; end: number; isQuoted: true } {
  let content = ''
  let at = from + 1
  for (;;) {
    const close = text.indexOf(quote, at)
    if (close < 0) return { text: content + text.slice(at), end: text.length, isQuoted: true }
    content += text.slice(at, close)
    if (text[close + 1] !== quote) return { text: content, end: close + 1, isQuoted: true }
    content += quote
    at = close + 2
  }
}

function nextStop(text: string, from: number, delimiter: string): number {
  for (let at = from; at < text.length; at += 1) {
    const letter = text[at]
    if (letter === delimiter || letter === '\n' || letter === '\r') return at
  }
  return text.length
}
