const PAUSE_MAX_SECONDS = 3600

/**
 * The pause that a Retry-After header asks for: whole seconds or a date (RFC 9110, 10.2.3), between 1 s and 1 h. Undefined
 * for anything else: a negative or unreadable value says nothing, and back-off decides. A date is taken by the service's
 * own clock where the answer carries it, so that clocks which differ do not matter.
 */
export function retryAfterSeconds(headers: Headers, now: Date): number | undefined {
  const text = headers.get('retry-after')?.trim()
  if (text === undefined) return undefined
  if (/^\d{1,20}(?:\.\d{1,9})?$/.test(text)) return clamp(Number(text))
  const at = httpDate(text)
  if (at === undefined) return undefined
  const from = httpDate(headers.get('date') ?? '') ?? now.getTime()
  return clamp((at - from) / 1000)
}

function clamp(seconds: number): number {
  return Math.min(PAUSE_MAX_SECONDS, Math.max(1, Math.ceil(seconds)))
}

/** The three forms of an HTTP date; `Date.parse` alone would take many things for one. */
function httpDate(text: string): number | undefined {
  const isDate =
    /^[A-Z][a-z]{2,8}, \d{2}[ -][A-Z][a-z]{2}[ -]\d{2,4} \d{2}:\d{2}:\d{2} GMT$/.test(text) ||
    /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/.test(text)
  const time = isDate ? Date.parse(text.endsWith('GMT') ? text : `${text} GMT`) : Number.NaN
  return Number.isNaN(time) ? undefined : time
}
