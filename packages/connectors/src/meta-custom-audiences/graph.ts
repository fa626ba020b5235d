/** One request to the Graph API, and what its answers mean. Only what it says in so many words is a success. */
import {
  BatchRejected,
  ConnectionRefused,
  DestinationInvalid,
  RateLimited,
  Unavailable,
  type Context,
  type FetchAnswer,
  type Fields,
} from '@patchbay/connector-sdk'

export const VERSION = 'v23.0'

export type Json = Readonly<Record<string, unknown>>

export interface Graph {
  get(path: string, query?: Readonly<Record<string, string>>): Promise<Json>
  send(method: 'POST' | 'DELETE', path: string, body: Json): Promise<Json>
}

/** The Graph API says with 400 and 403 too that it wants a pause, so these are judged here. */
const JUDGED_HERE = [400, 401, 403, 404, 429]

export function graphAt<S extends Fields>(origin: string, ctx: Context<S>): Graph {
  const ask = async (url: URL, init: Parameters<Context['fetch']>[1]): Promise<Json> => {
    const answer = await ctx.fetch(url, { ...init, accept: JUDGED_HERE })
    const body = readJson(answer)
    if (answer.status === 200 && body !== undefined && body['error'] === undefined) return body
    throw errorOf(answer, body)
  }
  const urlOf = (path: string): URL => new URL(`/${VERSION}${path}`, origin)
  return {
    get(path, query = {}) {
      const url = urlOf(path)
      for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
      return ask(url, {})
    },
    send: (method, path, body) =>
      ask(urlOf(path), { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  }
}

function readJson(answer: FetchAnswer): Json | undefined {
  try {
    const body = answer.json()
    return isRecord(body) ? body : undefined
  } catch {
    return undefined
  }
}

/** Codes with which Meta asks for a pause: of the app, the person, the ad account, the page, custom audiences. */
const PAUSE_CODES: ReadonlySet<number> = new Set([4, 17, 32, 341, 368, 613, 80_000, 80_003, 80_004, 80_014])
/** The token ended, was taken back, or the person's session did. */
const TOKEN_CODES: ReadonlySet<number> = new Set([102, 190, 458, 459, 460, 463, 464, 467, 492])
/** Meta's own trouble: it asks to try again. */
const TROUBLE_CODES: ReadonlySet<number> = new Set([1, 2])
const TERMS_SUBCODES: ReadonlySet<number> = new Set([1_870_034, 1_870_090])
const BLOCKED_SUBCODE = 1_713_230
const UNKNOWN_OBJECT_SUBCODE = 33

function errorOf(answer: FetchAnswer, body: Json | undefined): Error {
  const error = isRecord(body?.['error']) ? body['error'] : undefined
  const code = numberOf(error?.['code'])
  const subcode = numberOf(error?.['error_subcode'])
  // The title is Meta's own sentence for the code; the message may repeat what was sent.
  const title = typeof error?.['error_user_title'] === 'string' ? `: ${error['error_user_title'].slice(0, 200)}` : ''
  const words = `(${answer.status}, code ${code ?? 'none'}${subcode === undefined ? '' : `/${subcode}`})${title}`

  if (answer.status === 429 || (code !== undefined && PAUSE_CODES.has(code)))
    return new RateLimited(pauseSeconds(answer), `Meta asks for a pause ${words}`)
  if (subcode !== undefined && TERMS_SUBCODES.has(subcode))
    return new ConnectionRefused(
      `The terms of Custom Audiences are not accepted yet ${words}: who set this up opens ` +
        'https://business.facebook.com/ads/manage/customaudiences/tos/ and accepts them for the ad account',
      { step: 'may-write' },
    )
  if (code !== undefined && TOKEN_CODES.has(code))
    return new ConnectionRefused(`Meta no longer accepts the sign-in ${words}: sign in again`, { step: 'signed-in' })
  if (code === 10 || (code !== undefined && code >= 200 && code < 300))
    return new ConnectionRefused(`Who signed in may not do this ${words}: give them the right to manage campaigns`, {
      step: 'may-write',
    })
  if (subcode === BLOCKED_SUBCODE)
    return new DestinationInvalid('audience', `Meta has blocked uploads to this audience ${words}`)
  if (subcode === UNKNOWN_OBJECT_SUBCODE || code === 803 || answer.status === 404)
    return new DestinationInvalid('audience', `Meta knows no such audience, or does not show it to you ${words}`)
  if (answer.status === 401 || answer.status === 403)
    return new ConnectionRefused(`Meta refused the sign-in ${words}`, { step: 'signed-in' })
  if (code !== undefined && TROUBLE_CODES.has(code)) return new Unavailable('maybe', `Meta has a fault ${words}`)
  if (answer.status === 400) return new BatchRejected(`Meta refused the request ${words}`)
  return new Unavailable('maybe', `Meta's answer is of no known kind ${words}`)
}

/** Minutes until access is regained, as the header of the business use case tells them; Meta sends no Retry-After with 400. */
function pauseSeconds({ headers }: FetchAnswer): number | undefined {
  const retryAfter = Number(headers.get('retry-after') ?? Number.NaN)
  if (Number.isFinite(retryAfter) && retryAfter >= 0) return retryAfter
  try {
    const usage: unknown = JSON.parse(headers.get('x-business-use-case-usage') ?? '')
    const entries = isRecord(usage) ? Object.values(usage).flat() : []
    const minutes = entries.flatMap((entry) => {
      const value = isRecord(entry) ? numberOf(entry['estimated_time_to_regain_access']) : undefined
      return value === undefined ? [] : [value]
    })
    return minutes.length === 0 ? undefined : Math.max(...minutes) * 60
  } catch {
    return undefined
  }
}

export function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}

export function isRecord(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
