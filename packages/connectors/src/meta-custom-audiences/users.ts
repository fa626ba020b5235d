/** People added to an audience and taken out of it: at most 10,000 in a request, by Meta's keys. */
import { BatchRejected, Unavailable, type Batch, type Change, type RowAnswer } from '@patchbay/connector-sdk'
import { TARGET_FIELDS } from './fields.ts'
import { isRecord, numberOf, type Graph, type Json } from './graph.ts'

const KEYS: readonly string[] = TARGET_FIELDS.map(({ name }) => name)
const NO_KEY = 'No key is filled that Meta could know this person by'

/** Removals first: they are of people who left, or whose keys are no longer those that they had. */
export async function deliverUsers(graph: Graph, audience: string, { changes }: Batch): Promise<readonly RowAnswer[]> {
  const [filled, empty] = partition(changes, ({ fields }) => KEYS.some((key) => isFilled(fields[key])))
  const [removed, added] = partition(filled, ({ change }) => change === 'removed')
  if (removed.length > 0) expectAll(removed, await graph.send('DELETE', `/${audience}/users`, payloadOf(removed)))
  if (added.length > 0) expectAll(added, await graph.send('POST', `/${audience}/users`, payloadOf(added)))
  return [
    ...filled.map(({ key }): RowAnswer => ({ key, status: 'accepted' })),
    ...empty.map(({ key }): RowAnswer => ({ key, status: 'rejected', reason: 'missing-identifier', message: NO_KEY })),
  ]
}

function payloadOf(changes: readonly Change[]): Json {
  const schema = KEYS.filter((key) => changes.some(({ fields }) => Object.hasOwn(fields, key)))
  const data = changes.map(({ fields }) => schema.map((key) => (isFilled(fields[key]) ? String(fields[key]) : '')))
  return { payload: { schema, data } }
}

/**
 * Meta counts what it received and what of it it could not use, and does not say which rows. So a batch is taken when it was
 * taken whole; one that was not is cut until the bad rows stand alone. Sending the others again changes nothing.
 */
function expectAll(changes: readonly Change[], answer: Json): void {
  const received = numberOf(answer['num_received'])
  const invalid = numberOf(answer['num_invalid_entries'])
  if (received === undefined || invalid === undefined)
    throw new Unavailable('maybe', 'Meta answered without counting what it received')
  if (received === changes.length && invalid === 0) return
  const why = invalid > 0 ? reasonOf(answer) : ''
  throw new BatchRejected(
    `Meta received ${received} of ${changes.length} entries and could not use ${invalid} of them${why}`,
  )
}

/** Samples of invalid entries hold what was sent; the reasons beside them do not. */
function reasonOf(answer: Json): string {
  const samples = answer['invalid_entry_samples']
  const reasons = isRecord(samples) ? Object.values(samples).filter((reason) => typeof reason === 'string') : []
  const plain = [...new Set(reasons)].filter((reason) => /^[A-Za-z_ ]{1,80}$/.test(reason))
  return plain.length === 0 ? '' : `: ${plain.slice(0, 3).join(', ')}`
}

function isFilled(value: unknown): boolean {
  return value !== undefined && value !== null && value !== ''
}

function partition<T>(items: readonly T[], test: (item: T) => boolean): readonly [readonly T[], readonly T[]] {
  return [items.filter((item) => test(item)), items.filter((item) => !test(item))]
}
