/**
 * Destinations of the proof that are services on the internet: their connectors, pointed at the fakes that their own tests
 * use. Sign-in by OAuth is proven elsewhere; here its token is a header.
 */
import { createHash } from 'node:crypto'
import type { Connector } from '@patchbay/connector-sdk'
import { startFakeGoogle } from '../packages/connectors/src/google-customer-match/fake-google.ts'
import { googleCustomerMatchAt } from '../packages/connectors/src/google-customer-match/index.ts'
import { FAKE_TOKEN, startFakeHubSpot } from '../packages/connectors/src/hubspot/fake-hubspot.ts'
import { hubSpotAt } from '../packages/connectors/src/hubspot/index.ts'
import { startFakeKlaviyo } from '../packages/connectors/src/klaviyo/fake-klaviyo.ts'
import { klaviyoConnectorAt } from '../packages/connectors/src/klaviyo/index.ts'
import { FAKE_KEY as MAILCHIMP_KEY, startFakeMailchimp } from '../packages/connectors/src/mailchimp/fake-mailchimp.ts'
import { mailchimpAt } from '../packages/connectors/src/mailchimp/index.ts'
import { startFakeMeta } from '../packages/connectors/src/meta-custom-audiences/fake-meta.ts'
import { metaCustomAudiencesAt } from '../packages/connectors/src/meta-custom-audiences/index.ts'
import { FAKE_KEY as SENDGRID_KEY, startFakeSendGrid } from '../packages/connectors/src/sendgrid/fake-sendgrid.ts'
import { sendGridAt } from '../packages/connectors/src/sendgrid/index.ts'
import type { Sink } from './sink.ts'

const GOOGLE_TOKEN = 'ya29.token'

/** By id, at an origin. */
const SERVICES: Readonly<Record<string, (origin: string) => Connector>> = {
  klaviyo: klaviyoConnectorAt,
  'google-customer-match': (origin) => ({
    ...googleCustomerMatchAt(origin),
    auth: { type: 'header', headers: () => ({ authorization: `Bearer ${GOOGLE_TOKEN}` }), origin: () => origin },
  }),
  'meta-custom-audiences': metaCustomAudiencesAt,
  sendgrid: sendGridAt,
  mailchimp: (origin) => mailchimpAt({ login: origin, api: () => origin }),
  hubspot: hubSpotAt,
}

/** What a Patchbay of the proof is made with besides: `PROOF_SERVICE` names a connector and the origin of its fake. */
export function connectorsWith(service: string | undefined): readonly Connector[] {
  const [id = '', origin = ''] = service?.split(' ') ?? []
  const make = SERVICES[id]
  return make === undefined ? [] : [inManyBatches(make(origin))]
}

/** Five batches of a thousand, or more where the service takes fewer rows, and no waiting for a rate, so that there is something to kill between. */
function inManyBatches(connector: Connector): Connector {
  const destinations = Object.entries(connector.destinations).map(([name, destination]) => [
    name,
    destination.delivers === 'rows' ? { ...destination, limits: manyBatches(destination.limits) } : destination,
  ])
  return { ...connector, destinations: Object.fromEntries(destinations) as Connector['destinations'] }
}

function manyBatches<L extends { readonly rowsPerBatch: number }>(
  limits: L,
): L & { readonly requestsPerSecond: number } {
  return { ...limits, rowsPerBatch: Math.min(1000, limits.rowsPerBatch), requestsPerSecond: 1000 }
}

export const SERVICE_SINKS: Readonly<Record<string, () => Promise<Sink>>> = {
  klaviyo: klaviyoSink,
  'google-customer-match': googleSink,
  'meta-custom-audiences': metaSink,
  sendgrid: sendGridSink,
  mailchimp: mailchimpSink,
  hubspot: hubSpotSink,
}

const ALWAYS = { mode: 'upsert', tables: 1, uncertainMax: 0, readLeftovers: () => Promise.resolve([]) } as const
const email = (to: string) => [{ to, from: 'email', identifier: true, transforms: [] }]
const presentOnce = (keys: Iterable<string>): Promise<ReadonlyMap<string, number>> =>
  Promise.resolve(new Map(Array.from(keys, (key) => [key, 1])))

/** Sets of people: adding somebody twice is one effect. Who each is, is known by the hash of their address. */
function keyOfHash(): (hash: string) => string {
  const keys = new Map<string, string>()
  for (let row = 0; row < 5000; row += 1)
    keys.set(createHash('sha256').update(`k0-${row}@example.com`).digest('hex'), `k0-${row}`)
  return (hash) => keys.get(hash) ?? `a stranger: ${hash}`
}

/** Everybody of the proof has an address that is their key. */
const keyOfEmail = (address: string): string => address.replace('@example.com', '')

async function klaviyoSink(): Promise<Sink> {
  const fake = await startFakeKlaviyo()
  const list = fake.addList('Proof')
  return {
    ...ALWAYS,
    connector: 'klaviyo',
    service: { origin: fake.origin, fields: email('email') },
    settings: {},
    secrets: { apiKey: 'pk_test_0123456789' },
    destination: { target: 'existing', list: list.id },
    readEffects: () => presentOnce([...list.members].map(keyOfEmail)),
    async reset() {
      list.members.clear()
      fake.profiles.clear()
      fake.jobs.clear()
      await Promise.resolve()
    },
    stop: () => fake.stop(),
  }
}

async function googleSink(): Promise<Sink> {
  const fake = await startFakeGoogle()
  const list = fake.addUserList('Proof')
  const keyOf = keyOfHash()
  const hashOf = (member: string): string => (JSON.parse(member) as { emailAddress: string }).emailAddress
  return {
    ...ALWAYS,
    connector: 'google-customer-match',
    service: { origin: fake.origin, fields: email('emailAddress') },
    settings: { customerId: '123-456-7890' },
    secrets: {},
    destination: { target: 'existing', userList: list.id, termsAccepted: true },
    readEffects: () => presentOnce([...list.members.keys()].map((member) => keyOf(hashOf(member)))),
    reset: () => Promise.resolve(list.members.clear()),
    stop: () => fake.stop(),
  }
}

async function metaSink(): Promise<Sink> {
  const fake = await startFakeMeta()
  const audience = fake.addAudience('Proof')
  const keyOf = keyOfHash()
  return {
    ...ALWAYS,
    connector: 'meta-custom-audiences',
    service: { origin: fake.origin, fields: email('EMAIL') },
    settings: { adAccount: '1234567890', signIn: 'system-user' },
    secrets: { token: 'token-of-a-system-user' },
    destination: { target: 'existing', audience: audience.id },
    readEffects: () => presentOnce([...audience.members.keys()].map((member) => keyOf(member.replace('EMAIL=', '')))),
    reset: () => Promise.resolve(audience.members.clear()),
    stop: () => fake.stop(),
  }
}

async function sendGridSink(): Promise<Sink> {
  const fake = await startFakeSendGrid()
  const list = fake.addList('Proof')
  return {
    ...ALWAYS,
    connector: 'sendgrid',
    service: { origin: fake.origin, fields: email('email') },
    settings: {},
    secrets: { apiKey: SENDGRID_KEY },
    destination: { target: 'existing', list: list.id },
    readEffects: () =>
      presentOnce(
        [...fake.contacts].flatMap(([address, { lists }]) => (lists.has(list.id) ? [keyOfEmail(address)] : [])),
      ),
    reset: () => Promise.resolve(fake.contacts.clear()),
    stop: () => fake.stop(),
  }
}

async function mailchimpSink(): Promise<Sink> {
  const fake = await startFakeMailchimp()
  return {
    ...ALWAYS,
    connector: 'mailchimp',
    service: { origin: fake.origin, fields: email('EMAIL') },
    settings: { signIn: 'key' },
    secrets: { apiKey: MAILCHIMP_KEY },
    destination: { audience: fake.audience, tag: 'Proof' },
    // Whoever was added and not tagged is not where they should be.
    readEffects: () =>
      presentOnce([...fake.members].flatMap(([address, { tags }]) => (tags.size === 1 ? [keyOfEmail(address)] : []))),
    reset: () => Promise.resolve(fake.members.clear()),
    stop: () => fake.stop(),
  }
}

async function hubSpotSink(): Promise<Sink> {
  const fake = await startFakeHubSpot()
  const list = fake.addList('Proof')
  return {
    ...ALWAYS,
    connector: 'hubspot',
    service: { origin: fake.origin, fields: email('email') },
    settings: { signIn: 'private-app' },
    secrets: { token: FAKE_TOKEN },
    destination: { target: 'existing', list: list.listId },
    readEffects: () =>
      presentOnce(
        [...list.members].map((id) => keyOfEmail(fake.contacts.get(id)?.properties['email'] ?? 'a stranger')),
      ),
    async reset() {
      list.members.clear()
      fake.clear()
      await Promise.resolve()
    },
    stop: () => fake.stop(),
  }
}
