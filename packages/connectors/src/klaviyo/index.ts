import {
  BatchRejected,
  ConnectionRefused,
  defineConnector,
  Unavailable,
  type CheckStep,
  type Connector,
  type Context,
  type Fields,
  type RowDelivery,
  type Values,
} from '@patchbay/connector-sdk'
import { isRecord, klaviyoAt, NotThere, type Klaviyo } from './api.ts'
import { TARGET_FIELDS } from './fields.ts'
import { listChoices, openList } from './lists.ts'
import { collectMembers, deliverMembers } from './members.ts'

const settings = {
  apiKey: {
    kind: 'secret',
    label: 'Private API key',
    help: 'Klaviyo, Settings, API keys, Create Private API Key: custom, with full access to lists and profiles and read access to accounts. Begins with pk_',
  },
} as const satisfies Fields

const fields = {
  target: {
    kind: 'choice',
    label: 'Write to',
    choices: [
      { value: 'existing', label: 'A list that is there' },
      { value: 'named', label: 'A list of this name, made where it is missing' },
    ],
    default: 'existing',
  },
  list: { kind: 'lookup', label: 'List', showWhen: { field: 'target', is: 'existing' } },
  name: {
    kind: 'text',
    label: 'Name of the list',
    example: 'Newsletter Germany',
    maxLength: 200,
    showWhen: { field: 'target', is: 'named' },
  },
} as const satisfies Fields

type KlaviyoContext = Context<typeof settings>

/** Where Klaviyo is; tests have one of their own. */
export function klaviyoConnectorAt(origin: string): Connector {
  return defineConnector({
    id: 'klaviyo',
    name: 'Klaviyo',
    summary: 'Creates and updates profiles, and keeps the members of a list the same as a segment. Never touches consent.',
    category: 'mail',
    direction: 'export',
    settings,
    auth: {
      type: 'header',
      headers: ({ apiKey }) => ({ authorization: `Klaviyo-API-Key ${apiKey.reveal()}` }),
      origin: () => origin,
    },
    check: (ctx) => checkAccount(klaviyoAt(origin, ctx), origin),
    destinations: {
      list: {
        delivers: 'rows',
        name: 'List',
        modes: ['upsert', 'mirror'],
        // 10,000 profiles and 5 MB in a job; 150 requests a minute.
        limits: { rowsPerBatch: 10_000, bytesPerBatch: 4_000_000, batchesInFlight: 4, requestsPerSecond: 2.5 },
        fields,
        removal:
          'Mirror: people who leave the segment are taken off the list, only those that this export added. Their profiles, ' +
          'and what they consented to, stay as they are. Upsert: nobody is taken off.',
        repeat: () => ({ kind: 'harmless' }),
        fixedFields: TARGET_FIELDS,
        targetFields: () => TARGET_FIELDS,
        lookups: { list: (ctx, search) => listChoices(klaviyoAt(origin, ctx), search) },
        open: (ctx, destination) => openMembers(ctx, origin, destination),
      },
    },
  }) // prettier-ignore
}

export const klaviyo = klaviyoConnectorAt('https://a.klaviyo.com')

async function openMembers(
  ctx: KlaviyoContext,
  origin: string,
  destination: Values<typeof fields>,
): Promise<RowDelivery> {
  const api = klaviyoAt(origin, ctx)
  const list = await openList(api, destination)
  return {
    deliver: (batch) => deliverMembers(api, list, batch),
    collect: (job, batch) => collectMembers(api, job, batch),
    close: () => Promise.resolve(),
  }
}

async function* checkAccount(api: Klaviyo, origin: string): AsyncGenerator<CheckStep> {
  const account = await accountName(api)
  yield { step: 'resolved', ok: true }
  yield { step: 'reached', ok: true }
  if (origin.startsWith('https:')) yield { step: 'trusted', ok: true }
  yield { step: 'signed-in', ok: true, detail: account }
  yield await mayWrite(api)
}

async function accountName(api: Klaviyo): Promise<string> {
  const { data } = await api.get('/api/accounts', { 'fields[account]': 'contact_information.organization_name' })
  const account: unknown = Array.isArray(data) ? data[0] : undefined
  if (!isRecord(account) || typeof account['id'] !== 'string')
    throw new Unavailable('maybe', 'Klaviyo did not say whose key this is')
  const attributes = isRecord(account['attributes']) ? account['attributes'] : {}
  const contact = isRecord(attributes['contact_information']) ? attributes['contact_information'] : {}
  const name = contact['organization_name']
  return typeof name === 'string' ? `${name} (${account['id']})` : account['id']
}

/** An import of nobody: refused as empty where the key may import, and as not allowed where it may not. Nothing is made of it. */
async function mayWrite(api: Klaviyo): Promise<CheckStep> {
  const body = { data: { type: 'profile-bulk-import-job', attributes: { profiles: { data: [] } } } }
  try {
    await api.send('POST', '/api/profile-bulk-import-jobs', body)
    await api.get('/api/lists', { 'fields[list]': 'name' })
    return { step: 'may-write', ok: true }
  } catch (error) {
    if (error instanceof ConnectionRefused)
      return {
        step: 'may-write',
        ok: false,
        field: 'apiKey',
        message: 'The key may not write profiles and lists: give it full access to both',
      }
    if (error instanceof NotThere || error instanceof BatchRejected)
      throw new Unavailable('maybe', 'Klaviyo answered in an unknown way', { cause: error })
    throw error
  }
}
