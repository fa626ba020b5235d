/**
 * Contacts made, changed and put on the list by an import job, and taken off it. SendGrid answers "queued" and works on it
 * for minutes; what became of each contact is asked for later, also by another process.
 */
import {
  BatchRejected,
  Unavailable,
  type AcceptedJob,
  type Batch,
  type Change,
  type RejectReason,
  type RowAnswer,
} from '@patchbay/connector-sdk'
import { isRecord, type Json, type SendGrid } from './api.ts'
import type { ContactFields } from './fields.ts'

const MESSAGE_MAX = 1000
/** Of a search and of a removal: the ids stand in the address. */
const CONTACTS_PER_REQUEST = 100
/** The name of a job in which nobody was made or changed. */
const REMOVAL = 'removal'

interface Person {
  readonly change: Change
  readonly email: string
}

interface Sorted {
  readonly staying: readonly (Person & { readonly contact: Json })[]
  readonly leaving: readonly Person[]
  /** Rows that need not be sent. The same whenever the batch is looked at. */
  readonly answers: readonly RowAnswer[]
}

export async function deliverContacts(
  sendGrid: SendGrid,
  list: string,
  fields: ContactFields,
  batch: Batch,
): Promise<readonly RowAnswer[] | AcceptedJob> {
  await prepare(fields, batch)
  const { staying, leaving, answers } = sortRows(fields, batch)
  // First, since somebody may leave under one key and come back under another.
  for (const some of inParts(leaving)) {
    const found = await findContacts(sendGrid, some)
    const ids = [...found.values()].flatMap(({ id, lists }) => (lists.includes(list) ? [id] : []))
    if (ids.length === 0) continue
    const query = new URLSearchParams({ contact_ids: ids.join(',') })
    jobOf(await sendGrid.send('DELETE', `/v3/marketing/lists/${list}/contacts?${query.toString()}`))
  }
  if (staying.length === 0) return leaving.length === 0 ? answers : { job: REMOVAL }
  const contacts = staying.map(({ contact }) => contact)
  return { job: jobOf(await sendGrid.send('PUT', '/v3/marketing/contacts', { list_ids: [list], contacts })) }
}

export async function collectContacts(
  sendGrid: SendGrid,
  list: string,
  fields: ContactFields,
  job: string,
  batch: Batch,
): Promise<readonly RowAnswer[] | 'pending'> {
  await prepare(fields, batch)
  const { staying, leaving, answers } = sortRows(fields, batch)
  const imported = job === REMOVAL ? [] : await readImport(sendGrid, job, staying)
  if (imported === 'pending') return 'pending'
  const back = new Set(staying.map(({ email }) => email))
  for (const some of inParts(leaving.filter(({ email }) => !back.has(email)))) {
    const found = await findContacts(sendGrid, some)
    if ([...found.values()].some(({ lists }) => lists.includes(list))) return 'pending'
  }
  return [...answers, ...imported, ...leaving.map(({ change }) => accepted(change))]
}

function prepare(fields: ContactFields, { changes }: Batch): Promise<void> {
  return fields.prepare(changes.flatMap(({ change, fields: given }) => (change === 'removed' ? [] : [given])))
}

function sortRows(fields: ContactFields, { changes }: Batch): Sorted {
  const staying: (Person & { readonly contact: Json })[] = []
  const [leaving, answers]: [Person[], RowAnswer[]] = [[], []]
  const seen = new Set<string>()
  for (const change of changes) {
    const isLeaving = change.change === 'removed'
    const email = String(change.fields['email'] ?? '')
      .trim()
      .toLowerCase()
    const place = `${isLeaving} ${email}`
    if (email === '') answers.push(rejected(change, 'missing-identifier', 'email is empty'))
    else if (seen.has(place)) answers.push(rejected(change, 'duplicate', 'Another row has this email'))
    else if (isLeaving) leaving.push({ change, email })
    else {
      const made = fields.contactOf({ ...change.fields, email })
      if ('refused' in made) answers.push(rejected(change, 'invalid-field', made.refused))
      else staying.push({ change, email, contact: made.contact })
    }
    seen.add(place)
  }
  return { staying, leaving, answers }
}

async function readImport(
  sendGrid: SendGrid,
  job: string,
  people: readonly Person[],
): Promise<readonly RowAnswer[] | 'pending'> {
  const found = await sendGrid.find(`/v3/marketing/contacts/imports/${encodeURIComponent(job)}`)
  // Not there yet: a job is known a moment after it was taken.
  if (found === undefined || found['status'] === 'pending') return 'pending'
  const results = isRecord(found['results']) ? found['results'] : {}
  const errored = results['errored_count'] ?? 0
  if (typeof errored !== 'number') throw new Unavailable('maybe', 'SendGrid did not count the errors of the job')
  switch (found['status']) {
    case 'completed':
      if (errored === 0) return people.map(({ change }) => accepted(change))
      return await readErrors(sendGrid, results, errored, people)
    case 'errored':
    case 'failed':
      return await readErrors(sendGrid, results, errored, people)
    default:
      throw new Unavailable('maybe', 'SendGrid says of the job what is not known')
  }
}

/**
 * SendGrid gives its errors as a file of no promised form, so only this is taken from it: a line that holds somebody's
 * address is about them. Where the lines do not account for each error that SendGrid counts, the batch is cut until they do,
 * or until one contact stands alone: sending the others again changes nothing.
 */
async function readErrors(
  sendGrid: SendGrid,
  results: Json,
  errored: number,
  people: readonly Person[],
): Promise<readonly RowAnswer[]> {
  const url = results['errors_url']
  const text = typeof url === 'string' && url !== '' ? await sendGrid.download(url) : undefined
  const why = linesByEmail(text ?? '', people)
  // Without a count, or with none, a job that failed may have taken nobody.
  if (why.size === 0 && errored === people.length)
    return people.map(({ change }) =>
      rejected(change, 'other', 'SendGrid refused every contact of the job, this one too'),
    )
  if (errored === 0 || why.size !== errored) {
    if (people.length === 1)
      return people.map(({ change, email }) => rejected(change, 'other', why.get(email) ?? 'SendGrid gives no reason'))
    throw new BatchRejected(`SendGrid counts ${errored} errors in the job, and names ${why.size}`)
  }
  return people.map(({ change, email }) => {
    const words = why.get(email)
    return words === undefined ? accepted(change) : rejected(change, reasonOf(words), words)
  })
}

function linesByEmail(text: string, people: readonly Person[]): ReadonlyMap<string, string> {
  const wanted = new Set(people.map(({ email }) => email))
  const found = new Map<string, string>()
  for (const line of text.split(/\r?\n/)) {
    const words = line.toLowerCase().split(/[\s,;"'<>{}[\]]+/)
    const named = [...new Set(words.map((word) => word.replace(/^[:=]+|[:.]+$/g, '')))].filter((word) =>
      wanted.has(word),
    )
    // A line about two people says of neither what is wrong.
    const [email] = named
    if (named.length === 1 && email !== undefined && !found.has(email))
      found.set(email, line.trim().slice(0, MESSAGE_MAX))
  }
  return found
}

interface Found {
  readonly id: string
  readonly lists: readonly unknown[]
}

/** By the address that was asked for. */
async function findContacts(sendGrid: SendGrid, people: readonly Person[]): Promise<ReadonlyMap<string, Found>> {
  const emails = people.map(({ email }) => email)
  const body = await sendGrid.search('/v3/marketing/contacts/search/emails', { emails })
  // 404: nobody of them is a contact.
  if (body === undefined) return new Map()
  const { result } = body
  if (!isRecord(result)) throw new Unavailable('maybe', 'SendGrid answered without a result')
  const byEmail = new Map(Object.entries(result).map(([email, entry]) => [email.toLowerCase(), entry]))
  return new Map(
    emails.flatMap((email) => {
      const entry = byEmail.get(email)
      const contact = isRecord(entry) ? entry['contact'] : undefined
      if (contact === undefined && isRecord(entry) && typeof entry['error'] === 'string') return []
      if (!isRecord(contact) || typeof contact['id'] !== 'string' || !Array.isArray(contact['list_ids']))
        throw new Unavailable('maybe', 'SendGrid did not say of everybody whether they are a contact')
      return [[email, { id: contact['id'], lists: contact['list_ids'] }] as const]
    }),
  )
}

function jobOf({ job_id: job }: Json): string {
  if (typeof job !== 'string' || job === '' || job.length > 200)
    throw new Unavailable('maybe', 'SendGrid did not say which job it works on')
  return job
}

function inParts<T>(items: readonly T[]): readonly (readonly T[])[] {
  const count = Math.ceil(items.length / CONTACTS_PER_REQUEST)
  return Array.from({ length: count }, (_, at) =>
    items.slice(at * CONTACTS_PER_REQUEST, (at + 1) * CONTACTS_PER_REQUEST),
  )
}

function reasonOf(words: string): RejectReason {
  if (/duplicate/i.test(words)) return 'duplicate'
  return /invalid|valid email|required|too long|malformed/i.test(words) ? 'invalid-field' : 'other'
}

function accepted({ key }: Change): RowAnswer {
  return { key, status: 'accepted' }
}

function rejected({ key }: Change, reason: RejectReason, message: string): RowAnswer {
  return { key, status: 'rejected', reason, message }
}
