import {
  BatchRejected,
  ConnectionRefused,
  defineConnector,
  DestinationInvalid,
  Unavailable,
  type Account,
  type CheckStep,
  type Connector,
  type Context,
  type Fields,
  type Mode,
  type RowDelivery,
  type Values,
} from '@patchbay/connector-sdk'
import { hubSpotApi, type HubSpot } from './api.ts'
import { deliverContacts } from './contacts.ts'
import { listChoices, openList } from './lists.ts'
import { EMAIL, readProperties, targetFieldsOf } from './properties.ts'

const settings = {
  signIn: {
    kind: 'choice',
    label: 'Sign in',
    choices: [
      { value: 'account', label: 'With a HubSpot account' },
      { value: 'private-app', label: 'With the token of a private app' },
    ],
    default: 'account',
  },
  token: {
    kind: 'secret',
    label: 'Access token',
    help: 'HubSpot, Settings, Integrations, Private Apps: the app, Auth, Access token. It begins with pat-',
    showWhen: { field: 'signIn', is: 'private-app' },
  },
} as const satisfies Fields

const fields = {
  target: {
    kind: 'choice',
    label: 'Put contacts on',
    choices: [
      { value: 'existing', label: 'A static list that is there' },
      { value: 'named', label: 'A static list of this name', help: 'Made where it is missing' },
      { value: 'none', label: 'No list', help: 'Contacts are made and changed, nothing else' },
    ],
    default: 'existing',
  },
  list: {
    kind: 'lookup',
    label: 'Static list',
    help: 'Lists with filters fill themselves, and cannot be written to',
    showWhen: { field: 'target', is: 'existing' },
  },
  name: {
    kind: 'text',
    label: 'Name of the list',
    example: 'Customers in Germany',
    maxLength: 200,
    showWhen: { field: 'target', is: 'named' },
  },
  matchBy: {
    kind: 'choice',
    label: 'Find contacts by',
    choices: [
      { value: 'email', label: 'Email' },
      { value: 'property', label: 'A property of your own', help: 'That requires unique values' },
    ],
    default: 'email',
  },
  idProperty: {
    kind: 'lookup',
    label: 'Property',
    help: 'Settings, Properties, Contact properties: "Require unique values" is chosen when it is made',
    showWhen: { field: 'matchBy', is: 'property' },
  },
} as const satisfies Fields

type HubSpotContext = Context<typeof settings>
type HubSpotDestination = Values<typeof fields>

const API = 'https://api.hubapi.com'
const SCOPES = [
  'oauth',
  'crm.objects.contacts.read',
  'crm.objects.contacts.write',
  'crm.schemas.contacts.read',
  'crm.lists.read',
  'crm.lists.write',
]

/** Where HubSpot's API is: tests have one of their own. A person always signs in at HubSpot. */
export function hubSpotAt(origin: string): Connector {
  const apiOf = (ctx: HubSpotContext): HubSpot => hubSpotApi(ctx, origin)
  return defineConnector({
    id: 'hubspot',
    name: 'HubSpot',
    summary: 'Makes and changes contacts in HubSpot, and keeps a static list the same as a segment.',
    category: 'crm',
    direction: 'export',
    settings,
    auth: {
      type: 'choice',
      field: 'signIn',
      of: {
        account: {
          type: 'oauth2',
          authorizationEndpoint: 'https://app.hubspot.com/oauth/authorize',
          tokenEndpoint: `${API}/oauth/v1/token`,
          scopes: SCOPES,
          client: 'operator',
          clientAuth: 'client_secret_post',
          pkce: 'S256',
          tokens: { kind: 'refreshed', rotates: false },
          origins: () => [origin],
          account: (ctx) => readAccount(apiOf(ctx)),
        },
        'private-app': {
          type: 'header',
          headers: ({ token }): Record<string, string> =>
            token === undefined ? {} : { authorization: `Bearer ${token.reveal()}` },
          origin: () => origin,
        },
      },
    },
    check: (ctx) => checkAccount(ctx, apiOf(ctx), origin),
    destinations: {
      contacts: {
        delivers: 'rows',
        name: 'Contacts',
        modes: ['upsert', 'mirror'],
        // 100 requests in ten seconds are what HubSpot allows an app in the smallest plan; a tenth is left to lookups.
        limits: { rowsPerBatch: 100, bytesPerBatch: 2_000_000, batchesInFlight: 4, requestsPerSecond: 9 },
        fields,
        removal:
          'Mirror: people who leave the segment are taken off the static list: only those that this export put on it. Their ' +
          'contacts stay, and are neither archived nor deleted. Upsert: nothing happens to them.',
        repeat: () => ({ kind: 'harmless' }),
        fixedFields: [EMAIL],
        targetFields: async (ctx, destination) =>
          targetFieldsOf(await readProperties(apiOf(ctx)), idPropertyOf(destination)),
        lookups: {
          list: (ctx, search) => listChoices(apiOf(ctx), search),
          idProperty: (ctx, search) => uniqueProperties(apiOf(ctx), search),
        },
        open: (ctx, destination, mode) => openContacts(apiOf(ctx), destination, mode),
      },
    },
  })
}

export const hubSpot = hubSpotAt(API)

function idPropertyOf({ matchBy, idProperty }: HubSpotDestination): string {
  if (matchBy === 'email') return 'email'
  if (idProperty === undefined || !/^[a-z0-9_]{1,100}$/.test(idProperty))
    throw new DestinationInvalid('idProperty', 'Choose the property by which contacts are found')
  return idProperty
}

async function openContacts(hubSpot: HubSpot, destination: HubSpotDestination, mode: Mode): Promise<RowDelivery> {
  const idProperty = idPropertyOf(destination)
  if (mode === 'mirror' && destination.target === 'none')
    throw new DestinationInvalid('target', 'Mirror takes people off a list: choose a list, or the mode upsert')
  const properties = await readProperties(hubSpot)
  const found = properties.find(({ name }) => name === idProperty)
  if (found === undefined || (idProperty !== 'email' && !found.isUnique))
    throw new DestinationInvalid('idProperty', `Contacts have no property ${idProperty} that requires unique values`)
  const list = await openList(hubSpot, destination)
  return {
    deliver: (batch) => deliverContacts(hubSpot, { idProperty, list, properties }, batch),
    close: () => Promise.resolve(),
  }
}

async function uniqueProperties(hubSpot: HubSpot, search: string) {
  const wanted = search.trim().toLowerCase()
  return (await readProperties(hubSpot))
    .filter(
      ({ name, label, isUnique }) => isUnique && name !== 'email' && `${name} ${label}`.toLowerCase().includes(wanted),
    )
    .map(({ name, label }) => ({ value: name, label, help: name }))
}

async function readAccount(hubSpot: HubSpot): Promise<Account> {
  const { portalId, uiDomain } = await hubSpot.get('/account-info/v3/details')
  if (typeof portalId !== 'number') throw new Unavailable('maybe', 'HubSpot did not say whose account this is')
  return { id: String(portalId), name: typeof uiDomain === 'string' ? `${portalId} (${uiDomain})` : String(portalId) }
}

async function* checkAccount(ctx: HubSpotContext, hubSpot: HubSpot, origin: string): AsyncGenerator<CheckStep> {
  const { id } = await readAccount(hubSpot)
  yield { step: 'resolved', ok: true }
  yield { step: 'reached', ok: true }
  if (origin.startsWith('https:')) yield { step: 'trusted', ok: true }
  yield { step: 'signed-in', ok: true, detail: `Account ${id}` }
  try {
    await readProperties(hubSpot)
    await listChoices(hubSpot, '')
    await askToWriteNothing(hubSpot)
    yield { step: 'may-write', ok: true }
  } catch (error) {
    if (!(error instanceof ConnectionRefused)) throw error
    const field = ctx.settings.signIn === 'private-app' ? 'token' : 'signIn'
    yield { step: 'may-write', ok: false, field, message: error.message }
  }
}

/** HubSpot looks at the scope before it looks at the body: a batch of nobody tells whether contacts may be written. */
async function askToWriteNothing(hubSpot: HubSpot): Promise<void> {
  try {
    await hubSpot.send('POST', '/crm/v3/objects/contacts/batch/upsert', { inputs: [] })
  } catch (error) {
    if (!(error instanceof BatchRejected)) throw error
  }
}
