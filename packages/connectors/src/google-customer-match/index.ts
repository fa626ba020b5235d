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
import { dataManagerAt, NotThere, RowsRefused, type DataManager } from './api.ts'
import { TARGET_FIELDS } from './fields.ts'
import { collectMembers, deliverMembers, validationOf, type Audience } from './members.ts'
import { openUserList, readUserLists, userListChoices } from './user-lists.ts'

const settings = {
  customerId: {
    kind: 'text',
    label: 'Google Ads customer ID',
    help: 'At the top right of Google Ads, as 123-456-7890',
    example: '123-456-7890',
    pattern: '[0-9]{3}-?[0-9]{3}-?[0-9]{4}',
    endpoint: true,
  },
  managerId: {
    kind: 'text',
    label: 'Manager account',
    help: 'Only where you reach the customer through a manager account (MCC): its customer ID',
    example: '123-456-7890',
    pattern: '[0-9]{3}-?[0-9]{3}-?[0-9]{4}',
    endpoint: true,
    optional: true,
  },
} as const satisfies Fields

const CONSENTS = [
  { value: 'granted', label: 'Granted by everyone who is sent' },
  { value: 'unspecified', label: 'Not said, or by a field of each row' },
] as const

const fields = {
  target: {
    kind: 'choice',
    label: 'Write to',
    choices: [
      { value: 'existing', label: 'A user list that is there' },
      { value: 'named', label: 'A user list of this name, made where it is missing' },
    ],
    default: 'existing',
  },
  userList: {
    kind: 'lookup',
    label: 'User list',
    help: 'A Customer Match list of contact data',
    showWhen: { field: 'target', is: 'existing' },
  },
  name: {
    kind: 'text',
    label: 'Name of the user list',
    example: 'Customers in Germany',
    maxLength: 200,
    showWhen: { field: 'target', is: 'named' },
  },
  membershipDays: {
    kind: 'number',
    label: 'Membership duration in days',
    help: 'Google forgets members after it; 540 at most',
    min: 1,
    max: 540,
    default: 540,
    showWhen: { field: 'target', is: 'named' },
  },
  adUserData: {
    kind: 'choice',
    label: 'Consent: user data may be sent to Google for advertising',
    choices: CONSENTS,
    default: 'unspecified',
  },
  adPersonalization: {
    kind: 'choice',
    label: 'Consent: ads may be personalised',
    choices: CONSENTS,
    default: 'unspecified',
  },
  termsAccepted: {
    kind: 'switch',
    label: 'The account has accepted the Customer Match terms of service, and this data may be used under them',
    default: false,
  },
} as const satisfies Fields

type GoogleContext = Context<typeof settings>
type GoogleDestination = Values<typeof fields>

const DATA_MANAGER = 'https://datamanager.googleapis.com'
const USER_INFO = 'https://openidconnect.googleapis.com'

/** Where the Data Manager API is that takes the people; tests have one of their own. A person always signs in at Google. */
export function googleCustomerMatchAt(origin: string): Connector {
  const apiOf = (ctx: GoogleContext): DataManager => dataManagerAt(origin, ctx, digits(ctx.settings.managerId))
  return defineConnector({
    id: 'google-customer-match',
    name: 'Google Customer Match',
    summary: 'Keeps a user list in Google Ads, for Search, YouTube, Gmail and Display, the same as a segment.',
    category: 'advertising',
    direction: 'export',
    settings,
    auth: {
      type: 'oauth2',
      authorizationEndpoint: 'https://accounts.google.com/o/oauth2/v2/auth',
      issuer: 'https://accounts.google.com',
      authorizationParameters: { access_type: 'offline', prompt: 'consent' },
      tokenEndpoint: 'https://oauth2.googleapis.com/token',
      scopes: ['https://www.googleapis.com/auth/datamanager', 'openid', 'email'],
      client: 'operator',
      clientAuth: 'client_secret_post',
      pkce: 'S256',
      tokens: { kind: 'refreshed', rotates: false, idleDays: 180 },
      origins: () => [origin, USER_INFO],
      account: whoSignedIn,
    },
    check: (ctx) => checkAccount(ctx, apiOf(ctx), origin),
    destinations: {
      userList: {
        delivers: 'rows',
        name: 'Customer Match user list',
        modes: ['upsert', 'mirror'],
        // 10,000 members in a request; 300 requests a minute, of writing and of reading each.
        limits: {
          rowsPerBatch: 10_000,
          bytesPerBatch: 8_000_000,
          batchesInFlight: 4,
          requestsPerSecond: 5,
          rowsMin: 100,
          hoursPerJob: 24,
        },
        fields,
        removal:
          'Mirror: people who leave the segment are taken off the user list, by the identifiers that they were sent with; ' +
          'only those that this export added. Upsert: nobody is taken off, and Google forgets members after the membership duration.',
        repeat: () => ({ kind: 'harmless' }),
        fixedFields: TARGET_FIELDS,
        onlyFixedFields: true,
        targetFields: () => TARGET_FIELDS,
        lookups: { userList: (ctx, search) => userListChoices(apiOf(ctx), accountOf(ctx), search) },
        open: (ctx, destination) => openMembers(ctx, apiOf(ctx), destination),
      },
    },
  })
}

export const googleCustomerMatch = googleCustomerMatchAt(DATA_MANAGER)

async function openMembers(ctx: GoogleContext, api: DataManager, destination: GoogleDestination): Promise<RowDelivery> {
  if (!destination.termsAccepted)
    throw new DestinationInvalid(
      'termsAccepted',
      'Google takes no members before the Customer Match terms of service are accepted: say so in the export',
    )
  const audience = audienceOf(ctx, await openUserList(api, accountOf(ctx), destination), destination)
  return {
    deliver: (batch) => deliverMembers(api, audience, batch),
    collect: (job, batch) => collectMembers(api, audience, job, batch),
    close: () => Promise.resolve(),
  }
}

function audienceOf(
  ctx: GoogleContext,
  userList: string,
  consent: Pick<GoogleDestination, 'adUserData' | 'adPersonalization'>,
): Audience {
  const manager = digits(ctx.settings.managerId)
  const account = (accountId: string) => ({ accountType: 'GOOGLE_ADS', accountId })
  const granted = (choice: string): true | undefined => (choice === 'granted' ? true : undefined)
  return {
    destination: {
      operatingAccount: account(accountOf(ctx)),
      ...(manager === undefined ? {} : { loginAccount: account(manager) }),
      productDestinationId: userList,
    },
    consent: {
      adUserData: granted(consent.adUserData),
      adPersonalization: granted(consent.adPersonalization),
    },
  }
}

function accountOf({ settings: { customerId } }: GoogleContext): string {
  return customerId.replaceAll('-', '')
}

function digits(id: string | undefined): string | undefined {
  return id === undefined || id === '' ? undefined : id.replaceAll('-', '')
}

async function whoSignedIn(ctx: Context): Promise<{ readonly id: string; readonly name: string }> {
  const body = (await ctx.fetch(`${USER_INFO}/v1/userinfo`)).json()
  const { sub, email } = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {}
  if (typeof sub !== 'string') throw new Unavailable('maybe', 'Google did not say who signed in')
  return { id: sub, name: typeof email === 'string' ? email : sub }
}

async function* checkAccount(ctx: GoogleContext, api: DataManager, origin: string): AsyncGenerator<CheckStep> {
  const lists = await readUserLists(api, accountOf(ctx), 1).catch((error: unknown) => {
    if (error instanceof NotThere || error instanceof BatchRejected || error instanceof RowsRefused) return undefined
    throw error
  })
  yield { step: 'resolved', ok: true }
  yield { step: 'reached', ok: true }
  if (origin.startsWith('https:')) yield { step: 'trusted', ok: true }
  yield { step: 'signed-in', ok: true }
  if (lists === undefined) {
    yield { step: 'may-write', ok: false, field: 'customerId', message: 'Google knows no such account, or does not show it to you' }
    return
  }
  const writable = lists.find(({ problem }) => problem === undefined)
  if (writable === undefined) {
    yield { step: 'may-write', ok: true, detail: 'There is no Customer Match list yet to try a request on' }
    return
  }
  const consent = { adUserData: 'granted', adPersonalization: 'granted' } as const
  yield await tryRequest(api, audienceOf(ctx, writable.id, consent))
} // prettier-ignore

/** Looked at and not carried out. */
async function tryRequest(api: DataManager, audience: Audience): Promise<CheckStep> {
  try {
    await api.post('/v1/audienceMembers:ingest', validationOf(audience))
    return { step: 'may-write', ok: true, detail: 'Google would take members; none was sent' }
  } catch (error) {
    if (error instanceof NotThere || error instanceof BatchRejected || error instanceof RowsRefused)
      return { step: 'may-write', ok: false, field: 'customerId', message: `Google would take no members: ${error.message}` }
    throw error
  }
} // prettier-ignore
