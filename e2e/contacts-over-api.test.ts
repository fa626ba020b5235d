/** From a file of customers to a list, through the API, the engine and the host: SendGrid, Mailchimp and HubSpot, each at its fake. */
import type { Connector } from '@patchbay/connector-sdk'
import { afterEach, expect, it } from 'vitest'
import { FAKE_TOKEN, startFakeHubSpot } from '../packages/connectors/src/hubspot/fake-hubspot.ts'
import { hubSpotAt } from '../packages/connectors/src/hubspot/index.ts'
import { FAKE_KEY as MAILCHIMP_KEY, startFakeMailchimp } from '../packages/connectors/src/mailchimp/fake-mailchimp.ts'
import { mailchimpAt } from '../packages/connectors/src/mailchimp/index.ts'
import { FAKE_KEY as SENDGRID_KEY, startFakeSendGrid } from '../packages/connectors/src/sendgrid/fake-sendgrid.ts'
import { sendGridAt } from '../packages/connectors/src/sendgrid/index.ts'
import { openTestPatchbay, type TestPatchbay } from '../packages/server/src/test-support/test-patchbay.ts'

const PEOPLE = `id,mail,first,points
1, Ana@Example.com ,Ana,12
2,leon@example.com,Léon,7
3,not an address,Kim,1
4,refused@example.com,Fran,3
`
const WITHOUT_LEON = PEOPLE.replace(/^2,.*\n/m, '')

let patchbay: TestPatchbay | undefined
const stops: (() => Promise<void>)[] = []
afterEach(async () => {
  await patchbay?.remove()
  for (const stop of stops.splice(0)) await stop()
})

interface World {
  readonly connector: Connector
  readonly settings: Record<string, string>
  readonly secrets: Record<string, string>
  readonly destination: Record<string, string | boolean>
  /** The first identifies. */
  readonly mapping: Readonly<Record<string, string>>
}

/** Runs with everybody and once more without Léon, and gives what was told of both. */
async function runTwice({ connector, settings, secrets, destination, mapping }: World) {
  const opened = await openTestPatchbay({ connectors: [connector] }, { PATCHBAY_ALLOW_HOSTS: '127.0.0.1' })
  patchbay = opened
  const { client } = opened
  const uploads = [await opened.upload('people.csv', PEOPLE)]
  await client.tables.import({ body: { uploads, name: 'people', key: 'id', isProfile: true } })
  const connection = await client.connections.add({
    body: { name: 'Service', connectorId: connector.id, settings, secrets },
  })
  const checked = await client.connections.check({ params: { connection: connection.id } })
  expect(checked.ok).toBe(true)
  const fields = Object.entries(mapping).map(([to, from], at) => ({ to, from, identifier: at === 0 }))
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
  const run = async () => opened.ended(await client.exports.run({ params: { export: id } }))
  const first = await run()
  const { items } = await client.runs.rows({ params: { run: first.id }, query: { which: 'rejected' } })
  await client.tables.refresh({
    params: { table: 'people' },
    body: { uploads: [await opened.upload('people.csv', WITHOUT_LEON)] },
  })
  return { first, second: await run(), rejects: items.map(({ key, reason }) => ({ key, reason })) }
}

/** One row is no address, one the service does not take; then one leaves. */
function expectRuns({ first, second, rejects }: Awaited<ReturnType<typeof runTwice>>, reason: string): void {
  expect(first).toMatchObject({ status: 'completed-with-rejects', counts: { added: 4, accepted: 2, rejected: 2 } })
  expect(rejects).toEqual([
    { key: '3', reason: 'invalid-field' },
    { key: '4', reason },
  ])
  expect(second.counts).toMatchObject({ unchanged: 1, removed: 1, accepted: 1, rejected: 2 })
}

it('to SendGrid: by jobs whose errors come back to their rows, and off the list who left', async () => {
  const fake = await startFakeSendGrid()
  stops.push(() => fake.stop())
  fake.refuse = (email) => (email.startsWith('refused') ? 'email is invalid' : undefined)
  const list = fake.addList('Customers')
  const told = await runTwice({
    connector: sendGridAt(fake.origin),
    settings: {},
    secrets: { apiKey: SENDGRID_KEY },
    destination: { target: 'existing', list: list.id, makeFields: true },
    mapping: { email: 'mail', first_name: 'first', loyalty_points: 'points' },
  })
  expectRuns(told, 'invalid-field')
  expect(fake.customFields.at(-1)).toMatchObject({ name: 'loyalty_points', field_type: 'Number' })
  expect(fake.contacts.get('ana@example.com')?.fields).toMatchObject({ first_name: 'Ana', custom_fields: { e4_N: 12 } })
  expect([...fake.contacts].flatMap(([email, { lists }]) => (lists.has(list.id) ? [email] : []))).toEqual([
    'ana@example.com',
  ])
  fake.contract?.throwFaults()
})

it('to Mailchimp: with a tag, and archived who left', async () => {
  const fake = await startFakeMailchimp()
  stops.push(() => fake.stop())
  fake.refuse = (email) => (email.startsWith('refused') ? `${email} looks fake or invalid` : undefined)
  const told = await runTwice({
    connector: mailchimpAt({ login: fake.origin, api: () => fake.origin }),
    settings: { signIn: 'key' },
    secrets: { apiKey: MAILCHIMP_KEY },
    destination: { audience: fake.audience, newStatus: 'subscribed', tag: 'Customer', leaving: 'archive' },
    mapping: { EMAIL: 'mail', FNAME: 'first', POINTS: 'points' },
  })
  expectRuns(told, 'invalid-field')
  expect(fake.members.get('ana@example.com')).toMatchObject({
    status: 'subscribed',
    mergeFields: { FNAME: 'Ana', POINTS: 12 },
    tags: new Set(fake.tags.keys()),
  })
  expect(fake.members.get('leon@example.com')?.status).toBe('archived')
  fake.contract?.throwFaults()
})

it('to HubSpot: by the errors of a 207, and off the list who left', async () => {
  const fake = await startFakeHubSpot()
  stops.push(() => fake.stop())
  fake.refuse = (id) => (id.startsWith('refused') ? { category: 'CONFLICT', message: `Not ${id}` } : undefined)
  const told = await runTwice({
    connector: hubSpotAt(fake.origin),
    settings: { signIn: 'private-app' },
    secrets: { token: FAKE_TOKEN },
    destination: { target: 'named', name: 'Customers', matchBy: 'email' },
    mapping: { email: 'mail', firstname: 'first', points: 'points' },
  })
  expectRuns(told, 'duplicate')
  const [list] = fake.lists.values()
  expect([...(list?.members ?? [])].map((id) => fake.contacts.get(id)?.properties)).toEqual([
    { email: 'ana@example.com', firstname: 'Ana', points: '12' },
  ])
  expect(fake.contacts.size).toBe(2)
  fake.contract?.throwFaults()
})
