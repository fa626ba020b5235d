/** What a receiver's answer says of each row. Only what it says in so many words counts. */
import {
  BatchRejected,
  SettingsInvalid,
  Unavailable,
  type Batch,
  type FetchAnswer,
  type RejectReason,
  type RowAnswer,
  type RowKey,
} from '@patchbay/connector-sdk'

const REASONS: ReadonlySet<string> = new Set<RejectReason>([
  'invalid-field',
  'missing-identifier',
  'not-allowed',
  'not-found',
  'duplicate',
  'too-large',
  'unanswered',
  'other',
])
const PAUSE_MAX_SECONDS = 3600
const MESSAGE_MAX = 1000

/** Throws unless the status says that the batch was taken, or at least looked at row by row. */
export function judgeStatus({ status }: FetchAnswer): void {
  if (status >= 200 && status < 300) return
  switch (status) {
    case 400:
    case 413:
    case 422:
      throw new BatchRejected(`The receiver refused the whole batch (${status})`)
    // The same batch is being worked on, or could not be waited for: it may have been taken.
    case 408:
    case 409:
    case 425:
      throw new Unavailable('maybe', `The receiver is not done with this batch (${status})`)
    case 410:
      throw new SettingsInvalid('url', 'The receiver says that it is gone for good (410) and wants no more of this')
    default:
      throw new SettingsInvalid('url', `${whyNot(status)} (${status}): enter the address that takes the batches`)
  }
}

function whyNot(status: number): string {
  if (status >= 300 && status < 400) return 'The receiver sends us to another address, which is never followed'
  return status === 404 || status === 405
    ? 'Nothing takes batches at this address'
    : 'The receiver does not take batches'
}

/** For a receiver that takes or refuses a batch whole. */
export function acceptAll({ keys }: Batch): readonly RowAnswer[] {
  return keys.map((key) => ({ key, status: 'accepted' }))
}

/**
 * For a receiver that answers `{"answers":[{"key":…,"status":…}]}`. A row that is not answered, is answered in words we do
 * not know, or is answered in two ways, is left out, and so counts as unanswered.
 */
export function readAnswers(answer: FetchAnswer, { keys }: Batch): Iterable<RowAnswer> {
  const list = answersOf(answer.status === 204 ? undefined : answer.json())
  if (list === undefined)
    throw new Unavailable(
      'maybe',
      `The receiver answered ${answer.status} and said nothing of the rows. If its status alone tells that it took them all, ` +
        'choose so in the export ("The receiver answers")',
    )
  const given: ReadonlySet<string> = new Set(keys)
  const found = new Map<string, RowAnswer | undefined>()
  for (const entry of list) {
    const row = readRow(entry)
    if (row === undefined || !given.has(row.key)) continue
    const isContradiction = found.has(row.key) && found.get(row.key)?.status !== row.status
    found.set(row.key, isContradiction ? undefined : row)
  }
  return [...found.values()].filter((row) => row !== undefined)
}

function answersOf(body: unknown): readonly unknown[] | undefined {
  const answers = isRecord(body) ? body['answers'] : undefined
  return Array.isArray(answers) ? answers : undefined
}

function readRow(entry: unknown): RowAnswer | undefined {
  if (!isRecord(entry) || typeof entry['key'] !== 'string') return undefined
  const key = entry['key'] as RowKey
  const message = typeof entry['message'] === 'string' ? entry['message'].slice(0, MESSAGE_MAX) : ''
  switch (entry['status']) {
    case 'accepted':
      return { key, status: 'accepted' }
    case 'rejected':
      return { key, status: 'rejected', reason: readReason(entry['reason']), message }
    case 'retry':
      return { key, status: 'retry', message, ...readPause(entry['afterSeconds']) }
    default:
      return undefined
  }
}

function readReason(reason: unknown): RejectReason {
  return typeof reason === 'string' && REASONS.has(reason) ? (reason as RejectReason) : 'other'
}

function readPause(seconds: unknown): { readonly afterSeconds?: number } {
  return typeof seconds === 'number' && seconds > 0 ? { afterSeconds: Math.min(seconds, PAUSE_MAX_SECONDS) } : {}
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
