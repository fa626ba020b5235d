/**
 * Wall clock and moment, by the time zone data that Node brings along. A wall time is held as the milliseconds that the
 * same digits have in UTC, so that its arithmetic knows nothing of zones.
 */
const formats = new Map<string, Intl.DateTimeFormat>()

function formatOf(timeZone: string): Intl.DateTimeFormat {
  const known = formats.get(timeZone)
  if (known !== undefined) return known
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    ...{ year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric' },
  })
  formats.set(timeZone, format)
  return format
}

/** IANA names and `UTC`; offsets such as `+02:00` know no daylight saving and are refused. */
export function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false
  try {
    formatOf(name)
    return true
  } catch {
    return false
  }
}

/** The wall time at a moment, to the second. */
export function wallAt(timeZone: string, moment: number): number {
  const [month = 0, day = 0, year = 0, hour = 0, minute = 0, second = 0] = (
    formatOf(timeZone).format(moment).match(/\d+/g) ?? []
  ).map(Number)
  return Date.UTC(year, month - 1, day, hour, minute, second)
}

const DAY_MS = 86_400_000

/**
 * The moment at which a wall clock first shows this time. A time that daylight saving skips is taken for the first moment
 * after the gap. Two changes of the clock within two days are not foreseen; no zone has had that since 1970.
 */
export function momentOf(timeZone: string, wall: number): number {
  const before = offsetAt(timeZone, wall - DAY_MS)
  const after = offsetAt(timeZone, wall + DAY_MS)
  if (before === after) return wall - before
  // The larger offset gives the earlier moment: of a time that comes twice, the first.
  for (const offset of [Math.max(before, after), Math.min(before, after)]) {
    if (offsetAt(timeZone, wall - offset) === offset) return wall - offset
  }
  return changeBetween(timeZone, wall - Math.max(before, after), wall - Math.min(before, after))
}

/** The offset that holds for every wall time of a day, or undefined on a day near a change of the clock. */
export function offsetOfDay(timeZone: string, day: number): number | undefined {
  const before = offsetAt(timeZone, day - DAY_MS)
  return before === offsetAt(timeZone, day + 2 * DAY_MS) ? before : undefined
}

function offsetAt(timeZone: string, moment: number): number {
  const second = Math.floor(moment / 1000) * 1000
  return wallAt(timeZone, second) - second
}

/** The moment at which the offset changes; it differs at the two ends. */
function changeBetween(timeZone: string, from: number, to: number): number {
  const before = offsetAt(timeZone, from)
  let low = Math.floor(from / 1000)
  let high = Math.ceil(to / 1000)
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (offsetAt(timeZone, middle * 1000) === before) low = middle
    else high = middle
  }
  return high * 1000
}
