/**
 * One cell as SQL: a source field with its transforms, and the text that it becomes in a key, in JSON and in CSV.
 * Every text is made here and not by DuckDB's own writers, so that it stays the same when they change.
 */
import type { PlanColumn } from '../../domain/plan.ts'
import type { FieldType } from '../../domain/table.ts'
import { quoteName, quoteText } from '../sql-text.ts'
import { normalisedCell } from './normal-sql.ts'

/** What counts as nothing at the ends of a value: Unicode's white space, the mark of a text's beginning, NUL. */
const WHITE =
  '\t\n\u000b\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff'
const ISO_FORMAT = "'%Y-%m-%dT%H:%M:%S.%fZ'"
/** Code points at which a spreadsheet begins to calculate: NUL TAB LF CR + - = @ and their full-width forms. */
const FORMULA_STARTS = [0, 9, 10, 13, 43, 45, 61, 64, 0xff0b, 0xff0d, 0xff1d, 0xff20].join(', ')

/** The column's value from the source row `t`, of the type `column.type`. */
export function columnValue(column: PlanColumn): string {
  const { sourceType, transforms, type } = column
  const isText = sourceType === 'text'
  const becomesText = type === 'text' || transforms.length > 0 || column.normal !== undefined
  let value = fieldValue(column.from, sourceType)
  if (becomesText && !isText) value = plainText(value, sourceType)
  const hashAt = transforms.indexOf('hash')
  const before = hashAt < 0 ? transforms : transforms.slice(0, hashAt)
  for (const transform of before) value = transformed(value, transform)
  if (column.normal !== undefined) return normalisedCell(value, column.normal, column.hash !== undefined)
  if (column.identifier && becomesText) value = notBlank(value)
  // The hash of nothing would be one person at every destination.
  else if (hashAt >= 0) value = `nullif(${value}, '')`
  for (const transform of hashAt < 0 ? [] : transforms.slice(hashAt)) value = transformed(value, transform)
  return value
}

function transformed(value: string, transform: PlanColumn['transforms'][number]): string {
  switch (transform) {
    case 'trim':
      return trimmed(value)
    case 'lowercase':
      return `lower(${value})`
    case 'digits':
      return `regexp_replace(${value}, '[^0-9]', '', 'g')`
    case 'hash':
      return `sha256(${value})`
  }
}

/** A text whose first and last characters are plain needs no look at the long list, which takes ten times as long. */
function trimmed(value: string): string {
  const isPlain = `${startsPlain(value)} AND right(${value}, 1) BETWEEN '!' AND '~'`
  return `CASE WHEN ${isPlain} THEN ${value} ELSE ${trimmedByList(value)} END`
}

/** NULL where there is nothing but white space. */
function notBlank(value: string): string {
  return `CASE WHEN ${startsPlain(value)} THEN ${value} WHEN ${trimmedByList(value)} <> '' THEN ${value} END`
}

function startsPlain(value: string): string {
  return `${value} >= '!' AND ${value} < chr(127)`
}

function trimmedByList(value: string): string {
  return `trim(${value}, ${quoteText(WHITE)} || chr(0))`
}

/** A field of the source row, of the one type that its kind has here: files may hold timestamps with a zone. */
export function fieldValue(field: string, type: FieldType): string {
  const value = `t.${quoteName(field)}`
  return type === 'timestamp' ? `CAST(${value} AS TIMESTAMP)` : value
}

/**
 * Exact and reversible, and the same for the same value whatever the file's physical type: what a row key is made of.
 * Timestamps always carry six digits of a second; decimals no zeros at their end.
 */
export function plainText(value: string, type: FieldType): string {
  switch (type) {
    case 'text':
      return value
    case 'integer':
    case 'boolean':
    case 'date':
      return `CAST(${value} AS VARCHAR)`
    case 'timestamp':
      return `strftime(${value}, ${ISO_FORMAT})`
    case 'decimal': {
      const text = `CAST(${value} AS VARCHAR)`
      const short = `rtrim(rtrim(${text}, '0'), '.')`
      return `CASE WHEN ${value} = 0 THEN '0' WHEN contains(${text}, '.') AND NOT contains(${text}, 'e') THEN ${short} ELSE ${text} END`
    }
  }
}

/** JSON for one value, `null` for none. What JSON cannot say of a number (NaN, infinity) is `null` too. */
export function jsonValue(value: string, type: FieldType): string {
  switch (type) {
    case 'text':
      return `coalesce(CAST(to_json(${value}) AS VARCHAR), 'null')`
    case 'integer':
    case 'boolean':
      return `coalesce(CAST(${value} AS VARCHAR), 'null')`
    case 'decimal':
      return `CASE WHEN isfinite(CAST(${value} AS DOUBLE)) THEN CAST(${value} AS VARCHAR) ELSE 'null' END`
    case 'date':
    case 'timestamp':
      return `coalesce('"' || ${plainText(value, type)} || '"', 'null')`
  }
}

export interface NamedValue {
  readonly name: string
  readonly type: FieldType
  /** SQL that gives it. */
  readonly value: string
}

/** The pieces of a JSON object, to be put together by `concat`: several times faster than `to_json` of a struct. */
export function jsonObject(values: readonly NamedValue[]): string {
  const pieces = values.map(({ name, type, value }, index) => {
    const label = quoteText(`${index === 0 ? '' : ','}${JSON.stringify(name.toWellFormed())}:`)
    return `${label}, ${jsonValue(value, type)}`
  })
  return `concat(${["'{'", ...pieces, "'}'"].join(', ')})`
}

/** A value out of a JSON object made by `jsonObject`, with its type. */
export function valueInJson(json: string, name: string, type: FieldType): string {
  const pointer = `/${name.toWellFormed().replaceAll('~', '~0').replaceAll('/', '~1')}`
  const text = `json_extract_string(${json}, ${quoteText(pointer)})`
  switch (type) {
    case 'text':
      return text
    case 'integer':
      return `CAST(${text} AS BIGINT)`
    case 'decimal':
      return `CAST(${text} AS DOUBLE)`
    case 'boolean':
      return `CAST(${text} AS BOOLEAN)`
    case 'date':
      return `CAST(${text} AS DATE)`
    case 'timestamp':
      return `CAST(${text} AS TIMESTAMP)`
  }
}

/** Puts `'` before a cell that a spreadsheet would run. The first test is cheap and true of nearly every text. */
export function neutralised(value: string): string {
  const isFormula = `${value} NOT BETWEEN 'A' AND '＊' AND unicode(${value}) IN (${FORMULA_STARTS})`
  return `CASE WHEN ${isFormula} THEN '''' || ${value} ELSE ${value} END`
}

/**
 * A CSV cell by RFC 4180: quoted where it must be, empty for NULL, `""` for a text of no characters. A carriage return
 * counts as a line end, which DuckDB's own writer leaves unquoted and PostgreSQL's COPY refuses.
 * `isAlone`: the only cell of its line, where an unquoted `\.` would be the end of the data to PostgreSQL's COPY.
 */
export function csvCell(value: string, type: FieldType, delimiter: string, isAlone: boolean): string {
  if (type !== 'text') return type === 'timestamp' ? plainText(value, type) : `CAST(${value} AS VARCHAR)`
  const marks = [quoteText('"'), quoteText(delimiter), 'chr(10)', 'chr(13)']
  const tests = [...marks.map((mark) => `contains(${value}, ${mark})`), `${value} = ''`]
  if (isAlone) tests.push(`${value} = '\\.'`)
  return `CASE WHEN ${tests.join(' OR ')} THEN '"' || replace(${value}, '"', '""') || '"' ELSE ${value} END`
}

/** The same for a name in the header. */
export function csvHeaderCell(name: string, delimiter: string, isNeutralised: boolean): string {
  const first = name.codePointAt(0) ?? -1
  const safe = isNeutralised && FORMULA_STARTS.split(', ').includes(String(first)) ? `'${name}` : name
  const mustQuote = ['"', delimiter, '\n', '\r'].some((mark) => safe.includes(mark))
  return mustQuote ? `"${safe.replaceAll('"', '""')}"` : safe
}
