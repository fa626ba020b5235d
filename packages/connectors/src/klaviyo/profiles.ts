/** Rows as Klaviyo's profiles, and Klaviyo's errors as answers to rows. */
import type { Change, RowAnswer, RowKey, Value } from '@patchbay/connector-sdk'
import { isRecord, type Json, type KlaviyoError } from './api.ts'
import { ATTRIBUTES, IDENTIFIERS, LOCATION } from './fields.ts'

/** 100 KB of one profile, with room for Klaviyo's own count of it. */
const PROFILE_BYTES_MAX = 95_000
const MESSAGE_MAX = 1000

/** Rows that can be sent, with their profiles in the same order, and the answers to those that cannot. */
export interface Profiles {
  readonly sent: readonly Change[]
  readonly bodies: readonly Json[]
  readonly refused: readonly RowAnswer[]
}

/** The same for the same rows: an error names a profile by its place. */
export function profilesOf(changes: readonly Change[]): Profiles {
  const sent: Change[] = []
  const bodies: Json[] = []
  const refused: RowAnswer[] = []
  for (const change of changes) {
    if (change.change === 'removed') continue
    const body = profileOf(change)
    const { key } = change
    if (![...IDENTIFIERS].some((name) => isFilled(change.fields[name])))
      refused.push(rejected(key, 'missing-identifier', 'Email, phone number and external ID are empty'))
    else if (Buffer.byteLength(JSON.stringify(body)) > PROFILE_BYTES_MAX)
      refused.push(rejected(key, 'too-large', 'Klaviyo takes at most 100 KB of one profile'))
    else {
      sent.push(change)
      bodies.push(body)
    }
  }
  return { sent, bodies, refused }
}

/** A value that is not there clears what was there only where it was taken away: a profile that is new here may be old at Klaviyo. */
function profileOf({ change, fields }: Change): Json {
  const given = Object.entries(fields).filter(
    ([name, value]) => isFilled(value) || (change === 'changed' && !IDENTIFIERS.has(name)),
  )
  const pick = (test: (name: string) => boolean): Record<string, Value> =>
    Object.fromEntries(given.filter(([name]) => test(name)))
  const location = pick((name) => LOCATION.has(name))
  const properties = pick((name) => !ATTRIBUTES.has(name) && !LOCATION.has(name))
  return {
    type: 'profile',
    attributes: {
      ...pick((name) => ATTRIBUTES.has(name)),
      ...(Object.keys(location).length === 0 ? {} : { location }),
      ...(Object.keys(properties).length === 0 ? {} : { properties }),
    },
  }
}

/** Whose error it is: by the place that it points at, or else by the identifiers of the profile that it repeats. */
export function rowOfError(error: KlaviyoError, original: unknown, sent: readonly Change[]): Change | undefined {
  const place = /^\/data\/attributes\/profiles\/data\/(\d{1,6})(?:\/|$)/.exec(error.pointer)?.[1]
  if (place !== undefined) return sent[Number(place)]
  const profile = isRecord(original) && isRecord(original['attributes']) ? original['attributes'] : original
  if (!isRecord(profile)) return undefined
  const named = [...IDENTIFIERS].filter((name) => isFilled(profile[name] as Value))
  if (named.length === 0) return undefined
  const found = sent.filter(({ fields }) => named.every((name) => isSame(fields[name], profile[name])))
  return found.length === 1 ? found[0] : undefined
}

export function rejectedBy(key: RowKey, { code, title, detail }: KlaviyoError): RowAnswer {
  const words = [title, detail].filter((text) => text !== '').join(' ')
  const reason = /duplicate/i.test(code) ? 'duplicate' : 'invalid-field'
  return rejected(key, reason, (words === '' ? code : words).slice(0, MESSAGE_MAX))
}

export function rejected(
  key: RowKey,
  reason: Extract<RowAnswer, { status: 'rejected' }>['reason'],
  message: string,
): RowAnswer {
  return { key, status: 'rejected', reason, message }
}

export function isFilled(value: Value | undefined): boolean {
  return value !== undefined && value !== null && value !== ''
}

function isSame(ours: Value | undefined, theirs: unknown): boolean {
  return typeof theirs === 'string' && String(ours ?? '').toLowerCase() === theirs.toLowerCase()
}
