import { parseCron } from './cron.ts'
import { Problem } from './problem.ts'
import { nextSlots } from './schedule-slots.ts'
import type { Schedule, Weekday } from './schedule.ts'
import { isTimeZone } from './zoned-time.ts'

const NAMES: Readonly<Record<Weekday, string>> = {
  mon: 'Monday',
  tue: 'Tuesday',
  wed: 'Wednesday',
  thu: 'Thursday',
  fri: 'Friday',
  sat: 'Saturday',
  sun: 'Sunday',
}

/** In English, for the command line and logs: `every day at 06:00 (Europe/Paris)`. */
export function describeSchedule(schedule: Schedule): string {
  const off = schedule.on ? '' : ', off'
  const blackout = schedule.blackout
    .map(({ days, from, to }) => `, not ${from} to ${to}${days.length === 0 ? '' : ` on ${list(days)}`}`)
    .join('')
  const zone = schedule.every.type === 'after-refresh' && blackout === '' ? '' : ` (${schedule.timeZone})`
  return `${describeEvery(schedule.every)}${blackout}${zone}${off}`
}

function describeEvery(every: Schedule['every']): string {
  switch (every.type) {
    case 'minutes':
      return every.minutes === 1 ? 'every minute' : `every ${every.minutes} minutes`
    case 'hourly':
      return `every hour at :${String(every.minute).padStart(2, '0')}`
    case 'daily':
      return `every day at ${every.at}`
    case 'weekly':
      return `every ${list(every.days)} at ${every.at}`
    case 'monthly':
      return every.day === 'last'
        ? `on the last day of every month at ${every.at}`
        : `on day ${every.day} of every month at ${every.at}`
    case 'cron':
      return `at cron "${every.cron}"`
    case 'after-refresh':
      return 'after its tables were refreshed'
  }
}

function list(days: readonly Weekday[]): string {
  return days.map((day) => NAMES[day]).join(', ')
}

/** Throws a `Problem` that names the place. The types are taken for granted, the values are not. `now` is where it looks from. */
export function checkSchedule(schedule: Schedule, now: Date): void {
  if (!isTimeZone(schedule.timeZone)) {
    throw new Problem('invalid', `There is no time zone "${schedule.timeZone}"`, {
      path: 'schedule.timeZone',
      cure: 'Use a name of the IANA time zone database, such as Europe/Paris, or UTC',
    })
  }
  checkEvery(schedule.every)
  schedule.blackout.forEach(({ days, from, to }, index) => {
    const path = `schedule.blackout[${index}]`
    checkTime(from, `${path}.from`)
    checkTime(to, `${path}.to`)
    checkDays(days, `${path}.days`)
  })
  if (schedule.every.type !== 'after-refresh' && nextSlots(schedule, now, 1).length === 0) {
    throw new Problem('invalid', 'This schedule never starts a run', {
      path: 'schedule',
      cure: 'Check that the date exists, and that no blackout covers every slot',
    })
  }
}

function checkEvery(every: Schedule['every']): void {
  const at = 'schedule.every'
  switch (every.type) {
    case 'minutes':
      checkNumber(every.minutes, 1, 1440, `${at}.minutes`)
      break
    case 'hourly':
      checkNumber(every.minute, 0, 59, `${at}.minute`)
      break
    case 'daily':
      checkTime(every.at, `${at}.at`)
      break
    case 'weekly':
      checkTime(every.at, `${at}.at`)
      checkDays(every.days, `${at}.days`)
      if (every.days.length === 0) {
        throw new Problem('invalid', 'No weekday is chosen', { path: `${at}.days`, cure: 'Choose at least one' })
      }
      break
    case 'monthly':
      checkTime(every.at, `${at}.at`)
      if (every.day === 'last') break
      if (Number.isInteger(every.day) && every.day > 28 && every.day <= 31) {
        throw new Problem('invalid', `Not every month has a day ${every.day}`, {
          path: `${at}.day`,
          cure: 'Use a day from 1 to 28, or "last"',
        })
      }
      checkNumber(every.day, 1, 28, `${at}.day`)
      break
    case 'cron':
      parseCron(every.cron, `${at}.cron`)
      break
    case 'after-refresh':
      break
  }
}

function checkNumber(value: number, from: number, to: number, path: string): void {
  if (Number.isInteger(value) && value >= from && value <= to) return
  throw new Problem('invalid', `${value} is not a whole number from ${from} to ${to}`, { path, cure: 'Correct it' })
}

function checkTime(value: string, path: string): void {
  if (/^(?:[01]\d|2[0-3]):[0-5]\d$/.test(value)) return
  throw new Problem('invalid', `"${value}" is no time of day`, { path, cure: 'Write it as HH:MM, from 00:00 to 23:59' })
}

function checkDays(days: readonly string[], path: string): void {
  const wrong = days.find((day, index) => !Object.hasOwn(NAMES, day) || days.indexOf(day) !== index)
  if (wrong === undefined) return
  throw new Problem('invalid', `"${wrong}" is no weekday, or is named twice`, {
    path,
    cure: `Use each of ${Object.keys(NAMES).join(', ')} at most once`,
  })
}
