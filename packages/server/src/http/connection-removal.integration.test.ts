/** PRODUCT.md, Connections, rule 5: a removal is looked at, confirmed, and can be taken back. */
import { randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ApiProblem, type Client } from '@patchbay/contract'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { forgetRemovedConnections } from '../store/connection-removal.ts'
import { openTestPatchbay, type TestPatchbay } from '../test-support/test-patchbay.ts'

const SECRET = `whsec_${randomBytes(32).toString('base64')}`
const DAY = 86_400_000

let patchbay: TestPatchbay
let client: Client
let receiver: Server
let url = ''
let batches = 0
let onBatch: () => Promise<unknown> = () => Promise.resolve()
let now = new Date()

beforeAll(async () => {
  receiver = createServer((request, response) => {
    request.resume()
    request.on('end', () => {
      batches += 1
      void onBatch().then(() => response.end())
    })
  })
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`
  patchbay = await openTestPatchbay({ now: () => now }, { PATCHBAY_ALLOW_HOSTS: '127.0.0.1' })
  client = patchbay.client
  const rows = Array.from({ length: 30_000 }, (_, i) => `${i},person${i}@mail.example`)
  await client.tables.import({
    body: {
      uploads: [await patchbay.upload('people.csv', `id,email\n${rows.join('\n')}\n`)],
      name: 'people',
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
  batches = 0
  onBatch = () => Promise.resolve()
  now = new Date()
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
const addConnection = (at = url) =>
  client.connections.add({
    body: {
      name: `Hook ${(count += 1)}`,
      connectorId: 'webhook',
      settings: { url: at },
      secrets: { signingSecret: SECRET },
      sharing: { with: 'contributors' },
      policy: { fields: { only: ['id', 'email'] }, hashed: [] },
    },
  })
const addExport = (connection: string) =>
  client.exports.add({
    body: {
      name: `Export ${(count += 1)}`,
      connection,
      destination: { answers: 'by-status', repeat: 'harmless' },
      mode: 'upsert',
      source: { kind: 'segment', segments: [], fields: [{ to: 'email', from: 'email', identifier: true }] },
      schedule: { on: true, timeZone: 'UTC', every: { type: 'daily', at: '03:30' } },
    },
  })
const actionsOn = async (subject: string) =>
  (await client.audit.list({ query: { subject } })).items.map(({ action }) => action)

test('rule 5: the list names everything that uses it; a list that is stale by now is refused with the new one', async () => {
  const connection = await addConnection()
  const params = { connection: connection.id }
  const one = await addExport(connection.id)
  const looked = await client.connections.dependents({ params })
  expect(looked).toMatchObject({
    exports: [{ id: one.id, name: one.name, createdBy: 'command line', isScheduled: true, isRunning: false }],
    runsGoingOn: 0,
  })
  const two = await addExport(connection.id)
  const stale = await problemOf(client.connections.remove({ params, body: { confirmed: looked.token } }))
  expect(stale).toMatchObject({ status: 409, code: 'conflict', path: 'confirmed' })
  expect(stale.dependents?.exports.map(({ id }) => id)).toEqual([one.id, two.id])
  expect(await client.connections.show({ params })).toMatchObject({ usedBy: 2 })
  const guessed = client.connections.remove({ params, body: { confirmed: 'x' } })
  expect((await problemOf(guessed)).status).toBe(409)
  const foreign = {
    confirmed: stale.dependents?.token ?? '',
    removeExports: [`exp_${'a'.repeat(20)}` as typeof one.id],
  }
  expect(await problemOf(client.connections.remove({ params, body: foreign }))).toMatchObject({
    status: 400,
    path: 'removeExports[0]',
  })
  // As it was answered: the new list can be confirmed at once.
  const confirmed = stale.dependents?.token ?? ''
  expect((await client.connections.remove({ params, body: { confirmed } })).detached).toHaveLength(2)
})

test('rule 5: each export is detached or removed as chosen, with one event each', async () => {
  const connection = await addConnection()
  const params = { connection: connection.id }
  const [kept, gone] = [await addExport(connection.id), await addExport(connection.id)]
  const { token } = await client.connections.dependents({ params })
  const removed = await client.connections.remove({ params, body: { confirmed: token, removeExports: [gone.id] } })
  expect(removed).toMatchObject({ detached: [{ id: kept.id }], removed: [{ id: gone.id }], canceled: [] })
  const detached = await client.exports.show({ params: { export: kept.id } })
  expect(detached).toMatchObject({ connectionId: null, source: kept.source, schedule: kept.schedule, nextAt: null })
  expect(await problemOf(client.exports.run({ params: { export: kept.id } }))).toMatchObject({ code: 'not-ready' })
  expect((await problemOf(client.exports.show({ params: { export: gone.id } }))).status).toBe(404)
  expect((await actionsOn(kept.id)).filter((action) => action === 'export.detached')).toHaveLength(1)
  expect((await actionsOn(gone.id)).filter((action) => action === 'export.removed')).toHaveLength(1)
  expect((await actionsOn(connection.id)).filter((action) => action === 'connection.removed')).toHaveLength(1)
  const { rows } = await patchbay.store.queueDatabase.executeSql('SELECT sealed FROM secret WHERE connection_id = $1', [
    connection.id,
  ])
  expect(rows).toEqual([])
})

test.each(['detached', 'removed'] as const)(
  'rule 5: a run over a connection that is removed stops within a batch, as Canceled; its export is %s',
  async (fate) => {
    const connection = await addConnection()
    const params = { connection: connection.id }
    const target = await addExport(connection.id)
    const other = await addExport(connection.id)
    let removing: Promise<unknown> | undefined
    onBatch = () =>
      (removing ??= (async () => {
        const { token, runsGoingOn } = await client.connections.dependents({ params })
        const removeExports = fate === 'removed' ? [target.id] : []
        const removed = await client.connections.remove({ params, body: { confirmed: token, removeExports } })
        return { runsGoingOn, removed }
      })())
    const run = await client.exports.run({ params: { export: target.id } })
    await patchbay.startWorker({ withSchedules: false })
    await expect.poll(() => actionsOn(run.id), { timeout: 30_000 }).toContain('run.finished')
    expect(await removing).toMatchObject({ runsGoingOn: 1, removed: { canceled: [run.id] } })
    expect(batches).toBeLessThanOrEqual(9)
    const events = (await client.audit.list({ query: { subject: run.id } })).items
    const finished = events.find(({ action }) => action === 'run.finished')
    expect(finished?.detail).toMatchObject({ status: 'canceled', counts: { added: 30_000 } })
    expect(events.filter(({ action }) => action === 'run.cancel-requested')).toHaveLength(1)
    if (fate === 'removed') {
      expect((await problemOf(client.exports.show({ params: { export: target.id } }))).status).toBe(404)
      expect((await actionsOn(target.id)).filter((action) => action === 'export.removed')).toHaveLength(1)
    } else {
      expect(await client.runs.show({ params: { run: run.id } })).toMatchObject({ status: 'canceled' })
      expect(await client.exports.show({ params: { export: target.id } })).toMatchObject({ connectionId: null })
    }
    expect(await client.exports.show({ params: { export: other.id } })).toMatchObject({ connectionId: null })
  },
)

test('rule 5: runs that wait or are held end as Canceled at once', async () => {
  const connection = await addConnection()
  const params = { connection: connection.id }
  const target = await addExport(connection.id)
  await client.connections.edit({ params, body: { policy: { fields: 'all', hashed: [], rowsPerRunMax: 5 } } })
  const held = await patchbay.ended(await client.exports.run({ params: { export: target.id } }))
  expect(held.status).toBe('held')
  const { token, runsGoingOn } = await client.connections.dependents({ params })
  expect(runsGoingOn).toBe(1)
  await client.connections.remove({ params, body: { confirmed: token } })
  expect(await client.runs.show({ params: { run: held.id } })).toMatchObject({ status: 'canceled' })
})

test('rule 5: another connection of the connector makes it active again, with everything; beforehand is said what happens', async () => {
  const first = await addConnection()
  const target = await addExport(first.id)
  const at = { export: target.id }
  const effect = (connection: string) => client.connections.attaching({ params: { connection, export: target.id } })
  expect(await effect(first.id)).toMatchObject({ place: 'new', rowsKnown: 0 })
  const run = await patchbay.ended(await client.exports.run({ params: at }))
  expect(run.status).toBe('successful')
  const { token } = await client.connections.dependents({ params: { connection: first.id } })
  await client.connections.remove({ params: { connection: first.id }, body: { confirmed: token } })
  const same = await addConnection()
  const elsewhere = await addConnection(`${url}elsewhere`)
  expect(await effect(same.id)).toMatchObject({
    place: 'same',
    rowsKnown: 30_000,
    says: expect.stringContaining('only what has changed') as string,
  })
  expect(await effect(elsewhere.id)).toMatchObject({
    place: 'another',
    rowsKnown: 0,
    says: expect.stringContaining('every row as new') as string,
  })
  const folder = await client.connections.add({
    body: { name: 'A folder', connectorId: 'local-folder', settings: { path: patchbay.fileRoot } },
  })
  expect((await problemOf(effect(folder.id))).status).toBe(400)
  const attached = await client.exports.edit({ params: at, body: { connection: same.id } })
  expect(attached).toMatchObject({ source: target.source, schedule: target.schedule, nextAt: target.nextAt })
  expect((await client.runs.list({ query: { export: target.id } })).items.map(({ id }) => id)).toEqual([run.id])
  const again = await patchbay.ended(await client.exports.run({ params: at }))
  expect(again).toMatchObject({ status: 'successful', counts: { unchanged: 30_000, added: 0 } })
})

test('rule 5: a removal is taken back, but for the secrets and for exports that went elsewhere', async () => {
  const connection = await addConnection()
  const params = { connection: connection.id }
  const [still, moved, gone] = [
    await addExport(connection.id),
    await addExport(connection.id),
    await addExport(connection.id),
  ]
  const { token } = await client.connections.dependents({ params })
  await client.connections.remove({ params, body: { confirmed: token, removeExports: [gone.id] } })
  const other = await addConnection()
  await client.exports.edit({ params: { export: moved.id }, body: { connection: other.id } })
  const listed = (await client.connections.removed()).items.find(({ id }) => id === connection.id)
  expect(listed).toMatchObject({ name: connection.name, removedBy: 'command line', detached: [{ id: still.id }] })
  const contributor = patchbay.clientOf(await patchbay.keyOf('Contributor'))
  expect((await problemOf(contributor.connections.restore({ params, body: {} }))).status).toBe(403)
  expect((await problemOf(contributor.connections.removed())).status).toBe(403)

  // Its name was taken meanwhile.
  const taken = await addConnection()
  await client.connections.edit({ params: { connection: taken.id }, body: { name: connection.name } })
  expect(await problemOf(client.connections.restore({ params, body: {} }))).toMatchObject({ status: 409, path: 'name' })
  const restored = await client.connections.restore({ params, body: { name: 'Back' } })
  expect(restored).toMatchObject({
    connection: {
      id: connection.id,
      name: 'Back',
      settings: connection.settings,
      policy: connection.policy,
      sharing: connection.sharing,
      createdAt: connection.createdAt,
      secretsSet: [],
      health: 'unknown',
      usedBy: 1,
    },
    attached: [{ id: still.id }],
    secretsNeeded: ['signingSecret'],
  })
  expect(await client.exports.show({ params: { export: moved.id } })).toMatchObject({ connectionId: other.id })
  // Nothing is sent until the secret is there again.
  const run = await patchbay.ended(await client.exports.run({ params: { export: still.id } }))
  expect(run).toMatchObject({ status: 'failed', reason: expect.stringContaining('Signing secret') as string })
  expect(run.stages.map(({ stage }) => stage)).toEqual(['plan'])
  await client.connections.edit({ params, body: { secrets: { signingSecret: SECRET } } })
  const again = await patchbay.ended(await client.exports.run({ params: { export: still.id } }))
  expect(again.status).toBe('successful')
  expect((await problemOf(client.connections.restore({ params, body: {} }))).status).toBe(404)
})

test('rule 5: after 30 days nothing can be put back, and nothing is kept', async () => {
  const connection = await addConnection()
  const params = { connection: connection.id }
  const { token } = await client.connections.dependents({ params })
  await client.connections.remove({ params, body: { confirmed: token } })
  now = new Date(Date.now() + 30 * DAY + 60_000)
  expect((await client.connections.removed()).items).toEqual([])
  expect((await problemOf(client.connections.restore({ params, body: {} }))).status).toBe(404)
  await forgetRemovedConnections(patchbay.store.db, now)
  const { rows } = await patchbay.store.queueDatabase.executeSql('SELECT id FROM removed_connection')
  expect(rows).toEqual([])
})

test('of a removal and an export that is made at the same moment, one waits for the other', async () => {
  for (let round = 0; round < 5; round += 1) {
    const connection = await addConnection()
    const params = { connection: connection.id }
    const { token } = await client.connections.dependents({ params })
    const [removed, made] = await Promise.allSettled([
      client.connections.remove({ params, body: { confirmed: token } }),
      addExport(connection.id),
    ])
    // Never an export that nobody confirmed, and never a bug.
    for (const one of [removed, made])
      if (one.status === 'rejected') expect([404, 409]).toContain((one.reason as ApiProblem).status)
    expect([removed.status, made.status].filter((status) => status === 'fulfilled')).toHaveLength(1)
  }
})
