/** One request to SendGrid's Marketing API, and what its answers mean. Only what it says in so many words is a success. */
import {
  BatchRejected,
  DestinationInvalid,
  RateLimited,
  Unavailable,
  type Context,
  type FetchAnswer,
  type FetchInit,
  type Fields,
} from '@patchbay/connector-sdk'

export type Json = Readonly<Record<string, unknown>>

export interface SendGrid {
  get(path: string): Promise<Json>
  /** As `get` and `send`, and undefined where there is no such thing. */
  find(path: string): Promise<Json | undefined>
  search(path: string, body: Json): Promise<Json | undefined>
  send(method: 'POST' | 'PUT' | 'DELETE', path: string, body?: Json): Promise<Json>
  /** Asks for a removal of which it is known that there is nothing to remove. */
  tryRemoval(path: string): Promise<void>
  /** What stands at an address that SendGrid gave, which is not its own; undefined where it cannot be read. */
  download(url: string): Promise<string | undefined>
}

const PAUSE_MAX_SECONDS = 3600
/** A hundred contacts with all their custom fields, or the errors of a job. */
const ANSWER_BYTES_MAX = 8 * 1024 * 1024
const UNREADABLE = [401, 403, 404, 410]

export function sendGridApi<S extends Fields>(ctx: Context<S>, origin: string): SendGrid {
  const ask = async (path: string, init: FetchInit = {}): Promise<FetchAnswer> => {
    const answer = await ctx.fetch(`${origin}${path}`, { ...init, accept: [429], answerBytesMax: ANSWER_BYTES_MAX })
    if (answer.status === 429) throw new RateLimited(pauseSeconds(answer, ctx.now()), 'SendGrid asks for a pause (429)')
    return answer
  }
  const sent = (method: 'POST' | 'PUT' | 'DELETE', body?: Json): FetchInit =>
    body === undefined
      ? { method }
      : { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
  const orNothing = (answer: FetchAnswer): Json | undefined => (answer.status === 404 ? undefined : bodyOf(answer))
  return {
    get: async (path) => bodyOf(await ask(path)),
    find: async (path) => orNothing(await ask(path)),
    search: async (path, body) => orNothing(await ask(path, sent('POST', body))),
    send: async (method, path, body) => bodyOf(await ask(path, sent(method, body))),
    tryRemoval: async (path) => void orNothing(await ask(path, sent('DELETE'))),
    async download(url) {
      if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) return undefined
      const answer = await ctx.fetch(url, { accept: UNREADABLE, answerBytesMax: ANSWER_BYTES_MAX })
      return answer.status === 200 ? answer.text() : undefined
    },
  }
}

function bodyOf(answer: FetchAnswer): Json {
  const { status } = answer
  switch (status) {
    case 200:
    case 201:
    case 202: {
      const body = answer.json()
      if (isRecord(body)) return body
      throw new Unavailable('maybe', `SendGrid answered ${status} in a form that is not known`)
    }
    case 400:
    case 413:
    case 422:
      throw new BatchRejected(`SendGrid refused the request (${status})${fieldOf(answer)}`)
    case 404:
      throw new DestinationInvalid('list', 'SendGrid knows no such list (404): choose another')
    default:
      throw new Unavailable('maybe', `SendGrid answered in a way that is not known (${status})`)
  }
}

/** The place of the error, as `contacts[3].email`. Its message may repeat what was sent. */
function fieldOf(answer: FetchAnswer): string {
  try {
    const body = answer.json()
    const errors = isRecord(body) && Array.isArray(body['errors']) ? body['errors'].filter(isRecord) : []
    const field = errors[0]?.['field']
    return typeof field === 'string' && /^[a-z0-9_.[\]]{1,60}$/.test(field) ? `: ${field}` : ''
  } catch {
    return ''
  }
}

/** SendGrid tells when its window begins anew, in seconds since 1970. */
function pauseSeconds({ headers }: FetchAnswer, now: Date): number | undefined {
  const reset = Number(headers.get('x-ratelimit-reset') ?? Number.NaN)
  const seconds = Number.isFinite(reset)
    ? Math.ceil(reset - now.getTime() / 1000)
    : Number(headers.get('retry-after') ?? Number.NaN)
  return Number.isFinite(seconds) ? Math.min(Math.max(1, seconds), PAUSE_MAX_SECONDS) : undefined
}

export function isRecord(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The objects of a list; throws where it is none, since an answer without it says nothing. */
export function recordsOf(body: Json, name: string): readonly Json[] {
  const list = body[name]
  if (!Array.isArray(list)) throw new Unavailable('maybe', `SendGrid answered without ${name}`)
  return list.filter(isRecord)
}
