/** One request to Mailchimp's Marketing API, and what its answers mean. Only what it says in so many words is a success. */
import {
  BatchRejected,
  ConnectionRefused,
  DestinationInvalid,
  RateLimited,
  Unavailable,
  type Context,
  type FetchAnswer,
  type FetchInit,
  type Fields,
} from '@patchbay/connector-sdk'

export type Json = Readonly<Record<string, unknown>>

export interface Mailchimp {
  get(path: string, query?: Readonly<Record<string, string>>): Promise<Json>
  post(path: string, body: Json): Promise<Json>
  /** Gives the status of what is one member's own: 204 where it was there, 404 where not. */
  remove(path: string): Promise<number>
}

/** Mailchimp's own time-out. A batch of 500 members takes it up to a minute. */
const PATIENCE_SECONDS = 120
/** It repeats every member in its answer, at about 4 KB. */
const ANSWER_BYTES_MAX = 8 * 1024 * 1024

/** `base` is where the API of the account's data centre is, as `https://us6.api.mailchimp.com/3.0`. */
export function mailchimpApi<S extends Fields>(ctx: Context<S>, base: string): Mailchimp {
  const ask = async (path: string, init: FetchInit): Promise<FetchAnswer> => {
    const answer = await ctx.fetch(`${base}${path}`, { ...init, accept: [403], patienceSeconds: PATIENCE_SECONDS })
    if (answer.status === 403) throw refusal(answer)
    return answer
  }
  return {
    async get(path, query = {}) {
      const search = new URLSearchParams(query).toString()
      return bodyOf(await ask(search === '' ? path : `${path}?${search}`, {}))
    },
    async post(path, body) {
      const headers = { 'content-type': 'application/json' }
      const init = { method: 'POST', headers, body: JSON.stringify(body), answerBytesMax: ANSWER_BYTES_MAX } as const
      return bodyOf(await ask(path, init))
    },
    async remove(path) {
      return (await ask(path, { method: 'DELETE' })).status
    },
  }
}

/** At very high volume Mailchimp says "too many" with a 403 that has no JSON; every other is a refusal. */
function refusal(answer: FetchAnswer): Error {
  const title = titleOf(answer)
  if (title === undefined) return new RateLimited(undefined, 'Mailchimp asked for a pause (403)')
  return new ConnectionRefused(`Mailchimp refuses this (403): ${title}`, { step: 'signed-in' })
}

function bodyOf(answer: FetchAnswer): Json {
  const { status } = answer
  if (status === 200) {
    const body = answer.json()
    if (isRecord(body)) return body
    throw new Unavailable('maybe', 'Mailchimp answered 200 in a form that is not known')
  }
  const title = titleOf(answer)
  const words = title === undefined ? `(${status})` : `(${status}): ${title}`
  if (status === 404)
    throw new DestinationInvalid('audience', `Mailchimp knows no such audience ${words}: choose another`)
  if (status === 400 || status === 413 || status === 422)
    throw new BatchRejected(`Mailchimp refused the request ${words}`)
  throw new Unavailable('maybe', `Mailchimp answered in a way that is not known ${words}`)
}

/** Mailchimp's own name for the error. What stands beside it, its detail, may repeat what was sent. */
function titleOf(answer: FetchAnswer): string | undefined {
  try {
    const body = answer.json()
    const title = isRecord(body) ? body['title'] : undefined
    if (typeof title !== 'string') return undefined
    return /^[A-Za-z ]{1,60}$/.test(title) ? title : 'no title'
  } catch {
    return undefined
  }
}

export function isRecord(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The objects of a list; throws where it is none, since an answer without it says nothing. */
export function recordsOf(body: Json, name: string): readonly Json[] {
  const list = body[name]
  if (!Array.isArray(list)) throw new Unavailable('maybe', `Mailchimp answered without ${name}`)
  return list.filter(isRecord)
}
