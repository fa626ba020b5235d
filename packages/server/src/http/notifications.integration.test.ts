/** PRODUCT.md, Exports, rule 11, and Connections, rule 6: people are told once for each cause, and when it has passed. */
import { createHmac, randomBytes } from 'node:crypto'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Client } from '@patchbay/contract'
import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { NOTIFICATION_KINDS } from '../domain/notification.ts'
import { openTestPatchbay, type TestPatchbay } from '../test-support/test-patchbay.ts'

const SECRET = `whsec_${randomBytes(32).toString('base64')}`
const CANARY = 'canary.person@mail.example'

let patchbay: TestPatchbay
let client: Client
let contributor: Client
let receiver: Server
let url = ''
/** What the receiver of rows answers. */
let answer: { readonly status: number; readonly body: string } = { status: 200, body: '' }
let hookStatus = 204
const hooks: { readonly headers: IncomingHttpHeaders; readonly body: string }[] = []

beforeAll(async () => {
  receiver = createServer((request, response) => {
    const pieces: Buffer[] = []
    request.on('data', (piece: Buffer) => pieces.push(piece))
    request.on('end', () => {
      if (request.url === '/hook') {
        hooks.push({ headers: request.headers, body: Buffer.concat(pieces).toString('utf8') })
        response.writeHead(hookStatus).end()
      } else response.writeHead(answer.status).end(answer.body)
    })
  })
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`
  patchbay = await openTestPatchbay({}, { PATCHBAY_ALLOW_HOSTS: '127.0.0.1' })
  client = patchbay.client
  contributor = patchbay.clientOf(await patchbay.keyOf('Contributor'))
  await client.tables.import({
    body: {
      uploads: [await patchbay.upload('people.csv', `id,email\n1,${CANARY}\n2,b@mail.example\n`)],
      name: 'people',
      key: 'id',
      isProfile: true,
    },
  })
  await patchbay.startWorker({ withSchedules: true })
})
afterAll(async () => {
  receiver.closeAllConnections()
  receiver.close()
  await patchbay.remove()
})
beforeEach(() => {
  answer = { status: 200, body: '' }
  hookStatus = 204
  hooks.length = 0
})

let count = 0
const addConnection = (sharing: 'administrators' | 'contributors' = 'contributors') =>
  client.connections.add({
    body: {
      name: `Hook ${(count += 1)}`,
      connectorId: 'webhook',
      settings: { url: `${url}/in` },
      secrets: { signingSecret: SECRET },
      sharing: { with: sharing },
    },
  })
const addExport = (as: Client, connection: string, change: object = {}) =>
  as.exports.add({
    body: {
      name: `Export ${(count += 1)}`,
      connection,
      destination: { answers: 'by-status', repeat: 'harmless' },
      mode: 'upsert',
      source: { kind: 'segment', segments: [], fields: [{ to: 'email', from: 'email', identifier: true }] },
      ...change,
    },
  })
const run = async (id: string) => patchbay.ended(await client.exports.run({ params: { export: id } }))
const listed = async (as: Client, exportId: string) =>
  (await as.notifications.list()).items
    .filter((item) => item.exportId === exportId)
    .map(({ kind, phase }) => `${kind} ${phase}`)
// Awaited where it is used.
// oxlint-disable-next-line vitest/require-awaited-expect-poll
const until = <T>(read: () => T | Promise<T>) => expect.poll(read, { timeout: 20_000, interval: 50 })

test('failed for good: told once, however often it fails, and that it works again; to its owner and to Administrators', async () => {
  const connection = await addConnection()
  const theirs = await addExport(contributor, connection.id)
  const others = await addExport(client, connection.id)
  answer = { status: 401, body: `no entry for ${CANARY}` }
  for (let time = 0; time < 3; time += 1) expect((await run(theirs.id)).status).toBe('failed')
  await run(others.id)
  expect(await listed(client, theirs.id)).toEqual(['run-failed raised'])
  expect(await listed(contributor, theirs.id)).toEqual(['run-failed raised'])
  expect(await listed(client, others.id)).toEqual(['run-failed raised'])
  expect(await listed(contributor, others.id)).toEqual([])
  answer = { status: 200, body: '' }
  for (let time = 0; time < 2; time += 1) expect((await run(theirs.id)).status).toBe('successful')
  expect(await listed(contributor, theirs.id)).toEqual(['run-failed recovered', 'run-failed raised'])
  // It may fail again, and that is another cause.
  await client.exports.edit({
    params: { export: theirs.id },
    body: { destination: { answers: 'by-status', topic: 't' } },
  })
  answer = { status: 401, body: '' }
  await run(theirs.id)
  expect((await listed(client, theirs.id))[0]).toBe('run-failed raised')
  const text = JSON.stringify(await client.notifications.list())
  for (const secret of [CANARY, 'mail.example', SECRET, url, '127.0.0.1']) expect(text).not.toContain(secret)
})

test('held: told, and passed when it was approved or canceled', async () => {
  const connection = await addConnection()
  const params = { connection: connection.id }
  await client.connections.edit({ params, body: { policy: { fields: 'all', hashed: [], rowsPerRunMax: 1 } } })
  for (const way of ['approve', 'cancel'] as const) {
    const target = await addExport(contributor, connection.id)
    const held = await run(target.id)
    expect(held.status).toBe('held')
    expect(await listed(contributor, target.id)).toEqual(['run-held raised'])
    if (way === 'cancel') await client.runs.cancel({ params: { run: held.id } })
    else {
      const approved = await client.runs.approve({
        params: { run: held.id },
        body: { outboxDigest: held.outboxDigest ?? '' },
      })
      await patchbay.ended({ ...approved, status: 'queued' })
    }
    expect((await listed(contributor, target.id)).toSorted()).toEqual(['run-held raised', 'run-held recovered'])
  }
})

test('rejects above the limit: told once, and passed', async () => {
  const connection = await addConnection()
  const target = await addExport(client, connection.id, { destination: { answers: 'per-row', repeat: 'harmless' } })
  const reject = { status: 'rejected', reason: 'not-allowed' }
  answer = { status: 200, body: JSON.stringify({ answers: ['1', '2'].map((key) => ({ key, ...reject })) }) }
  for (let time = 0; time < 2; time += 1) expect((await run(target.id)).status).toBe('completed-with-rejects')
  expect(await listed(client, target.id)).toEqual(['rejects raised'])
  const accepted = ['1', '2'].map((key) => ({ key, status: 'accepted' }))
  answer = { status: 200, body: JSON.stringify({ answers: accepted }) }
  expect((await run(target.id)).status).toBe('successful')
  expect(await listed(client, target.id)).toEqual(['rejects recovered', 'rejects raised'])
})

test('a missing secret: told once for the connection, whatever the number of exports on it', async () => {
  const connection = await addConnection()
  const targets = [await addExport(contributor, connection.id), await addExport(contributor, connection.id)]
  const { token } = await client.connections.dependents({ params: { connection: connection.id } })
  await client.connections.remove({ params: { connection: connection.id }, body: { confirmed: token } })
  await client.connections.restore({ params: { connection: connection.id }, body: {} })
  for (const { id } of targets) expect((await run(id)).status).toBe('failed')
  const about = async (as: Client) =>
    (await as.notifications.list()).items
      .filter(({ cause }) => cause === `secret-missing:${connection.id}`)
      .map(({ phase }) => phase)
  expect(await about(client)).toEqual(['raised'])
  expect(await about(contributor)).toEqual(['raised'])
  for (const { id } of targets) expect(await listed(client, id)).toEqual([])
  await client.connections.edit({ params: { connection: connection.id }, body: { secrets: { signingSecret: SECRET } } })
  expect((await run(targets[0]?.id ?? '')).status).toBe('successful')
  expect(await about(client)).toEqual(['recovered', 'raised'])
})

test('read and unread are everybody’s own', async () => {
  const before = await client.notifications.list({ query: { unread: 'yes' } })
  const [first, ...rest] = before.items
  expect(before.unread).toBe(before.items.length)
  await client.notifications.read({ body: { notifications: first === undefined ? [] : [first.id] } })
  const after = await client.notifications.list({ query: { unread: 'yes' } })
  expect(after.items.map(({ id }) => id)).toEqual(rest.map(({ id }) => id))
  expect((await client.notifications.list()).items.find(({ id }) => id === first?.id)?.isRead).toBe(true)
  const admin = patchbay.clientOf(await patchbay.keyOf('Administrator'))
  expect((await admin.notifications.list()).unread).toBe(before.unread)
  await client.notifications.read({ body: { notifications: 'all' } })
  expect((await client.notifications.list()).unread).toBe(0)
  // In pages, without one twice.
  const pages = []
  for (let cursor: string | null | undefined; cursor !== null;) {
    const page = await client.notifications.list({ query: { limit: 2, ...(cursor === undefined ? {} : { cursor }) } })
    pages.push(...page.items.map(({ id }) => id))
    cursor = page.next
  }
  expect(new Set(pages).size).toBe(pages.length)
  expect(pages).toHaveLength((await client.notifications.list()).items.length)
})

test('by webhook: signed by Standard Webhooks, tried again, and only what its reader may know', async () => {
  const admin = patchbay.clientOf(await patchbay.keyOf('Administrator'))
  const hook = { body: { webhookUrl: `${url}/hook`, ways: waysOf(['product', 'webhook']) } }
  const { signingKey } = await contributor.notifications.set(hook)
  expect(signingKey).toMatch(/^whsec_/)
  expect((await contributor.notifications.set(hook)).signingKey).toBeNull()
  expect(JSON.stringify(await contributor.notifications.settings())).not.toContain('whsec_')
  const stored = await sql<{ text: string }>`SELECT to_jsonb(s)::text AS text FROM notification_setting AS s`.execute(
    patchbay.store.db,
  )
  expect(JSON.stringify(stored.rows)).not.toContain((signingKey ?? '').slice(6))

  const connection = await addConnection()
  const [theirs, others] = [await addExport(contributor, connection.id), await addExport(admin, connection.id)]
  answer = { status: 401, body: CANARY }
  hookStatus = 500
  await run(others.id)
  const failed = await run(theirs.id)
  // A receiver that fails holds nothing up, and is tried again.
  expect(failed.status).toBe('failed')
  await until(async () => (await contributor.notifications.settings()).troubles).toMatchObject([
    { way: 'webhook', attempts: 1, error: expect.stringContaining('500') as string },
  ])
  hookStatus = 204
  await sql`UPDATE notification_delivery SET due_at = now() WHERE due_at IS NOT NULL`.execute(patchbay.store.db)
  await until(() => hooks.length).toBe(2)
  const [first, second] = hooks
  const id = String(second?.headers['webhook-id'])
  expect(first?.headers['webhook-id']).toBe(id)
  expect(second?.body).toBe(first?.body)
  const key = Buffer.from((signingKey ?? '').slice(6), 'base64')
  const signed = `${id}.${String(second?.headers['webhook-timestamp'])}.${second?.body ?? ''}`
  expect(second?.headers['webhook-signature']).toBe(`v1,${createHmac('sha256', key).update(signed).digest('base64')}`)
  const body = JSON.parse(second?.body ?? '') as { data: object }
  expect(body).toMatchObject({
    type: 'run-failed.raised',
    data: { id, exportId: theirs.id, runId: failed.id, kind: 'run-failed', phase: 'raised' },
  })
  expect(Object.keys(body.data)).not.toContain('owner')
  expect(second?.body).not.toContain(CANARY)
  const ended = async () =>
    (await sql<{ ended: string }>`SELECT ended FROM notification_delivery ORDER BY ended`.execute(patchbay.store.db))
      .rows
  await until(async () => (await ended()).map((row) => row.ended)).toEqual(['not-theirs', 'sent'])
  await contributor.notifications.set({ body: { webhookUrl: null } })
})

test('a webhook goes through the one door, and nowhere that connections may not go', async () => {
  await contributor.notifications.set({
    body: { webhookUrl: 'http://169.254.169.254/latest', ways: waysOf(['webhook']) },
  })
  const connection = await addConnection()
  const target = await addExport(contributor, connection.id)
  answer = { status: 401, body: '' }
  await run(target.id)
  await until(async () => (await contributor.notifications.settings()).troubles[0]?.error ?? '').toContain(
    'may not reach',
  )
  // Not in the product for one who asked for that: the kind goes by webhook alone.
  expect(await listed(contributor, target.id)).toEqual([])
  for (const webhookUrl of ['ftp://x/', 'http://user@x/', 'https://x/?key=1', 'file:///x'])
    await expect(contributor.notifications.set({ body: { webhookUrl } })).rejects.toMatchObject({ status: 400 })
  await contributor.notifications.set({ body: { webhookUrl: null, ways: waysOf(['product']) } })
})

test('each kind by its own ways; a Viewer has no exports and is told of nothing', async () => {
  const ways = { ...waysOf(['product']), 'run-failed': [] }
  const set = await client.notifications.set({ body: { ways } })
  expect(set.ways).toEqual(ways)
  expect((await client.notifications.list()).items.filter(({ kind }) => kind === 'run-failed')).toEqual([])
  await client.notifications.set({ body: { ways: waysOf(['product']) } })
  const viewer = patchbay.clientOf(await patchbay.keyOf('Viewer'))
  expect(await viewer.notifications.list()).toMatchObject({ items: [], unread: 0 })
})

test('the signing key is sealed anew when the key of the server is rotated, and still signs', async () => {
  const { signingKey } = await client.notifications.set({
    body: { webhookUrl: `${url}/hook`, ways: waysOf(['webhook']) },
  })
  const sealed = async () =>
    (
      await sql<{
        s: string
      }>`SELECT webhook_secret AS s FROM notification_setting WHERE webhook_secret IS NOT NULL`.execute(
        patchbay.store.db,
      )
    ).rows[0]?.s
  const before = await sealed()
  await client.system.rotateKey()
  await until(async () => (await client.system.keyRotation()).isRunning).toBe(false)
  expect(await sealed()).not.toBe(before)
  const target = await addExport(client, (await addConnection()).id)
  answer = { status: 401, body: '' }
  await run(target.id)
  await until(() => hooks.length).toBe(1)
  const [hook] = hooks
  const signed = `${String(hook?.headers['webhook-id'])}.${String(hook?.headers['webhook-timestamp'])}.${hook?.body ?? ''}`
  const key = Buffer.from((signingKey ?? '').slice(6), 'base64')
  expect(hook?.headers['webhook-signature']).toBe(`v1,${createHmac('sha256', key).update(signed).digest('base64')}`)
})

function waysOf(ways: ('product' | 'mail' | 'webhook')[]) {
  return Object.fromEntries(NOTIFICATION_KINDS.map((kind) => [kind, ways])) as Record<
    (typeof NOTIFICATION_KINDS)[number],
    ('product' | 'mail' | 'webhook')[]
  >
}
