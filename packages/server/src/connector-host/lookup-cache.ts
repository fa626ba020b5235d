/** Answers of a service, for the moment in which somebody types: the same letters again are not asked again. */
export interface LookupCache<T> {
  /** The kept answer, or what `ask` gives. A failure is not kept. */
  get(key: string, ask: () => Promise<T>): Promise<T>
}

const KEPT_MS = 30_000
const KEPT_MAX = 500

export function makeLookupCache<T>(now: () => Date): LookupCache<T> {
  const kept = new Map<string, { readonly until: number; readonly value: T }>()
  return {
    async get(key, ask) {
      const found = kept.get(key)
      if (found !== undefined && found.until > now().getTime()) return found.value
      const value = await ask()
      kept.delete(key)
      kept.set(key, { until: now().getTime() + KEPT_MS, value })
      const [oldest] = kept.keys()
      if (kept.size > KEPT_MAX && oldest !== undefined) kept.delete(oldest)
      return value
    },
  }
}
