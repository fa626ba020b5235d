import {
  BatchRejected,
  defineConnector,
  DestinationInvalid,
  Unavailable,
  type CheckStep,
  type Connector,
  type Context,
  type Fields,
  type RowDelivery,
  type Values,
} from '@patchbay/connector-sdk'
import { audienceChoices, openAudience } from './audience.ts'
import { TARGET_FIELDS } from './fields.ts'
import { graphAt, isRecord, VERSION, type Graph } from './graph.ts'
import { deliverUsers } from './users.ts'

const settings = {
  adAccount: {
    kind: 'text',
    label: 'Ad account ID',
    help: 'Meta Ads Manager, the account menu at the top left, or Business settings, Accounts, Ad accounts',
    example: '1234567890123456',
    pattern: '(?:act_)?[0-9]{5,20}',
    endpoint: true,
  },
  signIn: {
    kind: 'choice',
    label: 'Sign in',
    choices: [
      { value: 'person', label: 'As a person', help: 'Lasts 60 days by a rule of Meta; you are told before it ends' },
      { value: 'system-user', label: 'With the token of a system user', help: 'Does not end by itself' },
    ],
    default: 'person',
  },
  token: {
    kind: 'secret',
    label: 'Access token',
    help: 'Business settings, Users, System users, Generate new token: your app, with ads_management',
    showWhen: { field: 'signIn', is: 'system-user' },
  },
} as const satisfies Fields

const fields = {
  target: {
    kind: 'choice',
    label: 'Write to',
    choices: [
      { value: 'existing', label: 'A custom audience that is there' },
      { value: 'named', label: 'One of this name, made where it is missing' },
    ],
    default: 'existing',
  },
  audience: {
    kind: 'lookup',
    label: 'Custom audience',
    help: 'Of the type customer list',
    showWhen: { field: 'target', is: 'existing' },
  },
  name: {
    kind: 'text',
    label: 'Name of the audience',
    example: 'Customers in Germany',
    maxLength: 100,
    showWhen: { field: 'target', is: 'named' },
  },
  source: {
    kind: 'choice',
    label: 'Original data source',
    help: 'Meta shows it to the people who see the ads',
    choices: [
      { value: 'USER_PROVIDED_ONLY', label: 'Directly from customers' },
      { value: 'PARTNER_PROVIDED_ONLY', label: 'From partners' },
      { value: 'BOTH_USER_AND_PARTNER_PROVIDED', label: 'From customers and partners' },
    ],
    default: 'USER_PROVIDED_ONLY',
    showWhen: { field: 'target', is: 'named' },
  },
} as const satisfies Fields

type MetaContext = Context<typeof settings>

const GRAPH = 'https://graph.facebook.com'
const SCOPES = ['ads_management', 'business_management']

/** Where the Graph API is that takes the people; tests have one of their own. A person always signs in at Meta. */
export function metaCustomAudiencesAt(origin: string): Connector {
  const graphOf = (ctx: MetaContext): Graph => graphAt(origin, ctx)
  return defineConnector({
    id: 'meta-custom-audiences',
    name: 'Meta Custom Audiences',
    summary: 'Keeps a customer list in Meta Ads Manager, for Facebook and Instagram, the same as a segment.',
    category: 'advertising',
    direction: 'export',
    settings,
    auth: {
      type: 'choice',
      field: 'signIn',
      of: {
        person: {
          type: 'oauth2',
          authorizationEndpoint: `https://www.facebook.com/${VERSION}/dialog/oauth`,
          tokenEndpoint: `${GRAPH}/${VERSION}/oauth/access_token`,
          scopes: SCOPES,
          scopeSeparator: ',',
          client: 'operator',
          clientAuth: 'client_secret_post',
          pkce: 'refused-by-service',
          tokens: {
            kind: 'renewed',
            lifeDays: 60,
            grantType: 'fb_exchange_token',
            tokenParameter: 'fb_exchange_token',
            atOnce: true,
          },
          origins: () => [origin],
          async account(ctx) {
            const { id, name } = await graphOf(ctx).get('/me', { fields: 'id,name' })
            if (typeof id !== 'string') throw new Unavailable('maybe', 'Meta did not say who signed in')
            return { id, name: typeof name === 'string' ? name : id }
          },
        },
        'system-user': {
          type: 'header',
          headers: ({ token }): Record<string, string> =>
            token === undefined ? {} : { authorization: `Bearer ${token.reveal()}` },
          origin: () => origin,
        },
      },
    },
    check: (ctx) => checkAccount(ctx, graphOf(ctx), origin),
    destinations: {
      audience: {
        delivers: 'rows',
        name: 'Custom audience',
        modes: ['upsert', 'mirror'],
        // 5,000 requests an hour are what Meta allows an app of the lowest tier.
        limits: {
          rowsPerBatch: 10_000,
          bytesPerBatch: 8_000_000,
          batchesInFlight: 4,
          requestsPerSecond: 1.25,
          rowsMin: 100,
        },
        fields,
        removal:
          'Mirror: people who leave the segment are taken out of the audience, by the keys that they were sent with; only ' +
          'those that this export added. Upsert: nobody is taken out.',
        repeat: () => ({ kind: 'harmless' }),
        fixedFields: TARGET_FIELDS,
        onlyFixedFields: true,
        targetFields: () => TARGET_FIELDS,
        lookups: { audience: (ctx, search) => audienceChoices(graphOf(ctx), accountOf(ctx), search) },
        open: (ctx, destination) => openUsers(graphOf(ctx), accountOf(ctx), destination),
      },
    },
  })
}

export const metaCustomAudiences = metaCustomAudiencesAt(GRAPH)

async function openUsers(graph: Graph, account: string, destination: Values<typeof fields>): Promise<RowDelivery> {
  const audience = await openAudience(graph, account, destination)
  return { deliver: (batch) => deliverUsers(graph, audience, batch), close: () => Promise.resolve() }
}

function accountOf({ settings: { adAccount } }: MetaContext): string {
  return adAccount.replace(/^act_/, '')
}

async function* checkAccount(ctx: MetaContext, graph: Graph, origin: string): AsyncGenerator<CheckStep> {
  const granted = await readPermissions(graph)
  yield { step: 'resolved', ok: true }
  yield { step: 'reached', ok: true }
  if (origin.startsWith('https:')) yield { step: 'trusted', ok: true }
  yield { step: 'signed-in', ok: true }
  if (!granted.includes('ads_management')) {
    const field = ctx.settings.signIn === 'system-user' ? 'token' : 'signIn'
    yield { step: 'may-write', ok: false, field, message: 'The permission ads_management was not given' }
    return
  }
  yield await mayWrite(graph, accountOf(ctx))
}

async function readPermissions(graph: Graph): Promise<readonly unknown[]> {
  const { data } = await graph.get('/me/permissions')
  if (!Array.isArray(data)) throw new Unavailable('maybe', 'Meta did not say what the sign-in may do')
  return data.flatMap((entry: unknown) =>
    isRecord(entry) && entry['status'] === 'granted' ? [entry['permission']] : [],
  )
}

async function mayWrite(graph: Graph, account: string): Promise<CheckStep> {
  try {
    await graph.get(`/act_${account}/customaudiences`, { fields: 'id', limit: '1' })
    return { step: 'may-write', ok: true, detail: 'The audiences of the ad account can be read' }
  } catch (error) {
    if (!(error instanceof DestinationInvalid) && !(error instanceof BatchRejected)) throw error
    return { step: 'may-write', ok: false, field: 'adAccount', message: error.message }
  }
}
