/** Dates and timestamps as rules and rows carry them: ISO 8601 text, years 0001 to 9999. */

const TIMESTAMP = /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d(?::?\d\d)?)?$/
const MS_PER_MINUTE = 60_000

export function isIsoDate(text: string): boolean {
  const [, year, month, day] = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text)?.map(Number) ?? []
  return year !== undefined && month !== undefined && day !== undefined && dayNumber(year, month, day) !== undefined
}

/** Microseconds since 1970; undefined for what is no timestamp. Without a zone it is UTC. Digits beyond microseconds are cut off. */
export function timestampMicros(text: string): bigint | undefined {
  const parts = TIMESTAMP.exec(text)
  if (parts === null) return undefined
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts
    .slice(1, 7)
    .map((part) => Number(part ?? 0))
  const days = dayNumber(year, month, day)
  const offset = offsetMinutes(parts[8])
  if (days === undefined || offset === undefined || hour > 23 || minute > 59 || second > 59) return undefined
  const milliseconds = (days * 1440 + hour * 60 + minute - offset) * MS_PER_MINUTE + second * 1000
  return BigInt(milliseconds) * 1000n + BigInt((parts[7] ?? '').padEnd(6, '0').slice(0, 6))
}

/** Days since 1970-01-01; undefined for a day that no calendar has. */
function dayNumber(year: number, month: number, day: number): number | undefined {
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  const isReal =
    year > 0 && date.getUTCFullYear() === year && date.getUTCMonth() === month - 1 && date.getUTCDate() === day
  return isReal ? date.getTime() / (1440 * MS_PER_MINUTE) : undefined
}

function offsetMinutes(zone: string | undefined): number | undefined {
  if (zone === undefined || zone === 'Z') return 0
  const [hours = 0, minutes = 0] = (/^.(\d\d):?(\d\d)?$/.exec(zone) ?? []).slice(1).map((part) => Number(part ?? 0))
  if (hours > 15 || minutes > 59) return undefined
  return (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes)
}
