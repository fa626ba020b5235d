import { Problem } from './problem.ts'

/** A parsed cron expression of five fields. */
export interface Cron {
  readonly minutes: readonly number[]
  readonly hours: readonly number[]
  readonly days: ReadonlySet<number>
  readonly months: ReadonlySet<number>
  readonly weekdays: ReadonlySet<number>
  /** When both days and weekdays are restricted, either is enough, as cron has always done it. */
  readonly eitherDay: boolean
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']

/** Minute, hour, day, month, weekday: `*`, numbers, names of months and weekdays, lists, ranges and steps. Throws `Problem` at `path`. */
export function parseCron(text: string, path: string): Cron {
  const fields = text.trim().split(/\s+/)
  const [minute, hour, day, month, weekday] = fields
  if (
    fields.length !== 5 ||
    minute === undefined ||
    hour === undefined ||
    day === undefined ||
    month === undefined ||
    weekday === undefined
  ) {
    throw new Problem('invalid', `"${text}" has ${fields.length} fields`, {
      path,
      cure: 'Give the five fields minute, hour, day, month and weekday, such as "30 6 * * mon-fri"',
    })
  }
  const parse = (name: string, field: string, from: number, to: number, names: readonly string[] = []): number[] =>
    parseField(field, { from, to, names, namesFrom: from === 1 ? 1 : 0 }, `${path} (${name})`)
  return {
    minutes: parse('minute', minute, 0, 59),
    hours: parse('hour', hour, 0, 23),
    days: new Set(parse('day', day, 1, 31)),
    months: new Set(parse('month', month, 1, 12, MONTHS)),
    weekdays: new Set(parse('weekday', weekday, 0, 7, WEEKDAYS).map((number) => number % 7)),
    eitherDay: day !== '*' && weekday !== '*',
  }
}

/** Whether it fires on a date; `month` from 1, `weekday` from 0 for Sunday. */
export function cronHasDay(
  cron: Cron,
  date: { readonly day: number; readonly month: number; readonly weekday: number },
): boolean {
  if (!cron.months.has(date.month)) return false
  const byDay = cron.days.has(date.day)
  const byWeekday = cron.weekdays.has(date.weekday)
  return cron.eitherDay ? byDay || byWeekday : byDay && byWeekday
}

interface FieldRange {
  readonly from: number
  readonly to: number
  readonly names: readonly string[]
  readonly namesFrom: number
}

function parseField(text: string, range: FieldRange, path: string): number[] {
  const wrong = (part: string): Problem =>
    new Problem('invalid', `"${part}" is no part of a cron field`, {
      path,
      cure: `Use numbers from ${range.from} to ${range.to}, *, lists (1,3), ranges (1-5) and steps (*/15)`,
    })
  const numberOf = (word: string): number | undefined => {
    const named = range.names.indexOf(word.toLowerCase())
    if (named >= 0) return named + range.namesFrom
    const number = /^\d{1,2}$/.test(word) ? Number(word) : -1
    return number >= range.from && number <= range.to ? number : undefined
  }
  const found = new Set<number>()
  for (const part of text.split(',')) {
    const match = /^(?:(\*)|([A-Za-z0-9]+)(?:-([A-Za-z0-9]+))?)(?:\/(\d{1,2}))?$/.exec(part)
    if (match === null) throw wrong(part)
    const [, star, first = '', last, stepText] = match
    const step = stepText === undefined ? 1 : Number(stepText)
    const from = star === undefined ? numberOf(first) : range.from
    // `5/10` counts from 5 to the end, as everywhere.
    const single = stepText === undefined ? from : range.to
    const named = last === undefined ? single : numberOf(last)
    // `fri-sun` ends with the other number that Sunday has.
    const to = star !== undefined ? range.to : named === 0 && range.to === 7 && last !== undefined ? 7 : named
    if (from === undefined || to === undefined || from > to || step < 1) throw wrong(part)
    for (let number = from; number <= to; number += step) found.add(number)
  }
  return [...found].toSorted((a, b) => a - b)
}
