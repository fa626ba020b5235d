import { Problem } from '../domain/problem.ts'

export interface PageQuery {
  readonly cursor?: string
  readonly limit: number
}

/** Of a list that is ordered by a text which no two items share: the page after the item that the cursor names. */
export function pageOfList<T>(
  items: readonly T[],
  query: PageQuery,
  orderOf: (item: T) => string,
): { items: T[]; next: string | null } {
  const after = query.cursor === undefined ? undefined : readCursor(query.cursor, 1)[0]
  // By position where the item still stands, else by order: the list may have changed since.
  const at = after === undefined ? -1 : items.findIndex((item) => orderOf(item) === after)
  const start = after === undefined ? 0 : at >= 0 ? at + 1 : items.findIndex((item) => orderOf(item) > after)
  const page = start < 0 ? [] : items.slice(start, start + query.limit)
  const last = page.at(-1)
  const isMore = start >= 0 && start + query.limit < items.length
  return { items: page, next: last !== undefined && isMore ? makeCursor(orderOf(last)) : null }
}

/** Says where a page ended; to be handed back and not to be understood. */
export function makeCursor(...parts: readonly string[]): string {
  return Buffer.from(JSON.stringify(parts), 'utf8').toString('base64url')
}

export function readCursor(cursor: string, length: number): readonly string[] {
  const parts = decode(cursor)
  if (!Array.isArray(parts) || parts.length !== length) throw cursorProblem()
  return parts.map((part: unknown) => {
    if (typeof part !== 'string') throw cursorProblem()
    return part
  })
}

export function cursorProblem(): Problem {
  return new Problem('invalid', 'query.cursor: This is not a cursor of this list', {
    path: 'query.cursor',
    cure: 'Give back what the last page gave as "next", or leave it out for the first page',
  })
}

function decode(cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')) as unknown
  } catch {
    return undefined
  }
}
