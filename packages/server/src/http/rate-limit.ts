/**
 * How many requests one identity may make: a bucket that fills evenly and holds a minute's worth. In this process only; with
 * several, each counts for itself, so the whole allows as many times more. The operator's own door is not limited.
 */
export interface RateLimiter {
  take(who: string): Rate
}

export interface Rate {
  readonly isAllowed: boolean
  readonly limit: number
  readonly remaining: number
  /** Until the bucket is full again; until there is one request more where none is left. */
  readonly resetSeconds: number
}

/** The identity that has not asked for longest is forgotten; its bucket has long been full. */
const KEPT_MAX = 10_000

export function makeRateLimiter(perMinute: number, now: () => number): RateLimiter {
  const buckets = new Map<string, { tokens: number; at: number }>()
  const perMs = perMinute / 60_000
  return {
    take(who) {
      const at = now()
      const before = buckets.get(who)
      const filled = before === undefined ? perMinute : before.tokens + Math.max(0, at - before.at) * perMs
      const tokens = Math.min(perMinute, filled)
      const isAllowed = tokens >= 1
      const left = isAllowed ? tokens - 1 : tokens
      buckets.delete(who)
      buckets.set(who, { tokens: left, at })
      const [oldest] = buckets.keys()
      if (buckets.size > KEPT_MAX && oldest !== undefined) buckets.delete(oldest)
      const missing = isAllowed ? perMinute - left : 1 - left
      return {
        isAllowed,
        limit: perMinute,
        remaining: Math.floor(left),
        resetSeconds: Math.ceil(missing / perMs / 1000),
      }
    },
  }
}
