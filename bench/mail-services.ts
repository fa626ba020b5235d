/** SendGrid, Mailchimp and HubSpot, as the benchmark knows them. */
import { FAKE_TOKEN } from '../packages/connectors/src/hubspot/fake-hubspot.ts'
import { hubSpotAt } from '../packages/connectors/src/hubspot/index.ts'
import { FAKE_KEY as MAILCHIMP_KEY } from '../packages/connectors/src/mailchimp/fake-mailchimp.ts'
import { mailchimpAt } from '../packages/connectors/src/mailchimp/index.ts'
import { FAKE_KEY as SENDGRID_KEY } from '../packages/connectors/src/sendgrid/fake-sendgrid.ts'
import { sendGridAt } from '../packages/connectors/src/sendgrid/index.ts'
import { JOB_MS, type Service } from './service.ts'

const EMAIL = 'to_json(lower(trim(email)))'

/** A list has an id of 36 characters; the simulated one is short. */
const idOfList = (id: string): string => id.padStart(36, '0')

export const sendGrid: Service = {
  id: 'sendgrid',
  connectorAt: sendGridAt,
  settings: {},
  secrets: { apiKey: SENDGRID_KEY },
  destinationType: 'list',
  destination: (list) => ({ target: 'existing', list: idOfList(list), makeFields: false }),
  requestsPerBatch: 2,
  row: (seq) => ({ email: `p${seq}@example.com` }),
  answer({ pathname }, body, clock) {
    if (pathname.endsWith('/field_definitions')) return { status: 200, body: { custom_fields: [] } }
    if (pathname.includes('/lists/')) return { status: 200, body: { id: idOfList('1'), name: 'Bench' } }
    if (body !== '') return { status: 202, body: { job_id: `job-${clock.monotonicMs() + JOB_MS}` } }
    const doneMs = Number(pathname.split('-').at(-1))
    return { status: 200, body: { status: clock.monotonicMs() < doneMs ? 'pending' : 'completed', results: {} } }
  },
  field: 'email',
  rowSql: `concat('{"email":', ${EMAIL}, '}')`,
  bodyOf: (rows, list) => `{"list_ids":["${list}"],"contacts":[${rows}]}`,
  path: () => '/v3/marketing/contacts',
  headers: { authorization: `Bearer ${SENDGRID_KEY}` },
  contentType: 'application/json',
  method: 'PUT',
  next: (answer) => ({
    path: `/v3/marketing/contacts/imports/${(answer as { job_id: string }).job_id}`,
    done: /completed/,
  }),
}

export const mailchimp: Service = {
  id: 'mailchimp',
  connectorAt: (origin) => mailchimpAt({ login: origin, api: () => origin }),
  settings: { signIn: 'key' },
  secrets: { apiKey: MAILCHIMP_KEY },
  destinationType: 'audience',
  destination: (audience) => ({ audience, newStatus: 'subscribed', leaving: 'archive' }),
  requestsPerBatch: 1,
  row: (seq) => ({ EMAIL: `p${seq}@example.com` }),
  answer({ pathname }, body) {
    if (pathname.endsWith('/merge-fields')) return { status: 200, body: { merge_fields: [] } }
    if (body === '') return { status: 200, body: { members: [] } }
    const { members } = JSON.parse(body) as { members: object[] }
    return { status: 200, body: { new_members: members, updated_members: [], errors: [] } }
  },
  field: 'EMAIL',
  rowSql: `concat('{"email_address":', ${EMAIL}, ',"status":"subscribed","merge_fields":{}}')`,
  bodyOf: (rows) => `{"members":[${rows}],"update_existing":true}`,
  path: (audience) => `/3.0/lists/${audience}`,
  headers: { authorization: `Bearer ${MAILCHIMP_KEY}` },
  contentType: 'application/json',
}

export const hubSpot: Service = {
  id: 'hubspot',
  connectorAt: hubSpotAt,
  settings: { signIn: 'private-app' },
  secrets: { token: FAKE_TOKEN },
  destinationType: 'contacts',
  destination: (list) => ({ target: 'existing', list, matchBy: 'email' }),
  requestsPerBatch: 2,
  row: (seq) => ({ email: `p${seq}@example.com` }),
  answer({ pathname }, body) {
    if (pathname.endsWith('/properties/contacts'))
      return {
        status: 200,
        body: { results: [{ name: 'email', label: 'Email', type: 'string', hasUniqueValue: true }] },
      }
    if (pathname.endsWith('/add-and-remove'))
      return { status: 200, body: { recordsIdsAdded: [], recordIdsRemoved: [], recordIdsMissing: [] } }
    if (body === '')
      return { status: 200, body: { list: { listId: '1', objectTypeId: '0-1', processingType: 'MANUAL' } } }
    const { inputs } = JSON.parse(body) as { inputs: { id: string; objectWriteTraceId: string }[] }
    const results = inputs.map(({ id, objectWriteTraceId }) => ({ id, objectWriteTraceId, properties: {} }))
    return { status: 200, body: { status: 'COMPLETE', results } }
  },
  field: 'email',
  rowSql: `concat('{"idProperty":"email","id":', ${EMAIL}, ',"properties":{"email":', ${EMAIL}, '}}')`,
  bodyOf: (rows) => `{"inputs":[${rows}]}`,
  path: () => '/crm/v3/objects/contacts/batch/upsert',
  headers: { authorization: `Bearer ${FAKE_TOKEN}` },
  contentType: 'application/json',
  next(answer, list) {
    const recordIdsToAdd = (answer as { results: { id: string }[] }).results.map(({ id }) => id)
    return {
      path: `/crm/v3/lists/${list}/memberships/add-and-remove`,
      method: 'PUT',
      body: JSON.stringify({ recordIdsToAdd, recordIdsToRemove: [] }),
      done: /recordIdsMissing/,
    }
  },
}
