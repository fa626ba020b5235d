/** PRODUCT.md, Connections, rule 7: what may leave over a connection, when an export is saved, previewed and run. */
import { randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ApiProblem, type Client, type Connection } from '@patchbay/contract'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { openTestPatchbay, type TestPatchbay } from '../test-support/test-patchbay.ts'

type Policy = Connection['policy']
const OPEN: Policy = { fields: 'all', hashed: [] }

let patchbay: TestPatchbay
let client: Client
let receiver: Server
let url = ''
let seen = ''
let batches = 0
let onBatch: () => Promise<unknown> = () => Promise.resolve()

beforeAll(async () => {
  receiver = createServer((request, response) => {
    const pieces: Buffer[] = []
    request.on('data', (piece: Buffer) => pieces.push(piece))
    request.on('end', () => {
      batches += 1
      seen += Buffer.concat(pieces).toString('utf8')
      void onBatch().then(() => response.end())
    })
  })
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`
  patchbay = await openTestPatchbay({}, { PATCHBAY_ALLOW_HOSTS: '127.0.0.1' })
  client = patchbay.client
  const rows = Array.from({ length: 30_000 }, (_, i) => `${i},person${i}@mail.example,Peru,${i % 2 === 0},${i}`)
  await client.tables.import({
    body: {
      uploads: [await patchbay.upload('people.csv', `id,email,country,agreed,spend\n${rows.join('\n')}\n`)],
      name: 'people',
      key: 'id',
      isProfile: true,
      tags: { email: ['personal'] },
    },
  })
  await client.segments.add({ body: { name: 'Mailed', rule: { on: { field: 'email' }, startsWith: 'person1' } } })
})
afterAll(async () => {
  receiver.closeAllConnections()
  receiver.close()
  await patchbay.remove()
})
beforeEach(() => {
  seen = ''
  batches = 0
  onBatch = () => Promise.resolve()
})

async function problemOf(call: Promise<unknown>): Promise<ApiProblem> {
  const error: unknown = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (error instanceof ApiProblem) return error
  throw new Error('There was no problem', { cause: error })
}

let count = 0
const addConnection = (policy: Policy) =>
  client.connections.add({
    body: {
      name: `Hook ${(count += 1)}`,
      connectorId: 'webhook',
      settings: { url },
      secrets: { signingSecret: `whsec_${randomBytes(32).toString('base64')}` },
      policy,
    },
  })
const ID = { to: 'id', from: 'id', identifier: true }
interface Use {
  readonly fields?: readonly object[]
  readonly segments?: readonly string[]
  readonly merge?: object
}
const addExport = (connection: string, { fields = [ID], segments = [], merge }: Use = {}) =>
  client.exports.add({
    body: {
      name: `Export ${(count += 1)}`,
      connection,
      destination: { answers: 'by-status', repeat: 'harmless' },
      mode: 'upsert',
      source: { kind: 'segment', segments, fields },
      ...(merge === undefined ? {} : { merge }),
    } as never,
  })

const USES: readonly (readonly [string, Use, string])[] = [
  ['sent', { fields: [ID, { to: 'mail', from: 'email' }] }, 'source.fields[1].from'],
  ['sent hashed', { fields: [ID, { to: 'mail', from: 'email', transforms: ['hash'] }] }, 'source.fields[1].from'],
  ['as identifier', { fields: [{ to: 'mail', from: 'email', identifier: true }] }, 'source.fields[0].from'],
  ['in the rule of a segment', { segments: ['Mailed'] }, 'source.segments[0]'],
  [
    'to choose between rows',
    { fields: [{ to: 'land', from: 'country', identifier: true }], merge: { by: 'newest', field: 'email' } },
    'merge.field',
  ],
]

test.each(USES)(
  'rule 7: a field that may not leave is refused %s: when saved, previewed and run',
  async (_, use, path) => {
    for (const fields of ['not-personal', { only: ['id', 'country', 'spend'] }] as const) {
      const policy = { ...OPEN, fields: fields as Policy['fields'] }
      const strict = await addConnection(policy)
      expect(await problemOf(addExport(strict.id, use))).toMatchObject({ status: 403, code: 'not-allowed', path })
      // Saved while it was allowed: a change of the policy says beforehand what it breaks, and then the run stops at plan.
      const open = await addConnection(OPEN)
      const params = { connection: open.id }
      const target = await addExport(open.id, use)
      const fine = await addExport(open.id)
      const { breaking } = await client.connections.effect({ params, body: { policy } })
      expect(breaking).toMatchObject([
        { id: target.id, name: target.name, path, reason: expect.stringContaining('email') as string },
      ])
      await client.connections.edit({ params, body: { policy } })
      const preview = await patchbay.ended(await client.exports.preview({ params: { export: target.id } }))
      const run = await patchbay.ended(await client.exports.run({ params: { export: target.id } }))
      for (const ended of [preview, run]) {
        expect(ended).toMatchObject({ status: 'failed', reason: breaking[0]?.reason })
        expect(ended.stages.map(({ stage }) => stage)).toEqual(['plan'])
      }
      expect(seen).toBe('')
      expect((await client.connections.effect({ params, body: { policy } })).breaking).toEqual([])
      await client.exports.remove({ params: { export: fine.id } })
    }
  },
)

test('rule 7: the key of a table leaves with each row, so it counts', async () => {
  const strict = await addConnection({ ...OPEN, fields: { only: ['email'] } })
  const mail = { fields: [{ to: 'mail', from: 'email', identifier: true }] }
  expect(await problemOf(addExport(strict.id, mail))).toMatchObject({ status: 403, path: 'source.fields' })
  const params = { connection: strict.id }
  await client.connections.edit({ params, body: { policy: { ...OPEN, fields: { only: ['email', 'people.id'] } } } })
  await expect(addExport(strict.id, mail)).resolves.toMatchObject({ mode: 'upsert' })
})

test('rule 7: what must be hashed never leaves plain', async () => {
  const strict = await addConnection({ ...OPEN, hashed: ['email'] })
  const plain = { fields: [ID, { to: 'mail', from: 'email', transforms: ['lowercase'] }] }
  expect(await problemOf(addExport(strict.id, plain))).toMatchObject({ status: 403, path: 'source.fields[1].from' })
  const hashed = { fields: [ID, { to: 'mail', from: 'email', transforms: ['lowercase', 'hash'] }] }
  const target = await addExport(strict.id, hashed)
  const run = await patchbay.ended(await client.exports.run({ params: { export: target.id } }))
  expect(run).toMatchObject({ status: 'successful', counts: { accepted: 30_000 } })
  expect(seen).not.toContain('mail.example')
})

test('rule 7: without consent a row does not leave, and a table that cannot show it does not either', async () => {
  const asking = await addConnection({ ...OPEN, consentField: 'agreed' })
  const target = await addExport(asking.id)
  const run = await patchbay.ended(await client.exports.run({ params: { export: target.id } }))
  expect(run.counts).toMatchObject({ read: 30_000, suppressed: 15_000, accepted: 15_000 })
  const other = await addConnection({ ...OPEN, consentField: 'spend' })
  expect(await problemOf(addExport(other.id))).toMatchObject({ status: 403 })
})

test('rule 7: more rows than the policy allows are held for approval', async () => {
  const small = await addConnection({ ...OPEN, rowsPerRunMax: 100 })
  const target = await addExport(small.id)
  const run = await patchbay.ended(await client.exports.run({ params: { export: target.id } }))
  expect(run).toMatchObject({ status: 'held', reason: expect.stringContaining('allows 100 a run') as string })
  expect(seen).toBe('')
})

test('rule 7: a policy that is changed in the middle of a run stops it within a batch', async () => {
  const connection = await addConnection(OPEN)
  const target = await addExport(connection.id, { fields: [ID, { to: 'mail', from: 'email' }] })
  let change: Promise<unknown> | undefined
  onBatch = () =>
    (change ??= client.connections.edit({
      params: { connection: connection.id },
      body: { policy: { ...OPEN, fields: 'not-personal' } },
    }))
  const run = await patchbay.ended(await client.exports.run({ params: { export: target.id } }))
  expect(run).toMatchObject({ status: 'failed', reason: expect.stringContaining('people.email') as string })
  expect(batches).toBeLessThanOrEqual(9)
  expect(run.counts.unsent).toBeGreaterThan(20_000)
})

test('rule 4: un-sharing names beforehand the exports that lose their editors, and those that would stop', async () => {
  const contributor = patchbay.clientOf(await patchbay.keyOf('Contributor'))
  const connection = await addConnection(OPEN)
  const params = { connection: connection.id }
  const contributors = { sharing: { with: 'contributors' } } as const
  await client.connections.edit({ params, body: contributors })
  const own = await addExport(connection.id)
  const theirs = await contributor.exports.add({
    body: {
      name: 'Of a Contributor',
      connection: connection.id,
      destination: { answers: 'by-status', repeat: 'harmless' },
      mode: 'upsert',
      source: { kind: 'segment', segments: [], fields: [ID] },
    },
  })
  const body = { sharing: { with: 'administrators' } } as const
  const { losingEditors } = await client.connections.effect({ params, body })
  expect(losingEditors).toEqual([
    { id: own.id, name: own.name, createdBy: 'command line', stops: false },
    { id: theirs.id, name: theirs.name, createdBy: 'key:Test Contributor', stops: true },
  ])
  expect((await client.connections.effect({ params, body: contributors })).losingEditors).toEqual([])
  // Nothing was changed by asking.
  expect(await client.connections.show({ params })).toMatchObject(contributors)
})
