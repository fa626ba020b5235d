/** Contacts made or changed, put on the list and taken off it, and what became of each. */
import {
  DestinationInvalid,
  Unavailable,
  type Batch,
  type Change,
  type RejectReason,
  type RowAnswer,
  type Value,
} from '@patchbay/connector-sdk'
import { isRecord, recordsOf, textsOf, type HubSpot, type Json } from './api.ts'
import type { Property } from './properties.ts'

export interface Target {
  /** `email`, or a property of the account's own whose values are unique. */
  readonly idProperty: string
  readonly list: string | undefined
  readonly properties: readonly Property[]
}

interface Person {
  readonly change: Change
  /** The value of the id property, as it is compared. */
  readonly id: string
}

const MESSAGE_MAX = 1000

export async function deliverContacts(hubSpot: HubSpot, target: Target, batch: Batch): Promise<readonly RowAnswer[]> {
  const answers: RowAnswer[] = []
  const [leaving, staying]: [Person[], Person[]] = [[], []]
  const seen = new Set<string>()
  for (const change of batch.changes) {
    const id = idOf(target.idProperty, change.fields[target.idProperty] ?? null)
    const isLeaving = change.change === 'removed'
    if (id === '') answers.push(rejected(change, 'missing-identifier', `${target.idProperty} is empty`))
    else if (seen.has(`${isLeaving} ${id}`))
      answers.push(rejected(change, 'duplicate', `Another row has this ${target.idProperty}`))
    else (isLeaving ? leaving : staying).push({ change, id })
    seen.add(`${isLeaving} ${id}`)
  }
  const written = staying.length === 0 ? NOBODY : await upsert(hubSpot, target, staying)
  const found = leaving.length === 0 ? NOBODY : await findContacts(hubSpot, target, leaving)
  answers.push(...written.answers, ...found.answers)
  if (target.list === undefined) return [...answers, ...written.contacts.map(({ person }) => accepted(person.change))]
  return [...answers, ...(await changeList(hubSpot, target.list, written.contacts, found.contacts))]
}

/** Rows that have an answer, and those of which the contact is known. */
interface Known {
  readonly answers: readonly RowAnswer[]
  readonly contacts: readonly { readonly person: Person; readonly contact: string }[]
}
const NOBODY: Known = { answers: [], contacts: [] }

async function upsert(hubSpot: HubSpot, target: Target, people: readonly Person[]): Promise<Known> {
  const { idProperty } = target
  const inputs = people.map(({ change, id }, at) => ({
    id,
    idProperty,
    // Comes back with the result or the error of this row: a place in the batch, and nothing of the row.
    objectWriteTraceId: String(at),
    properties: propertiesOf(target, change),
  }))
  const body = await hubSpot.send('POST', '/crm/v3/objects/contacts/batch/upsert', { inputs })
  expectComplete(body)
  const errors = errorsByPerson(body, people)
  const results = new Map(
    recordsOf(body, 'results').flatMap((result) => {
      const at = placeOf(result['objectWriteTraceId'], people) ?? placeById(result, idProperty, people)
      return at === undefined || typeof result['id'] !== 'string' ? [] : [[at, result['id']] as const]
    }),
  )
  return {
    answers: people.flatMap(({ change }, at) => {
      const error = errors.get(at)
      return error === undefined ? [] : [answerOfError(change, error)]
    }),
    // What has both a result and an error is not taken for a success; what has neither stays unanswered.
    contacts: people.flatMap((person, at) => {
      const contact = results.get(at)
      return contact === undefined || errors.has(at) ? [] : [{ person, contact }]
    }),
  }
}

/** Who is to be taken off the list is known here by what the export has: HubSpot wants its own id. */
async function findContacts(hubSpot: HubSpot, { idProperty }: Target, people: readonly Person[]): Promise<Known> {
  const isByEmail = idProperty === 'email'
  const body = await hubSpot.send('POST', '/crm/v3/objects/contacts/batch/read', {
    idProperty,
    inputs: people.map(({ id }) => ({ id })),
    // A contact is found by its other addresses too.
    properties: isByEmail ? ['email', 'hs_additional_emails'] : [idProperty],
    propertiesWithHistory: [],
  })
  expectComplete(body)
  const results = new Map(
    recordsOf(body, 'results').flatMap((result) => {
      const at = placeById(result, idProperty, people)
      return at === undefined || typeof result['id'] !== 'string' ? [] : [[at, result['id']] as const]
    }),
  )
  const errors = errorsByPerson(body, people)
  return {
    answers: people.flatMap(({ change }, at): readonly RowAnswer[] => {
      const error = errors.get(at)
      if (error === undefined || results.has(at)) return []
      // Who is no contact (any more) is on no list.
      return [error['category'] === 'OBJECT_NOT_FOUND' ? accepted(change) : answerOfError(change, error)]
    }),
    contacts: people.flatMap((person, at) => {
      const contact = results.get(at)
      return contact === undefined ? [] : [{ person, contact }]
    }),
  }
}

async function changeList(
  hubSpot: HubSpot,
  list: string,
  staying: Known['contacts'],
  leaving: Known['contacts'],
): Promise<readonly RowAnswer[]> {
  if (staying.length + leaving.length === 0) return []
  const recordIdsToAdd = [...new Set(staying.map(({ contact }) => contact))]
  // Somebody may leave under one key and come back under another.
  const recordIdsToRemove = [...new Set(leaving.map(({ contact }) => contact))].filter(
    (contact) => !recordIdsToAdd.includes(contact),
  )
  const path = `/crm/v3/lists/${list}/memberships/add-and-remove`
  const body = await hubSpot.send('PUT', path, { recordIdsToAdd, recordIdsToRemove })
  const missing = new Set(textsOf(body, 'recordIdsMissing'))
  return [
    ...staying.map(({ person: { change }, contact }) =>
      missing.has(contact)
        ? rejected(change, 'not-found', 'HubSpot wrote the contact, and did not find it to put it on the list')
        : accepted(change),
    ),
    ...leaving.map(({ person: { change } }) => accepted(change)),
  ]
}

function expectComplete({ status }: Json): void {
  if (status !== 'COMPLETE') throw new Unavailable('maybe', 'HubSpot did not say that it is done with the batch')
}

/** The errors of a 207 by the row's place. One may name several rows; one that names none leaves its rows unanswered. */
function errorsByPerson(body: Json, people: readonly Person[]): ReadonlyMap<number, Json> {
  const errors = body['errors'] === undefined ? [] : recordsOf(body, 'errors')
  return new Map(
    errors.flatMap((error) => {
      const context = isRecord(error['context']) ? error['context'] : {}
      const traces = placesOf(context['objectWriteTraceId'], (trace) => placeOf(trace, people))
      const ids = placesOf(context['ids'] ?? context['id'], (id) => placeByValue(String(id), people))
      return (traces.length > 0 ? traces : ids).map((at) => [at, error] as const)
    }),
  )
}

function placesOf(values: unknown, find: (value: unknown) => number | undefined): readonly number[] {
  return Array.isArray(values) ? values.flatMap((value: unknown) => find(value) ?? []) : []
}

function placeOf(trace: unknown, people: readonly Person[]): number | undefined {
  if (typeof trace !== 'string' || !/^\d{1,4}$/.test(trace)) return undefined
  return Number(trace) < people.length ? Number(trace) : undefined
}

function placeById({ properties }: Json, idProperty: string, people: readonly Person[]): number | undefined {
  if (!isRecord(properties)) return undefined
  const others =
    typeof properties['hs_additional_emails'] === 'string' ? properties['hs_additional_emails'].split(';') : []
  const values = [properties[idProperty], ...(idProperty === 'email' ? others : [])]
  for (const value of values) {
    const at = typeof value === 'string' ? placeByValue(idOf(idProperty, value), people) : undefined
    if (at !== undefined) return at
  }
  return undefined
}

function placeByValue(id: string, people: readonly Person[]): number | undefined {
  const at = people.findIndex((person) => person.id === id || person.id === id.toLowerCase())
  return at === -1 ? undefined : at
}

function idOf(idProperty: string, value: Value): string {
  const text = value === null ? '' : String(value).trim()
  return idProperty === 'email' ? text.toLowerCase() : text
}

function propertiesOf({ properties, idProperty }: Target, { fields }: Change): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => {
      const property = properties.find((one) => one.name === name)
      if (property === undefined)
        throw new DestinationInvalid('list', `Contacts have no property ${name} that may be written: map to another`)
      return [name, name === idProperty ? idOf(idProperty, value) : textOf(property.type, value)]
    }),
  )
}

/** HubSpot takes every value as text. */
function textOf(type: string, value: Value): string {
  if (value === null) return ''
  const text = String(value)
  return type === 'date' ? (/^(\d{4}-\d{2}-\d{2})(?:[T ].*)?$/.exec(text)?.[1] ?? text) : text
}

function answerOfError(change: Change, error: Json): RowAnswer {
  const { category } = error
  const message = typeof error['message'] === 'string' ? error['message'].slice(0, MESSAGE_MAX) : ''
  if (category === 'RATE_LIMITS') return { key: change.key, status: 'retry', message }
  const reasons: Readonly<Record<string, RejectReason>> = {
    VALIDATION_ERROR: 'invalid-field',
    OBJECT_NOT_FOUND: 'not-found',
    CONFLICT: 'duplicate',
    OBJECT_ALREADY_EXISTS: 'duplicate',
    BANNED: 'not-allowed',
    MISSING_SCOPES: 'not-allowed',
  }
  const isKnown = typeof category === 'string' && Object.hasOwn(reasons, category)
  return rejected(change, (isKnown ? reasons[category] : undefined) ?? 'other', message)
}

function accepted({ key }: Change): RowAnswer {
  return { key, status: 'accepted' }
}

function rejected({ key }: Change, reason: RejectReason, message: string): RowAnswer {
  return { key, status: 'rejected', reason, message }
}
