/** The checker itself: right requests pass, each planted fault is found, and what cannot be checked does not start. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readContract, type CheckedRequest, type Contract } from './contract.ts'

const PERSON = {
  type: 'object',
  required: ['id', 'email', 'score'],
  properties: {
    id: { type: 'string', readOnly: true },
    email: { type: 'string', format: 'email' },
    score: { type: 'integer', minimum: 0, exclusiveMinimum: true, nullable: true },
    friends: { type: 'array', maxItems: 2, items: { $ref: '#/components/schemas/Person' } },
    extra: { type: 'object', additionalProperties: { type: 'string' } },
    'x~y': { type: 'string' },
  },
}
const MEMBER = {
  allOf: [{ $ref: '#/components/schemas/Person' }, { type: 'object', properties: { list: { type: 'string' } } }],
}
const LIST_ID = { name: 'list', in: 'path', required: true, schema: { type: 'string', pattern: '^[a-z]+$' } }
const PAGE = { name: 'page', in: 'query', schema: { type: 'integer', maximum: 9 } }
const json = (schema: object, required = true): object => ({ required, content: { 'application/json': { schema } } })

const SERVICE = {
  openapi: '3.0.1',
  servers: [{ url: 'https://api.example.com/{version}', variables: { version: { default: 'v1' } } }],
  components: { schemas: { Person: PERSON, Member: MEMBER }, parameters: { Page: PAGE } },
  paths: {
    '/lists/{list}': {
      parameters: [LIST_ID],
      get: { parameters: [{ $ref: '#/components/parameters/Page' }] },
      put: { requestBody: json({ $ref: '#/components/schemas/Person' }) },
      post: { requestBody: json({ $ref: '#/components/schemas/Member' }, false) },
      delete: {
        parameters: [
          {
            name: 'ids',
            in: 'query',
            required: true,
            explode: false,
            schema: { type: 'array', items: { type: 'integer' } },
          },
          { name: 'revision', in: 'header', required: true, schema: { type: 'string' } },
        ],
      },
    },
    '/lists/search': {
      get: { parameters: [{ name: 'tag', in: 'query', schema: { type: 'array', items: { type: 'string' } } }] },
    },
    '/jobs': {
      post: {
        requestBody: {
          required: true,
          content: {
            'application/vnd.api+json': {
              schema: { type: 'object', required: ['data'], properties: { data: { type: 'object' } } },
            },
            'application/x-www-form-urlencoded': {
              schema: { type: 'object', properties: { size: { type: 'integer' } } },
            },
          },
        },
      },
    },
  },
}

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'patchbay-contract-'))
  await mkdir(join(folder, 'service'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function contractOf(document: object, options: object = {}): Promise<Contract> {
  await writeFile(join(folder, 'service', 'api.json'), JSON.stringify(document))
  const contract = readContract('service', { files: ['api.json'], ...options }, { folder, environment: {} })
  if (contract === undefined) throw new Error('It is there')
  return contract
}

function requestOf(text: string, body?: unknown, type = 'application/json', headers = {}): CheckedRequest {
  const [method = '', url = ''] = text.split(' ')
  if (body === undefined) return { method, url, headers, body: '' }
  const written = typeof body === 'string' ? body : JSON.stringify(body)
  return { method, url, headers: { 'Content-Type': type, ...headers }, body: written }
}

const ANNA = { email: 'anna@example.org', score: 1 }
const REVISION = { Revision: '2026-01-01' }

const RIGHT: readonly (readonly [string, CheckedRequest])[] = [
  ['a plain question', requestOf('GET /v1/lists/news')],
  ['a query', requestOf('GET /v1/lists/news?page=9')],
  ['any host', requestOf('GET http://127.0.0.1:1234/v1/lists/news')],
  ['a body', requestOf('PUT /v1/lists/news', ANNA)],
  ['a body with its character set', requestOf('PUT /v1/lists/news', ANNA, 'application/json; charset=utf-8')],
  ['null where it may be', requestOf('PUT /v1/lists/news', { ...ANNA, score: null })],
  ['what refers to itself', requestOf('PUT /v1/lists/news', { ...ANNA, friends: [{ ...ANNA, friends: [ANNA] }] })],
  ['names that are open', requestOf('PUT /v1/lists/news', { ...ANNA, extra: { anything: 'goes' } })],
  ['a composed body', requestOf('POST /v1/lists/news', { ...ANNA, list: 'x' })],
  ['no body where it is optional', requestOf('POST /v1/lists/news')],
  ['a list by commas, and a header', requestOf('DELETE /v1/lists/news?ids=1,2', undefined, '', REVISION)],
  ['a path that also fits a place', requestOf('GET /v1/lists/search?tag=a&tag=b')],
  ['JSON by another name', requestOf('POST /v1/jobs', { data: {} }, 'application/vnd.api+json')],
  ['a form', requestOf('POST /v1/jobs', 'size=3', 'application/x-www-form-urlencoded')],
]

/** [what is wrong, the request, what is said of it]. */
const WRONG: readonly (readonly [string, CheckedRequest, RegExp])[] = [
  ['an unknown path', requestOf('GET /v1/list/news'), /no such operation/],
  ['a path outside the base', requestOf('GET /lists/news'), /no such operation/],
  ['another version', requestOf('GET /v2/lists/news'), /no such operation/],
  ['a longer path', requestOf('GET /v1/lists/news/more'), /no such operation/],
  ['an unknown method', requestOf('PATCH /v1/lists/news', ANNA), /no such operation/],
  ['a wrong path parameter', requestOf('GET /v1/lists/News1'), /path parameter list .*pattern/],
  ['an unknown query parameter', requestOf('GET /v1/lists/news?pages=1'), /query parameter pages is not declared/],
  ['a query that is no number', requestOf('GET /v1/lists/news?page=one'), /query parameter page .*integer/],
  ['a query above its limit', requestOf('GET /v1/lists/news?page=10'), /query parameter page .*<= 9/],
  ['a query given twice', requestOf('GET /v1/lists/news?page=1&page=2'), /given 2 times/],
  ['a missing query', requestOf('DELETE /v1/lists/news', undefined, '', REVISION), /query parameter ids is missing/],
  ['a list with a bad entry', requestOf('DELETE /v1/lists/news?ids=1,b', undefined, '', REVISION), /ids .*integer/],
  [
    'a list that is given apart',
    requestOf('DELETE /v1/lists/news?ids=1&ids=2', undefined, '', REVISION),
    /ids is given 2/,
  ],
  ['a missing header', requestOf('DELETE /v1/lists/news?ids=1'), /header parameter revision is missing/],
  ['a body where none is declared', requestOf('GET /v1/lists/news', {}), /none is declared/],
  ['no body', requestOf('PUT /v1/lists/news'), /its body is missing/],
  [
    'a body of another type',
    requestOf('PUT /v1/lists/news', 'a=1', 'text/plain'),
    /type "text\/plain" is not declared/,
  ],
  ['a body without type', { ...requestOf('PUT /v1/lists/news', ANNA), headers: {} }, /type "" is not declared/],
  ['a body that is no JSON', requestOf('PUT /v1/lists/news', '{"email"'), /is not application\/json/],
  ['a body that is only a text', requestOf('PUT /v1/lists/news', '"x"'), /must be object/],
  ['a missing property', requestOf('PUT /v1/lists/news', { email: 'a@example.org' }), /required property 'score'/],
  ['a number as text', requestOf('PUT /v1/lists/news', { ...ANNA, score: '1' }), /score must be integer/],
  ['a number at its excluded limit', requestOf('PUT /v1/lists/news', { ...ANNA, score: 0 }), /must be > 0/],
  ['a wrong format', requestOf('PUT /v1/lists/news', { ...ANNA, email: 'anna' }), /format "email"/],
  [
    'a misspelt property',
    requestOf('PUT /v1/lists/news', { ...ANNA, freinds: [] }),
    /additional properties \("freinds"\)/,
  ],
  [
    'a misspelt property deep inside',
    requestOf('PUT /v1/lists/news', { ...ANNA, friends: [{ ...ANNA, no: 1 }] }),
    /"no"/,
  ],
  ['a misspelt property of a composed body', requestOf('POST /v1/lists/news', { ...ANNA, lists: 'x' }), /"lists"/],
  ['what only the service sets', requestOf('PUT /v1/lists/news', { ...ANNA, id: '1' }), /\/id .*false/],
  ['too many entries', requestOf('PUT /v1/lists/news', { ...ANNA, friends: [ANNA, ANNA, ANNA] }), /more than 2 items/],
  ['a value in what is open', requestOf('PUT /v1/lists/news', { ...ANNA, extra: { a: 1 } }), /extra\/a must be string/],
  [
    'a wrong body of JSON by another name',
    requestOf('POST /v1/jobs', '"x"', 'application/vnd.api+json'),
    /must be object/,
  ],
  [
    'JSON by its own name where another is asked',
    requestOf('POST /v1/jobs', { data: {} }),
    /application\/json" is not/,
  ],
  [
    'a wrong form',
    requestOf('POST /v1/jobs', 'size=three', 'application/x-www-form-urlencoded'),
    /size must be integer/,
  ],
]

describe('the contract checker', () => {
  it.each(RIGHT)('passes %s', async (_name, request) => {
    expect((await contractOf(SERVICE)).check(request)).toEqual([])
  })

  it.each(WRONG)('finds %s', async (_name, request, says) => {
    const contract = await contractOf(SERVICE)
    const faults = contract.check(request)
    expect(faults.join('\n')).toMatch(says)
    expect(contract.faults).toEqual(faults)
    expect(() => contract.throwFaults()).toThrow(says)
    expect(() => contract.fresh().throwFaults()).not.toThrow()
    expect(contract.checked).toBe(1)
  })

  it('says no value of a body', async () => {
    const contract = await contractOf(SERVICE)
    const faults = contract.check(requestOf('PUT /v1/lists/news', { email: 'anna-at-example', score: 'anna' }))
    expect(faults).toHaveLength(1)
    expect(faults.join()).not.toContain('anna')
  })

  it('takes what the service has and the files lack', async () => {
    const supplement = {
      paths: { '/more': { get: {} } },
      components: { schemas: { Person: { properties: { town: { type: 'string' } } } } },
    }
    const contract = await contractOf(SERVICE, { supplement, variables: { version: 'v7' } })
    expect(contract.check(requestOf('GET /v7/more'))).toEqual([])
    expect(contract.check(requestOf('PUT /v7/lists/news', { ...ANNA, town: 'Ulm' }))).toEqual([])
    expect(contract.check(requestOf('GET /v1/more'))).toHaveLength(1)
  })

  it.each([
    ['a pattern that does not compile', { type: 'string', pattern: '(' }],
    ['a reference that leads nowhere', { $ref: '#/components/schemas/Nobody' }],
    ['a reference that leads elsewhere', { $ref: 'https://example.com/schema.json' }],
    ['a type that does not exist', { type: 'text' }],
    ['a format that nobody checks', { type: 'string', format: 'shoe-size' }],
    ['a keyword that nobody checks', { type: 'string', maximumLength: 3 }],
    ['a schema that is none', 7],
  ])('does not start with %s', async (_name, schema) => {
    const inBody = { ...SERVICE, paths: { '/x': { post: { requestBody: json(schema as object) } } } }
    await expect(contractOf(inBody)).rejects.toThrow(/POST \/x cannot be checked/)
    const deep = json({ type: 'object', properties: { a: { type: 'array', items: schema } } })
    await expect(contractOf({ ...SERVICE, paths: { '/x': { put: { requestBody: deep } } } })).rejects.toThrow(/PUT \/x/)
    const inQuery = { parameters: [{ name: 'a', in: 'query', schema }] }
    await expect(contractOf({ ...SERVICE, paths: { '/x': { get: inQuery } } })).rejects.toThrow(/GET \/x/)
  })

  it.each([
    ['another version of OpenAPI', { ...SERVICE, openapi: undefined, swagger: '2.0' }, /OpenAPI undefined/],
    ['no operation', { ...SERVICE, paths: {} }, /no operation/],
    [
      'a body without schema',
      { ...SERVICE, paths: { '/x': { post: { requestBody: { content: { 'text/csv': {} } } } } } },
      /has no schema/,
    ],
    [
      'a parameter in a style of its own',
      {
        ...SERVICE,
        paths: {
          '/x': { get: { parameters: [{ name: 'a', in: 'query', style: 'deepObject', schema: { type: 'object' } }] } },
        },
      },
      /style "deepObject"/,
    ],
  ])('does not start with %s', async (_name, document, says) => {
    await expect(contractOf(document)).rejects.toThrow(says)
  })

  it('is left out where the contracts are not there, unless they are required', () => {
    const nowhere = join(folder, 'nowhere')
    const read = (at: string, environment: NodeJS.ProcessEnv) => () =>
      readContract('service', { files: ['other.json'] }, { folder: at, environment })
    expect(read(nowhere, {})()).toBeUndefined()
    expect(read(nowhere, { REQUIRE_CONTRACTS: '1' })).toThrow(/no contract/)
    expect(read(folder, {})).toThrow(/no contract/)
  })
})

const mailchimp = readContract('mailchimp', { files: ['marketing.json'] })

/** One right and one wrong request for each service whose connector is checked by its vendor's contract. */
const VENDORS: readonly (readonly [string, readonly string[], CheckedRequest, CheckedRequest])[] = [
  [
    'mailchimp',
    ['marketing.json'],
    requestOf('POST /3.0/lists/a1', { members: [{ email_address: 'a', status: 'subscribed' }], update_existing: true }),
    requestOf('POST /3.0/lists/a1', { members: [{ email_address: 'a', status: 'here' }] }),
  ],
  [
    'hubspot',
    ['contacts_v3.json', 'lists_v3.json'],
    requestOf('PUT /crm/v3/lists/1/memberships/add', ['1', '2']),
    requestOf('POST /crm/v3/objects/contacts/batch/upsert', { inputs: [{ id: 'a', idProperty: 'email', props: {} }] }),
  ],
  [
    'sendgrid',
    ['mc_contacts.json', 'mc_lists.json', 'mc_custom_fields.json'],
    requestOf('PUT /v3/marketing/contacts', { contacts: [{ email: 'a@example.org' }] }),
    requestOf('PUT /v3/marketing/contacts', '"x"'),
  ],
  [
    'klaviyo',
    ['klaviyo.json'],
    requestOf('GET /api/lists', undefined, '', { revision: '2025-01-15' }),
    requestOf('POST /api/profile-bulk-import-jobs', '"x"', 'application/vnd.api+json', { revision: '2025-01-15' }),
  ],
  [
    'google-data-manager',
    ['datamanager_v1.json'],
    requestOf('POST /v1/audienceMembers:ingest', {
      destinations: [{ operatingAccount: { accountId: '1', accountType: 'GOOGLE_ADS' }, productDestinationId: '2' }],
      audienceMembers: [{ userData: { userIdentifiers: [{ emailAddress: 'ab' }] } }],
    }),
    requestOf('POST /v1/audienceMembers:ingest', { destination: {} }),
  ],
]

describe.skipIf(mailchimp === undefined)('the vendors’ contracts [needs ../shared/contracts]', () => {
  it.each(VENDORS)('of %s compile, pass a right request and find a wrong one', (service, files, right, wrong) => {
    const contract = readContract(service, { files })
    expect(contract?.check(right)).toEqual([])
    expect(contract?.check(wrong)).not.toEqual([])
  })
})
