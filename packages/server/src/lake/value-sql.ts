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
  /** Nothing stands there; blanks are nothing, unless the type is text. Never NULL. */
  readonly isEmpty: string
  /** NULL where there is no value of the type: nothing, or something else. */
  readonly value: string
}

export const DATE_FORMS: readonly DateForm[] = ['iso', 'ymd/', 'dmy.', 'dmy/', 'mdy/']

const STRICT_INTEGER = '-?(0|[1-9]\\d{0,18})'
/** An exponent needs a point or a sign, or article numbers such as 12E4 would be numbers; 15 digits are what a double keeps. */
const STRICT_DECIMAL = '-?(0|[1-9]\\d{0,14})(\\.\\d+([eE][-+]?\\d{1,2})?|[eE][-+]\\d{1,2})?'
const LENIENT_INTEGER = '[-+]?\\d{1,19}'
const LENIENT_DECIMAL = '[-+]?(\\d+\\.?\\d*|\\.\\d+)([eE][-+]?\\d{1,3})?'
const TIME = '\\d{1,2}:\\d{2}(:\\d{2}(\\.\\d{1,9})?)?(Z|[-+]\\d{2}(:?\\d{2})?)?'

/** The engine knows a year 0; we do not, as JSON and most databases do not. */
const YEAR = '(?:000[1-9]|00[1-9]\\d|0[1-9]\\d{2}|[1-9]\\d{3})'
const DATE: Readonly<Record<DateForm, string>> = {
  iso: `${YEAR}-\\d{2}-\\d{2}`,
  'ymd/': `${YEAR}/\\d{1,2}/\\d{1,2}`,
  'dmy.': `\\d{1,2}\\.\\d{1,2}\\.${YEAR}`,
  'dmy/': `\\d{1,2}/\\d{1,2}/${YEAR}`,
  'mdy/': `\\d{1,2}/\\d{1,2}/${YEAR}`,
}
/** What most writers write, and the engine reads at once. */
const PLAIN_TIMESTAMP = `${DATE.iso}[T ]\\d{2}:\\d{2}:\\d{2}(\\.\\d{1,6})?Z?`
/** From the parts of a date to ISO order. */
const TO_ISO: Readonly<Record<Exclude<DateForm, 'iso'>, readonly [from: string, to: string]>> = {
  'ymd/': ['^(\\d+)/(\\d+)/(\\d+)', '\\1-\\2-\\3'],
  'dmy.': ['^(\\d+)\\.(\\d+)\\.(\\d+)', '\\3-\\2-\\1'],
  'dmy/': ['^(\\d+)/(\\d+)/(\\d+)', '\\3-\\2-\\1'],
  'mdy/': ['^(\\d+)/(\\d+)/(\\d+)', '\\3-\\1-\\2'],
}
const TRUE = ['true', 't', 'yes', 'y', '1']
const FALSE = ['false', 'f', 'no', 'n', '0']

/**
 * Blanks around a value are allowed by the patterns and by the engine's casts, and not cut off beforehand: that alone would
 * cost more than reading the number. Each cell is looked at once: `CASE WHEN pattern THEN cast END`.
 */
export function valueSql(raw: string, { type, form, measure }: Reading): ValueSql {
  const isStrict = measure === 'strict'
  const isEmpty = `(${raw} IS NULL OR trim(${raw}) = '')`
  switch (type) {
    case 'text':
      return { isEmpty: `(${raw} IS NULL)`, value: raw }
    case 'integer': {
      const isNumber = matches(raw, isStrict ? STRICT_INTEGER : LENIENT_INTEGER)
      return { isEmpty, value: `CASE WHEN ${isNumber} THEN TRY_CAST(${raw} AS BIGINT) END` }
    }
    case 'decimal': {
      const number = `TRY_CAST(${raw} AS DOUBLE)`
      // What the strict pattern lets pass is finite.
      const isNumber = isStrict
        ? matches(raw, STRICT_DECIMAL)
        : `${matches(raw, LENIENT_DECIMAL)} AND isfinite(${number})`
      return { isEmpty, value: `CASE WHEN ${isNumber} THEN ${number} END` }
    }
    case 'boolean':
      return { isEmpty, value: truth(`lower(${raw})`, isStrict, truth(`lower(trim(${raw}))`, isStrict, 'NULL')) }
    case 'date':
      return {
        isEmpty,
        value: `CASE WHEN ${matches(raw, DATE[form])} THEN TRY_CAST(${isoOrder(raw, form)} AS DATE) END`,
      }
    case 'timestamp': {
      const pattern = DATE[form] + (isStrict ? `[T ]${TIME}` : `([T ]${TIME})?`)
      const plain = form === 'iso' ? `WHEN ${matches(raw, PLAIN_TIMESTAMP)} THEN TRY_CAST(${raw} AS TIMESTAMP)` : ''
      return { isEmpty, value: `CASE ${plain} WHEN ${matches(raw, pattern)} THEN ${moment(isoOrder(raw, form))} END` }
    }
  }
}

function truth(word: string, isStrict: boolean, otherwise: string): string {
  const list = (words: readonly string[]): string => words.map(quoteText).join(', ')
  const [yes, no] = isStrict ? [['true'], ['false']] : [TRUE, FALSE]
  return `CASE WHEN ${word} IN (${list(yes)}) THEN TRUE WHEN ${word} IN (${list(no)}) THEN FALSE ELSE ${otherwise} END`
}

function matches(raw: string, pattern: string): string {
  return `regexp_full_match(${raw}, ${quoteText(` *(${pattern}) *`)})`
}

/** In UTC. The engine's type without a zone is four times faster, and does not heed a zone: so it gets the texts without one. */
function moment(iso: string): string {
  const cast = (type: string): string =>
    `coalesce(TRY_CAST(${iso} AS ${type}), TRY_CAST(${withSeconds(iso)} AS ${type}))`
  // Behind the date: a `-` before that is none of a zone.
  const time = `substr(${iso}, 9)`
  const hasZone = `contains(${time}, '+') OR contains(${time}, '-')`
  return `CASE WHEN ${hasZone} THEN make_timestamp(epoch_us(${cast('TIMESTAMPTZ')})) ELSE ${cast('TIMESTAMP')} END`
}

/** The engine wants seconds where a zone follows. */
function withSeconds(text: string): string {
  return `regexp_replace(${text}, '([T ]\\d{1,2}:\\d{2})(Z|[-+])', '\\1:00\\2')`
}

function isoOrder(text: string, form: DateForm): string {
  if (form === 'iso') return text
  const [from, to] = TO_ISO[form]
  return `regexp_replace(trim(${text}), ${quoteText(from)}, ${quoteText(to)})`
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
