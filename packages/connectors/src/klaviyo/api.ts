/** Requests to Klaviyo, by JSON:API, and what its answers say. */
import { BatchRejected, Unavailable, type Context, type FetchAnswer, type Fields } from '@patchbay/connector-sdk'

/** Klaviyo keeps each revision for two years; this one ends in July 2028. */
const REVISION = '2026-07-15'
const MEDIA_TYPE = 'application/vnd.api+json'

export type Json = Readonly<Record<string, unknown>>

export interface Klaviyo {
  /** The body of a 200. Any other answer is thrown, a 404 as `NotThere`. */
  get(path: string, query?: Readonly<Record<string, string>>): Promise<Json>
  send(method: 'POST' | 'DELETE', path: string, body: Json): Promise<KlaviyoAnswer>
}

export interface KlaviyoAnswer {
  readonly status: number
  readonly body: Json | undefined
  readonly errors: readonly KlaviyoError[]
}

/** One entry of a JSON:API error list, or of the errors of an import. */
export interface KlaviyoError {
  readonly code: string
  readonly title: string
  /** May repeat what was sent: for the list of rejected rows only. */
  readonly detail: string
  readonly pointer: string
}

/** What was asked for is not there (any more). */
export class NotThere extends Error {
  override readonly name = 'NotThere'
}

export function klaviyoAt<S extends Fields>(origin: string, ctx: Context<S>): Klaviyo {
  const ask = async (url: URL, method: 'GET' | 'POST' | 'DELETE', body?: Json): Promise<KlaviyoAnswer> => {
    const headers = { revision: REVISION, accept: MEDIA_TYPE }
    const init = body === undefined ? { method, headers } : withBody(method, headers, body)
    const answer = await ctx.fetch(url, init)
    const given = readJson(answer)
    return { status: answer.status, body: given, errors: readErrors(given) }
  }
  return {
    async get(path, query = {}) {
      const url = new URL(path, origin)
      for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
      const answer = await ask(url, 'GET')
      if (answer.status === 404) throw new NotThere(path)
      if (answer.status === 200 && answer.body !== undefined) return answer.body
      if (answer.status === 400) throw new BatchRejected(`Klaviyo refused a question ${wordsOf(answer)}`)
      throw new Unavailable('maybe', `Klaviyo's answer is of no known kind ${wordsOf(answer)}`)
    },
    send: (method, path, body) => ask(new URL(path, origin), method, body),
  }
}

function withBody(method: 'GET' | 'POST' | 'DELETE', headers: Readonly<Record<string, string>>, body: Json) {
  return { method, headers: { ...headers, 'content-type': MEDIA_TYPE }, body: JSON.stringify(body) }
}

function readJson(answer: FetchAnswer): Json | undefined {
  try {
    const body = answer.json()
    return isRecord(body) ? body : undefined
  } catch {
    return undefined
  }
}

function readErrors(body: Json | undefined): readonly KlaviyoError[] {
  const errors = body?.['errors']
  return Array.isArray(errors) ? errors.flatMap((entry: unknown) => (isRecord(entry) ? [readError(entry)] : [])) : []
}

export function readError(entry: Json): KlaviyoError {
  const text = (value: unknown): string => (typeof value === 'string' ? value : '')
  const source = isRecord(entry['source']) ? entry['source'] : {}
  return {
    code: text(entry['code']),
    title: text(entry['title']),
    detail: text(entry['detail']),
    pointer: text(source['pointer']),
  }
}

/** Status, code and title: Klaviyo's own sentences, without what was sent. */
export function wordsOf({ status, errors: [first] }: KlaviyoAnswer): string {
  return first === undefined
    ? `(${status})`
    : `(${status}, ${first.code.slice(0, 60)}): ${first.title.slice(0, 200)}`.replace(/: $/, '')
}

export function isRecord(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
