import { cronHasDay, parseCron } from './cron.ts'
import type { Schedule, Weekday } from './schedule.ts'
import { momentOf, offsetOfDay, wallAt } from './zoned-time.ts'

export const WEEKDAYS: readonly Weekday[] = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']
const MINUTE_MS = 60_000
const DAY_MS = 86_400_000
/** Past the leap year that a century leaves out, so that every date that exists at all is found. */
const DAYS_SEARCHED = 3660

/**
 * The next moments at which the schedule starts a run, later than `after`. Whether it is on is not asked.
 * `minutes` counts in real time, in whole multiples since 1970, through every change of the clock; everything else goes by
 * the wall clock of its zone: a time that daylight saving skips runs at the first moment after the gap, one that comes
 * twice runs once, the first time. A slot inside a blackout is left out, not made up for. Times that fall together are one.
 */
export function nextSlots(schedule: Schedule, after: Date, count: number): Date[] {
  const slots: Date[] = []
  for (const moment of momentsAfter(schedule, after.getTime())) {
    if (slots.length >= count) break
    if (!inBlackout(schedule, moment)) slots.push(new Date(moment))
  }
  return slots
}

/** The newest slot that is not later than `until`; `known` is one of them. For a server that comes back after a while. */
export function newestSlot(schedule: Schedule, known: Date, until: Date): Date {
  let newest = known
  let stepMs = DAY_MS
  // Looks back from the end, further each time, so that a year of missed minutes is not walked through.
  for (let from = until.getTime() - stepMs; ; from -= stepMs) {
    const start = new Date(Math.max(from, known.getTime()))
    for (const moment of momentsAfter(schedule, start.getTime())) {
      if (moment > until.getTime()) break
      if (!inBlackout(schedule, moment)) newest = new Date(moment)
    }
    if (newest > known || start <= known) return newest
    stepMs *= 2
  }
}

/** Null outside every blackout, else when the last of those that follow on each other ends. */
export function blackoutEnd(schedule: Schedule, now: Date): Date | null {
  if (!inBlackout(schedule, now.getTime())) return null
  let moment = Math.floor(now.getTime() / MINUTE_MS) * MINUTE_MS
  const last = moment + 8 * DAY_MS
  while (inBlackout(schedule, moment) && moment < last) moment += MINUTE_MS
  return new Date(moment)
}

function* momentsAfter(schedule: Schedule, after: number): Generator<number> {
  const { every, timeZone } = schedule
  if (every.type === 'after-refresh') return
  if (every.type === 'minutes') {
    const step = every.minutes * MINUTE_MS
    const last = after + 8 * DAY_MS
    for (let moment = (Math.floor(after / step) + 1) * step; moment <= last; moment += step) yield moment
    return
  }
  const { hasDay, minutes } = wallTimesOf(every)
  // From the day before: a slot of yesterday that a gap has put off may still be ahead.
  const firstDay = Math.floor(wallAt(timeZone, after) / DAY_MS) * DAY_MS - DAY_MS
  let newest = after
  for (let day = firstDay; day < firstDay + DAYS_SEARCHED * DAY_MS; day += DAY_MS) {
    if (!hasDay(new Date(day))) continue
    const offset = offsetOfDay(timeZone, day)
    for (const minute of minutes) {
      const wall = day + minute * MINUTE_MS
      const moment = offset === undefined ? momentOf(timeZone, wall) : wall - offset
      if (moment <= newest) continue
      newest = moment
      yield moment
    }
  }
}

/** On which dates, and at which minutes of the day, in order. Dates are read by their UTC parts. */
function wallTimesOf(every: Exclude<Schedule['every'], { readonly type: 'minutes' | 'after-refresh' }>): {
  readonly hasDay: (date: Date) => boolean
  readonly minutes: readonly number[]
} {
  switch (every.type) {
    case 'hourly':
      return { hasDay: () => true, minutes: Array.from({ length: 24 }, (_, hour) => hour * 60 + every.minute) }
    case 'daily':
      return { hasDay: () => true, minutes: [minuteOfDay(every.at)] }
    case 'weekly': {
      const days = new Set(every.days.map((day) => WEEKDAYS.indexOf(day)))
      return { hasDay: (date) => days.has(date.getUTCDay()), minutes: [minuteOfDay(every.at)] }
    }
    case 'monthly': {
      const { day } = every
      const hasDay = (date: Date): boolean =>
        day === 'last' ? new Date(date.getTime() + DAY_MS).getUTCDate() === 1 : date.getUTCDate() === day
      return { hasDay, minutes: [minuteOfDay(every.at)] }
    }
    case 'cron': {
      const cron = parseCron(every.cron, 'schedule.every.cron')
      return {
        hasDay: (date) =>
          cronHasDay(cron, { day: date.getUTCDate(), month: date.getUTCMonth() + 1, weekday: date.getUTCDay() }),
        minutes: cron.hours.flatMap((hour) => cron.minutes.map((minute) => hour * 60 + minute)),
      }
    }
  }
}

function inBlackout(schedule: Schedule, moment: number): boolean {
  if (schedule.blackout.length === 0) return false
  const wall = new Date(wallAt(schedule.timeZone, moment))
  const minute = wall.getUTCHours() * 60 + wall.getUTCMinutes()
  const today = wall.getUTCDay()
  return schedule.blackout.some(({ days, from, to }) => {
    const isOn = (weekday: number): boolean =>
      days.length === 0 || days.some((day) => WEEKDAYS.indexOf(day) === weekday)
    const start = minuteOfDay(from)
    const end = minuteOfDay(to)
    if (start < end) return isOn(today) && minute >= start && minute < end
    // Over midnight: the evening of its own day, or the morning after it.
    return (isOn(today) && minute >= start) || (isOn((today + 6) % 7) && minute < end)
  })
}

function minuteOfDay(time: string): number {
  return Number(time.slice(0, 2)) * 60 + Number(time.slice(3, 5))
}
