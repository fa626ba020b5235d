/** The rules of connections that hold from the first day: I1 (write-only secrets), retargeting, pins, removal. */
import { randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ApiProblem, connectionSchema, listEndpoints } from '@patchbay/contract'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { makeWorld, openTestPatchbay, type TestPatchbay } from '../test-support/test-patchbay.ts'

const CANARY = `whsec_${randomBytes(32).toString('base64')}`
const TOKEN = `tok-${randomBytes(24).toString('hex')}`

let patchbay: TestPatchbay
let sink: Server
let seen = ''
let url = ''
beforeAll(async () => {
  sink = createServer((request, response) => {
    seen += `${request.url ?? ''} ${JSON.stringify(request.headers)}`
    request.on('data', (piece: Buffer) => (seen += piece.toString('utf8')))
    request.on('end', () => response.end('{}'))
  })
  await new Promise<void>((resolve) => sink.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(sink.address() as AddressInfo).port}/in`
  patchbay = await openTestPatchbay({}, { PATCHBAY_ALLOW_HOSTS: '127.0.0.1' })
  await makeWorld(patchbay)
})
afterAll(async () => {
  sink.close()
  await patchbay.remove()
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
async function addHook(settings: Record<string, string> = {}) {
  count += 1
  return patchbay.client.connections.add({
    body: {
      name: `Hook ${count}`,
      connectorId: 'webhook',
      settings: { url, signIn: 'bearer', ...settings },
      secrets: { signingSecret: CANARY, token: TOKEN },
    },
  })
}

test('no answer of the contract has a field that could hold a secret', () => {
  expect(Object.keys(connectionSchema.shape)).not.toContain('secrets')
  for (const { id, endpoint } of listEndpoints()) {
    if (!(endpoint.response instanceof z.ZodType)) continue
    const text = JSON.stringify(z.toJSONSchema(endpoint.response, { unrepresentable: 'any' }))
    expect([id, text.includes('"secrets"')]).toEqual([id, false])
  }
})

test('a stored secret is in no answer, list, audit entry, error or dump', async () => {
  const { client } = patchbay
  const added = await addHook()
  expect(added.secretsSet).toEqual(['signingSecret', 'token'])
  const params = { connection: added.id }
  await client.connections.check({ params }).catch(() => undefined)
  const wrong = await problemOf(
    client.connections.add({
      body: {
        name: 'x',
        connectorId: 'webhook',
        settings: { url: 'no' },
        secrets: { signingSecret: CANARY, token: `${TOKEN}\u0007` },
      },
    }),
  )
  const misplaced = await problemOf(client.connections.edit({ params, body: { settings: { token: TOKEN } } }))
  const answers = [
    added,
    wrong.message,
    misplaced.message,
    await client.connections.show({ params }),
    await client.connections.list(),
    await client.connections.dependents({ params }),
    await client.audit.list(),
    await client.system.show(),
    (await patchbay.store.queueDatabase.executeSql('SELECT to_jsonb(c) AS row FROM connection AS c')).rows,
    (await patchbay.store.queueDatabase.executeSql('SELECT to_jsonb(s) AS row FROM secret AS s')).rows,
    (await patchbay.store.queueDatabase.executeSql('SELECT to_jsonb(i) AS row FROM idempotency AS i')).rows,
  ]
  const text = JSON.stringify(answers)
  for (const secret of [CANARY, TOKEN, CANARY.slice(6)]) {
    expect(text).not.toContain(secret)
    expect(text).not.toContain(Buffer.from(secret).toString('base64').slice(4, -4))
    expect(text).not.toContain(Buffer.from(secret).toString('hex'))
  }
})

test('what a connector does not declare is refused by its name', async () => {
  const body = { name: 'Bad', connectorId: 'webhook', settings: { url }, secrets: { signingSecret: CANARY } }
  const add = (change: object) => problemOf(patchbay.client.connections.add({ body: { ...body, ...change } }))
  expect(await add({ connectorId: 'nothing' })).toMatchObject({ status: 400, path: 'connectorId' })
  expect(await add({ settings: { url, rejectUnauthorized: false } })).toMatchObject({
    path: 'settings.rejectUnauthorized',
  })
  expect(await add({ settings: {} })).toMatchObject({ path: 'settings.url' })
  expect(await add({ settings: { url: 7 } })).toMatchObject({ path: 'settings.url' })
  expect(await add({ settings: { url, signingSecret: CANARY } })).toMatchObject({ path: 'settings.signingSecret' })
  expect(await add({ secrets: {} })).toMatchObject({ path: 'secrets.signingSecret' })
  expect(await add({ secrets: { signingSecret: CANARY, other: 'x' } })).toMatchObject({ path: 'secrets.other' })
  expect(await add({ pins: { hostKey: 'x' } })).toMatchObject({ path: 'pins.hostKey' })
  expect(await add({ settings: { url, constructor: 'x' } })).toMatchObject({ path: 'settings.constructor' })
})

test('a name in use is refused, whatever its case', async () => {
  const { name } = await addHook()
  const again = patchbay.client.connections.add({
    body: { name: name.toUpperCase(), connectorId: 'local-folder', settings: { path: patchbay.fileRoot } },
  })
  expect(await problemOf(again)).toMatchObject({ status: 409, path: 'name' })
})

test('a change of where asks for every secret again, and none was kept', async () => {
  const { client } = patchbay
  const { id } = await addHook()
  const params = { connection: id }
  const moved = { settings: { url: `${url}/elsewhere` } }
  expect(await problemOf(client.connections.edit({ params, body: moved }))).toMatchObject({
    path: 'secrets.signingSecret',
  })
  const half = { ...moved, secrets: { signingSecret: CANARY } }
  expect(await problemOf(client.connections.edit({ params, body: half }))).toMatchObject({ path: 'secrets.token' })
  expect((await client.connections.show({ params })).settings['url']).toBe(url)
  const whole = { ...moved, secrets: { signingSecret: CANARY, token: 'another' } }
  expect((await client.connections.edit({ params, body: whole })).secretsSet).toEqual(['signingSecret', 'token'])
})

test('a change of anything else keeps the secrets, and what is no longer asked for is forgotten', async () => {
  const { client } = patchbay
  const { id } = await addHook()
  const params = { connection: id }
  const renamed = await client.connections.edit({ params, body: { name: `Renamed ${count}` } })
  expect(renamed.secretsSet).toEqual(['signingSecret', 'token'])
  const plain = await client.connections.edit({ params, body: { settings: { signIn: 'nothing' } } })
  expect(plain.secretsSet).toEqual(['signingSecret'])
})

// Incident 1 and abuse case B1: a stored secret sent to a host that somebody else has chosen.
test('a hostile address gets no stored secret, by edit, draft or swap in the store', async () => {
  const { client } = patchbay
  const { id } = await addHook({ url: 'https://example.invalid/in' })
  seen = ''
  const draft = { connectorId: 'webhook', settings: { url, signIn: 'bearer' }, secretsOf: id }
  expect(await problemOf(client.connections.checkDraft({ body: draft }))).toMatchObject({
    status: 409,
    path: 'settings.url',
  })
  const typed = { ...draft, secrets: { signingSecret: CANARY, token: 'mine' } }
  expect(await problemOf(client.connections.checkDraft({ body: typed }))).toMatchObject({ status: 409 })
  const { secretsOf: _none, ...bare } = draft
  expect(await problemOf(client.connections.checkDraft({ body: bare }))).toMatchObject({
    path: 'secrets.signingSecret',
  })
  await patchbay.store.queueDatabase.executeSql(
    `UPDATE connection SET settings = settings || jsonb_build_object('url', $1::text) WHERE id = $2`,
    [url, id],
  )
  const checked = await client.connections.check({ params: { connection: id } })
  expect(checked.ok).toBe(false)
  expect(JSON.stringify(checked)).not.toContain(TOKEN)
  expect(seen).toBe('')
})

test('a draft with the same address may use the stored secrets', async () => {
  const { id } = await addHook()
  seen = ''
  await patchbay.client.connections.checkDraft({
    body: { connectorId: 'webhook', settings: { url, signIn: 'bearer' }, secretsOf: id },
  })
  expect(seen).toContain(`Bearer ${TOKEN}`)
})

test('a check says which step failed, at which field, and the connection remembers it', async () => {
  const { client } = patchbay
  const { id } = await addHook({ url: 'http://169.254.169.254/latest' })
  const checked = await client.connections.check({ params: { connection: id } })
  expect(checked).toMatchObject({ ok: false, steps: [{ ok: false, field: 'url' }] })
  expect(await client.connections.show({ params: { connection: id } })).toMatchObject({ health: 'failing' })
})

test('only what the far end shows can be trusted', async () => {
  const { client } = patchbay
  const { id } = await addHook()
  const params = { connection: id }
  const trust = client.connections.trust({ params, body: { field: 'url', value: 'http://elsewhere' } })
  expect(await problemOf(trust)).toMatchObject({ status: 400, path: 'field' })
})

test('removal names what it detaches; that keeps everything and does not run', async () => {
  const { client } = patchbay
  const before = await client.exports.show({ params: { export: 'Customers out' } })
  const params = { connection: 'Folder' }
  const dependents = await client.connections.dependents({ params })
  expect(dependents).toMatchObject({
    exports: [{ id: before.id, name: 'Customers out', isScheduled: false, isRunning: false }],
    runsGoingOn: 0,
  })
  expect(await client.connections.remove({ params, body: { confirmed: dependents.token } })).toMatchObject({
    detached: [{ id: before.id, name: 'Customers out' }],
    removed: [],
    canceled: [],
  })
  const detached = await client.exports.show({ params: { export: before.id } })
  expect(detached).toMatchObject({
    connectionId: null,
    mode: before.mode,
    source: before.source,
    destination: before.destination,
  })
  expect(await problemOf(client.exports.run({ params: { export: before.id } }))).toMatchObject({
    status: 409,
    code: 'not-ready',
  })

  const hook = await addHook()
  const wrong = client.exports.edit({ params: { export: before.id }, body: { connection: hook.id } })
  expect(await problemOf(wrong)).toMatchObject({ status: 400 })
  const again = await client.connections.add({
    body: { name: 'Folder again', connectorId: 'local-folder', settings: { path: patchbay.fileRoot } },
  })
  const attached = await client.exports.edit({ params: { export: before.id }, body: { connection: again.id } })
  expect(attached.connectionId).toBe(again.id)
})
