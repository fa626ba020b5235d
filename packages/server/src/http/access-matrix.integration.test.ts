/** Made from the contract: an endpoint that is added is in it, and one whose permission is wrong fails here. */
import { listEndpoints, PERMISSIONS_OF, ROLES } from '@patchbay/contract'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openTestPatchbay, type TestPatchbay } from '../test-support/test-patchbay.ts'

const IDS: Readonly<Record<string, string>> = {
  run: `run_${'a'.repeat(20)}`,
  upload: `upl_${'a'.repeat(20)}`,
  key: `key_${'a'.repeat(20)}`,
  user: `usr_${'a'.repeat(20)}`,
  invitation: `lnk_${'a'.repeat(20)}`,
}
const ENDPOINTS = listEndpoints().map(({ id, path, endpoint }) => ({
  id,
  endpoint,
  path: path.replaceAll(/\{([a-z]+)\}/g, (_, name: string) => IDS[name] ?? 'nothing-of-this-name'),
}))

let patchbay: TestPatchbay
beforeAll(async () => {
  patchbay = await openTestPatchbay()
})
afterAll(() => patchbay.remove())

async function statusFor(at: (typeof ENDPOINTS)[number], key: string | undefined): Promise<number> {
  const { method } = at.endpoint
  const response = await patchbay.send(at.path, {
    method,
    ...(key === undefined ? {} : { key }),
    headers: { 'if-match': '*' },
    ...(at.endpoint.body === undefined ? {} : { body: {} }),
  })
  await response.body?.cancel()
  return response.status
}

/** Signing in and what it needs: open to anybody, and to anybody's mistakes. */
const OPEN = ENDPOINTS.filter(({ endpoint }) => endpoint.permission === 'anyone')

test('what is open to anybody is signing in, and nothing else', () => {
  expect(OPEN.map(({ id }) => id)).toEqual([
    'session.open',
    'session.close',
    'owner.claim',
    'invitations.accept',
    'invitations.setPassword',
  ])
})

test.each(OPEN)('$id: gives nobody anything for nothing', async (at) => {
  expect([204, 400]).toContain(await statusFor(at, undefined))
})

test.each(ENDPOINTS.filter((at) => !OPEN.includes(at)))('$id: nobody, and nobody who guesses, gets in', async (at) => {
  expect(await statusFor(at, undefined)).toBe(401)
  expect(await statusFor(at, `pbk_${'A'.repeat(43)}`)).toBe(401)
  expect(await statusFor(at, 'Administrator')).toBe(401)
})

test.each(ROLES.flatMap((role) => ENDPOINTS.map((at) => ({ role, id: at.id, at }))))(
  '$role: $id',
  async ({ role, at }) => {
    const isAllowed = PERMISSIONS_OF[role].has(at.endpoint.permission)
    const status = await statusFor(at, await patchbay.keyOf(role))
    // A key has no sessions of its own.
    if (at.id === 'me.signOutEverywhere') expect(status).toBe(403)
    else if (isAllowed) expect([401, 403, 500]).not.toContain(status)
    else expect(status).toBe(403)
  },
)

test('a refusal says nothing of what is there', async () => {
  const there = await patchbay.send('/api/v1/connections/x', { key: await patchbay.keyOf('Viewer') })
  const problem = (await there.json()) as { code: string; detail: string }
  expect(problem).toMatchObject({ code: 'not-allowed', detail: expect.not.stringContaining('x"') as string })
})

test('a key that was removed or has ended is nobody', async () => {
  const { key, apiKey } = await patchbay.client.keys.add({ body: { name: 'Short', role: 'Viewer', expiresInDays: 1 } })
  expect((await patchbay.send('/api/v1/tables', { key })).status).toBe(200)
  await patchbay.client.keys.remove({ params: { key: apiKey.id } })
  expect((await patchbay.send('/api/v1/tables', { key })).status).toBe(401)
})

test('no header makes a network request the operator', async () => {
  for (const headers of [
    { 'x-forwarded-for': '127.0.0.1' },
    { host: 'localhost' },
    { door: 'operator' },
    { 'x-door': 'operator', 'x-patchbay-door': 'operator' },
    { authorization: 'operator' },
    { authorization: 'Bearer operator' },
    { cookie: 'door=operator' },
  ])
    expect((await patchbay.send('/api/v1/tables', { headers })).status).toBe(401)
  const bare = await patchbay.app.request('/api/v1/tables')
  expect(bare.status).toBe(401)
})

test('a Contributor reaches no export over a connection that is not shared', async () => {
  const key = await patchbay.keyOf('Contributor')
  const connection = await patchbay.client.connections.add({
    body: { name: 'Unshared', connectorId: 'local-folder', settings: { path: patchbay.fileRoot } },
  })
  const body = {
    name: 'Mine',
    connection: connection.id,
    mode: 'replace',
    source: { kind: 'data-out', tables: [{ table: 'any' }] },
  }
  const response = await patchbay.send('/api/v1/exports', { method: 'POST', key, body })
  // As if it did not exist: its name is nothing that they may find out.
  expect(response.status).toBe(404)
})
