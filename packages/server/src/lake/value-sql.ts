/**
 * Text to values: for each type what counts as one, and how it is read. Two measures. `strict` is for types that we infer:
 * only what loses nothing by being a number or a date is taken for one, so `007`, `+49 …`, `12E4` and twenty-digit numbers
 * stay text. `lenient` is for types that a person chose or that the table has: there `007` is 7 and `yes` is true.
 */
import type { FieldType } from '../domain/table.ts'
import { quoteText } from './sql-text.ts'

/** How the dates of a column are written. `iso` has the year first and `-`; the others are named by their order and sign. */
export type DateForm = 'iso' | 'ymd/' | 'dmy.' | 'dmy/' | 'mdy/'

/** What a column is read as. `form` counts for dates and timestamps only. */
export interface Reading {
  readonly type: FieldType
  readonly form: DateForm
  readonly measure: 'strict' | 'lenient'
}

export interface ValueSql {
  /** NULL, or text without the blanks around it; never an empty text, unless the type is text. */
  readonly text: string
  /** True where `text`, when not NULL, is a value of the type. */
  readonly isValue: string
  readonly value: string
}

export const DATE_FORMS: readonly DateForm[] = ['iso', 'ymd/', 'dmy.', 'dmy/', 'mdy/']

const STRICT_INTEGER = '-?(0|[1-9]\\d{0,18})'
/** An exponent needs a point or a sign, or article numbers such as 12E4 would be numbers; 15 digits are what a double keeps. */
const STRICT_DECIMAL = '-?(0|[1-9]\\d{0,14})(\\.\\d+([eE][-+]?\\d{1,3})?|[eE][-+]\\d{1,3})?'
const LENIENT_INTEGER = '[-+]?\\d{1,19}'
const LENIENT_DECIMAL = '[-+]?(\\d+\\.?\\d*|\\.\\d+)([eE][-+]?\\d{1,3})?'
const TIME = '\\d{1,2}:\\d{2}(:\\d{2}(\\.\\d{1,9})?)?(Z|[-+]\\d{2}(:?\\d{2})?)?'

const DATE: Readonly<Record<DateForm, string>> = {
  iso: '\\d{4}-\\d{2}-\\d{2}',
  'ymd/': '\\d{4}/\\d{1,2}/\\d{1,2}',
  'dmy.': '\\d{1,2}\\.\\d{1,2}\\.\\d{4}',
  'dmy/': '\\d{1,2}/\\d{1,2}/\\d{4}',
  'mdy/': '\\d{1,2}/\\d{1,2}/\\d{4}',
}
/** From the parts of a date to ISO order. */
const TO_ISO: Readonly<Record<Exclude<DateForm, 'iso'>, readonly [from: string, to: string]>> = {
  'ymd/': ['^(\\d+)/(\\d+)/(\\d+)', '\\1-\\2-\\3'],
  'dmy.': ['^(\\d+)\\.(\\d+)\\.(\\d+)', '\\3-\\2-\\1'],
  'dmy/': ['^(\\d+)/(\\d+)/(\\d+)', '\\3-\\2-\\1'],
  'mdy/': ['^(\\d+)/(\\d+)/(\\d+)', '\\3-\\1-\\2'],
}
const TRUE = ['true', 't', 'yes', 'y', '1']
const FALSE = ['false', 'f', 'no', 'n', '0']

export function valueSql(raw: string, { type, form, measure }: Reading): ValueSql {
  const text = type === 'text' ? raw : `nullif(trim(${raw}), '')`
  const isStrict = measure === 'strict'
  switch (type) {
    case 'text':
      return { text, isValue: 'TRUE', value: text }
    case 'integer': {
      const value = `TRY_CAST(${text} AS BIGINT)`
      // Cheaper than a pattern, and it says just that: nothing is lost.
      const isValue = isStrict
        ? `CAST(${value} AS VARCHAR) = ${text}`
        : `${matches(text, LENIENT_INTEGER)} AND ${value} IS NOT NULL`
      return { text, isValue, value }
    }
    case 'decimal': {
      const value = `TRY_CAST(${text} AS DOUBLE)`
      return {
        text,
        isValue: `${matches(text, isStrict ? STRICT_DECIMAL : LENIENT_DECIMAL)} AND isfinite(${value})`,
        value,
      }
    }
    case 'boolean': {
      const [yes, no] = isStrict ? [['true'], ['false']] : [TRUE, FALSE]
      const list = (words: readonly string[]): string => words.map(quoteText).join(', ')
      const isTrue = `lower(${text}) IN (${list(yes)})`
      return { text, isValue: `lower(${text}) IN (${list([...yes, ...no])})`, value: isTrue }
    }
    case 'date': {
      const value = `TRY_CAST(${isoOrder(text, form)} AS DATE)`
      return { text, isValue: `${matches(text, DATE[form])} AND ${value} >= DATE '0001-01-01'`, value }
    }
    case 'timestamp': {
      // Zones are respected; where there is none the session's holds, which is UTC.
      const iso = isoOrder(text, form)
      const moment = `coalesce(TRY_CAST(${iso} AS TIMESTAMPTZ), TRY_CAST(${withSeconds(iso)} AS TIMESTAMPTZ))`
      const value = `${moment} AT TIME ZONE 'UTC'`
      const time = isStrict ? `[T ]${TIME}` : `([T ]${TIME})?`
      return { text, isValue: `${matches(text, DATE[form] + time)} AND ${value} >= TIMESTAMP '0001-01-01'`, value }
    }
  }
}

function matches(text: string, pattern: string): string {
  return `regexp_full_match(${text}, ${quoteText(pattern)})`
}

/** The engine wants seconds where a zone follows. */
function withSeconds(text: string): string {
  return `regexp_replace(${text}, '([T ]\\d{1,2}:\\d{2})(Z|[-+])', '\\1:00\\2')`
}

function isoOrder(text: string, form: DateForm): string {
  if (form === 'iso') return text
  const [from, to] = TO_ISO[form]
  return `regexp_replace(${text}, ${quoteText(from)}, ${quoteText(to)})`
}

/** The same in JavaScript, for the few texts of a sample: it may let pass what the engine then refuses, never the other way. */
export function mayBe(text: string, { type, form }: Pick<Reading, 'type' | 'form'>): boolean {
  const whole = (pattern: string): boolean => new RegExp(`^(?:${pattern})$`).test(text.trim())
  switch (type) {
    case 'text':
      return true
    case 'integer':
      return whole(STRICT_INTEGER)
    case 'decimal':
      return whole(STRICT_DECIMAL)
    case 'boolean':
      return /^(?:true|false)$/i.test(text.trim())
    case 'date':
      return whole(DATE[form])
    case 'timestamp':
      return whole(`${DATE[form]}[T ]${TIME}`)
  }
}
