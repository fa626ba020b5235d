/**
 * Members of a list: brought in by bulk import jobs, which Klaviyo works on for a while, and taken out by their ids, which are
 * looked up in the list itself. Consent is never touched by either.
 */
import {
  BatchRejected,
  DestinationInvalid,
  Unavailable,
  type AcceptedJob,
  type Batch,
  type Change,
  type RowAnswer,
} from '@patchbay/connector-sdk'
import { isRecord, NotThere, readError, wordsOf, type Json, type Klaviyo } from './api.ts'
import { nextCursor, quoted } from './lists.ts'
import { isFilled, profilesOf, rejected, rejectedBy, rowOfError } from './profiles.ts'

/** Klaviyo's limits: values in one filter, ids in one change of a list. */
const LOOKED_UP_AT_ONCE = 100
const FILTER_CHARS_MAX = 6000
const REMOVED_AT_ONCE = 1000

export async function deliverMembers(
  klaviyo: Klaviyo,
  list: string,
  batch: Batch,
): Promise<readonly RowAnswer[] | AcceptedJob> {
  const removed = batch.changes.filter(({ change }) => change === 'removed')
  const gone = await removeMembers(klaviyo, list, removed)
  const { sent, bodies, refused } = profilesOf(batch.changes)
  if (sent.length === 0) return [...gone, ...refused]
  const answer = await klaviyo.send('POST', '/api/profile-bulk-import-jobs', importOf(list, bodies))
  const data = isRecord(answer.body?.['data']) ? answer.body['data'] : {}
  if (answer.status === 202 && typeof data['id'] === 'string' && /^[\w=+/-]{1,400}$/.test(data['id']))
    return { job: data['id'] }
  switch (answer.status) {
    case 400: {
      const bad = badRows(answer.errors, sent)
      if (bad.size === 0) throw new BatchRejected(`Klaviyo refused the whole import ${wordsOf(answer)}`)
      // The job was not made: the others go again, without the bad ones.
      const again = sent.flatMap(({ key }): RowAnswer[] =>
        bad.has(key) ? [] : [{ key, status: 'retry', message: 'Refused together with rows that Klaviyo did not take' }],
      )
      return [...gone, ...refused, ...bad.values(), ...again]
    }
    case 404:
      throw new DestinationInvalid('list', 'Klaviyo has no such list any more: choose another')
    case 409:
    case 413:
    case 422:
      throw new BatchRejected(`Klaviyo refused the whole import ${wordsOf(answer)}`)
    default:
      throw new Unavailable('maybe', `Klaviyo did not say which job it made ${wordsOf(answer)}`)
  }
}

function importOf(list: string, profiles: readonly Json[]): Json {
  return {
    data: {
      type: 'profile-bulk-import-job',
      attributes: { profiles: { data: profiles } },
      relationships: { lists: { data: [{ type: 'list', id: list }] } },
    },
  }
}

function badRows(
  errors: readonly { code: string; title: string; detail: string; pointer: string }[],
  sent: readonly Change[],
): ReadonlyMap<string, RowAnswer> {
  const bad = new Map<string, RowAnswer>()
  for (const error of errors) {
    const row = rowOfError(error, undefined, sent)
    if (row !== undefined) bad.set(row.key, rejectedBy(row.key, error))
  }
  return bad
}

/**
 * The job's own counts decide: a row is accepted when the job is complete, counted as many as were sent, and every failure is
 * known by its row. Where one is not, nobody knows whose it is, and no row is called accepted that could be it.
 */
export async function collectMembers(
  klaviyo: Klaviyo,
  job: string,
  batch: Batch,
): Promise<readonly RowAnswer[] | 'pending'> {
  const { sent, refused } = profilesOf(batch.changes)
  const attributes = await readJob(klaviyo, job)
  switch (attributes['status']) {
    case 'queued':
    case 'processing':
      return 'pending'
    case 'cancelled':
      throw new BatchRejected('Klaviyo cancelled the import')
    case 'complete':
      break
    default:
      throw new Unavailable('maybe', 'Klaviyo tells a state of the import that is not known')
  }
  const { total_count: total, failed_count: failed } = attributes
  const bad = failed === 0 ? { rows: new Map<string, RowAnswer>(), unknown: 0 } : await readImportErrors(klaviyo, job, sent)
  const failures = typeof failed === 'number' ? failed : bad.rows.size
  const isClear = total === sent.length && bad.unknown === 0 && failures <= bad.rows.size
  // Removed when the job was made; of these there is nothing to ask.
  const gone = batch.changes.flatMap(({ key, change }): RowAnswer[] =>
    change === 'removed' ? [{ key, status: 'accepted' }] : [],
  )
  const good = sent.flatMap(({ key }): RowAnswer[] =>
    bad.rows.has(key) || !isClear ? [] : [{ key, status: 'accepted' }],
  )
  return [...gone, ...refused, ...bad.rows.values(), ...good]
} // prettier-ignore

async function readJob(klaviyo: Klaviyo, job: string): Promise<Json> {
  try {
    const { data } = await klaviyo.get(`/api/profile-bulk-import-jobs/${encodeURIComponent(job)}`)
    const attributes = isRecord(data) ? data['attributes'] : undefined
    if (isRecord(attributes)) return attributes
    throw new Unavailable('maybe', 'Klaviyo answered without the import')
  } catch (error) {
    if (!(error instanceof NotThere)) throw error
    // Sending its rows again changes nothing that it has done.
    throw new BatchRejected('Klaviyo no longer knows the import')
  }
}

async function readImportErrors(
  klaviyo: Klaviyo,
  job: string,
  sent: readonly Change[],
): Promise<{ readonly rows: Map<string, RowAnswer>; readonly unknown: number }> {
  const rows = new Map<string, RowAnswer>()
  let unknown = 0
  let cursor: string | undefined
  do {
    const page = await klaviyo.get(`/api/profile-bulk-import-jobs/${encodeURIComponent(job)}/import-errors`, {
      'page[size]': '100',
      ...(cursor === undefined ? {} : { 'page[cursor]': cursor }),
    })
    if (!Array.isArray(page['data']))
      throw new Unavailable('maybe', 'Klaviyo answered without the errors of the import')
    for (const entry of page['data'] as readonly unknown[]) {
      const attributes = isRecord(entry) && isRecord(entry['attributes']) ? entry['attributes'] : {}
      const error = readError(attributes)
      const row = rowOfError(error, attributes['original_payload'], sent)
      if (row === undefined) unknown += 1
      else rows.set(row.key, rejectedBy(row.key, error))
    }
    cursor = nextCursor(page)
  } while (cursor !== undefined)
  return { rows, unknown }
}

// ---- removal -------------------------------------------------------------------------------------------------------

/** Who is not in the list needs not be taken out of it. */
async function removeMembers(klaviyo: Klaviyo, list: string, rows: readonly Change[]): Promise<readonly RowAnswer[]> {
  if (rows.length === 0) return []
  const ids = new Set<string>()
  for (const name of ['email', 'phone_number'] as const) {
    const values = rows.flatMap(({ fields }) => {
      // By the phone number only where there is no e-mail address.
      const isKnown = isFilled(fields[name]) && (name === 'email' || !isFilled(fields['email']))
      return isKnown ? [String(fields[name])] : []
    })
    for (const chunk of chunksOf(values)) for (const id of await idsIn(klaviyo, list, name, chunk)) ids.add(id)
  }
  const all = [...ids]
  for (let at = 0; at < all.length; at += REMOVED_AT_ONCE) {
    const data = all.slice(at, at + REMOVED_AT_ONCE).map((id) => ({ type: 'profile', id }))
    const answer = await klaviyo.send('DELETE', `/api/lists/${list}/relationships/profiles`, { data })
    if (answer.status === 404) throw new DestinationInvalid('list', 'Klaviyo has no such list any more: choose another')
    if (answer.status === 400) throw new BatchRejected(`Klaviyo refused to take profiles out ${wordsOf(answer)}`)
    if (answer.status !== 204) throw new Unavailable('maybe', `Klaviyo did not say what it took out ${wordsOf(answer)}`)
  }
  return rows.map(({ key, fields }) =>
    isFilled(fields['email']) || isFilled(fields['phone_number'])
      ? { key, status: 'accepted' }
      : rejected(key, 'missing-identifier', 'Klaviyo finds members of a list by email or phone number only'),
  )
}

function chunksOf(values: readonly string[]): readonly (readonly string[])[] {
  const chunks: string[][] = []
  let chars = 0
  for (const value of values) {
    const last = chunks.at(-1)
    const isFull = last === undefined || last.length >= LOOKED_UP_AT_ONCE || chars + value.length > FILTER_CHARS_MAX
    if (isFull) {
      chunks.push([value])
      chars = value.length
    } else {
      last.push(value)
      chars += value.length
    }
  }
  return chunks
}

async function idsIn(
  klaviyo: Klaviyo,
  list: string,
  name: string,
  values: readonly string[],
): Promise<readonly string[]> {
  const wanted = new Set(values.map((value) => value.toLowerCase()))
  const ids: string[] = []
  let cursor: string | undefined
  do {
    const page = await askedList(klaviyo, list, {
      filter: `any(${name},[${values.map(quoted).join(',')}])`,
      'fields[profile]': name,
      'page[size]': '100',
      ...(cursor === undefined ? {} : { 'page[cursor]': cursor }),
    })
    if (!Array.isArray(page['data'])) throw new Unavailable('maybe', 'Klaviyo answered without the members of the list')
    for (const entry of page['data'] as readonly unknown[]) {
      if (!isRecord(entry) || typeof entry['id'] !== 'string' || !isRecord(entry['attributes'])) continue
      // Whoever else an unknown filter might let through stays in the list.
      const value = entry['attributes'][name]
      if (typeof value === 'string' && wanted.has(value.toLowerCase())) ids.push(entry['id'])
    }
    cursor = nextCursor(page)
  } while (cursor !== undefined)
  return ids
}

async function askedList(klaviyo: Klaviyo, list: string, query: Readonly<Record<string, string>>): Promise<Json> {
  try {
    return await klaviyo.get(`/api/lists/${list}/profiles`, query)
  } catch (error) {
    if (!(error instanceof NotThere)) throw error
    throw new DestinationInvalid('list', 'Klaviyo has no such list any more: choose another')
  }
}
