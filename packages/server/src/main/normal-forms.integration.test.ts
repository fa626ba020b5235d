/** Normal forms and hashes through the front door: what is saved, what a destination gets, and what becomes of the rest. */
import { createHash } from 'node:crypto'
import { ApiProblem } from '@patchbay/contract'
import { defineConnector, type Change, type Connector } from '@patchbay/connector-sdk'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { openTestPatchbay, type TestPatchbay } from '../test-support/test-patchbay.ts'

const received: Change[] = []
const audience: Connector = defineConnector({
  id: 'audience',
  name: 'Audience',
  summary: 'Keeps what it gets in memory.',
  category: 'advertising',
  direction: 'export',
  settings: {},
  auth: { type: 'none' },
  async *check() {},
  destinations: {
    audience: {
      delivers: 'rows',
      name: 'Audience',
      modes: ['upsert', 'mirror'],
      removal: 'They are removed.',
      fields: {},
      limits: { rowsPerBatch: 3, bytesPerBatch: 100_000, batchesInFlight: 1 },
      repeat: () => ({ kind: 'harmless' }),
      fixedFields: [
        { name: 'EMAIL', label: 'E-mail', type: 'email', identifier: true, required: true, normal: 'email', hash: 'sha256' },
        { name: 'PHONE', label: 'Phone', type: 'phone', identifier: true, normal: 'e164', hash: 'sha256' },
        { name: 'COUNTRY', label: 'Country', type: 'text', normal: 'country-lower' },
      ],
      onlyFixedFields: true,
      targetFields: () => undefined,
      open: () => ({
        deliver(batch) {
          received.push(...batch.changes)
          return Promise.resolve(batch.keys.map((key) => ({ key, status: 'accepted' })))
        },
        close: () => Promise.resolve(),
      }),
    },
  },
}) // prettier-ignore

const PEOPLE = `id,mail,phone,country
1, Ana@Example.com,+55 11 91234-5678,Brazil
2,leon@example.com,0171 234567,DE
3,not an address,+49 171 2345678,de
4,bjorn@example.com,,Norway
5,bad@@example.com,nothing,Atlantis
6,ANA@example.com ,+55 11 912345678,br
`
const sha = (text: string): string => createHash('sha256').update(text).digest('hex')

let patchbay: TestPatchbay
beforeAll(async () => {
  patchbay = await openTestPatchbay({ connectors: [audience] })
  await patchbay.client.tables.import({
    body: {
      uploads: [await patchbay.upload('people.csv', PEOPLE)],
      name: 'people',
      key: 'id',
      isProfile: true,
      tags: { mail: ['personal', 'identifier'] },
    },
  })
  await patchbay.client.connections.add({
    body: {
      name: 'Ads',
      connectorId: 'audience',
      settings: {},
      policy: { fields: 'all', hashed: ['mail', 'phone'] },
    },
  })
})
afterAll(() => patchbay.remove())
beforeEach(() => void received.splice(0))

const mapping = (to: string, from: string, change: object = {}) => ({
  to,
  from,
  identifier: to === 'EMAIL',
  transforms: [],
  ...change,
})
const add = async (name: string, fields: ReturnType<typeof mapping>[], mode: 'upsert' | 'mirror' = 'upsert') =>
  patchbay.client.exports.add({
    body: { name, connection: 'Ads', mode, source: { kind: 'segment', segments: [], fields } },
  })
const refusalOf = async (fields: ReturnType<typeof mapping>[]): Promise<unknown> => {
  const error: unknown = await add('Refused', fields).catch((thrown: unknown) => thrown)
  if (!(error instanceof ApiProblem)) throw new Error('It was not refused', { cause: error })
  return { path: error.path, detail: error.message, cure: error.cure }
}

test('a mapping that the destination cannot take is refused when it is saved', async () => {
  expect(await refusalOf([mapping('EMAIL', 'mail'), mapping('FAX', 'phone')])).toMatchObject({
    path: 'source.fields[1].to',
    cure: expect.stringContaining('EMAIL, PHONE, COUNTRY') as string,
  })
  expect(await refusalOf([mapping('PHONE', 'phone', { identifier: true })])).toMatchObject({
    path: 'source.fields',
    cure: 'Map a field to EMAIL',
  })
  expect(await refusalOf([mapping('EMAIL', 'mail'), mapping('COUNTRY', 'country', { transforms: ['hash'] })])).toMatchObject({
    path: 'source.fields[1].transforms',
  })
}) // prettier-ignore

test('rows are normalised and hashed once; what cannot be is rejected with its reason, not sent, and stays due', async () => {
  const fields = [
    // The policy asks for hashes, which the destination's own are; asked for a second time, it is still one hash.
    mapping('EMAIL', 'mail', { transforms: ['hash'] }),
    mapping('PHONE', 'phone'),
    mapping('COUNTRY', 'country'),
  ]
  const { id } = await add('People', fields)
  const preview = await patchbay.ended(await patchbay.client.exports.preview({ params: { export: id } }))
  expect(preview.counts).toMatchObject({ added: 5, merged: 1 })
  expect(preview.reason).toBe(
    '3 of these rows would be rejected and not sent (1: "EMAIL" (from mail) is not an e-mail address; ' +
      '1: "EMAIL" (from mail) is not an e-mail address and "PHONE" (from phone) is not a phone number with its country code and ' +
      '"COUNTRY" (from country) is not a country (ISO 3166-1, two letters); ' +
      '1: "PHONE" (from phone) is not a phone number with its country code)',
  )
  const { items: sample } = await patchbay.client.runs.sample({ params: { run: preview.id }, query: {} })
  const shown = JSON.stringify(sample)
  expect(shown).toContain('cannot be sent')
  expect(shown).not.toContain('\\u0001')

  const run = await patchbay.ended(await patchbay.client.exports.run({ params: { export: id } }))
  expect(run.status).toBe('completed-with-rejects')
  expect(run.counts).toMatchObject({ read: 6, merged: 1, added: 5, accepted: 2, rejected: 3, unsent: 0 })
  expect(received.map(({ fields: sent }) => sent)).toEqual([
    { EMAIL: sha('ana@example.com'), PHONE: sha('+5511912345678'), COUNTRY: 'br' },
    { EMAIL: sha('bjorn@example.com'), PHONE: null, COUNTRY: 'no' },
  ])
  const { items } = await patchbay.client.runs.rows({ params: { run: run.id }, query: { which: 'rejected' } })
  expect(items.map(({ key, reason, message }) => ({ key, reason, message }))).toEqual([
    { key: '2', reason: 'invalid-field', message: '"PHONE" (from phone) is not a phone number with its country code' },
    { key: '3', reason: 'invalid-field', message: '"EMAIL" (from mail) is not an e-mail address' },
    {
      key: '5',
      reason: 'invalid-field',
      message:
        '"EMAIL" (from mail) is not an e-mail address and "PHONE" (from phone) is not a phone number with its country code and ' +
        '"COUNTRY" (from country) is not a country (ISO 3166-1, two letters)',
    },
  ])
  expect(JSON.stringify(items)).not.toMatch(/not an address|0171|Atlantis/)

  received.splice(0)
  const second = await patchbay.ended(await patchbay.client.exports.run({ params: { export: id } }))
  expect(second.counts).toMatchObject({ unchanged: 2, added: 3, rejected: 3 })
  expect(received).toEqual([])
})

test('a row that goes bad stays at the destination as it was, and goes when its identifier does', async () => {
  const { id } = await add('Mirror', [mapping('EMAIL', 'mail'), mapping('PHONE', 'phone')], 'mirror')
  const params = { export: id }
  const runs = async (csv: string) => {
    await patchbay.client.tables.refresh({
      params: { table: 'people' },
      body: { uploads: [await patchbay.upload('people.csv', csv)] },
    })
    received.splice(0)
    return patchbay.ended(await patchbay.client.exports.run({ params }))
  }
  const good = 'id,mail,phone,country\n1,a@x,+49 171 1111111,de\n2,b@x,+49 171 2222222,de\n3,c@x,,de\n'
  expect((await runs(good)).counts).toMatchObject({ added: 3, accepted: 3 })
  const bad = good.replace('+49 171 1111111', '111').replace('b@x', 'b')
  expect((await runs(bad)).counts).toMatchObject({ unchanged: 1, changed: 1, added: 1, removed: 1, accepted: 1, rejected: 2 })
  expect(received).toEqual([{ change: 'removed', key: '2', fields: { EMAIL: sha('b@x') } }])
  expect((await runs(good)).counts).toMatchObject({ unchanged: 2, added: 1, accepted: 1 })
}) // prettier-ignore
