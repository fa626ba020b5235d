/** What an export must know of the audience before it sends: its merge fields, who keeps which status, the tag. */
import { DestinationInvalid, Unavailable, type Choice, type TargetField } from '@patchbay/connector-sdk'
import { recordsOf, type Json, type Mailchimp } from './api.ts'

const PAGE = 1000
/** A million members of one status. */
const PAGES_MAX = 1000

export const STATUSES = ['subscribed', 'unsubscribed', 'cleaned', 'pending', 'transactional'] as const
export type Status = (typeof STATUSES)[number]

export const EMAIL: TargetField = {
  name: 'EMAIL',
  label: 'Email address',
  type: 'email',
  required: true,
  identifier: true,
  normal: 'email',
  guesses: ['email', 'emailaddress', 'mail'],
}

const ADDRESS_PARTS: readonly (readonly [string, string, readonly string[]])[] = [
  ['addr1', 'street address', ['street', 'address', 'addressline1', 'address1']],
  ['addr2', 'address line 2', ['addressline2', 'address2']],
  ['city', 'city', ['city', 'town']],
  ['state', 'state', ['state', 'province', 'region']],
  ['zip', 'zip / postal code', ['zip', 'zipcode', 'postalcode', 'postcode']],
  ['country', 'country', ['country', 'countrycode']],
]
const GUESSES: Readonly<Record<string, readonly string[]>> = {
  FNAME: ['firstname', 'givenname', 'forename'],
  LNAME: ['lastname', 'surname', 'familyname'],
  PHONE: ['phone', 'mobile', 'telephone'],
  BIRTHDAY: ['birthday', 'birthdate', 'dateofbirth', 'dob'],
}

export interface MergeField {
  readonly tag: string
  readonly name: string
  readonly type: string
  readonly isRequired: boolean
}

export function audiencePath(audience: string): string {
  if (!/^[A-Za-z0-9]{1,40}$/.test(audience)) throw new DestinationInvalid('audience', 'Choose an audience')
  return `/lists/${audience}`
}

export async function audienceChoices(mailchimp: Mailchimp, search: string): Promise<readonly Choice[]> {
  const wanted = search.trim().toLowerCase()
  const fields = 'lists.id,lists.name,lists.stats.member_count'
  const lists = recordsOf(await mailchimp.get('/lists', { count: String(PAGE), fields }), 'lists')
  return lists.flatMap(({ id, name, stats }) => {
    if (typeof id !== 'string' || typeof name !== 'string' || !name.toLowerCase().includes(wanted)) return []
    const members = (stats as Json | undefined)?.['member_count']
    return [{ value: id, label: name, help: typeof members === 'number' ? `${id}, ${members} subscribed` : id }]
  })
}

export async function readMergeFields(mailchimp: Mailchimp, audience: string): Promise<readonly MergeField[]> {
  const fields = 'merge_fields.tag,merge_fields.name,merge_fields.type,merge_fields.required'
  const path = `${audiencePath(audience)}/merge-fields`
  const found = recordsOf(await mailchimp.get(path, { count: String(PAGE), fields }), 'merge_fields')
  return found.flatMap(({ tag, name, type, required }) =>
    typeof tag === 'string' && typeof type === 'string'
      ? [{ tag, type, name: typeof name === 'string' && name !== '' ? name : tag, isRequired: required === true }]
      : [],
  )
}

/** An address has six fields, `ADDRESS.city` and so on; every other merge field is one. */
export function targetFieldsOf(mergeFields: readonly MergeField[]): readonly TargetField[] {
  const others = mergeFields.flatMap(({ tag, name, type, isRequired }): readonly TargetField[] => {
    const required = isRequired ? ({ required: true } as const) : {}
    if (type === 'address')
      return ADDRESS_PARTS.map(([part, label, guesses]) => ({
        name: `${tag}.${part}`,
        label: `${name}: ${label}`,
        type: 'text',
        guesses,
        ...(part === 'addr2' || part === 'country' ? {} : required),
      }))
    const guesses = GUESSES[tag] ?? [name.toLowerCase().replaceAll(/[^a-z0-9]/g, '')]
    return [{ name: tag, label: name, type: typeOf(type), guesses, ...required }]
  })
  return [EMAIL, ...others]
}

function typeOf(type: string): TargetField['type'] {
  if (type === 'number' || type === 'phone' || type === 'date') return type
  return type === 'birthday' ? 'date' : 'text'
}

/**
 * Members of the other statuses, by their id (Mailchimp's hash of the address): they keep it, so that nobody is subscribed
 * again who unsubscribed, and no subscriber is asked to confirm once more. No address is read.
 */
export async function readKeptStatuses(
  mailchimp: Mailchimp,
  audience: string,
  newStatus: Status,
): Promise<ReadonlyMap<string, Status>> {
  const kept = new Map<string, Status>()
  for (const status of STATUSES.filter((one) => one !== newStatus))
    for (let page = 0; ; page += 1) {
      if (page === PAGES_MAX) throw new DestinationInvalid('audience', `More than a million members are ${status}`)
      const query = { status, count: String(PAGE), offset: String(page * PAGE), fields: 'members.id' }
      const members = recordsOf(await mailchimp.get(`${audiencePath(audience)}/members`, query), 'members')
      for (const { id } of members) if (typeof id === 'string') kept.set(id, status)
      if (members.length < PAGE) break
    }
  return kept
}

/** Mailchimp's tags are its static segments. Finds the one of this name, or makes it; gives its id. */
export async function openTag(mailchimp: Mailchimp, audience: string, name: string): Promise<string> {
  const path = `${audiencePath(audience)}/segments`
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const fields = 'segments.id,segments.name'
    const query = { type: 'static', count: String(PAGE), offset: String(page * PAGE), fields }
    const segments = recordsOf(await mailchimp.get(path, query), 'segments')
    const found = segments.find((segment) => segment['name'] === name)
    if (found !== undefined) return idOf(found)
    if (segments.length < PAGE) break
  }
  return idOf(await mailchimp.post(path, { name, static_segment: [] }))
}

function idOf({ id }: Json): string {
  if (typeof id !== 'number') throw new Unavailable('maybe', 'Mailchimp did not say which tag this is')
  return String(id)
}
