/** PRODUCT.md, Connections, rules 2 and 4: who may use a connection, and what a Contributor gets to see of it. */
import { randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ApiProblem, type Client } from '@patchbay/contract'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { CUSTOMERS, openTestPatchbay, type TestPatchbay } from '../test-support/test-patchbay.ts'

const SECRET = `whsec_${randomBytes(32).toString('base64')}`
const EMPTY = { items: [], next: null }

let patchbay: TestPatchbay
let admin: Client
let contributor: Client
let receiver: Server
let port = 0
/** What the receiver does with a batch before it answers. */
let onBatch: () => Promise<void> = () => Promise.resolve()
let batches = 0

beforeAll(async () => {
  receiver = createServer((request, response) => {
    const pieces: Buffer[] = []
    request.on('data', (piece: Buffer) => pieces.push(piece))
    request.on('end', () => {
      batches += 1
      if (request.url?.startsWith('/hidden-path') === true) {
        response.writeHead(401)
        response.end(`no entry for http://${request.headers.host ?? ''}${request.url}`)
        return
      }
      void onBatch().then(() => response.end(Buffer.concat(pieces).includes('"type":"ping"') ? '' : '{}'))
    })
  })
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
  port = (receiver.address() as AddressInfo).port
  patchbay = await openTestPatchbay({}, { PATCHBAY_ALLOW_HOSTS: '127.0.0.1,localhost' })
  admin = patchbay.client
  contributor = patchbay.clientOf(await patchbay.keyOf('Contributor'))
  const rows = Array.from({ length: 30_000 }, (_, index) => `${index + 10},p${index}@example.com,Peru,true,1\n`)
  await admin.tables.import({
    body: {
      uploads: [await patchbay.upload('customers.csv', CUSTOMERS + rows.join(''))],
      name: 'customers',
      key: 'id',
      isProfile: true,
    },
  })
})
afterAll(async () => {
  receiver.closeAllConnections()
  receiver.close()
  await patchbay.remove()
})
beforeEach(() => {
  onBatch = () => Promise.resolve()
  batches = 0
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
const name = (): string => `Hook ${(count += 1)}`
function addHook(sharing: 'administrators' | 'contributors', path = '/in') {
  return admin.connections.add({
    body: {
      name: name(),
      connectorId: 'webhook',
      settings: { url: `http://127.0.0.1:${port}${path}` },
      secrets: { signingSecret: SECRET },
      sharing: { with: sharing },
    },
  })
}
const addExport = (client: Client, connection: string) =>
  client.exports.add({
    body: {
      name: `Export ${name()}`,
      connection,
      destination: { answers: 'by-status', repeat: 'harmless' },
      mode: 'upsert',
      source: { kind: 'segment', segments: [], fields: [{ to: 'email', from: 'email', identifier: true }] },
    },
  })

test('rule 2: Administrators alone unless said otherwise, and three ways to say so', async () => {
  const plain = await admin.connections.add({
    body: { name: name(), connectorId: 'local-folder', settings: { path: patchbay.fileRoot } },
  })
  expect(plain.sharing).toEqual({ with: 'administrators' })
  const params = { connection: plain.id }
  for (const sharing of [{ with: 'contributors' }, { with: 'named', users: ['usr_a', 'usr_b'] }] as const)
    expect(
      await admin.connections.edit({ params, body: { sharing: sharing as { with: 'contributors' } } }),
    ).toMatchObject({ sharing })
  const { items } = await admin.audit.list({ query: { subject: plain.id } })
  expect(items.filter(({ action }) => action === 'connection.shared')).toHaveLength(2)
  for (const sharing of [{ with: 'everybody' }, { with: 'named', users: [] }, { with: 'contributors', users: ['x'] }])
    expect(await problemOf(admin.connections.edit({ params, body: { sharing: sharing as never } }))).toMatchObject({
      status: 400,
    })
})

test('rule 2: a Contributor sees name and connector of what is shared with them, and of the rest not that it is there', async () => {
  const shared = await addHook('contributors')
  const hidden = await addHook('administrators')
  const key = await patchbay.keyOf('Contributor')
  const text = await (await patchbay.send('/api/v1/connections', { key })).text()
  const items = (JSON.parse(text) as { items: Record<string, unknown>[] }).items
  expect(items.find(({ id }) => id === shared.id)).toEqual({ id: shared.id, name: shared.name, connector: 'webhook' })
  for (const item of items) expect(Object.keys(item).toSorted()).toEqual(['connector', 'id', 'name'])
  expect(text).not.toContain(hidden.id)
  expect(text).not.toContain(hidden.name)
  // One that is not shared and one that does not exist are answered alike, by id and by name.
  for (const reference of [hidden.id, hidden.name]) {
    const refused = await problemOf(addExport(contributor, reference))
    const unknown = await problemOf(addExport(contributor, 'Nothing'))
    expect([refused.status, refused.cure]).toEqual([unknown.status, unknown.cure])
    expect(refused.message).toBe(unknown.message.replace('Nothing', reference))
  }
  for (const path of ['', '/dependents', '/check', '/trust'])
    for (const reference of [shared.id, hidden.id, 'con_nothing']) {
      const method = path === '/check' || path === '/trust' ? 'POST' : 'GET'
      const at = `/api/v1/connections/${reference}${path}`
      expect((await patchbay.send(at, { key, method })).status).toBe(403)
    }
  const viewer = await patchbay.keyOf('Viewer')
  expect((await patchbay.send('/api/v1/connections', { key: viewer })).status).toBe(403)
})

test('rule 2: sharing with named users gives an API key nothing', async () => {
  const connection = await addHook('administrators')
  const params = { connection: connection.id }
  await admin.connections.edit({ params, body: { sharing: { with: 'named', users: ['usr_somebody'] } } })
  expect((await problemOf(addExport(contributor, connection.id))).status).toBe(404)
})

test('rule 4: sharing lets a Contributor make, edit and run; un-sharing takes it away, and the exports stay', async () => {
  const connection = await addHook('contributors')
  const params = { connection: connection.id }
  const own = await addExport(contributor, connection.id)
  const others = await addExport(admin, connection.id)
  for (const { id } of [own, others])
    await contributor.exports.edit({ params: { export: id }, body: { guard: { allowEmptySource: true } } })
  await admin.connections.edit({ params, body: { sharing: { with: 'administrators' } } })
  for (const { id } of [own, others]) {
    const target = { params: { export: id } }
    const refused = [
      contributor.exports.edit({ ...target, body: { name: name() } }),
      contributor.exports.run(target),
      contributor.exports.preview(target),
      contributor.exports.duplicate({ ...target, body: { name: name() } }),
      contributor.exports.schedule({ ...target, body: { schedule: null } }),
      contributor.exports.remove(target),
    ]
    for (const { status } of await Promise.all(refused.map(problemOf))) expect(status).toBe(403)
    expect(await admin.exports.show(target)).toMatchObject({ connectionId: connection.id })
    expect(await contributor.exports.show(target)).toMatchObject({ connectionId: connection.id })
  }
  expect((await contributor.connections.list()).items.map(({ id }) => id)).not.toContain(connection.id)
})

test("rule 4: un-sharing in the middle of a run stops a Contributor's run within a batch", async () => {
  const connection = await addHook('contributors')
  const target = await addExport(contributor, connection.id)
  let unshared: Promise<unknown> | undefined
  onBatch = async () => {
    unshared ??= admin.connections.edit({
      params: { connection: connection.id },
      body: { sharing: { with: 'administrators' } },
    })
    await unshared
  }
  const run = await patchbay.ended(await contributor.exports.run({ params: { export: target.id } }))
  expect(run).toMatchObject({ status: 'failed', reason: expect.stringContaining('may not send') as string })
  // Of 31 batches, those that were on their way when it was un-shared, eight at most, and one more.
  expect(batches).toBeGreaterThan(0)
  expect(batches).toBeLessThanOrEqual(9)
  const { counts } = run
  expect(counts.accepted + counts.rejected + counts.uncertain + counts.unsent).toBe(30_005)
  expect(counts.unsent).toBeGreaterThan(20_000)
  // An Administrator's run of the same export goes on.
  onBatch = () => Promise.resolve()
  const again = await patchbay.ended(await admin.exports.run({ params: { export: target.id } }))
  expect(again.status).not.toBe('failed')
})

test('what is said of a run names no setting of the connection', async () => {
  const connection = await admin.connections.add({
    body: {
      name: name(),
      connectorId: 'webhook',
      settings: { url: `http://localhost:${port}/hidden-path/${randomBytes(4).toString('hex')}` },
      secrets: { signingSecret: SECRET },
      sharing: { with: 'contributors' },
    },
  })
  const target = await addExport(contributor, connection.id)
  const run = await patchbay.ended(await contributor.exports.run({ params: { export: target.id } }))
  expect(run).toMatchObject({ status: 'failed', reason: expect.stringContaining('[Address]') as string })
  const seen = JSON.stringify([
    await contributor.runs.show({ params: { run: run.id } }),
    await contributor.runs.list({ query: {} }),
    await contributor.runs.rows({ params: { run: run.id }, query: {} }).catch(() => EMPTY),
    await contributor.exports.show({ params: { export: target.id } }),
    await contributor.exports.list({ query: {} }),
  ])
  for (const setting of ['localhost', 'hidden-path', `:${port}/`]) expect(seen).not.toContain(setting)
})
