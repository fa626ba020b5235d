/**
 * HubSpot's API on loopback for tests, proof and bench, written by hand: contacts with their properties, lists with their
 * members, a limit over ten seconds with HubSpot's own headers. It knows nothing of the connector's code.
 */
import { readContract, type Contract } from '../../test-servers/contract/contract.ts'
import { startFakeService, type FakeService, type Reply, type ServiceRequest } from '../../test-servers/fake-service.ts'

export interface FakeContact {
  readonly id: string
  readonly properties: Record<string, string>
  /** How often it was written. */
  written: number
}

export interface FakeList {
  readonly listId: string
  readonly name: string
  readonly objectTypeId: string
  readonly processingType: string
  readonly members: Set<string>
}

export interface FakeHubSpot extends FakeService {
  readonly contract: Contract | undefined
  /** By id. */
  readonly contacts: Map<string, FakeContact>
  readonly lists: Map<string, FakeList>
  readonly properties: FakeProperty[]
  readonly tokens: Set<string>
  /** Scopes that the app was given; what needs another is refused. */
  readonly scopes: Set<string>
  /** HubSpot's error for an id that it does not take. */
  refuse: (id: string) => { readonly category: string; readonly message: string } | undefined
  /** Whether errors name their row by the trace, as batches of today, or by its id, as older ones. */
  namesRowsBy: 'objectWriteTraceId' | 'ids' | 'nothing'
  /** Requests in ten seconds; no limit where it is undefined. */
  perTenSeconds: number | undefined
  now: () => number
  addList(name: string, change?: Partial<FakeList>): FakeList
  /** Forgets every contact. */
  clear(): void
}

interface FakeProperty {
  readonly name: string
  readonly label: string
  readonly type: string
  readonly hasUniqueValue?: boolean
  readonly calculated?: boolean
  readonly modificationMetadata?: { readonly readOnlyValue: boolean }
}

/**
 * Not in the contract's files: HubSpot's "Properties" (GET /crm/v3/properties/{objectType}) and "Account information"
 * (GET /account-info/v3/details), as its documentation for developers describes them.
 */
const SUPPLEMENT = {
  paths: { '/crm/v3/properties/contacts': { get: {} }, '/account-info/v3/details': { get: {} } },
}
export const HUBSPOT_CONTRACT = readContract('hubspot', {
  files: ['contacts_v3.json', 'lists_v3.json'],
  supplement: SUPPLEMENT,
})

export const FAKE_TOKEN = 'pat-eu1-0123-4567'
const BATCH_MAX = 100
const SCOPES = [
  'crm.objects.contacts.read',
  'crm.objects.contacts.write',
  'crm.schemas.contacts.read',
  'crm.lists.read',
  'crm.lists.write',
]

export async function startFakeHubSpot({ forgetful = false } = {}): Promise<FakeHubSpot> {
  const contract = forgetful ? undefined : HUBSPOT_CONTRACT?.fresh()
  const contacts = new Map<string, FakeContact>()
  const byValue = new Map<string, FakeContact>()
  const lists = new Map<string, FakeList>()
  const properties: FakeProperty[] = [
    { name: 'email', label: 'Email', type: 'string', hasUniqueValue: true },
    { name: 'firstname', label: 'First Name', type: 'string' },
    { name: 'birthday', label: 'Birthday', type: 'date' },
    { name: 'points', label: 'Points', type: 'number' },
    { name: 'vip', label: 'VIP', type: 'bool' },
    { name: 'customer_id', label: 'Customer number', type: 'string', hasUniqueValue: true },
    { name: 'hs_object_id', label: 'Record ID', type: 'number', modificationMetadata: { readOnlyValue: true } },
    { name: 'hs_score', label: 'Score', type: 'number', calculated: true },
  ]
  const tokens = new Set([FAKE_TOKEN, 'token-of-a-person'])
  const state: Pick<FakeHubSpot, 'refuse' | 'namesRowsBy' | 'perTenSeconds' | 'now'> = {
    refuse: () => undefined,
    namesRowsBy: 'objectWriteTraceId',
    perTenSeconds: undefined,
    now: () => performance.now(),
  }
  const scopes = new Set(SCOPES)

  const index = (property: string, value: string): string => `${property}=${value.toLowerCase()}`
  const findBy = (property: string, value: string): FakeContact | undefined => byValue.get(index(property, value))
  const findByOther = (value: string): FakeContact | undefined =>
    [...contacts.values()].find(({ properties: { hs_additional_emails: others = '' } }) =>
      others.split(';').includes(value),
    )

  const errorOf = (category: string, message: string, input: Input): object => {
    const context =
      state.namesRowsBy === 'nothing'
        ? {}
        : state.namesRowsBy === 'ids' || input.objectWriteTraceId === undefined
          ? { ids: [input.id] }
          : { objectWriteTraceId: [input.objectWriteTraceId] }
    return { status: 'error', category, message, context, errors: [], links: {} }
  }

  const upsert = ({ body }: ServiceRequest): Reply => {
    const { inputs } = JSON.parse(body) as { inputs: Input[] }
    if (inputs.length === 0 || inputs.length > BATCH_MAX) return refusal(400, 'VALIDATION_ERROR')
    if (new Set(inputs.map(({ id }) => id.toLowerCase())).size < inputs.length) return refusal(400, 'VALIDATION_ERROR')
    const [results, errors]: [object[], object[]] = [[], []]
    for (const input of inputs) {
      const { id, idProperty = 'email', properties: given = {} } = input
      const isAddress = /^[^@\s]+@[^@\s]+\.[a-z]+$/i.test(given['email'] ?? (idProperty === 'email' ? id : 'a@b.c'))
      const refused = state.refuse(id) ?? (isAddress ? undefined : { category: 'VALIDATION_ERROR', message: `Email address ${id} is invalid` })
      if (refused !== undefined) {
        errors.push(errorOf(refused.category, refused.message, input))
        continue
      }
      const before = findBy(idProperty, id)
      const contact = before ?? { id: String(100_000 + contacts.size), properties: {}, written: 0 }
      Object.assign(contact.properties, before === undefined ? { [idProperty]: id } : {}, given)
      contact.written += 1
      contacts.set(contact.id, contact)
      byValue.set(index(idProperty, id), contact)
      const trace = input.objectWriteTraceId === undefined ? {} : { objectWriteTraceId: input.objectWriteTraceId }
      const time = '2026-01-01T00:00:00.000Z'
      results.push({ id: contact.id, properties: contact.properties, new: before === undefined, archived: false, createdAt: time, updatedAt: time, ...trace })
    }
    return batch(results, errors)
  } // prettier-ignore

  const read = ({ body }: ServiceRequest): Reply => {
    const { inputs, idProperty = 'hs_object_id' } = JSON.parse(body) as { inputs: Input[]; idProperty?: string }
    if (inputs.length > BATCH_MAX) return refusal(400, 'VALIDATION_ERROR')
    const found = inputs.map(({ id }) => ({ id, contact: findBy(idProperty, id) ?? findByOther(id) }))
    const lost = found.filter(({ contact }) => contact === undefined).map(({ id }) => id)
    const errors = lost.length === 0 ? [] : [{ status: 'error', category: 'OBJECT_NOT_FOUND', message: 'Could not get some CONTACT objects, they may be deleted or not exist.', context: { ids: lost }, errors: [], links: {} }]
    return batch(found.flatMap(({ contact }) => (contact === undefined ? [] : [{ id: contact.id, properties: contact.properties }])), errors)
  } // prettier-ignore

  const change = (list: FakeList | undefined, { body }: ServiceRequest): Reply => {
    if (list === undefined) return refusal(404, 'OBJECT_NOT_FOUND')
    if (list.processingType === 'DYNAMIC') return refusal(400, 'VALIDATION_ERROR')
    const asked = JSON.parse(body) as { recordIdsToAdd: string[]; recordIdsToRemove: string[] }
    const missing = [...asked.recordIdsToAdd, ...asked.recordIdsToRemove].filter((id) => !contacts.has(id))
    // Those that are on it already are not named.
    const added = asked.recordIdsToAdd.filter((id) => contacts.has(id) && !list.members.has(id))
    for (const id of added) list.members.add(id)
    const removed = asked.recordIdsToRemove.filter((id) => list.members.delete(id))
    return ok({ recordsIdsAdded: added, recordIdsRemoved: removed, recordIdsMissing: missing })
  }

  const addList = (name: string, more: Partial<FakeList> = {}): FakeList => {
    const base = { listId: String(lists.size + 1), name, objectTypeId: '0-1', processingType: 'MANUAL' }
    const list = { ...base, members: new Set<string>(), ...more }
    lists.set(list.listId, list)
    return list
  }
  const shown = ({ members, ...list }: FakeList): object => ({
    ...list,
    listVersion: 1,
    processingStatus: 'COMPLETE',
    additionalProperties: { hs_list_size: String(members.size) },
  })

  const searchLists = ({ body }: ServiceRequest): Reply => {
    const { query = '', count = 20, offset = 0, processingTypes } = JSON.parse(body) as Record<string, never> & {
      query?: string
      count?: number
      offset?: number
      processingTypes?: string[]
    }
    const found = [...lists.values()].filter(
      ({ name, processingType }) =>
        name.toLowerCase().includes(query.toLowerCase()) && processingTypes?.includes(processingType) !== false,
    )
    const page = found.slice(offset, offset + count)
    return ok({ lists: page.map(shown), hasMore: offset + count < found.length, offset: offset + count, total: found.length })
  } // prettier-ignore

  let [windowStart, inWindow] = [0, 0]
  const limited = (): Reply | undefined => {
    if (state.perTenSeconds === undefined) return undefined
    if (state.now() - windowStart >= 10_000) [windowStart, inWindow] = [state.now(), 0]
    inWindow += 1
    const headers = {
      'x-hubspot-ratelimit-max': String(state.perTenSeconds),
      'x-hubspot-ratelimit-remaining': String(Math.max(0, state.perTenSeconds - inWindow)),
      'x-hubspot-ratelimit-interval-milliseconds': '10000',
    }
    const body = { status: 'error', category: 'RATE_LIMITS', errorType: 'RATE_LIMIT', policyName: 'TEN_SECONDLY_ROLLING', message: 'You have reached your ten_secondly_rolling limit.' }
    return inWindow > state.perTenSeconds ? { status: 429, headers, body } : undefined
  } // prettier-ignore

  const answer = (request: ServiceRequest): Reply => {
    const { method, path, headers } = request
    const limit = limited()
    if (limit !== undefined) return limit
    if (!tokens.has((headers.authorization ?? '').replace('Bearer ', ''))) return refusal(401, 'EXPIRED_AUTHENTICATION')
    const lacks = neededScope(method, path)
    if (lacks !== undefined && !scopes.has(lacks))
      return {
        status: 403,
        body: { category: 'MISSING_SCOPES', message: 'x', errors: [{ context: { requiredGranularScopes: [lacks] } }] },
      }
    const [, list, edge] = /^\/crm\/v3\/lists\/(\d+)(\/.*)?$/.exec(path) ?? []
    if (list !== undefined) {
      const found = lists.get(list)
      if (edge === '/memberships/add-and-remove') return change(found, request)
      return found === undefined ? refusal(404, 'OBJECT_NOT_FOUND') : ok({ list: shown(found) })
    }
    const name = /^\/crm\/v3\/lists\/object-type-id\/0-1\/name\/(.+)$/.exec(path)?.[1]
    if (name !== undefined) {
      const found = [...lists.values()].find((one) => one.name === decodeURIComponent(name))
      return found === undefined ? refusal(404, 'OBJECT_NOT_FOUND') : ok({ list: shown(found) })
    }
    switch (`${method} ${path}`) {
      case 'GET /account-info/v3/details':
        return ok({ portalId: 4711, accountType: 'STANDARD', uiDomain: 'app-eu1.hubspot.com' })
      case 'GET /crm/v3/properties/contacts':
        return ok({ results: properties })
      case 'POST /crm/v3/lists/search':
        return searchLists(request)
      case 'POST /crm/v3/lists': {
        const asked = JSON.parse(request.body) as { name: string; processingType: string }
        return ok({ list: shown(addList(asked.name, { processingType: asked.processingType })) })
      }
      case 'POST /crm/v3/objects/contacts/batch/upsert':
        return upsert(request)
      case 'POST /crm/v3/objects/contacts/batch/read':
        return read(request)
      default:
        return refusal(404, 'OBJECT_NOT_FOUND')
    }
  }

  const clear = (): void => {
    contacts.clear()
    byValue.clear()
  }
  const service = await startFakeService({ answer, contract, forgetful })
  return Object.assign(state, service, { contract, contacts, lists, properties, tokens, scopes, addList, clear })
}

interface Input {
  readonly id: string
  readonly idProperty?: string
  readonly objectWriteTraceId?: string
  readonly properties?: Readonly<Record<string, string>>
}

function neededScope(method: string, path: string): string | undefined {
  if (path.endsWith('/upsert')) return 'crm.objects.contacts.write'
  if (path.endsWith('/batch/read')) return 'crm.objects.contacts.read'
  if (path.startsWith('/crm/v3/properties')) return 'crm.schemas.contacts.read'
  if (!path.startsWith('/crm/v3/lists')) return undefined
  return method === 'GET' || path.endsWith('/search') ? 'crm.lists.read' : 'crm.lists.write'
}

function batch(results: readonly object[], errors: readonly object[]): Reply {
  const time = '2026-01-01T00:00:00.000Z'
  const body = { status: 'COMPLETE', results, startedAt: time, completedAt: time }
  return errors.length === 0 ? ok(body) : { status: 207, body: { ...body, errors, numErrors: errors.length } }
}

function ok(body: object): Reply {
  return { status: 200, body }
}

function refusal(status: number, category: string): Reply {
  return { status, body: { status: 'error', category, message: 'About anna@example.org', correlationId: 'x' } }
}
