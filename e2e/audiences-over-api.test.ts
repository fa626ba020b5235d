/** From a file of customers to an audience, through the API, the engine and the host: Klaviyo, Google and Meta, each at its fake. */
import { createHash } from 'node:crypto'
import type { Connector } from '@patchbay/connector-sdk'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startFakeGoogle } from '../packages/connectors/src/google-customer-match/fake-google.ts'
import { googleCustomerMatchAt } from '../packages/connectors/src/google-customer-match/index.ts'
import { startFakeKlaviyo } from '../packages/connectors/src/klaviyo/fake-klaviyo.ts'
import { klaviyoConnectorAt } from '../packages/connectors/src/klaviyo/index.ts'
import { startFakeMeta } from '../packages/connectors/src/meta-custom-audiences/fake-meta.ts'
import { metaCustomAudiencesAt } from '../packages/connectors/src/meta-custom-audiences/index.ts'
import { openTestPatchbay, type TestPatchbay } from '../packages/server/src/test-support/test-patchbay.ts'

const sha = (text: string): string => createHash('sha256').update(text).digest('hex')

const PEOPLE = `id,mail,phone,first,last,land,born
1, Ana.Souza+news@GMail.com ,+55 (11) 91234-5678,Ana,Souza,Brazil,1990-02-16
2,leon@example.com,,Léon,O'Brien,de,
3,not an address,+49 171 2345678,Kim,정,Korea,1985-12-01
4,fran@example.com,+1 (650) 555-1212,Fran,Lee,United States,16.2.1997
`
const WITHOUT_LEON = PEOPLE.replace(/^2,.*\n/m, '')

let patchbay: TestPatchbay
const stops: (() => Promise<void>)[] = []
beforeEach(() => void stops.splice(0))
afterEach(async () => {
  await patchbay.remove()
  for (const stop of stops) await stop()
})

interface World {
  readonly connector: Connector
  readonly settings: Record<string, string>
  readonly secrets: Record<string, string>
  readonly destination: Record<string, string | boolean>
  readonly mapping: Readonly<Record<string, string>>
  readonly identifier: string
}

/** Customers, a connection that Verify passes, and an export of everybody. */
async function open({ connector, settings, secrets, destination, mapping, identifier }: World) {
  patchbay = await openTestPatchbay({ connectors: [connector] }, { PATCHBAY_ALLOW_HOSTS: '127.0.0.1' })
  const { client } = patchbay
  const uploads = [await patchbay.upload('people.csv', PEOPLE)]
  await client.tables.import({ body: { uploads, name: 'people', key: 'id', isProfile: true } })
  const connection = await client.connections.add({
    body: { name: 'Service', connectorId: connector.id, settings, secrets },
  })
  const checked = await client.connections.check({ params: { connection: connection.id } })
  const fields = Object.entries(mapping).map(([to, from]) => ({ to, from, identifier: to === identifier }))
  const { id } = await client.exports.add({
    body: {
      name: 'People',
      connection: 'Service',
      destination,
      mode: 'mirror',
      source: { kind: 'segment', segments: [], fields },
      guard: { removedShareMax: 1 },
    },
  })
  return {
    checked,
    run: async () => patchbay.ended(await client.exports.run({ params: { export: id } })),
    refresh: async (csv: string) =>
      client.tables.refresh({
        params: { table: 'people' },
        body: { uploads: [await patchbay.upload('people.csv', csv)] },
      }),
    rejects: async (run: string) =>
      (await client.runs.rows({ params: { run }, query: { which: 'rejected' } })).items.map(({ key, reason }) => ({
        key,
        reason,
      })),
  }
}

describe('an export of people', () => {
  it('to Meta: hashed as Meta asks, bad rows told, and who left taken out', async () => {
    const meta = await startFakeMeta()
    stops.push(() => meta.stop())
    const world = await open({
      connector: metaCustomAudiencesAt(meta.origin),
      settings: { adAccount: 'act_1234567890', signIn: 'system-user' },
      secrets: { token: 'token-of-a-system-user' },
      destination: { target: 'named', name: 'Customers' },
      mapping: { EMAIL: 'mail', PHONE: 'phone', FN: 'first', LN: 'last', COUNTRY: 'land', DOBY: 'born', DOBM: 'born' },
      identifier: 'EMAIL',
    })
    expect(world.checked.ok).toBe(true)
    const run = await world.run()
    expect(run).toMatchObject({ status: 'completed-with-rejects', counts: { added: 4, accepted: 3, rejected: 1 } })
    expect(await world.rejects(run.id)).toEqual([{ key: '3', reason: 'invalid-field' }])
    const [audience] = [...meta.audiences.values()]
    expect(audience?.name).toBe('Customers')
    const members = [...(audience?.members.keys() ?? [])].map((member) => member.split(' '))
    expect(members).toEqual([
      [
        `EMAIL=${sha('ana.souza+news@gmail.com')}`,
        `PHONE=${sha('5511912345678')}`,
        `FN=${sha('ana')}`,
        `LN=${sha('souza')}`,
        `COUNTRY=${sha('br')}`,
        `DOBY=${sha('1990')}`,
        `DOBM=${sha('02')}`,
      ],
      [`EMAIL=${sha('leon@example.com')}`, `FN=${sha('léon')}`, `LN=${sha('obrien')}`, `COUNTRY=${sha('de')}`],
      [
        `EMAIL=${sha('fran@example.com')}`,
        `PHONE=${sha('16505551212')}`,
        `FN=${sha('fran')}`,
        `LN=${sha('lee')}`,
        `COUNTRY=${sha('us')}`,
        `DOBY=${sha('1997')}`,
        `DOBM=${sha('02')}`,
      ],
    ])
    await world.refresh(WITHOUT_LEON)
    expect((await world.run()).counts).toMatchObject({ unchanged: 2, removed: 1, rejected: 1, accepted: 1 })
    expect(audience?.members.size).toBe(2)
    expect(meta.requests.map(({ body }) => body).join()).not.toMatch(/example\.com|souza/i)
  })

  it('to Google: as Google asks, in a request that takes a while', async () => {
    const google = await startFakeGoogle()
    stops.push(() => google.stop())
    google.questionsPerRequest = 2
    const list = google.addUserList('Customers')
    const origin = google.origin
    const world = await open({
      // What the host makes of a sign-in by OAuth is proven elsewhere.
      connector: {
        ...googleCustomerMatchAt(origin),
        auth: { type: 'header', headers: () => ({ authorization: 'Bearer ya29.token' }), origin: () => origin },
      },
      settings: { customerId: '123-456-7890', managerId: '999-888-7777' },
      secrets: {},
      destination: { target: 'existing', userList: list.id, termsAccepted: true },
      mapping: { emailAddress: 'mail', phoneNumber: 'phone', givenName: 'first', familyName: 'last' },
      identifier: 'emailAddress',
    })
    expect(world.checked.ok).toBe(true)
    const run = await world.run()
    expect(run).toMatchObject({ status: 'completed-with-rejects', counts: { added: 4, accepted: 3, rejected: 1 } })
    expect([...list.members.keys()]).toContain(
      `{"emailAddress":"${sha('anasouza@gmail.com')}"} {"phoneNumber":"${sha('+5511912345678')}"}`,
    )
    await world.refresh(WITHOUT_LEON)
    expect((await world.run()).counts).toMatchObject({ unchanged: 2, removed: 1, accepted: 1 })
    expect(list.members.size).toBe(2)
    expect(google.requests.every(({ headers }) => headers['login-account']?.includes('9998887777'))).toBe(true)
  })

  it('to Klaviyo: readable, by jobs whose errors come back to their rows', async () => {
    const klaviyo = await startFakeKlaviyo()
    stops.push(() => klaviyo.stop())
    klaviyo.questionsPerJob = 2
    const list = klaviyo.addList('Newsletter')
    klaviyo.judge = ({ email }) =>
      email === 'fran@example.com'
        ? { code: 'invalid', title: 'Invalid input.', detail: 'Not deliverable.', pointsAtIt: true }
        : undefined
    const world = await open({
      connector: klaviyoConnectorAt(klaviyo.origin),
      settings: {},
      secrets: { apiKey: 'pk_test_0123456789' },
      destination: { target: 'existing', list: list.id },
      mapping: { email: 'mail', phone_number: 'phone', first_name: 'first', city: 'land', birthday: 'born' },
      identifier: 'email',
    })
    expect(world.checked.ok).toBe(true)
    const run = await world.run()
    expect(run).toMatchObject({ status: 'completed-with-rejects', counts: { added: 4, accepted: 2, rejected: 2 } })
    expect(await world.rejects(run.id)).toEqual([
      { key: '3', reason: 'invalid-field' },
      { key: '4', reason: 'invalid-field' },
    ])
    expect(klaviyo.profiles.get('ana.souza+news@gmail.com')?.attributes).toMatchObject({
      phone_number: '+5511912345678',
      first_name: 'Ana',
      location: { city: 'Brazil' },
      properties: { birthday: '1990-02-16' },
    })
    await world.refresh(WITHOUT_LEON)
    expect((await world.run()).counts).toMatchObject({ unchanged: 1, removed: 1, accepted: 1, rejected: 2 })
    expect([...list.members]).toEqual(['ana.souza+news@gmail.com'])
  })
})
