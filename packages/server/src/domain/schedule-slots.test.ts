import { expect, test } from 'vitest'
import { blackoutEnd, newestSlot, nextSlots, WEEKDAYS } from './schedule-slots.ts'
import type { Schedule, Weekday } from './schedule.ts'
import { checkSchedule, describeSchedule } from './schedule-text.ts'

const schedule = (
  every: Schedule['every'],
  timeZone = 'Europe/Paris',
  blackout: Schedule['blackout'] = [],
): Schedule => ({
  on: true,
  timeZone,
  every,
  blackout,
})
const slots = (given: Schedule, after: string, count: number): string[] =>
  nextSlots(given, new Date(after), count).map((slot) => slot.toISOString().replace(':00.000Z', 'Z'))

test('a slot in the skipped hour runs at the first moment after it, one in the doubled hour once, the first time', () => {
  const daily = schedule({ type: 'daily', at: '02:30' })
  expect(slots(daily, '2026-03-28T00:00:00Z', 3)).toEqual([
    '2026-03-28T01:30Z',
    '2026-03-29T01:00Z',
    '2026-03-30T00:30Z',
  ])
  expect(slots(daily, '2026-10-24T12:00:00Z', 2)).toEqual(['2026-10-25T00:30Z', '2026-10-26T01:30Z'])
  const hourly = schedule({ type: 'hourly', minute: 15 }, 'Australia/Lord_Howe')
  // Half an hour is skipped there: 02:15 does not exist, 02:30 is the first moment after.
  expect(slots(hourly, '2026-10-03T14:20:00Z', 3)).toEqual([
    '2026-10-03T14:45Z',
    '2026-10-03T15:30Z',
    '2026-10-03T16:15Z',
  ])
})

test('every N minutes counts in real time, through the doubled hour too', () => {
  const every = schedule({ type: 'minutes', minutes: 30 })
  expect(slots(every, '2026-10-25T00:00:00Z', 4)).toEqual([
    '2026-10-25T00:30Z',
    '2026-10-25T01:00Z',
    '2026-10-25T01:30Z',
    '2026-10-25T02:00Z',
  ])
})

test('months of every length, and dates that seldom exist', () => {
  const last = schedule({ type: 'monthly', day: 'last', at: '23:59' }, 'UTC')
  expect(slots(last, '2027-12-31T23:59:00Z', 3)).toEqual([
    '2028-01-31T23:59Z',
    '2028-02-29T23:59Z',
    '2028-03-31T23:59Z',
  ])
  expect(slots(schedule({ type: 'cron', cron: '0 0 29 2 *' }, 'UTC'), '2097-01-01T00:00:00Z', 1)).toEqual([
    '2104-02-29T00:00Z',
  ])
  expect(slots(schedule({ type: 'cron', cron: '0 0 30 2 *' }, 'UTC'), '2026-01-01T00:00:00Z', 1)).toEqual([])
})

test('a slot inside a blackout is left out, over midnight too', () => {
  const night = [{ days: ['fri'] as const, from: '22:00', to: '02:00' }]
  const hourly = schedule({ type: 'hourly', minute: 0 }, 'UTC', night)
  expect(slots(hourly, '2026-11-27T20:30:00Z', 3)).toEqual([
    '2026-11-27T21:00Z',
    '2026-11-28T02:00Z',
    '2026-11-28T03:00Z',
  ])
  expect(blackoutEnd(hourly, new Date('2026-11-27T23:10:30Z'))).toEqual(new Date('2026-11-28T02:00:00Z'))
  expect(blackoutEnd(hourly, new Date('2026-11-28T23:10:30Z'))).toBeNull()
})

test('the newest of the missed slots', () => {
  const until = new Date('2026-11-20T10:10:00Z')
  const known = new Date('2026-01-01T05:00:00Z')
  expect(newestSlot(schedule({ type: 'daily', at: '06:00' }), known, until)).toEqual(new Date('2026-11-20T05:00:00Z'))
  expect(newestSlot(schedule({ type: 'minutes', minutes: 5 }), known, until)).toEqual(until)
  expect(newestSlot(schedule({ type: 'monthly', day: 1, at: '06:00' }), known, until)).toEqual(
    new Date('2026-11-01T05:00:00Z'),
  )
  expect(newestSlot(schedule({ type: 'daily', at: '06:00' }), known, known)).toEqual(known)
})

test('says what it does', () => {
  expect(describeSchedule(schedule({ type: 'weekly', days: ['mon', 'fri'], at: '06:00' }))).toBe(
    'every Monday, Friday at 06:00 (Europe/Paris)',
  )
  const all = [{ days: [], from: '22:00', to: '06:00' }]
  expect(describeSchedule({ ...schedule({ type: 'hourly', minute: 5 }, 'UTC', all), on: false })).toBe(
    'every hour at :05, not 22:00 to 06:00 (UTC), off',
  )
})

test.each([
  ['schedule.timeZone', schedule({ type: 'daily', at: '06:00' }, 'Europe/Pari')],
  ['schedule.timeZone', schedule({ type: 'daily', at: '06:00' }, '+02:00')],
  ['schedule.every.at', schedule({ type: 'daily', at: '6:00' })],
  ['schedule.every.at', schedule({ type: 'daily', at: '24:00' })],
  ['schedule.every.minutes', schedule({ type: 'minutes', minutes: 0 })],
  ['schedule.every.minute', schedule({ type: 'hourly', minute: 60 })],
  ['schedule.every.days', schedule({ type: 'weekly', days: [], at: '06:00' })],
  ['schedule.every.days', schedule({ type: 'weekly', days: ['constructor' as Weekday], at: '06:00' })],
  ['schedule.every.day', schedule({ type: 'monthly', day: 31, at: '06:00' })],
  ['schedule.every.cron', schedule({ type: 'cron', cron: '0 0 6 * * *' })],
  ['schedule.every.cron (hour)', schedule({ type: 'cron', cron: '0 24 * * *' })],
  ['schedule.every.cron (minute)', schedule({ type: 'cron', cron: '*/0 * * * *' })],
  ['schedule.every.cron (weekday)', schedule({ type: 'cron', cron: '0 6 * * fri-mon' })],
  ['schedule', schedule({ type: 'cron', cron: '0 6 31 4 *' })],
  ['schedule', schedule({ type: 'daily', at: '03:00' }, 'UTC', [{ days: [], from: '02:00', to: '04:00' }])],
  ['schedule.blackout[0].to', schedule({ type: 'daily', at: '03:00' }, 'UTC', [{ days: [], from: '02:00', to: '4' }])],
])('refuses %s', (path, given) => {
  expect(() => checkSchedule(given, new Date('2026-01-01T00:00:00Z'))).toThrow(
    expect.objectContaining({ code: 'invalid', path }),
  )
})

/*
 * Against a calculator that shares no code with it: it walks through the minutes, reads the wall clock of each from Intl, and
 * calls covered what the wall clock shows or has jumped over; a wall time that comes again is not covered again.
 */
const ZONES = ['Europe/Paris', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kolkata']
const YEARS = [2026, 2027, 2028, 2029, 2030, 2031, 2032, 2033, 2034, 2035]
const MINUTE = 60_000

interface Minute {
  readonly moment: number
  /** The wall times that this moment covers: none, one, or those that a gap left out as well. */
  readonly covered: readonly WallTime[]
}
interface WallTime {
  readonly minute: number
  readonly hour: number
  readonly day: number
  readonly isLastDay: boolean
  readonly month: number
  readonly weekday: number
}

/** Three days around each change of the clock, and some without one. */
function walk(zone: string): Minute[][] {
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'short' })
  const wallMinute = (moment: number): number => Date.parse(`${format.format(moment).replace(' ', 'T')}Z`) / MINUTE
  const starts = YEARS.flatMap((year) =>
    [...changesOf(zone, year), Date.UTC(year, 1, 27), Date.UTC(year, 11, 30)].map(
      (moment) => moment - 36 * 60 * MINUTE,
    ),
  )
  return starts.map((start) => {
    const minutes: Minute[] = []
    let highest = wallMinute(start - MINUTE)
    for (let moment = start; moment < start + 72 * 60 * MINUTE; moment += MINUTE) {
      const covered: WallTime[] = []
      for (const wall = wallMinute(moment); highest < wall;) covered.push(wallTime((highest += 1)))
      minutes.push({ moment, covered })
    }
    return minutes
  })
}

function wallTime(wallMinute: number): WallTime {
  const date = new Date(wallMinute * MINUTE)
  return {
    minute: date.getUTCMinutes(),
    hour: date.getUTCHours(),
    day: date.getUTCDate(),
    isLastDay: new Date(date.getTime() + 86_400_000).getUTCDate() === 1,
    month: date.getUTCMonth() + 1,
    weekday: date.getUTCDay(),
  }
}

/** To the day, which is near enough for the windows. */
function changesOf(zone: string, year: number): number[] {
  const format = new Intl.DateTimeFormat('en-US', { timeZone: zone, timeZoneName: 'longOffset' })
  const offset = (moment: number): string | undefined =>
    format.formatToParts(moment).find(({ type }) => type === 'timeZoneName')?.value
  const days = Array.from({ length: 365 }, (_, day) => Date.UTC(year, 0, 1 + day))
  return days.filter((day) => offset(day) !== offset(day - 86_400_000)).map((day) => day - 43_200_000)
}

function firesOf(every: Schedule['every']): (wall: WallTime) => boolean {
  const isAt = (at: string, wall: WallTime): boolean =>
    wall.hour * 60 + wall.minute === Number(at.slice(0, 2)) * 60 + Number(at.slice(3))
  switch (every.type) {
    case 'hourly':
      return ({ minute }) => minute === every.minute
    case 'daily':
      return (wall) => isAt(every.at, wall)
    case 'weekly':
      return (wall) => isAt(every.at, wall) && every.days.some((day) => day === WEEKDAYS[wall.weekday])
    case 'monthly':
      return (wall) => isAt(every.at, wall) && (every.day === 'last' ? wall.isLastDay : wall.day === every.day)
    case 'cron': {
      const [minute = '', hour = '', day = '', month = '', weekday = ''] = every.cron.split(' ')
      const table = (field: string, from: number): boolean[] =>
        Array.from({ length: 60 }, (_, value) => matches(field, value, from))
      const [minutes, hours, days, months, weekdays] = [
        table(minute, 0),
        table(hour, 0),
        table(day, 1),
        table(month, 1),
        table(weekday, 0),
      ]
      const isEither = day !== '*' && weekday !== '*'
      return (wall) => {
        if (!(minutes[wall.minute] && hours[wall.hour] && months[wall.month])) return false
        const byDay = days[wall.day] === true
        const byWeekday = weekdays[wall.weekday] === true
        return isEither ? byDay || byWeekday : byDay && byWeekday
      }
    }
    default:
      throw new Error(every.type)
  }
}

function matches(field: string, value: number, from: number): boolean {
  return field.split(',').some((part) => {
    const [range = '', step = '1'] = part.split('/')
    if (range === '*') return (value - from) % Number(step) === 0
    const [low = '', high = part.includes('/') ? '99' : low] = range.split('-')
    return value >= Number(low) && value <= Number(high) && (value - Number(low)) % Number(step) === 0
  })
}

/** Small and repeatable; printed by the assertion when it fails. */
function randomOf(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

function specOf(random: (below: number) => number): Schedule['every'] {
  // Most of them in the hours in which clocks change.
  const hour = random(4) === 0 ? random(24) : random(4)
  const at = `${String(hour).padStart(2, '0')}:${String(random(60)).padStart(2, '0')}`
  const day = 1 + random(28)
  switch (random(6)) {
    case 0:
      return { type: 'hourly', minute: random(60) }
    case 1:
      return { type: 'daily', at }
    case 2:
      return { type: 'weekly', days: WEEKDAYS.filter((name) => name === 'sun' || random(2) === 0), at }
    case 3:
      return { type: 'monthly', day: random(3) === 0 ? 'last' : day, at }
    default: {
      const minutes = [`${random(60)}`, `*/${1 + random(40)}`, `${random(30)},${30 + random(30)}`, `${random(20)}-50/7`]
      const hours = ['*', `${hour}`, `0-${1 + random(5)}`, `*/${1 + random(5)}`]
      const days = ['*', '*', `${day}`, `${day}-31/2`]
      const months = ['*', '*', '3,4,10,11']
      const weekdays = ['*', '*', '0', '1-5', '6,0']
      const one = (from: readonly string[]): string => from[random(from.length)] ?? '*'
      return { type: 'cron', cron: [minutes, hours, days, months, weekdays].map(one).join(' ') }
    }
  }
}

const SEED = Number(process.env['SCHEDULE_SEED'] ?? 1)
/** Windows that each schedule is tried in; all of them (about 40 a zone) with SCHEDULE_ALL=1, which takes half a minute. */
const WINDOWS = process.env['SCHEDULE_ALL'] === undefined ? 6 : 1000

test(`200 schedules in 4 zones over 10 years are what an independent calculator says (seed ${SEED})`, () => {
  const random = randomOf(SEED)
  const specs = Array.from({ length: 200 }, () => specOf(random))
  let compared = 0
  for (const zone of ZONES) {
    const windows = walk(zone)
    for (const every of specs) {
      const fires = firesOf(every)
      const tried =
        WINDOWS < windows.length ? Array.from({ length: WINDOWS }, () => windows[random(windows.length)]) : windows
      for (const window of tried) {
        if (window === undefined) continue
        const expected = window.filter(({ covered }) => covered.some(fires))
        const after = new Date((window[0]?.moment ?? 0) - 1)
        const end = window.at(-1)?.moment ?? 0
        // One more than expected, which must lie beyond the window.
        const found = nextSlots(schedule(every, zone), after, expected.length + 1).filter(
          (slot) => slot.getTime() <= end,
        )
        const text = `${JSON.stringify(every)} in ${zone} after ${after.toISOString()}`
        expect(
          found.map((slot) => slot.getTime()),
          text,
        ).toEqual(expected.map(({ moment }) => moment))
        compared += found.length
      }
    }
  }
  expect(compared).toBeGreaterThan(10_000)
}, 120_000)
