import { createHash } from 'node:crypto'
import type { Batch, Change, CheckStep, RowAnswer, RowDelivery, RowKey } from '@patchbay/connector-sdk'
import { assertConnector, makeTestContext } from '@patchbay/connector-sdk/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readContract } from '../../test-servers/contract/contract.ts'
import { refusal, startFakeGoogle, type FakeGoogle, type FakeUserList } from './fake-google.ts'
import { googleCustomerMatch, googleCustomerMatchAt } from './index.ts'

const TOKEN = 'ya29.token'
const sha = (text: string): string => createHash('sha256').update(text).digest('hex')

let google: FakeGoogle
let list: FakeUserList
beforeEach(async () => {
  google = await startFakeGoogle()
  list = google.addUserList('Customers')
})

const query = (...names: readonly string[]) =>
  names.map((name) => ({ in: 'query', name, required: false, schema: { type: 'string' } }))
const path = (...names: readonly string[]) =>
  names.map((name) => ({ in: 'path', name, required: true, schema: { type: 'string' } }))
/** The contract is made of protocol buffers, whose fields of a GET are its query parameters. */
const contract = readContract('google-data-manager', {
  files: ['datamanager_v1.json'],
  supplement: {
    paths: {
      '/v1/requestStatus:retrieve': { get: { parameters: query('requestId') } },
      '/v1/accountTypes/{parent}/accounts/{parent1}/userLists': {
        get: { parameters: [...path('parent', 'parent1'), ...query('pageSize', 'pageToken')] },
      },
    },
  },
}) // prettier-ignore
afterEach(async () => {
  await google.stop()
  const faults = google.requests.flatMap(
    ({ path: at, query: asked, ...request }) => contract?.check({ url: `${at}?${asked.toString()}`, ...request }) ?? [],
  )
  if (faults.length > 0) throw new Error(`Google's contract does not allow: ${[...new Set(faults)].join('\n')}`)
})

const contextFor = (settings: Record<string, string> = {}, accessToken = TOKEN) =>
  makeTestContext(googleCustomerMatchAt(google.origin), {
    settings: { customerId: '123-456-7890', ...settings },
    accessToken,
    account: { id: '1', name: 'ana@example.com' },
  })

function destinationOf() {
  const destination = googleCustomerMatchAt(google.origin).destinations['userList']
  if (destination?.delivers !== 'rows') throw new Error('It delivers rows')
  return destination
}

const open = async (values: Record<string, string | boolean | number> = {}, settings: Record<string, string> = {}): Promise<RowDelivery> =>
  destinationOf().open(
    contextFor(settings).context,
    { target: 'existing', userList: list.id, adUserData: 'granted', adPersonalization: 'unspecified', termsAccepted: true, ...values },
    'mirror',
  ) // prettier-ignore

function batchOf(rows: readonly Partial<Change>[], id = 'b_1'): Batch {
  const changes = rows.map((row, at): Change => ({ change: 'added', key: `k${at}` as RowKey, fields: {}, ...row }))
  const json = changes.map((change) => JSON.stringify(change))
  return { id, size: changes.length, keys: changes.map(({ key }) => key), json, changes }
}
const person = (name: string, more: Change['fields'] = {}): Partial<Change> => ({
  fields: { emailAddress: sha(name), ...more },
})

/** As the engine does: on another delivery, and as often as it takes. */
async function collected(batch: Batch, delivery?: RowDelivery): Promise<readonly RowAnswer[]> {
  const given = await (delivery ?? (await open())).deliver(batch)
  if (!('job' in given)) return [...given]
  for (let question = 0; question < 20; question += 1) {
    const answers = await (await open()).collect?.(given.job, batch)
    if (answers !== undefined && answers !== 'pending') return [...answers]
  }
  throw new Error('The request never ends')
} // prettier-ignore

describe('google-customer-match', () => {
  it('passes the conformance kit', async () => {
    const connector = googleCustomerMatchAt(google.origin)
    // What the host would have of a person who consented.
    const signedIn = { ...connector, auth: { type: 'header', headers: () => ({ authorization: `Bearer ${TOKEN}` }), origin: () => google.origin } } as const
    const results = await assertConnector(signedIn, {
      makeFake: () =>
        Promise.resolve({
          settings: { customerId: '1234567890' },
          destinations: { userList: { values: { target: 'existing', userList: list.id, termsAccepted: true }, row: (at) => ({ emailAddress: sha(`p${at}`) }) } },
          stop: () => undefined,
        }),
    })
    expect(results.filter(({ outcome }) => outcome === 'skipped').map(({ name }) => name)).toEqual([
      'what is readable can be read back',
      'no secret is in an error, a step or a log line',
    ])
    expect((await assertConnector(connector)).every(({ outcome }) => outcome === 'passed')).toBe(true)
  }) // prettier-ignore

  it('sends its token to Google and nowhere else', () => {
    const { auth } = googleCustomerMatch
    if (auth.type !== 'oauth2') throw new Error('A person signs in by OAuth')
    expect(auth.origins({}, undefined)).toEqual(['https://datamanager.googleapis.com', 'https://openidconnect.googleapis.com'])
    expect(auth).toMatchObject({ pkce: 'S256', tokens: { kind: 'refreshed' }, issuer: 'https://accounts.google.com' })
  }) // prettier-ignore

  it('ingests members with their consent, and waits until Google has worked on them', async () => {
    google.questionsPerRequest = 4
    const address = { givenName: sha('ana'), familyName: sha('souza'), regionCode: 'BR', postalCode: '20040-002' }
    const batch = batchOf([
      person('a', { phoneNumber: sha('+55'), ...address, adUserData: true, adPersonalization: false }),
      person('b', { ...address, postalCode: null, adUserData: null }),
    ])
    expect(await collected(batch, await open({}, { managerId: '999-888-7777' }))).toEqual(
      batch.keys.map((key) => ({ key, status: 'accepted' })),
    )
    const sent = google.requests.find(({ method }) => method === 'POST')
    expect(sent?.headers['login-account']).toBe('accountTypes/GOOGLE_ADS/accounts/9998887777')
    expect(JSON.parse(sent?.body ?? '')).toEqual({
      destinations: [
        {
          operatingAccount: { accountType: 'GOOGLE_ADS', accountId: '1234567890' },
          loginAccount: { accountType: 'GOOGLE_ADS', accountId: '9998887777' },
          productDestinationId: list.id,
        },
      ],
      audienceMembers: [
        {
          userData: { userIdentifiers: [{ emailAddress: sha('a') }, { phoneNumber: sha('+55') }, { address }] },
          consent: { adUserData: 'CONSENT_GRANTED', adPersonalization: 'CONSENT_DENIED' },
        },
        { userData: { userIdentifiers: [{ emailAddress: sha('b') }] } },
      ],
      encoding: 'HEX',
      consent: { adUserData: 'CONSENT_GRANTED', adPersonalization: 'CONSENT_STATUS_UNSPECIFIED' },
      termsOfService: { customerMatchTermsOfServiceStatus: 'ACCEPTED' },
    })
    expect(list.members.size).toBe(2)
  })

  it('removes and ingests what comes in one batch, in two requests that are both waited for', async () => {
    await collected(batchOf([person('a'), person('b')]))
    const batch = batchOf([{ change: 'removed', fields: { emailAddress: sha('a') } }, person('c')])
    expect(await collected(batch)).toEqual(batch.keys.map((key) => ({ key, status: 'accepted' })))
    expect([...list.members.keys()].join()).not.toContain(sha('a'))
    expect(list.members.size).toBe(2)
  })

  it('does not send whom Google could not know, or who did not consent', async () => {
    const answers = await collected(batchOf([{ fields: { givenName: sha('ana'), regionCode: 'BR' } }, person('b', { adUserData: false }), person('c')]))
    expect(answers).toMatchObject([
      { key: 'k0', status: 'rejected', reason: 'missing-identifier' },
      { key: 'k1', status: 'rejected', reason: 'not-allowed' },
      { key: 'k2', status: 'accepted' },
    ])
    expect(google.requests.some(({ body }) => body.includes(sha('b')))).toBe(false)
  }) // prettier-ignore

  it('rows that Google names in a refusal are rejected, and the others go again', async () => {
    const batch = batchOf([person('a'), { fields: { emailAddress: 'no-hash' } }, { change: 'removed', fields: { emailAddress: sha('z') } }])
    expect(await collected(batch)).toEqual([
      { key: 'k2', status: 'retry', message: expect.any(String) as string },
      { key: 'k0', status: 'retry', message: expect.any(String) as string },
      { key: 'k1', status: 'rejected', reason: 'invalid-field', message: 'INVALID_HEX_ENCODING: Invalid hash encoding.' },
    ])
  }) // prettier-ignore

  it('never calls a row accepted that Google did not count, or may have failed on', async () => {
    google.judge = (member) => (member.includes(sha('bad')) ? 'PROCESSING_ERROR_REASON_INVALID_FORMAT' : undefined)
    await expect(collected(batchOf([person('a'), person('bad')]))).rejects.toMatchObject({
      code: 'batch-rejected',
      message: 'Google took a part of the members only (PROCESSING_ERROR_REASON_INVALID_FORMAT)',
    })
    expect(await collected(batchOf([person('bad')]))).toEqual([
      { key: 'k0', status: 'rejected', reason: 'other', message: 'PROCESSING_ERROR_REASON_INVALID_FORMAT' },
    ])
    google.judge = () => 'PROCESSING_ERROR_REASON_INTERNAL_ERROR'
    expect(await collected(batchOf([person('a')]))).toMatchObject([{ status: 'retry', afterSeconds: 60 }])
  })

  it.each<[string, object, string]>([
    ['no count', { requestStatus: 'SUCCESS' }, 'unavailable'],
    ['another count', { requestStatus: 'SUCCESS', audienceMembersIngestionStatus: { userDataIngestionStatus: { recordCount: '2' } } }, 'batch-rejected'],
    ['a status that is not known', { requestStatus: 'DONE' }, 'unavailable'],
    ['REQUEST_STATUS_UNKNOWN', { requestStatus: 'REQUEST_STATUS_UNKNOWN' }, 'unavailable'],
  ])('%s is no success', async (_, status, code) => {
    const body = { requestStatusPerDestination: [status] }
    google.trouble((request) => (request.path.includes('requestStatus') ? { does: 'say', status: 200, body } : undefined))
    await expect(collected(batchOf([person('a')]))).rejects.toMatchObject({ code })
  }) // prettier-ignore

  it('a request that Google has forgotten is sent again', async () => {
    const given = await (await open()).deliver(batchOf([person('a')]))
    google.forgetRequests()
    if (!('job' in given)) throw new Error('It is taken as a job')
    await expect((await open()).collect?.(given.job, batchOf([person('a')]))).rejects.toMatchObject({
      code: 'batch-rejected',
    })
  })

  it('is harmless when a batch arrives twice, after a fault or a broken connection too', async () => {
    for (const does of ['fail-after-taking', 'reset-after-taking'] as const) {
      google.trouble(({ method }) => (method === 'POST' ? { does } : undefined))
      await expect((await open()).deliver(batchOf([person('a')]))).rejects.toMatchObject({ code: 'unavailable', sent: 'maybe' })
      google.trouble(() => undefined)
      expect(await collected(batchOf([person('a')]))).toMatchObject([{ status: 'accepted' }])
    }
    expect(list.members.size).toBe(1)
  }) // prettier-ignore

  it.each([
    ['a quota', refusal(429, 'RESOURCE_EXHAUSTED', 'RATE_LIMIT_EXCEEDED', [{ retryDelay: '12s' }]), { code: 'rate-limited', afterSeconds: 12 }],
    ['a token that ended in mid-run', refusal(401, 'UNAUTHENTICATED'), { code: 'connection-refused' }],
    ['a right that is missing', refusal(403, 'PERMISSION_DENIED', 'USER_PERMISSION_DENIED'), { code: 'connection-refused', step: 'may-write' }],
    ['a list that was removed', refusal(404, 'NOT_FOUND'), { code: 'destination-invalid', field: 'userList' }],
    ['terms that were not signed', refusal(400, 'INVALID_ARGUMENT', 'TERMS_AND_CONDITIONS_NOT_SIGNED'), { code: 'batch-rejected' }],
    ['a fault', refusal(503, 'UNAVAILABLE'), { code: 'unavailable', sent: 'maybe' }],
    ['an answer without an id', { status: 200, body: { id: 7 } }, { code: 'unavailable', sent: 'maybe' }],
    ['an answer that is no JSON', { status: 200, body: '<html>' }, { code: 'unavailable', sent: 'maybe' }],
  ])('tells %s', async (_, { status, body }, wanted) => {
    const delivery = await open()
    google.trouble(() => ({ does: 'say', status, body }))
    const refused: unknown = await delivery.deliver(batchOf([person('a')])).catch((error: unknown) => error)
    expect(refused).toMatchObject(wanted)
    expect(String(refused)).not.toContain('ana@')
  }) // prettier-ignore

  it('makes the user list once, and finds it by its name afterwards', async () => {
    for (let at = 0; at < 120; at += 1) google.addUserList(`Other ${at}`)
    const values = { target: 'named', name: ' Bought lately ', membershipDays: 30 }
    await open(values)
    await open(values)
    const made = [...google.userLists.values()].filter(({ displayName }) => displayName === 'Bought lately')
    expect(made).toMatchObject([{ uploadKeyTypes: ['CONTACT_ID'], membershipDuration: '2592000s' }])
    google.addUserList('Bought lately')
    await expect(open(values)).rejects.toMatchObject({ code: 'destination-invalid', field: 'name' })
  })

  it('refuses a list that cannot be written to, and an export whose terms nobody accepted, before anything is sent', async () => {
    const mobile = google.addUserList('Phones', { uploadKeyTypes: ['MOBILE_ID'] })
    const others = google.addUserList('Shared', { readOnly: true })
    for (const userList of [mobile.id, others.id, '1', '../x'])
      await expect(open({ userList })).rejects.toMatchObject({ code: 'destination-invalid', field: 'userList' })
    await expect(open({ termsAccepted: false })).rejects.toMatchObject({ code: 'destination-invalid', field: 'termsAccepted' })
    await expect(open({ target: 'named', name: 'x' }, { customerId: '999-999-9999' })).rejects.toMatchObject({ code: 'settings-invalid' })
    expect(google.requests.every(({ method }) => method === 'GET')).toBe(true)
  }) // prettier-ignore

  it('offers the lists that can be written to', async () => {
    google.addUserList('Phones', { uploadKeyTypes: ['MOBILE_ID'] })
    const choices = (await destinationOf().lookups?.['userList']?.(contextFor().context, '', {})) ?? []
    expect(choices).toEqual([
      { value: list.id, label: 'Customers', help: expect.stringContaining('0 members') as string },
    ])
  })
})

describe('Verify', () => {
  const verify = async (settings: Record<string, string> = {}, token = TOKEN): Promise<readonly CheckStep[]> => {
    const steps: CheckStep[] = []
    const { context } = contextFor(settings, token)
    for await (const step of googleCustomerMatchAt(google.origin).check(context)) steps.push(step)
    return steps
  }

  it('goes step by step, and has Google look at a request without carrying it out', async () => {
    expect((await verify()).map(({ step, ok }) => [step, ok])).toEqual([
      ['resolved', true],
      ['reached', true],
      ['signed-in', true],
      ['may-write', true],
    ])
    expect(list.members.size).toBe(0)
    expect(JSON.parse(google.requests.at(-1)?.body ?? '')).toMatchObject({ validateOnly: true })
  })

  it('names what is to be mended', async () => {
    await expect(verify({}, 'old')).rejects.toMatchObject({ code: 'connection-refused', step: 'signed-in' })
    expect((await verify({ customerId: '9999999999' })).at(-1)).toMatchObject({
      step: 'may-write',
      ok: false,
      field: 'customerId',
    })
  })
})
