/** One request to HubSpot's API, and what its answers mean. Only what it says in so many words is a success. */
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

export interface HubSpot {
  get(path: string): Promise<Json>
  /** As `get`, and undefined where there is no such thing. */
  find(path: string): Promise<Json | undefined>
  send(method: 'POST' | 'PUT', path: string, body: unknown): Promise<Json>
}

/** HubSpot says with these what no host can know: which scope is missing, how long it wants peace. */
const JUDGED_HERE = [403, 423, 429, 477]
/** All properties of a contact, with the choices of each, are more than 1 MiB in large accounts. */
const ANSWER_BYTES_MAX = 8 * 1024 * 1024
/** Its daily limit ends at midnight of a time zone that it does not say. */
const DAILY_PAUSE_SECONDS = 3600
const LOCKED_PAUSE_SECONDS = 2

export function hubSpotApi<S extends Fields>(ctx: Context<S>, origin: string): HubSpot {
  const ask = (path: string, init: FetchInit = {}): Promise<FetchAnswer> =>
    ctx.fetch(`${origin}${path}`, { ...init, accept: JUDGED_HERE, answerBytesMax: ANSWER_BYTES_MAX })
  return {
    get: async (path) => bodyOf(await ask(path)),
    async find(path) {
      const answer = await ask(path)
      return answer.status === 404 ? undefined : bodyOf(answer)
    },
    async send(method, path, body) {
      const headers = { 'content-type': 'application/json' }
      return bodyOf(await ask(path, { method, headers, body: JSON.stringify(body) }))
    },
  }
}

/** 207 is a success of which each part tells for itself. */
const GOOD: readonly number[] = [200, 201, 207]

function bodyOf(answer: FetchAnswer): Json {
  if (!GOOD.includes(answer.status)) throw errorOf(answer)
  const body = answer.json()
  if (isRecord(body)) return body
  throw new Unavailable('maybe', `HubSpot answered ${answer.status} in a form that is not known`)
}

function errorOf(answer: FetchAnswer): Error {
  const { status } = answer
  const body = readJson(answer)
  const category = codeOf(body?.['category'])
  const words = category === undefined ? `(${status})` : `(${status}): ${category}`
  switch (status) {
    case 400:
    case 413:
    case 422:
      return new BatchRejected(`HubSpot refused the request ${words}`)
    case 403: {
      const scopes = missingScopes(body)
      const cure = scopes.length === 0 ? '' : `; it lacks ${scopes.join(', ')}`
      return new ConnectionRefused(`HubSpot does not allow this to the sign-in ${words}${cure}`, { step: 'may-write' })
    }
    case 404:
      return new DestinationInvalid('list', `HubSpot knows no such list ${words}: choose another`)
    case 423:
      return new RateLimited(LOCKED_PAUSE_SECONDS, 'HubSpot has locked this for a moment (423)')
    case 429:
      return new RateLimited(pauseSeconds(answer, body), `HubSpot asks for a pause ${words}`)
    case 477:
      return new RateLimited(secondsOf(answer, 'retry-after'), 'HubSpot moves the account to another data center (477)')
    default:
      return new Unavailable('maybe', `HubSpot answered in a way that is not known ${words}`)
  }
}

/** Of a limit over ten seconds or one it tells the window's length, of the daily one nothing. */
function pauseSeconds(answer: FetchAnswer, body: Json | undefined): number | undefined {
  const retryAfter = secondsOf(answer, 'retry-after')
  if (retryAfter !== undefined) return retryAfter
  if (body?.['policyName'] === 'DAILY') return DAILY_PAUSE_SECONDS
  const windowMs = secondsOf(answer, 'x-hubspot-ratelimit-interval-milliseconds')
  return windowMs === undefined ? undefined : Math.ceil(windowMs / 1000)
}

function secondsOf({ headers }: FetchAnswer, name: string): number | undefined {
  const number = Number(headers.get(name) ?? Number.NaN)
  return Number.isFinite(number) && number >= 0 ? number : undefined
}

function missingScopes(body: Json | undefined): readonly string[] {
  const errors = Array.isArray(body?.['errors']) ? body['errors'].filter(isRecord) : []
  const scopes = errors.flatMap(({ context }) => {
    const found = isRecord(context) ? (context['requiredGranularScopes'] ?? context['requiredScopes']) : undefined
    return Array.isArray(found) ? (found as readonly unknown[]) : []
  })
  return scopes.filter((scope): scope is string => typeof scope === 'string' && /^[a-z0-9._-]{1,60}$/.test(scope))
}

/** HubSpot's own code for an error. Its message may repeat what was sent. */
function codeOf(category: unknown): string | undefined {
  return typeof category === 'string' && /^[A-Z_]{1,60}$/.test(category) ? category : undefined
}

function readJson(answer: FetchAnswer): Json | undefined {
  try {
    const body = answer.json()
    return isRecord(body) ? body : undefined
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
  if (!Array.isArray(list)) throw new Unavailable('maybe', `HubSpot answered without ${name}`)
  return list.filter(isRecord)
}

export function textsOf(body: Json, name: string): readonly string[] {
  const list = body[name]
  if (!Array.isArray(list)) throw new Unavailable('maybe', `HubSpot answered without ${name}`)
  return list.map(String)
}
