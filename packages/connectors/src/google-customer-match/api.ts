/** Requests to the Data Manager API, and what its answers say (google.rpc.Status). */
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

export type Json = Readonly<Record<string, unknown>>

export interface DataManager {
  get(path: string, query?: Readonly<Record<string, string>>): Promise<Json>
  post(path: string, body: Json): Promise<Json>
}

/** A 400 that says which rows are wrong, by their places in the request. */
export class RowsRefused extends Error {
  override readonly name = 'RowsRefused'
  readonly rows: ReadonlyMap<number, string>
  constructor(rows: ReadonlyMap<number, string>) {
    super('Google refused some rows')
    this.rows = rows
  }
}

/** What was asked for is not there (any more). */
export class NotThere extends Error {
  override readonly name = 'NotThere'
}

/** Their bodies say more than the status. */
const JUDGED_HERE = [403, 429]

export function dataManagerAt<S extends Fields>(
  origin: string,
  ctx: Context<S>,
  loginAccount: string | undefined,
): DataManager {
  const headers = loginAccount === undefined ? {} : { 'login-account': `accountTypes/GOOGLE_ADS/accounts/${loginAccount}` }
  const judged = (answer: FetchAnswer): Json => {
    const body = readJson(answer)
    if (answer.status === 200 && body !== undefined) return body
    throw errorOf(answer, body)
  }
  return {
    async get(path, query = {}) {
      const url = new URL(path, origin)
      for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
      return judged(await ctx.fetch(url, { headers, accept: JUDGED_HERE }))
    },
    async post(path, body) {
      const url = new URL(path, origin)
      const init = { method: 'POST', headers: { ...headers, 'content-type': 'application/json' } } as const
      return judged(await ctx.fetch(url, { ...init, body: JSON.stringify(body), accept: JUDGED_HERE }))
    },
  }
} // prettier-ignore

function readJson(answer: FetchAnswer): Json | undefined {
  try {
    const body = answer.json()
    return isRecord(body) ? body : undefined
  } catch {
    return undefined
  }
}

function errorOf(answer: FetchAnswer, body: Json | undefined): Error {
  const error = isRecord(body?.['error']) ? body['error'] : {}
  const details = Array.isArray(error['details']) ? error['details'].filter((detail) => isRecord(detail)) : []
  const reason = details.map((detail) => detail['reason']).find((value) => isWord(value))
  const code = isWord(error['status']) ? error['status'] : 'no status'
  // Names of conditions only: the message may repeat what was sent.
  const words = `(${answer.status}, ${[code, reason].filter((word) => word !== undefined).join(', ')})`
  switch (answer.status) {
    case 400: {
      const rows = refusedRows(details)
      return rows.size > 0 ? new RowsRefused(rows) : new BatchRejected(`Google refused the request ${words}`)
    }
    case 401:
    case 403:
      return new ConnectionRefused(
        `Google does not allow this ${words}: who signed in needs the right to edit the account's audiences, and the ` +
          'Google Cloud project of the operator needs the Data Manager API',
        { step: 'may-write' },
      )
    case 404:
      return new NotThere(`Google knows no such object ${words}`)
    case 413:
      return new BatchRejected(`Google refused the request as too large ${words}`)
    case 429:
      return new RateLimited(pauseSeconds(answer, details), `Google asks for a pause ${words}`)
    default:
      return new Unavailable('maybe', `Google's answer is of no known kind ${words}`)
  }
}

/** `audience_members.audience_members[3].user_data…`, as google.rpc.BadRequest writes it. */
function refusedRows(details: readonly Json[]): ReadonlyMap<number, string> {
  const rows = new Map<number, string>()
  for (const violation of details.flatMap(({ fieldViolations }) => fieldViolations)) {
    if (!isRecord(violation) || typeof violation['field'] !== 'string') continue
    const place = /audience_?members\[(\d{1,5})\]/i.exec(violation['field'])?.[1]
    if (place === undefined) continue
    const told = [violation['reason'], violation['description']].filter((text) => typeof text === 'string')
    rows.set(Number(place), told.join(': ').slice(0, 1000))
  }
  return rows
}

function pauseSeconds({ headers }: FetchAnswer, details: readonly Json[]): number | undefined {
  const delay = details.map(({ retryDelay }) => retryDelay).find((value) => typeof value === 'string')
  const seconds = Number(delay?.replace(/s$/, '') ?? headers.get('retry-after') ?? Number.NaN)
  return Number.isFinite(seconds) && seconds >= 0 ? seconds : undefined
}

export function isRecord(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** An enumeration's value, which holds nothing of a row. */
function isWord(value: unknown): value is string {
  return typeof value === 'string' && /^[A-Z][A-Z0-9_]{1,80}$/.test(value)
}

export function unknownList(field: 'userList' | 'name'): DestinationInvalid {
  return new DestinationInvalid(field, 'Google knows no such user list, or does not show it to you: choose another')
}
