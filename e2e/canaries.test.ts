/** Secrets and personal values go through good and failing work: they stay out of answers, control store and backup. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { sql } from 'kysely'
import {
  startFakeReceiver,
  type Behaviour,
  type FakeReceiver,
} from '../packages/connectors/src/webhook/fake-receiver.ts'
import type { TestPatchbay } from '../packages/server/src/test-support/test-patchbay.ts'
import { findCanaries } from './support/canary.ts'
import { openWorld, preview, run } from './support/world.ts'

const SIGNING_SECRET = `whsec_${Buffer.from('canary-signing-secret-0123456789').toString('base64')}`
const TOKEN = 'canary"token/+~0123456789'
const KEY = 'canary-key-of-a-person'
const EMAIL = 'canary.person@mail.example'
const NAME = 'Canárÿ Ünderwood'
const PHONE = '+43 660 7654321'
const CANARIES = [SIGNING_SECRET, TOKEN, KEY, EMAIL, NAME, PHONE]

let patchbay: TestPatchbay
let receiver: FakeReceiver

beforeEach(async () => {
  receiver = await startFakeReceiver({ signingSecret: SIGNING_SECRET })
  patchbay = await openWorld()
})
afterEach(async () => {
  await patchbay.remove()
  await receiver.stop()
})

describe('the detector', () => {
  const bytes = (prefix: string) => Buffer.from(`${prefix}${NAME}|tail`)
  it.each([
    ['raw', `log: ${NAME}.`],
    ['JSON', JSON.stringify({ token: TOKEN })],
    ['URL', `?q=${encodeURIComponent(NAME)}`],
    ['hexadecimal', bytes('x').toString('hex')],
    ['base64 at 0', bytes('').toString('base64')],
    ['base64 at 1', bytes('x').toString('base64')],
    ['base64 at 2', bytes('xy').toString('base64')],
    ['base64url', bytes('x').toString('base64url')],
  ])('finds what was planted: %s', (_, text) => {
    expect(findCanaries(text, CANARIES)).toHaveLength(1)
  })

  it('finds nothing in a text without them', () => {
    expect(findCanaries('the run failed: 500, see run_abc', CANARIES)).toEqual([])
  })
})

async function plant(): Promise<void> {
  const rows = [`${KEY},${EMAIL},${NAME},${PHONE}`, 'k2,other@example.org,Other,+1 555 0100200']
  const uploads = [await patchbay.upload('people.csv', `id,email,name,phone\n${rows.join('\n')}\n`)]
  await patchbay.client.tables.import({ body: { uploads, name: 'people', key: 'id' } })
  const settings = { url: receiver.url, signIn: 'bearer' }
  await patchbay.client.connections.add({
    body: { name: 'Sink', connectorId: 'webhook', settings, secrets: { signingSecret: SIGNING_SECRET, token: TOKEN } },
  })
  const source = { kind: 'data-out' as const, tables: [{ table: 'people' }] }
  await patchbay.client.exports.add({
    body: { name: 'Out', connection: 'Sink', destination: { repeat: 'blind' }, mode: 'upsert', source },
  })
}

async function storeAsText(): Promise<string> {
  const { db } = patchbay.store
  const { rows: tables } = await sql<{ name: string }>`
    SELECT quote_ident(table_schema) || '.' || quote_ident(table_name) AS name FROM information_schema.tables
     WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')`.execute(db)
  const texts: string[] = []
  for (const { name } of tables) {
    const { rows } = await sql<{ row: string }>`SELECT t::text AS row FROM ${sql.raw(name)} AS t`.execute(db)
    texts.push(...rows.map(({ row }) => row))
  }
  expect(tables.length).toBeGreaterThan(10)
  expect(texts.some((text) => text.includes('webhook'))).toBe(true)
  return texts.join('\n')
}

const ECHO = `no: ${EMAIL} ${NAME} ${PHONE} ${KEY} ${TOKEN} ${SIGNING_SECRET}`
const FAULTS: readonly (readonly [string, Behaviour])[] = [
  ['a refusal that echoes the row and the secrets', { does: 'refuse', status: 403, body: ECHO }],
  ['a refused batch', { does: 'refuse', status: 422, body: ECHO }],
  ['rejected rows', { does: 'reject', why: () => ECHO }],
  ['500 after the rows were taken', { does: 'fail-after-taking', status: 500 }],
  ['a reset', { does: 'reset', at: 'taken' }],
]

describe('planted secrets and personal values are in no answer, no row of the control store and no backup', () => {
  it.each(FAULTS)('after %s', async (_, behaviour) => {
    await plant()
    const { client } = patchbay
    await preview(patchbay, 'Out')
    receiver.behave(behaviour)
    const checked = await client.connections.check({ params: { connection: 'Sink' } })
    const ended = await run(patchbay, 'Out')
    expect(receiver.requests.some(({ body }) => body.includes(EMAIL))).toBe(true)
    const answers = JSON.stringify([
      checked,
      ended,
      await client.runs.list({ query: {} }),
      await client.connections.list({ query: {} }),
      await client.audit.list({ query: {} }),
      await client.system.show(),
    ])
    expect(findCanaries(answers, CANARIES), 'answers').toEqual([])
    const metrics = await patchbay.send('/metrics', { as: 'operator' })
    expect(metrics.status).toBe(200)
    expect(findCanaries(await metrics.text(), CANARIES), 'metrics').toEqual([])
    expect(findCanaries(await storeAsText(), CANARIES), 'control store').toEqual([])
    const backup = Buffer.from(await new Response(await client.system.backup()).arrayBuffer())
    expect(backup.length).toBeGreaterThan(1000)
    expect(findCanaries(backup.toString('latin1'), CANARIES), 'backup').toEqual([])
    expect(findCanaries(backup.toString('utf8'), CANARIES), 'backup').toEqual([])
  })
})
