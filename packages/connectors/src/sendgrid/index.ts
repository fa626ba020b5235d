import {
  BatchRejected,
  ConnectionRefused,
  defineConnector,
  type CheckStep,
  type Connector,
  type Context,
  type Fields,
  type RowDelivery,
  type Values,
} from '@patchbay/connector-sdk'
import { recordsOf, sendGridApi, type SendGrid } from './api.ts'
import { collectContacts, deliverContacts } from './contacts.ts'
import { ContactFields, FIXED_FIELDS, readTargetFields } from './fields.ts'
import { listChoices, openList } from './lists.ts'

const settings = {
  apiKey: {
    kind: 'secret',
    label: 'API key',
    help: 'SendGrid, Settings, API Keys, Create API Key: Restricted Access, with Full Access to Marketing',
  },
} as const satisfies Fields

const fields = {
  target: {
    kind: 'choice',
    label: 'Put contacts on',
    choices: [
      { value: 'existing', label: 'A list that is there' },
      { value: 'named', label: 'A list of this name', help: 'Made where it is missing' },
    ],
    default: 'existing',
  },
  list: { kind: 'lookup', label: 'List', showWhen: { field: 'target', is: 'existing' } },
  name: {
    kind: 'text',
    label: 'Name of the list',
    example: 'Customers in Germany',
    maxLength: 100,
    showWhen: { field: 'target', is: 'named' },
  },
  makeFields: {
    kind: 'switch',
    label: 'Make custom fields that are missing',
    help: 'As text, or as a number where the values are numbers. SendGrid keeps 500 at most',
    default: false,
  },
} as const satisfies Fields

const API = 'https://api.sendgrid.com'

/** Where SendGrid's API is: tests have one of their own. */
export function sendGridAt(origin: string): Connector {
  const apiOf = (ctx: Context<typeof settings>): SendGrid => sendGridApi(ctx, origin)
  return defineConnector({
    id: 'sendgrid',
    name: 'SendGrid',
    summary: 'Makes and changes contacts for SendGrid Marketing, and keeps a list the same as a segment.',
    category: 'mail',
    direction: 'export',
    settings,
    auth: {
      type: 'header',
      headers: ({ apiKey }) => ({ authorization: `Bearer ${apiKey.reveal()}` }),
      origin: () => origin,
    },
    check: (ctx) => checkAccount(apiOf(ctx), origin),
    destinations: {
      list: {
        delivers: 'rows',
        name: 'Contact list',
        modes: ['upsert', 'mirror'],
        // SendGrid takes 30,000 contacts or 6 MB. Who leaves is looked up a hundred at a time, so a batch is smaller.
        limits: {
          rowsPerBatch: 5000,
          bytesPerBatch: 5_000_000,
          batchesInFlight: 2,
          requestsPerSecond: 3,
          hoursPerJob: 12,
        },
        fields,
        removal:
          'Mirror: people who leave the segment are taken off the list: only those that this export put on it. Their ' +
          'contacts stay, and are not deleted. Upsert: nothing happens to them.',
        repeat: () => ({ kind: 'harmless' }),
        fixedFields: FIXED_FIELDS,
        targetFields: (ctx) => readTargetFields(apiOf(ctx)),
        lookups: { list: (ctx, search) => listChoices(apiOf(ctx), search) },
        open: (ctx, destination) => openContacts(apiOf(ctx), destination),
      },
    },
  })
}

export const sendGrid = sendGridAt(API)

async function openContacts(sendGrid: SendGrid, destination: Values<typeof fields>): Promise<RowDelivery> {
  const contactFields = await ContactFields.open(sendGrid, destination.makeFields)
  const list = await openList(sendGrid, destination)
  return {
    deliver: (batch) => deliverContacts(sendGrid, list, contactFields, batch),
    collect: (job, batch) => collectContacts(sendGrid, list, contactFields, job, batch),
    close: () => Promise.resolve(),
  }
}

/** No list has it. */
const NOTHING = '00000000-0000-4000-8000-000000000000'

async function* checkAccount(sendGrid: SendGrid, origin: string): AsyncGenerator<CheckStep> {
  recordsOf(await sendGrid.get('/v3/marketing/lists?page_size=1'), 'result')
  yield { step: 'resolved', ok: true }
  yield { step: 'reached', ok: true }
  if (origin.startsWith('https:')) yield { step: 'trusted', ok: true }
  yield { step: 'signed-in', ok: true }
  yield await mayWrite(sendGrid)
}

/** SendGrid looks at the key's rights before it looks for the list: taking nobody off no list tells whether lists may be changed. */
async function mayWrite(sendGrid: SendGrid): Promise<CheckStep> {
  try {
    await sendGrid.get('/v3/marketing/field_definitions')
    await sendGrid.tryRemoval(`/v3/marketing/lists/${NOTHING}/contacts?contact_ids=${NOTHING}`)
    return { step: 'may-write', ok: true }
  } catch (error) {
    if (error instanceof BatchRejected) return { step: 'may-write', ok: true }
    if (!(error instanceof ConnectionRefused)) throw error
    const message = 'The key may read lists and not change them: give it Full Access to Marketing'
    return { step: 'may-write', ok: false, field: 'apiKey', message }
  }
}
