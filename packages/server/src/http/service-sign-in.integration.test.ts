/** Signing connections in at a real OpenID provider on loopback, over the API. */
import type { Client, Run } from '@patchbay/contract'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { oauthConnector } from '../test-support/oauth-connector.ts'
import { CLIENT, startOidcServer, type OidcServer } from '../test-support/oidc-server.ts'
import { CUSTOMERS, openTestPatchbay, type TestPatchbay } from '../test-support/test-patchbay.ts'

const PUBLIC = 'http://patchbay.example'
const HOUR_MS = 3_600_000

let service: OidcServer
let patchbay: TestPatchbay
let client: Client
/** Added to the clock of this Patchbay; the provider's own goes on. */
let ahead = 0
let connection: string

beforeAll(async () => {
  service = await startOidcServer(`${PUBLIC}/oauth/callback`)
  patchbay = await openTestPatchbay(
    { connectors: [oauthConnector()], now: () => new Date(Date.now() + ahead) },
    { PATCHBAY_ALLOW_HOSTS: '127.0.0.1', PATCHBAY_PUBLIC_URL: PUBLIC },
  )
  client = patchbay.client
  await client.tables.import({
    body: {
      uploads: [await patchbay.upload('customers.csv', CUSTOMERS)],
      name: 'customers',
      key: 'id',
      isProfile: true,
    },
  })
})
afterAll(async () => {
  await patchbay.remove()
  await service.stop()
})
let count = 0
beforeEach(async () => {
  connection = (
    await client.connections.add({
      body: {
        name: `Example ${(count += 1)}`,
        connectorId: 'oauth-example',
        settings: { url: service.origin, clientId: CLIENT.id },
        secrets: { clientSecret: CLIENT.secret },
      },
    })
  ).id
})
afterEach(() => {
  ahead = 0
  service.person = 'ada'
  service.answer = 'agree'
  service.onToken = () => undefined
  for (const name of Object.keys(service.asked)) delete service.asked[name]
})

type AttemptId = Awaited<ReturnType<Client['serviceSignIns']['start']>>['id']

const params = (): { readonly connection: string } => ({ connection })
const show = () => client.serviceSignIns.show({ params: params() })
const callback = async (back: URL): Promise<number> => (await patchbay.send(`${back.pathname}${back.search}`)).status
const check = () => client.connections.check({ params: params() })

/** As the browser does, up to the callback; gives the attempt. */
async function consent(by: Client = client): Promise<AttemptId> {
  const { id, address } = await by.serviceSignIns.start({ params: params() })
  expect(await callback(await service.browse(address))).toBe(200)
  return id
}

async function signIn(): Promise<void> {
  const attempt = await consent()
  await client.serviceSignIns.finish({ params: params(), body: { attempt } })
}

const problem = (code: string, message: RegExp) => ({ code, message: expect.stringMatching(message) as string })

describe('signing in', () => {
  test('keeps who consented, shows it, and signs requests with the token', async () => {
    expect(await show()).toMatchObject({ state: 'nobody', account: null, attempt: null })
    const before = await check()
    expect(before.steps.at(-1)).toMatchObject({
      ok: false,
      step: 'signed-in',
      message: expect.stringMatching(/Nobody has signed in/) as string,
    })

    const { id, address, expiresAt } = await client.serviceSignIns.start({ params: params() })
    const sent = new URL(address).searchParams
    expect(Object.fromEntries(sent)).toMatchObject({
      response_type: 'code',
      redirect_uri: `${PUBLIC}/oauth/callback`,
      code_challenge_method: 'S256',
      scope: 'openid offline_access',
      prompt: 'consent',
    })
    expect(sent.get('state')).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(new Date(expiresAt).getTime() - Date.now()).toBeLessThanOrEqual(10 * 60_000)
    expect(await show()).toMatchObject({ state: 'nobody', attempt: { id, step: 'started' } })

    expect(await callback(await service.browse(address))).toBe(200)
    expect(await show()).toMatchObject({ state: 'nobody', attempt: { id, step: 'answered' } })
    const done = await client.serviceSignIns.finish({ params: params(), body: { attempt: id } })
    expect(done).toMatchObject({
      state: 'signed-in',
      account: { id: 'ada', name: 'Name of ada' },
      signedInBy: 'command line',
      attempt: null,
      exportsAtRisk: [],
    })
    expect(Math.round((new Date(done.expiresAt ?? 0).getTime() - Date.now()) / 86_400_000)).toBe(30)
    expect(await check()).toMatchObject({ ok: true })
    const { items } = await client.audit.list({ query: {} })
    expect(items[0]).toMatchObject({ action: 'connection.signed-in', subject: connection, detail: { account: 'ada' } })
  })

  test('asks before it takes another account, and names both', async () => {
    await signIn()
    service.person = 'grace'
    const attempt = await consent()
    const finish = (takeAccount?: string) =>
      client.serviceSignIns.finish({
        params: params(),
        body: { attempt, ...(takeAccount === undefined ? {} : { takeAccount }) },
      })
    const asks = problem(
      'conflict',
      /as "Name of grace" \(grace\), and this connection is that of "Name of ada" \(ada\)/,
    )
    await expect(finish()).rejects.toMatchObject(asks)
    await expect(finish('ada')).rejects.toMatchObject(asks)
    expect(await show()).toMatchObject({ account: { id: 'ada' } })
    expect(await check()).toMatchObject({ ok: true })

    // No second consent: what was agreed to waits, and is taken once.
    expect(await finish('grace')).toMatchObject({ state: 'signed-in', account: { id: 'grace' } })
    await expect(finish('grace')).rejects.toMatchObject(problem('not-found', /no such attempt/))
    const { items } = await client.audit.list({ query: {} })
    expect(items[0]).toMatchObject({ action: 'connection.signed-in', detail: { account: 'grace', inPlaceOf: 'ada' } })
  })

  test('the same account again asks nothing', async () => {
    await signIn()
    await signIn()
    expect(await show()).toMatchObject({ state: 'signed-in', account: { id: 'ada' } })
  })

  test('says what the service refused, and keeps what was there', async () => {
    await signIn()
    service.answer = 'refuse'
    const attempt = await consent()
    const finish = client.serviceSignIns.finish({ params: params(), body: { attempt } })
    await expect(finish).rejects.toMatchObject(
      problem('not-ready', /^Example service did not agree \(access_denied\)$/),
    )
    expect(await show()).toMatchObject({ state: 'signed-in', attempt: { step: 'failed' } })
  })

  test('is not finished before the service answered', async () => {
    const { id } = await client.serviceSignIns.start({ params: params() })
    const finish = client.serviceSignIns.finish({ params: params(), body: { attempt: id } })
    await expect(finish).rejects.toMatchObject(problem('not-ready', /^Example service has not answered yet$/))
  })

  test('a connection that signs in without a person has nothing to start', async () => {
    await client.connections.edit({ params: params(), body: { settings: { signIn: 'key' } } })
    expect(await show()).toMatchObject({ state: 'not-used' })
    await expect(client.serviceSignIns.start({ params: params() })).rejects.toMatchObject(
      problem('invalid', /does not sign in as somebody/),
    )
  })
})

/** What comes back is changed on its way, and where it stops. */
const CHANGES: readonly (readonly [string, (back: URL) => void, 'callback' | 'finish'])[] = [
  ['a foreign issuer', (back) => back.searchParams.set('iss', 'https://evil.example'), 'finish'],
  ['no issuer', (back) => back.searchParams.delete('iss'), 'finish'],
  ['a code of somebody else', (back) => back.searchParams.set('code', 'stolen'), 'finish'],
  ['no code', (back) => back.searchParams.delete('code'), 'finish'],
  ['a code that is too long', (back) => back.searchParams.set('code', 'x'.repeat(5000)), 'finish'],
  ['two codes', (back) => back.searchParams.append('code', 'x'), 'callback'],
  ['a guessed state', (back) => back.searchParams.set('state', 'A'.repeat(43)), 'callback'],
  ['a state of another form', (back) => back.searchParams.set('state', '../..'), 'callback'],
  ['two states', (back) => back.searchParams.append('state', 'x'), 'callback'],
  ['nothing', (back) => void (back.search = ''), 'callback'],
]

describe('an answer that is not what was asked for', () => {
  test('a state is used once, is of one connection, and ends', async () => {
    const { id, address } = await client.serviceSignIns.start({ params: params() })
    const back = await service.browse(address)
    ahead = 10 * 60_000 + 1
    expect(await callback(back)).toBe(400)
    ahead = 0
    expect(await callback(back)).toBe(200)
    expect(await callback(back)).toBe(400)
    const other = await client.connections.add({
      body: {
        name: `Other ${count}`,
        connectorId: 'oauth-example',
        settings: { url: service.origin, clientId: 'x' },
        secrets: { clientSecret: 'y' },
      },
    })
    const finish = client.serviceSignIns.finish({ params: { connection: other.id }, body: { attempt: id } })
    await expect(finish).rejects.toMatchObject(problem('not-found', /no such attempt/))
  })

  test('a new start makes the one before it worthless', async () => {
    const first = await client.serviceSignIns.start({ params: params() })
    const back = await service.browse(first.address)
    await client.serviceSignIns.start({ params: params() })
    expect(await callback(back)).toBe(400)
  })

  test('only whoever started it finishes it: another key does not, nor the operator', async () => {
    const add = (name: string) => client.keys.add({ body: { name: `${name} ${count}`, role: 'Administrator' } })
    const [mine, yours] = [patchbay.clientOf((await add('mine')).key), patchbay.clientOf((await add('yours')).key)]
    const attempt = await consent(mine)
    for (const other of [yours, client])
      await expect(other.serviceSignIns.finish({ params: params(), body: { attempt } })).rejects.toMatchObject(
        problem('not-found', /somebody else started it/),
      )
    expect(await yours.serviceSignIns.show({ params: params() })).toMatchObject({ attempt: null })
    expect(await mine.serviceSignIns.finish({ params: params(), body: { attempt } })).toMatchObject({
      state: 'signed-in',
    })
  })

  test.each(CHANGES)('%s gets nowhere', async (_name, change, stops) => {
    const { id, address } = await client.serviceSignIns.start({ params: params() })
    const back = await service.browse(address)
    change(back)
    expect(await callback(back)).toBe(stops === 'callback' ? 400 : 200)
    const finish = client.serviceSignIns.finish({ params: params(), body: { attempt: id } })
    await expect(finish).rejects.toMatchObject(problem('not-ready', /./))
    expect(await show()).toMatchObject({ state: 'nobody' })
  })

  test('the page after the callback repeats nothing of what was sent', async () => {
    const response = await patchbay.send('/oauth/callback?state=<script>alert(1)</script>&error=evil-word')
    const page = await response.text()
    expect(page).not.toMatch(/script|evil-word/)
    expect(response.headers.get('content-security-policy')).toMatch(/default-src 'none'/)
  })

  test('a connection that was pointed elsewhere meanwhile takes nothing of it, and a moved one forgets its sign-in', async () => {
    await signIn()
    const attempt = await consent()
    await client.connections.edit({
      params: params(),
      body: { settings: { url: 'http://127.0.0.1:9' }, secrets: { clientSecret: CLIENT.secret } },
    })
    const finish = client.serviceSignIns.finish({ params: params(), body: { attempt } })
    await expect(finish).rejects.toMatchObject(problem('not-found', /no such attempt/))
    expect(await show()).toMatchObject({ state: 'nobody' })
    expect(service.asked['authorization_code']).toBe(1)
  })

  test('without a public address nobody is sent anywhere', async () => {
    const other = await openTestPatchbay({ connectors: [oauthConnector()] }, { PATCHBAY_ALLOW_HOSTS: '127.0.0.1' })
    try {
      const { id } = await other.client.connections.add({
        body: {
          name: 'A',
          connectorId: 'oauth-example',
          settings: { url: service.origin, clientId: 'a' },
          secrets: { clientSecret: 'b' },
        },
      })
      await expect(other.client.serviceSignIns.start({ params: { connection: id } })).rejects.toMatchObject(
        problem('not-ready', /does not know at which address/),
      )
    } finally {
      await other.remove()
    }
  })
})

describe('a token that runs out', () => {
  test('is refreshed before it does, once for all who ask at the same time', async () => {
    await signIn()
    ahead = HOUR_MS - 30_000
    const checks = await Promise.all(Array.from({ length: 20 }, check))
    expect(checks.every(({ ok }) => ok)).toBe(true)
    expect(service.asked['refresh_token']).toBe(1)
    // The new one holds; the old refresh token is not used again, or the provider would have ended it all.
    ahead += HOUR_MS
    expect(await check()).toMatchObject({ ok: true })
    expect(service.asked['refresh_token']).toBe(2)
  })

  test('one that the service ended early is refreshed at the 401, and the request goes again', async () => {
    await signIn()
    await service.endAccessTokens()
    expect(await check()).toMatchObject({ ok: true })
    expect(service.asked['refresh_token']).toBe(1)
  })

  test('a refused refresh marks the connection, names who has to act, and stops its runs', async () => {
    await signIn()
    const target = await client.exports.add({
      body: {
        name: `Out ${count}`,
        connection,
        destinationType: 'list',
        destination: {},
        mode: 'upsert',
        source: { kind: 'segment', segments: [], fields: [{ to: 'email', from: 'email', identifier: true }] },
      },
    })
    await service.revoke()
    ahead = 2 * HOUR_MS
    const run: Run = await patchbay.ended(await client.exports.run({ params: { export: target.id } }))
    expect(run).toMatchObject({
      status: 'failed',
      reason: expect.stringMatching(/An Administrator has to sign in to Example service again/) as string,
    })
    expect(await show()).toMatchObject({
      state: 'sign-in-again',
      reason: 'Example service refused it (invalid_grant)',
      account: { id: 'ada' },
      exportsAtRisk: [{ id: target.id }],
    })
    const { items } = await client.serviceSignIns.atRisk({ query: {} })
    expect(items).toContainEqual(
      expect.objectContaining({
        connection: expect.objectContaining({ id: connection }) as object,
        state: 'sign-in-again',
      }),
    )
    // Nobody asks the service again until a person has.
    await check()
    expect(service.asked['refresh_token']).toBe(1)
    await signIn()
    expect(await check()).toMatchObject({ ok: true })
  })

  test('an answer that was cut off after the service had rotated ends in "sign in again", and says why', async () => {
    await signIn()
    ahead = HOUR_MS
    service.onToken = (grantType) => {
      if (grantType === 'refresh_token') throw new Error('cut')
    }
    // It still held, so the request went through with the old one.
    ahead = 2 * HOUR_MS
    expect((await check()).steps.at(-1)).toMatchObject({ ok: false })
    service.onToken = () => undefined
    expect((await check()).steps.at(-1)).toMatchObject({
      ok: false,
      message: expect.stringMatching(/sign in to Example service again\. An earlier refresh was cut off/) as string,
    })
    expect(await show()).toMatchObject({ state: 'sign-in-again', reason: expect.stringMatching(/cut off/) as string })
  })

  test('an expiry that is near is said ahead of time, with the exports at risk', async () => {
    await signIn()
    expect((await client.serviceSignIns.atRisk({ query: {} })).items.map((item) => item.connection.id)).not.toContain(
      connection,
    )
    ahead = 20 * 86_400_000
    const { items } = await client.serviceSignIns.atRisk({ query: {} })
    expect(items).toContainEqual(
      expect.objectContaining({
        state: 'signed-in',
        connection: expect.objectContaining({ id: connection }) as object,
      }),
    )
  })

  test('what was forgotten has to be signed in anew', async () => {
    await signIn()
    await client.serviceSignIns.forget({ params: params() })
    expect(await show()).toMatchObject({ state: 'nobody' })
    expect((await check()).steps.at(-1)).toMatchObject({ ok: false })
  })
})

test('an application signs in by itself, and asks for one token for all of its requests', async () => {
  await client.connections.edit({ params: params(), body: { settings: { signIn: 'machine' } } })
  const checks = await Promise.all(Array.from({ length: 10 }, check))
  // The provider's own /me is for people: it knows the token, and refuses it with 401 or 403.
  expect(checks.map(({ steps }) => steps.at(-1)?.step)).toEqual(Array.from({ length: 10 }, () => 'signed-in'))
  expect(service.asked['client_credentials']).toBeGreaterThan(0)
  expect(service.asked['client_credentials']).toBeLessThanOrEqual(2)
})

test('a wrong client secret names its field', async () => {
  await client.connections.edit({
    params: params(),
    body: { settings: { signIn: 'machine' }, secrets: { clientSecret: 'wrong-secret-of-the-client' } },
  })
  expect((await check()).steps.at(-1)).toMatchObject({
    ok: false,
    field: 'clientSecret',
    message: expect.stringMatching(/invalid_client/) as string,
  })
})
