/**
 * Audience members ingested and removed: at most 10,000 in a request, which Google takes at once and works on for a while. Its
 * status is a count and not a list, so a row is accepted only with all others of its request.
 */
import {
  BatchRejected,
  Unavailable,
  type AcceptedJob,
  type Batch,
  type Change,
  type RowAnswer,
  type Value,
} from '@patchbay/connector-sdk'
import { isRecord, NotThere, RowsRefused, unknownList, type DataManager, type Json } from './api.ts'

export interface Audience {
  /** What every request names: the account, through whom, and the list. */
  readonly destination: Json
  /** For rows that say nothing of their own. */
  readonly consent: Readonly<Record<'adUserData' | 'adPersonalization', boolean | undefined>>
}

type Verb = 'ingest' | 'remove'

interface Part {
  readonly verb: Verb
  readonly rows: readonly Change[]
  readonly members: readonly Json[]
}

/** The same for the same rows: what is collected later is what was sent. */
function partsOf(batch: Batch, { consent }: Audience): { readonly parts: readonly Part[]; readonly refused: readonly RowAnswer[] } {
  const refused: RowAnswer[] = []
  const part = (verb: Verb, isOfIt: (change: Change) => boolean): Part => {
    const rows: Change[] = []
    const members: Json[] = []
    for (const change of batch.changes.filter(isOfIt)) {
      const userIdentifiers = identifiersOf(change.fields)
      if (userIdentifiers.length === 0) refused.push(rejected(change, 'missing-identifier', NOBODY))
      else if (verb === 'ingest' && isDenied(change.fields, consent)) refused.push(rejected(change, 'not-allowed', DENIED))
      else {
        rows.push(change)
        members.push({ userData: { userIdentifiers }, ...(verb === 'ingest' ? consentOf(change.fields) : {}) })
      }
    }
    return { verb, rows, members }
  }
  // Removals first: they are of people who left, or whose identifiers are no longer those that they had.
  const parts = [part('remove', ({ change }) => change === 'removed'), part('ingest', ({ change }) => change !== 'removed')]
  return { parts: parts.filter(({ rows }) => rows.length > 0), refused }
} // prettier-ignore

const NOBODY =
  'Neither an email address, nor a phone number, nor a whole address (first and last name, country, postal code)'
const DENIED = 'The person did not consent that their data is sent to Google for advertising (adUserData)'

export async function deliverMembers(
  api: DataManager,
  audience: Audience,
  batch: Batch,
): Promise<readonly RowAnswer[] | AcceptedJob> {
  const { parts, refused } = partsOf(batch, audience)
  const ids: string[] = []
  for (const part of parts) {
    try {
      const { requestId } = await api.post(`/v1/audienceMembers:${part.verb}`, requestOf(part, audience))
      if (typeof requestId !== 'string' || !/^[\w.:/=+-]{1,200}$/.test(requestId))
        throw new Unavailable('maybe', 'Google did not say under which id it took the request')
      ids.push(`${part.verb} ${requestId}`)
    } catch (error) {
      if (error instanceof NotThere) throw unknownList('userList')
      if (!(error instanceof RowsRefused)) throw error
      // The request was not taken; what was taken before it is sent again, which changes nothing.
      return [...refused, ...withoutRefused(parts, part, error)]
    }
  }
  return ids.length === 0 ? refused : { job: ids.join(',') }
}

function requestOf({ verb, members }: Part, { destination, consent }: Audience, validateOnly = false): Json {
  return {
    destinations: [destination],
    audienceMembers: members,
    encoding: 'HEX',
    ...(validateOnly ? { validateOnly } : {}),
    ...(verb === 'remove'
      ? {}
      : {
          consent: { adUserData: status(consent.adUserData), adPersonalization: status(consent.adPersonalization) },
          termsOfService: { customerMatchTermsOfServiceStatus: 'ACCEPTED' },
        }),
  }
}

/** A request that Google looks at and does not carry out. */
export function validationOf(audience: Audience): Json {
  const nobody = '0'.repeat(64)
  const members = [{ userData: { userIdentifiers: [{ emailAddress: nobody }] } }]
  return requestOf({ verb: 'ingest', rows: [], members }, audience, true)
}

function withoutRefused(parts: readonly Part[], at: Part, { rows }: RowsRefused): readonly RowAnswer[] {
  return parts.flatMap((part) =>
    part.rows.map((change, index): RowAnswer => {
      const why = part === at ? rows.get(index) : undefined
      return why === undefined
        ? { key: change.key, status: 'retry', message: 'Refused together with rows that Google did not take' }
        : rejected(change, 'invalid-field', why)
    }),
  )
}

export async function collectMembers(
  api: DataManager,
  audience: Audience,
  job: string,
  batch: Batch,
): Promise<readonly RowAnswer[] | 'pending'> {
  const { parts, refused } = partsOf(batch, audience)
  const answers: RowAnswer[] = [...refused]
  for (const text of job.split(',')) {
    const [verb, requestId = ''] = text.split(' ')
    const part = parts.find((candidate) => candidate.verb === verb)
    if (part === undefined) throw new Unavailable('maybe', 'The job is of other rows')
    const judged = judge(part, await readStatus(api, requestId))
    if (judged === 'pending') return 'pending'
    answers.push(...judged)
  }
  return answers
}

async function readStatus(api: DataManager, requestId: string): Promise<Json> {
  try {
    const answer = await api.get('/v1/requestStatus:retrieve', { requestId })
    const list = answer['requestStatusPerDestination']
    const [only, ...others]: readonly unknown[] = Array.isArray(list) ? list : []
    if (isRecord(only) && others.length === 0) return only
    throw new Unavailable('maybe', 'Google answered without the status of the request')
  } catch (error) {
    if (!(error instanceof NotThere)) throw error
    // Sending its rows again changes nothing that it has done.
    throw new BatchRejected('Google no longer knows the request')
  }
}

const ADDED_LATER_SECONDS = 60
/** Google's own trouble: the same rows are taken another time. */
const TROUBLE: ReadonlySet<string> = new Set(['PROCESSING_ERROR_REASON_INTERNAL_ERROR'])

function judge({ verb, rows }: Part, destination: Json): readonly RowAnswer[] | 'pending' {
  const reasons = reasonsOf(destination)
  const words = reasons.length === 0 ? 'Google gave no reason' : reasons.join(', ')
  const isTrouble = reasons.length > 0 && reasons.every((reason) => TROUBLE.has(reason))
  switch (destination['requestStatus']) {
    case 'PROCESSING':
      return 'pending'
    case 'SUCCESS': {
      const counted = recordCount(destination, verb)
      if (counted === undefined) throw new Unavailable('maybe', 'Google did not count what it took')
      if (counted !== rows.length) throw new BatchRejected(`Google counted ${counted} of ${rows.length} members`)
      return rows.map(({ key }) => ({ key, status: 'accepted' }))
    }
    case 'PARTIAL_SUCCESS':
    case 'FAILED':
      if (isTrouble)
        return rows.map(({ key }) => ({ key, status: 'retry', message: words, afterSeconds: ADDED_LATER_SECONDS }))
      if (destination['requestStatus'] === 'FAILED') return rows.map((row) => rejected(row, 'other', words))
      // Which rows, it does not say: halves are sent, until the bad ones stand alone.
      throw new BatchRejected(`Google took a part of the members only (${words})`)
    default:
      throw new Unavailable('maybe', 'Google tells a status of the request that is not known')
  }
}

function recordCount(destination: Json, verb: Verb): number | undefined {
  const outer = destination[verb === 'ingest' ? 'audienceMembersIngestionStatus' : 'audienceMembersRemovalStatus']
  const inner = isRecord(outer) ? outer[verb === 'ingest' ? 'userDataIngestionStatus' : 'userDataRemovalStatus'] : undefined
  const count = isRecord(inner) ? inner['recordCount'] : undefined
  return typeof count === 'number' || (typeof count === 'string' && /^\d{1,9}$/.test(count)) ? Number(count) : undefined
} // prettier-ignore

function reasonsOf({ errorInfo }: Json): readonly string[] {
  const counts: readonly unknown[] = isRecord(errorInfo) && Array.isArray(errorInfo['errorCounts']) ? errorInfo['errorCounts'] : []
  const reasons = counts.flatMap((count) => (isRecord(count) ? [count['reason']] : []))
  return [...new Set(reasons.filter((reason) => typeof reason === 'string' && /^[A-Z_]{1,100}$/.test(reason)))] as string[]
} // prettier-ignore

// ---- rows ----------------------------------------------------------------------------------------------------------

type FieldsOf = Change['fields']

function identifiersOf(fields: FieldsOf): readonly Json[] {
  const { emailAddress, phoneNumber, givenName, familyName, regionCode, postalCode } = fields
  const address = { givenName, familyName, regionCode, postalCode }
  return [
    ...(isFilled(emailAddress) ? [{ emailAddress }] : []),
    ...(isFilled(phoneNumber) ? [{ phoneNumber }] : []),
    ...(Object.values(address).every((value) => isFilled(value)) ? [{ address }] : []),
  ]
}

function isFilled(value: Value | undefined): boolean {
  return value !== undefined && value !== null && value !== ''
}

function isDenied({ adUserData }: FieldsOf, consent: Audience['consent']): boolean {
  return (typeof adUserData === 'boolean' ? adUserData : consent.adUserData) === false
}

/** What a row says goes before what is said of the whole export. */
function consentOf({ adUserData, adPersonalization }: FieldsOf): Json {
  const consent = {
    ...(typeof adUserData === 'boolean' ? { adUserData: status(adUserData) } : {}),
    ...(typeof adPersonalization === 'boolean' ? { adPersonalization: status(adPersonalization) } : {}),
  }
  return Object.keys(consent).length === 0 ? {} : { consent }
}

function status(isGranted: boolean | undefined): string {
  if (isGranted === undefined) return 'CONSENT_STATUS_UNSPECIFIED'
  return isGranted ? 'CONSENT_GRANTED' : 'CONSENT_DENIED'
}

function rejected(
  { key }: Change,
  reason: Extract<RowAnswer, { status: 'rejected' }>['reason'],
  message: string,
): RowAnswer {
  return { key, status: 'rejected', reason, message }
}
