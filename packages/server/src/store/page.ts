/**
 * A page of a list, by the place where the page before it ended and never by its number: what is added or removed meanwhile
 * neither repeats a row nor skips one, and the thousandth page costs what the first does.
 */
import { sql, type RawBuilder, type SelectQueryBuilder } from 'kysely'
import { Problem } from '../domain/problem.ts'

export interface PageRequest<S extends string = string> {
  readonly sort: S
  readonly descending: boolean
  /** The last row of the page before. */
  readonly after?: Place
  readonly limit: number
}
/** What a row is ordered by, as text, and its id, which tells rows apart that are equal in it. */
export interface Place {
  readonly key: string
  readonly id: string
}
export interface Page<T> {
  readonly items: readonly T[]
  /** Where the next page begins; null on the last. */
  readonly next: Place | null
}

/** An expression that an index is on, together with the id. */
export interface Order {
  readonly key: RawBuilder<unknown>
  readonly id: RawBuilder<unknown>
  readonly type: 'text' | 'timestamptz'
}

/** Orders, begins and ends the query, and adds `page_key`. One row more than asked for tells whether there is another page. */
export function paged<DB, T extends keyof DB, O>(
  query: SelectQueryBuilder<DB, T, O>,
  order: Order,
  page: PageRequest,
): SelectQueryBuilder<DB, T, O & { page_key: string }> {
  const way = sql.raw(page.descending ? 'DESC' : 'ASC')
  const ordered = query
    .select(sql<string>`(${order.key})::text`.as('page_key'))
    .orderBy(sql`${order.key} ${way}, ${order.id} ${way}`)
    .limit(page.limit + 1)
  if (page.after === undefined) return ordered as never
  // A cursor is handed back by whoever reads the list, so it may hold anything.
  if (order.type === 'timestamptz' && !/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})?[+-]\d\d$/.test(page.after.key))
    throw cursorProblem()
  const than = sql.raw(page.descending ? '<' : '>')
  const key = order.type === 'text' ? sql`${page.after.key}::text COLLATE "C"` : sql`${page.after.key}::timestamptz`
  return ordered.where(sql<boolean>`(${order.key}, ${order.id}) ${than} (${key}, ${page.after.id})`) as never
}

export function pageOf<R extends { readonly page_key: string }, T>(
  rows: readonly R[],
  page: PageRequest,
  make: (row: R) => T,
  idOf: (row: R) => string,
): Page<T> {
  const shown = rows.slice(0, page.limit)
  const last = shown.at(-1)
  const isMore = rows.length > page.limit
  return {
    items: shown.map(make),
    next: isMore && last !== undefined ? { key: last.page_key, id: idOf(last) } : null,
  }
}

export function cursorProblem(): Problem {
  return new Problem('invalid', 'query.cursor: This is not a cursor of this list', {
    path: 'query.cursor',
    cure: 'Give back what the last page gave as "next", or leave it out for the first page',
  })
}

/** Text that is to be found anywhere, upper and lower case alike, as a pattern for LIKE. */
export function patternOf(search: string): string {
  return `%${search.toLowerCase().replaceAll(/[\\%_]/g, String.raw`\$&`)}%`
}

/** As the indexes on names have it: see the migration that makes lists. */
export function nameKey(column: string): RawBuilder<unknown> {
  return sql`name_key(${sql.ref(column)}) COLLATE "C"`
}
