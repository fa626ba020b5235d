/** Members added, changed and taken out, and what became of each. */
import { createHash } from 'node:crypto'
import {
  DestinationInvalid,
  Unavailable,
  type Batch,
  type Change,
  type RejectReason,
  type RowAnswer,
  type Value,
} from '@patchbay/connector-sdk'
import { recordsOf, type Json, type Mailchimp } from './api.ts'
import { audiencePath, type MergeField, type Status } from './audience.ts'

export interface Target {
  readonly audience: string
  readonly mergeFields: readonly MergeField[]
  readonly newStatus: Status
  readonly keptStatuses: ReadonlyMap<string, Status>
  /** Id of the tag that all get, if any. */
  readonly tag: string | undefined
  /** What happens to people who leave. */
  readonly leaving: 'archive' | 'untag'
}

/** A row with its address as Mailchimp compares them. */
interface Person {
  readonly change: Change
  readonly email: string
}

const MESSAGE_MAX = 1000

export async function deliverMembers(
  mailchimp: Mailchimp,
  target: Target,
  batch: Batch,
): Promise<readonly RowAnswer[]> {
  const answers: RowAnswer[] = []
  const [leaving, staying]: [Person[], Person[]] = [[], []]
  const seen = new Set<string>()
  for (const change of batch.changes) {
    const email = String(change.fields['EMAIL'] ?? '')
      .trim()
      .toLowerCase()
    const isLeaving = change.change === 'removed'
    if (email === '') answers.push(rejected(change, 'missing-identifier', 'EMAIL is empty'))
    else if (seen.has(`${isLeaving} ${email}`))
      answers.push(rejected(change, 'duplicate', 'Another row has this EMAIL'))
    else (isLeaving ? leaving : staying).push({ change, email })
    seen.add(`${isLeaving} ${email}`)
  }
  // First, since somebody may leave under one key and come back under another.
  if (leaving.length > 0) answers.push(...(await takeOut(mailchimp, target, leaving)))
  if (staying.length > 0) answers.push(...(await upsert(mailchimp, target, staying)))
  return answers
}

async function takeOut(mailchimp: Mailchimp, target: Target, people: readonly Person[]): Promise<readonly RowAnswer[]> {
  if (target.leaving === 'untag' && target.tag !== undefined)
    return await changeTag(mailchimp, target, target.tag, 'members_to_remove', people)
  // The pacer of the connection lets only so many go at once.
  const results = await Promise.allSettled(
    people.map(({ email }) => mailchimp.remove(`${audiencePath(target.audience)}/members/${memberId(email)}`)),
  )
  const failed = results.find((result) => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  return people.flatMap(({ change }, at): readonly RowAnswer[] => {
    const result = results[at]
    const status = result?.status === 'fulfilled' ? result.value : 0
    // Who is not there (any more) is out already.
    if (status === 204 || status === 404) return [accepted(change)]
    return status >= 400 && status < 500
      ? [rejected(change, 'not-allowed', `Mailchimp did not archive this contact (${status})`)]
      : []
  })
}

async function upsert(mailchimp: Mailchimp, target: Target, people: readonly Person[]): Promise<readonly RowAnswer[]> {
  const members = people.map(({ change, email }) => ({
    email_address: email,
    status: target.keptStatuses.get(memberId(email)) ?? target.newStatus,
    merge_fields: mergeFieldsOf(target, change),
  }))
  const body = await mailchimp.post(audiencePath(target.audience), { members, update_existing: true })
  const taken = new Set([...recordsOf(body, 'new_members'), ...recordsOf(body, 'updated_members')].map(emailOf))
  const errors = new Map(recordsOf(body, 'errors').map((error) => [emailOf(error), error]))
  const good: Person[] = []
  const answers = people.flatMap((person): readonly RowAnswer[] => {
    const error = errors.get(person.email)
    if (error !== undefined) return [rejected(person.change, reasonOf(error), wordsOf(error))]
    // What is neither taken nor refused stays unanswered.
    if (taken.has(person.email)) good.push(person)
    return []
  })
  if (target.tag === undefined || good.length === 0) return [...answers, ...good.map(({ change }) => accepted(change))]
  return [...answers, ...(await changeTag(mailchimp, target, target.tag, 'members_to_add', good))]
}

async function changeTag(
  mailchimp: Mailchimp,
  target: Target,
  tag: string,
  what: 'members_to_add' | 'members_to_remove',
  people: readonly Person[],
): Promise<readonly RowAnswer[]> {
  const path = `${audiencePath(target.audience)}/segments/${tag}`
  const body = await mailchimp.post(path, { [what]: people.map(({ email }) => email) })
  if (typeof body['error_count'] !== 'number') throw new Unavailable('maybe', 'Mailchimp answered without error_count')
  const errors = new Map(
    recordsOf(body, 'errors').flatMap((error) =>
      Array.isArray(error['email_addresses'])
        ? error['email_addresses'].map((email: unknown) => [String(email).toLowerCase(), error] as const)
        : [],
    ),
  )
  const named = people.filter(({ email }) => errors.has(email)).length
  if (body['error_count'] > 0 && named === 0)
    throw new Unavailable('maybe', 'Mailchimp counts errors of the tag and does not say whose')
  return people.map(({ change, email }) => {
    const error = errors.get(email)
    if (error === undefined) return accepted(change)
    // Who is not in the audience has no tag of it.
    if (what === 'members_to_remove') return accepted(change)
    return rejected(change, 'other', `The contact was sent, but not tagged: ${wordsOf(error)}`)
  })
}

/** Mailchimp leaves out merge fields that it does not know without a word, so they are refused here. */
function mergeFieldsOf({ mergeFields }: Target, { fields }: Change): Json {
  const made: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(fields)) {
    if (name === 'EMAIL') continue
    const [tag = '', part] = name.split('.')
    const field = mergeFields.find((one) => one.tag === tag)
    if (field === undefined || (field.type === 'address') !== (part !== undefined))
      throw new DestinationInvalid(
        'audience',
        `The audience has no merge field ${name}: map to another, or add it there`,
      )
    if (part === undefined) made[tag] = mergeValue(field.type, value)
    else made[tag] = { ...(made[tag] as Json | undefined), [part]: value === null ? '' : String(value) }
  }
  return made
}

function mergeValue(type: string, value: Value): Value {
  if (value === null) return ''
  if (type === 'number') return value
  const text = String(value)
  const [, date, monthAndDay] = /^(\d{4}-(\d{2}-\d{2}))(?:[T ].*)?$/.exec(text) ?? []
  if (type === 'date' && date !== undefined) return date
  if (type === 'birthday' && monthAndDay !== undefined) return monthAndDay.replace('-', '/')
  return text
}

/** Mailchimp's own id of a member: the hash of the address in lower case. No privacy is in it, and none is promised. */
function memberId(email: string): string {
  return createHash('md5').update(email).digest('hex')
}

function emailOf({ email_address: email }: Json): string {
  return typeof email === 'string' ? email.toLowerCase() : ''
}

function wordsOf({ error, field, field_message: message }: Json): string {
  const words = [error, field, message].filter((part) => typeof part === 'string' && part !== '')
  return words.length === 0 ? 'Mailchimp gives no reason' : words.join(': ').slice(0, MESSAGE_MAX)
}

function reasonOf(error: Json): RejectReason {
  const text = wordsOf(error).toLowerCase()
  if (error['error_code'] === 'ERROR_CONTACT_EXISTS' || text.includes('duplicate')) return 'duplicate'
  if (/compliance|permanently deleted|forgotten|re-?import|not allowed/.test(text)) return 'not-allowed'
  const isOfField = typeof error['field'] === 'string' && error['field'] !== ''
  return isOfField || /invalid|fake|valid email/.test(text) ? 'invalid-field' : 'other'
}

function accepted({ key }: Change): RowAnswer {
  return { key, status: 'accepted' }
}

function rejected({ key }: Change, reason: RejectReason, message: string): RowAnswer {
  return { key, status: 'rejected', reason, message }
}
