import { cursorProblem, type PageRequest, type Place } from '../store/page.ts'

export interface PageQuery {
  readonly cursor?: string
  readonly limit: number
}

/** What a list in the store is asked for: `-name` is by name, the last first. A cursor is of one order and of no other. */
export function pageRequest<S extends string>(query: PageQuery & { readonly sort: S | `-${S}` }): PageRequest<S> {
  const descending = query.sort.startsWith('-')
  const sort = (descending ? query.sort.slice(1) : query.sort) as S
  if (query.cursor === undefined) return { sort, descending, limit: query.limit }
  const [of, key = '', id = ''] = readCursor(query.cursor, 3)
  if (of !== query.sort || id === '') throw cursorProblem()
  return { sort, descending, limit: query.limit, after: { key, id } }
}

export function cursorOf(sort: string, next: Place | null): string | null {
  return next === null ? null : makeCursor(sort, next.key, next.id)
}

/** The filters that were given: a store's filter has no field for one that was not. */
export function pick<T extends object, K extends keyof T>(from: T, names: readonly K[]): Pick<T, K> {
  return Object.fromEntries(
    names.filter((name) => from[name] !== undefined).map((name) => [name, from[name]]),
  ) as unknown as Pick<T, K>
}

/** Says where a page ended; to be handed back and not to be understood. */
export function makeCursor(...parts: readonly string[]): string {
  return Buffer.from(JSON.stringify(parts), 'utf8').toString('base64url')
}

export function readCursor(cursor: string, length: number): readonly string[] {
  const parts = decode(cursor)
  if (!Array.isArray(parts) || parts.length !== length) throw cursorProblem()
  return parts.map((part: unknown) => {
    if (typeof part !== 'string' || /\p{Cc}/u.test(part)) throw cursorProblem()
    return part
  })
}

function decode(cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')) as unknown
  } catch {
    return undefined
  }
}

export { cursorProblem } from '../store/page.ts'
