import {
  defineConnector,
  DestinationInvalid,
  SettingsInvalid,
  Unavailable,
  type Account,
  type CheckStep,
  type Connector,
  type Context,
  type Fields,
  type RowDelivery,
  type Values,
} from '@patchbay/connector-sdk'
import { isRecord, mailchimpApi, recordsOf, type Mailchimp } from './api.ts'
import { audienceChoices, EMAIL, openTag, readKeptStatuses, readMergeFields, targetFieldsOf } from './audience.ts'
import { deliverMembers } from './members.ts'

const settings = {
  signIn: {
    kind: 'choice',
    label: 'Sign in',
    choices: [
      { value: 'account', label: 'With a Mailchimp account', help: 'Lasts until somebody takes it back at Mailchimp' },
      { value: 'key', label: 'With an API key' },
    ],
    default: 'account',
  },
  apiKey: {
    kind: 'secret',
    label: 'API key',
    help: 'Mailchimp, Profile, Extras, API keys, Create A Key. It ends in the data center, as -us6',
    showWhen: { field: 'signIn', is: 'key' },
  },
} as const satisfies Fields

const fields = {
  audience: {
    kind: 'lookup',
    label: 'Audience',
    help: 'It must be there already: Mailchimp, Audience, All contacts, Manage Audience',
  },
  newStatus: {
    kind: 'choice',
    label: 'New contacts become',
    help: 'Contacts that are there keep their status: nobody who unsubscribed is subscribed again',
    choices: [
      { value: 'subscribed', label: 'Subscribed', help: 'Only people who agreed to get marketing from you' },
      { value: 'pending', label: 'Pending', help: 'Mailchimp asks each of them to confirm (double opt-in)' },
      { value: 'transactional', label: 'Non-subscribed', help: 'They are kept, and get no marketing e-mail' },
    ],
    default: 'subscribed',
  },
  tag: {
    kind: 'text',
    label: 'Tag',
    help: 'Given to everybody who is sent; made where it is missing',
    example: 'Patchbay newsletter',
    maxLength: 100,
    optional: true,
  },
  leaving: {
    kind: 'choice',
    label: 'People who leave',
    help: 'In mode mirror',
    choices: [
      { value: 'archive', label: 'Are archived', help: 'Their history stays; they can be brought back' },
      { value: 'untag', label: 'Lose the tag', help: 'And stay in the audience, with the status that they have' },
    ],
    default: 'archive',
  },
} as const satisfies Fields

type MailchimpContext = Context<typeof settings>

const LOGIN = 'https://login.mailchimp.com'

/** Where Mailchimp is: tests have one of their own. */
export interface MailchimpPlaces {
  readonly login: string
  readonly api: (dataCenter: string) => string
}

export function mailchimpAt({ login, api }: MailchimpPlaces): Connector {
  const originOf = (values: Values<typeof settings>, account: Account | undefined): string =>
    api(values.signIn === 'key' ? centerOfKey(values.apiKey?.reveal() ?? '') : centerOfAccount(account))
  const apiOf = (ctx: MailchimpContext): Mailchimp => mailchimpApi(ctx, `${originOf(ctx.settings, ctx.account)}/3.0`)
  return defineConnector({
    id: 'mailchimp',
    name: 'Mailchimp',
    summary: 'Keeps the contacts of a Mailchimp audience, and a tag on them, the same as a segment.',
    category: 'mail',
    direction: 'export',
    settings,
    auth: {
      type: 'choice',
      field: 'signIn',
      of: {
        account: {
          type: 'oauth2',
          authorizationEndpoint: `${LOGIN}/oauth2/authorize`,
          tokenEndpoint: `${LOGIN}/oauth2/token`,
          // Mailchimp has none: the account's own rights hold.
          scopes: [],
          client: 'operator',
          clientAuth: 'client_secret_post',
          pkce: 'S256',
          tokens: { kind: 'lasting' },
          origins: (_values, account) => (account === undefined ? [login] : [login, api(centerOfAccount(account))]),
          account: (ctx) => readAccount(ctx, login),
        },
        key: {
          type: 'header',
          headers: ({ apiKey }): Record<string, string> =>
            apiKey === undefined ? {} : { authorization: `Bearer ${apiKey.reveal()}` },
          origin: (values) => originOf(values, undefined),
        },
      },
    },
    check: (ctx) => checkAccount(apiOf(ctx), originOf(ctx.settings, ctx.account)),
    destinations: {
      audience: {
        delivers: 'rows',
        name: 'Audience',
        modes: ['upsert', 'mirror'],
        // Mailchimp allows 10 connections at once for a user, over all that use the account; two are left to others.
        limits: { rowsPerBatch: 500, bytesPerBatch: 4_000_000, batchesInFlight: 8 },
        fields,
        removal:
          'Mirror: people who leave the segment are archived, or lose the tag, as chosen here: only those that this export ' +
          'added. Nobody is deleted for good or unsubscribed. Upsert: nothing happens to them.',
        repeat: () => ({ kind: 'harmless' }),
        fixedFields: [EMAIL],
        targetFields: async (ctx, { audience }) => targetFieldsOf(await readMergeFields(apiOf(ctx), audience)),
        lookups: { audience: (ctx, search) => audienceChoices(apiOf(ctx), search) },
        open: (ctx, destination) => openAudience(apiOf(ctx), destination),
      },
    },
  })
}

export const mailchimp = mailchimpAt({ login: LOGIN, api: (center) => `https://${center}.api.mailchimp.com` })

async function openAudience(mailchimp: Mailchimp, destination: Values<typeof fields>): Promise<RowDelivery> {
  const { audience, newStatus, leaving } = destination
  const tagName = destination.tag?.trim() ?? ''
  if (leaving === 'untag' && tagName === '')
    throw new DestinationInvalid('tag', 'Name the tag that people who leave are to lose')
  const mergeFields = await readMergeFields(mailchimp, audience)
  const keptStatuses = await readKeptStatuses(mailchimp, audience, newStatus)
  const tag = tagName === '' ? undefined : await openTag(mailchimp, audience, tagName)
  const target = { audience, mergeFields, newStatus, keptStatuses, tag, leaving }
  return {
    deliver: (batch) => deliverMembers(mailchimp, target, batch),
    close: () => Promise.resolve(),
  }
}

/** A data center becomes part of an address, so nothing else may. */
function centerOfKey(key: string): string {
  const center = /-([a-z]{2}\d{1,3})$/.exec(key.trim())?.[1]
  if (center === undefined)
    throw new SettingsInvalid(
      'apiKey',
      'This is no API key of Mailchimp: it ends in a hyphen and the data center, as -us6',
    )
  return center
}

function centerOfAccount(account: Account | undefined): string {
  const center = account?.details?.['dataCenter'] ?? ''
  if (!/^[a-z]{2}\d{1,3}$/.test(center)) throw new SettingsInvalid('signIn', 'Nobody has signed in at Mailchimp yet')
  return center
}

async function readAccount(ctx: MailchimpContext, login: string): Promise<Account> {
  const body = (await ctx.fetch(`${login}/oauth2/metadata`)).json()
  const { dc, user_id: user, accountname: name } = isRecord(body) ? body : {}
  if (typeof dc !== 'string' || !/^[a-z]{2}\d{1,3}$/.test(dc) || (typeof user !== 'string' && typeof user !== 'number'))
    throw new Unavailable('maybe', 'Mailchimp did not say who signed in')
  return { id: String(user), name: typeof name === 'string' ? name : String(user), details: { dataCenter: dc } }
}

/** Those who may change contacts; authors and viewers may not. */
const WRITING_ROLES: readonly unknown[] = ['owner', 'admin', 'manager']

async function* checkAccount(mailchimp: Mailchimp, origin: string): AsyncGenerator<CheckStep> {
  const { role } = await mailchimp.get('/', { fields: 'account_name,role' })
  yield { step: 'resolved', ok: true }
  yield { step: 'reached', ok: true }
  if (origin.startsWith('https:')) yield { step: 'trusted', ok: true }
  if (typeof role !== 'string') throw new Unavailable('maybe', 'Mailchimp did not say who signed in')
  yield { step: 'signed-in', ok: true, detail: `As ${role}` }
  if (!WRITING_ROLES.includes(role)) {
    const message = `The role ${role} may not change contacts: sign in as a manager, an admin or the owner`
    yield { step: 'may-write', ok: false, field: 'signIn', message }
    return
  }
  const lists = recordsOf(await mailchimp.get('/lists', { count: '1', fields: 'lists.id' }), 'lists')
  yield lists.length > 0
    ? { step: 'may-write', ok: true }
    : { step: 'may-write', ok: false, field: 'signIn', message: 'The account has no audience: make one at Mailchimp' }
}
