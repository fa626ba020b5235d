/** PRODUCT.md, Connections, rule 6: health is looked at when saved, before a run and every hour; what ends is told ahead. */
import { randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ApiProblem, type Client } from '@patchbay/contract'
import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { claimDueCheck } from '../store/connection-health.ts'
import { openTestPatchbay, type TestPatchbay } from '../test-support/test-patchbay.ts'

const SECRET = `whsec_${randomBytes(32).toString('base64')}`
const HOUR = 3_600_000
const DAY = 24 * HOUR

let patchbay: TestPatchbay
let client: Client
let receiver: Server
let url = ''
let status = 200
let pings = 0
let shift = 0

beforeAll(async () => {
  receiver = createServer((request, response) => {
    request.resume()
    request.on('end', () => {
      pings += 1
      response.writeHead(status).end()
    })
  })
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`
  patchbay = await openTestPatchbay({ now: () => new Date(Date.now() + shift) }, { PATCHBAY_ALLOW_HOSTS: '127.0.0.1' })
  client = patchbay.client
  await client.tables.import({
    body: {
      uploads: [await patchbay.upload('people.csv', 'id,email\n1,a@mail.example\n')],
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
  status = 200
  pings = 0
})

let count = 0
const addConnection = (change: object = {}) =>
  client.connections.add({
    body: {
      name: `Hook ${(count += 1)}`,
      connectorId: 'webhook',
      settings: { url },
      secrets: { signingSecret: SECRET },
      ...change,
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
    },
  })
const healthOf = async (connection: string) => (await client.connections.show({ params: { connection } })).health
const checksOf = async (connection: string) => (await client.connections.checks({ params: { connection } })).items
// Awaited where it is used.
// oxlint-disable-next-line vitest/require-awaited-expect-poll
const until = <T>(read: () => Promise<T>) => expect.poll(read, { timeout: 20_000, interval: 50 })
const kindsOf = async () => (await client.notifications.list()).items.map(({ kind, phase }) => `${kind} ${phase}`)

test('rule 6: checked when saved, with the step that failed and the field to mend', async () => {
  const good = await addConnection()
  expect(good.health).toBe('unknown')
  await until(() => healthOf(good.id)).toBe('healthy')
  expect(await checksOf(good.id)).toMatchObject([{ startedBy: 'saved', ok: true, step: null }])
  status = 403
  const bad = await addConnection()
  await until(() => healthOf(bad.id)).toBe('failing')
  const shown = await client.connections.show({ params: { connection: bad.id } })
  expect(shown).toMatchObject({ failing: { step: 'signed-in', field: 'signingSecret' }, checkedAt: expect.any(String) })
  status = 200
  // A change asks anew: what was found says nothing of what it is now.
  const renamed = await client.connections.edit({ params: { connection: bad.id }, body: { name: 'Mended' } })
  expect(renamed).toMatchObject({ health: 'unknown', failing: null })
  await until(() => healthOf(bad.id)).toBe('healthy')
  expect((await client.connections.list({ query: { health: 'healthy' } })).items.map(({ id }) => id)).toContain(bad.id)
})

test('rule 6: every hour those in use, and no others', async () => {
  const [used, unused] = [await addConnection(), await addConnection()]
  await addExport(used.id)
  await until(async () => [await healthOf(used.id), await healthOf(unused.id)]).toEqual(['healthy', 'healthy'])
  shift += 1.2 * HOUR
  await until(async () => (await checksOf(used.id)).map(({ startedBy }) => startedBy)).toEqual(['clock', 'saved'])
  const { db } = patchbay.store
  await until(async () => {
    const due = await sql<{ n: number }>`SELECT count(*) AS n FROM connection WHERE check_due_at <= ${new Date(
      Date.now() + shift,
    )}`.execute(db)
    return Number(due.rows[0]?.n)
  }).toBe(0)
  expect(await checksOf(unused.id)).toHaveLength(1)
})

test('rule 6: before a run, unless it was looked at just now', async () => {
  const connection = await addConnection()
  const target = await addExport(connection.id)
  await until(() => healthOf(connection.id)).toBe('healthy')
  await patchbay.ended(await client.exports.run({ params: { export: target.id } }))
  expect((await checksOf(connection.id)).map(({ startedBy }) => startedBy)).toEqual(['saved'])
  shift += HOUR / 4
  const run = await patchbay.ended(await client.exports.run({ params: { export: target.id } }))
  expect(run.status).toBe('successful')
  expect((await checksOf(connection.id)).map(({ startedBy }) => startedBy)).toContain('run')
})

test('rule 6: what fails twice in a row is told once, and that it works again; what nobody uses is not', async () => {
  const connection = await addConnection()
  const [target, unused] = [await addExport(connection.id), await addConnection()]
  await until(async () => [await healthOf(connection.id), await healthOf(unused.id)]).toEqual(['healthy', 'healthy'])
  const about = async () =>
    (await client.notifications.list()).items.filter(({ connectionId }) => connectionId === connection.id)
  status = 401
  const check = () => client.connections.check({ params: { connection: connection.id } })
  await check()
  expect(await about()).toEqual([])
  for (let time = 0; time < 4; time += 1) await check()
  for (let time = 0; time < 2; time += 1) await client.connections.check({ params: { connection: unused.id } })
  expect(await about()).toMatchObject([
    { kind: 'connection-unhealthy', phase: 'raised', cause: `connection-unhealthy:${connection.id}` },
  ])
  expect((await client.connections.atRisk()).items.filter(({ id }) => id === connection.id)).toMatchObject([
    { why: 'failing', exports: [{ id: target.id, name: target.name }] },
  ])
  status = 200
  await check()
  await check()
  expect((await about()).map(({ phase }) => phase)).toEqual(['recovered', 'raised'])
  expect(JSON.stringify(await about())).not.toContain('127.0.0.1')
  const told = (await client.notifications.list()).items.filter(({ connectionId }) => connectionId === unused.id)
  expect(told).toEqual([])
})

test('rule 6: what ends soon is shown, listed with the exports at risk, and told once ahead of time', async () => {
  const at = new Date(Date.now() + shift + 10 * DAY)
  const connection = await addConnection({ secretsExpireAt: { signingSecret: at.toISOString() } })
  expect(connection.expiresAt).toBe(at.toISOString())
  const target = await addExport(connection.id)
  const later = await addConnection({
    secretsExpireAt: { signingSecret: new Date(Date.now() + shift + 60 * DAY).toISOString() },
  })
  const risks = (await client.connections.atRisk()).items
  expect(risks.find(({ id }) => id === connection.id)).toMatchObject({
    why: 'expiring',
    expiresAt: at.toISOString(),
    exports: [{ id: target.id }],
  })
  expect(risks.map(({ id }) => id)).not.toContain(later.id)
  shift += 1.1 * HOUR
  const about = async () =>
    (await client.notifications.list()).items.filter(({ cause }) => cause === `connection-expiring:${connection.id}`)
  await until(async () => (await about()).map(({ phase }) => phase)).toEqual(['raised'])
  shift += 1.1 * HOUR
  // Another secret, of which nobody said that it ends.
  const renewed = await client.connections.edit({
    params: { connection: connection.id },
    body: { secrets: { signingSecret: SECRET } },
  })
  expect(renewed.expiresAt).toBeNull()
  shift += 1.1 * HOUR
  await until(async () => (await about()).map(({ phase }) => phase)).toEqual(['recovered', 'raised'])
  const wrong = addConnection({ secretsExpireAt: { token: at.toISOString() } })
  await expect(wrong).rejects.toMatchObject({ status: 400, path: 'secretsExpireAt.token' })
})

test('a check of what was changed meanwhile is not written down', async () => {
  const connection = await addConnection()
  await until(() => healthOf(connection.id)).toBe('healthy')
  status = 401
  let edited: Promise<unknown> | undefined
  receiver.prependOnceListener('request', () => {
    edited = client.connections.edit({ params: { connection: connection.id }, body: { name: 'Changed' } })
  })
  await client.connections.check({ params: { connection: connection.id } })
  await edited
  expect((await checksOf(connection.id)).filter(({ startedBy }) => startedBy === 'person')).toEqual([])
})

test('of many servers one looks at a connection that is due', async () => {
  const { db } = patchbay.store
  await sql`UPDATE connection SET check_due_at = NULL`.execute(db)
  const connection = await addConnection()
  await until(() => healthOf(connection.id)).toBe('healthy')
  const before = (await checksOf(connection.id)).length
  const now = new Date(Date.now() + shift + DAY)
  await sql`UPDATE connection SET check_due_at = ${now}, used_by = 1 WHERE id = ${connection.id}`.execute(db)
  const claims = await Promise.all(
    Array.from({ length: 8 }, () => db.transaction().execute((tx) => claimDueCheck(tx, now, 0.5))),
  )
  expect(claims.filter((claim) => claim !== undefined)).toEqual([{ id: connection.id, startedBy: 'clock' }])
  expect(await checksOf(connection.id)).toHaveLength(before)
})

test('health is nothing that a Contributor sees', async () => {
  const contributor = patchbay.clientOf(await patchbay.keyOf('Contributor'))
  for (const call of [
    contributor.connections.atRisk(),
    contributor.connections.checks({ params: { connection: 'x' } }),
  ]) {
    await expect(call).rejects.toBeInstanceOf(ApiProblem)
    await expect(call).rejects.toMatchObject({ status: 403 })
  }
  expect(await kindsOf()).not.toEqual([])
  expect((await contributor.notifications.list()).items).toEqual([])
})
