/** Connections that name a secret of a key vault, over the API, with both vaults on loopback. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Client } from '@patchbay/contract'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { AZURE, startAzureKeyVault, startHashiCorpVault, VAULT, type FakeVault } from '../test-support/fake-vaults.ts'
import { CUSTOMERS, openTestPatchbay, type TestPatchbay } from '../test-support/test-patchbay.ts'

const TOKEN = 'token-that-only-the-vault-holds'
const SIGNING = `whsec_${Buffer.alloc(32, 7).toString('base64')}`

let patchbay: TestPatchbay
let client: Client
let receiver: Server
let received: (string | undefined)[] = []
let hashiCorp: FakeVault
let azure: FakeVault
let count = 0

beforeAll(async () => {
  patchbay = await openTestPatchbay({}, { PATCHBAY_ALLOW_HOSTS: '127.0.0.1' })
  client = patchbay.client
  receiver = createServer((request, response) => {
    received.push(request.headers.authorization)
    request.resume()
    response.end('{"answers":[]}')
  })
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
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
  receiver.close()
  receiver.closeAllConnections()
})
beforeEach(async () => {
  count += 1
  received = []
  hashiCorp = await startHashiCorpVault()
  azure = await startAzureKeyVault()
  hashiCorp.secrets.set('crm/hook', { token: TOKEN, signing: SIGNING })
  hashiCorp.secrets.set('single', { only: TOKEN })
  azure.secrets.set('hook-token', { value: TOKEN })
  azure.secrets.set('hook-signing', { value: SIGNING })
})
afterEach(async () => {
  await hashiCorp.stop()
  await azure.stop()
})

async function addHashiCorp(
  change: { readonly settings?: object; readonly secrets?: Record<string, string> } = {},
): Promise<string> {
  const settings = { url: hashiCorp.origin, roleId: VAULT.roleId, ...change.settings }
  const secrets = change.secrets ?? { secretId: VAULT.secretId }
  const body = { name: `Vault ${count}`, connectorId: 'hashicorp-vault', settings, secrets }
  return (await client.connections.add({ body })).id
}

async function addAzure(): Promise<string> {
  const settings = { url: azure.origin, authority: azure.origin, tenantId: AZURE.tenantId, clientId: AZURE.clientId }
  const secrets = { clientSecret: AZURE.clientSecret }
  const body = { name: `Azure ${count}`, connectorId: 'azure-key-vault', settings, secrets }
  return (await client.connections.add({ body })).id
}

async function addHook(
  fromVault: Record<string, { vault: string; name: string }>,
  secrets: Record<string, string> = {},
) {
  const settings = { url: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`, signIn: 'bearer' }
  return client.connections.add({
    body: { name: `Hook ${count}`, connectorId: 'webhook', settings, secrets, fromVault },
  })
}

const bothOf = (vault: string) => ({
  token: { vault, name: 'crm/hook#token' },
  signingSecret: { vault, name: 'crm/hook#signing' },
})
const check = (connection: string) => client.connections.check({ params: { connection } })

describe('a connection that names a secret', () => {
  test.each([
    ['AppRole', {}],
    ['a token', { settings: { signIn: 'token', roleId: null }, secrets: { token: VAULT.token } }],
  ] as const)('of HashiCorp Vault, signed in by %s, uses it and holds none', async (_way, change) => {
    const settings = Object.fromEntries(
      Object.entries('settings' in change ? change.settings : {}).filter(([, value]) => value !== null),
    )
    const vault = await addHashiCorp({ ...change, settings })
    expect(await check(vault)).toMatchObject({ ok: true })
    const hook = await addHook(bothOf(vault))
    expect(hook).toMatchObject({ secretsSet: ['signingSecret', 'token'] })
    expect(hook.vaultSecrets).toContainEqual({ field: 'token', vault, name: 'crm/hook#token' })
    expect(await check(hook.id)).toMatchObject({ ok: true })
    expect(received).toEqual([`Bearer ${TOKEN}`])
    const rows = await patchbay.store.db
      .selectFrom('secret')
      .select('sealed')
      .where('connection_id', '=', hook.id)
      .execute()
    expect(rows.map(({ sealed }) => sealed)).toEqual(['', ''])
    expect(hashiCorp.asked.every((asked) => /^(?:GET|POST \/v1\/auth\/approle\/login)/.test(asked))).toBe(true)
  })

  test('of Azure Key Vault as well, with its names listed over all pages', async () => {
    const vault = await addAzure()
    expect(await check(vault)).toMatchObject({ ok: true })
    for (let index = 0; index < 60; index += 1) azure.secrets.set(`more-${index}`, { value: 'x' })
    const { names } = await client.connections.vaultSecrets({ params: { connection: vault } })
    expect(names).toHaveLength(62)
    const hook = await addHook({ token: { vault, name: 'hook-token' }, signingSecret: { vault, name: 'hook-signing' } })
    expect(await check(hook.id)).toMatchObject({ ok: true })
    expect(received).toEqual([`Bearer ${TOKEN}`])
  })

  test('is read anew at each use, and one alone needs no key', async () => {
    const vault = await addHashiCorp()
    const hook = await addHook({ ...bothOf(vault), token: { vault, name: 'single' } })
    await check(hook.id)
    hashiCorp.secrets.set('single', { only: 'another-token-by-now' })
    await check(hook.id)
    expect(received).toEqual([`Bearer ${TOKEN}`, 'Bearer another-token-by-now'])
    expect((await client.connections.vaultSecrets({ params: { connection: vault } })).names).toEqual(['crm/', 'single'])
    const below = await client.connections.vaultSecrets({ params: { connection: vault }, query: { folder: 'crm/' } })
    expect(below.names).toEqual(['crm/hook'])
  })

  test('cannot be turned back, but may name another', async () => {
    const vault = await addHashiCorp()
    const hook = await addHook(bothOf(vault))
    const edit = (body: object) => client.connections.edit({ params: { connection: hook.id }, body })
    await expect(edit({ secrets: { token: 'typed' } })).rejects.toMatchObject({
      code: 'conflict',
      path: 'secrets.token',
    })
    const after = await edit({ fromVault: { token: { vault, name: 'single' } } })
    expect(after.vaultSecrets).toContainEqual({ field: 'token', vault, name: 'single' })
    await expect(
      edit({ secrets: { token: 'typed' }, fromVault: { token: { vault, name: 'single' } } }),
    ).rejects.toMatchObject({
      code: 'invalid',
      path: 'fromVault.token',
    })
    // A rotation of the key finds nothing of it to seal anew.
    await client.system.rotateKey()
    for (let now = await client.system.keyRotation(); now.isRunning; now = await client.system.keyRotation());
    expect(await client.system.keyRotation()).toMatchObject({ waiting: 0, unopened: 0 })
    expect(await check(hook.id)).toMatchObject({ ok: true })
  })

  test('a vault that is used is not removed, and what is no vault is not named', async () => {
    const vault = await addHashiCorp()
    const hook = await addHook({ token: { vault, name: 'single' } }, { signingSecret: SIGNING })
    const confirmed = async (connection: string) => client.connections.dependents({ params: { connection } })
    const removing = {
      params: { connection: vault },
      body: { confirmed: (await confirmed(vault)).token, removeExports: [] },
    }
    await expect(client.connections.remove(removing as never)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining(hook.name) as string,
    })
    await expect(addHook({ token: { vault: hook.id, name: 'x' } }, { signingSecret: SIGNING })).rejects.toMatchObject({
      code: 'conflict',
    })
    const edit = client.connections.edit({
      params: { connection: hook.id },
      body: { fromVault: { token: { vault: hook.id, name: 'x' } } },
    })
    await expect(edit).rejects.toMatchObject({ code: 'invalid', path: 'fromVault.token.vault' })
  })
})

describe('a vault that does not give it', () => {
  test.each([
    ['a missing secret', () => hashiCorp.secrets.delete('crm/hook'), /has no such secret any more/],
    ['a deleted version', () => hashiCorp.secrets.set('crm/hook', 'deleted'), /has no such secret any more/],
    ['a missing key in it', () => hashiCorp.secrets.set('crm/hook', { other: 'x' }), /has no such secret any more/],
    ['a sealed vault', () => (hashiCorp.mode = 'sealed'), /cannot be reached, or is sealed/],
    ['an odd answer', () => (hashiCorp.mode = 'odd'), /cannot be reached, or is sealed/],
    ['a refused token', () => (hashiCorp.mode = 'refusing'), /refused the sign-in/],
  ])('%s stops the run before its first row, and is said without where and what', async (_what, spoil, reason) => {
    const vault = await addHashiCorp()
    const hook = await addHook(bothOf(vault))
    const target = await client.exports.add({
      body: {
        name: `Out ${count}`,
        connection: hook.id,
        destination: {},
        mode: 'upsert',
        source: { kind: 'data-out', tables: [{ table: 'customers' }] },
      },
    })
    spoil()
    const { steps } = await check(hook.id)
    expect(steps.at(-1)).toMatchObject({ ok: false, message: expect.stringMatching(reason) as string })
    const started = await client.exports.run({ params: { export: target.id } })
    await patchbay.startWorker({ withSchedules: false })
    for (;;) {
      const run = await client.runs.show({ params: { run: started.id } })
      if (run.status === 'failed' || run.status === 'failed-retrying') {
        expect(run.reason).toMatch(reason)
        expect(run.reason).not.toMatch(/crm|127\.0\.0\.1/)
        break
      }
      expect(['queued', 'running']).toContain(run.status)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    await client.runs.cancel({ params: { run: started.id } }).catch(() => undefined)
    expect(received).toEqual([])
  })

  test('a name that leads elsewhere asks for nothing', async () => {
    const vault = await addHashiCorp()
    const hook = await addHook({ ...bothOf(vault), token: { vault, name: '../../sys/raw/x#y' } })
    expect((await check(hook.id)).ok).toBe(false)
    expect(hashiCorp.asked.filter((asked) => asked.includes('sys'))).toEqual([])
  })
})
