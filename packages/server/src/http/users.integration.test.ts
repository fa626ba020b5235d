import { createHash } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Me } from '@patchbay/contract'
import { openTestPatchbay, type TestPatchbay } from '../test-support/test-patchbay.ts'

const PASSWORD = 'a quiet river in may'
const OTHER = 'nine green boxes fall'

let patchbay: TestPatchbay
let now = Date.now()
beforeEach(async () => {
  now = Date.now()
  patchbay = await openTestPatchbay({ now: () => new Date(now) })
})
afterEach(() => patchbay.remove())

interface Answer<T = unknown> {
  readonly status: number
  readonly body: T
  readonly cookie: string
  readonly setCookies: readonly string[]
  readonly headers: Headers
}

async function ask<T = unknown>(
  method: string,
  path: string,
  body?: unknown,
  cookie = '',
  headers: Record<string, string> = {},
): Promise<Answer<T>> {
  const response = await patchbay.send(`/api/v1${path}`, {
    method,
    headers: { ...(cookie === '' ? {} : { cookie }), ...headers },
    ...(body === undefined ? {} : { body }),
  })
  const text = await response.text()
  const setCookies = response.headers.getSetCookie()
  return {
    status: response.status,
    body: (text === '' ? undefined : JSON.parse(text)) as T,
    cookie: setCookies.map((one) => one.split(';')[0]).join('; '),
    setCookies,
    headers: response.headers,
  }
}

async function claimOwner(): Promise<Answer<Me>> {
  const token = await patchbay.makeOwnerLink()
  return ask<Me>('POST', '/owner', { token, name: 'Olga', email: 'Olga@Example.org', password: PASSWORD })
}

async function invited(role: string, email: string, by: string): Promise<Answer<Me>> {
  const { body } = await ask<{ link: string }>('POST', '/invitations', { email, role }, by)
  const token = new URL(body.link).hash.slice(1)
  return ask<Me>('POST', '/invitations/accept', { token, name: email.split('@')[0], password: OTHER })
}

describe('the first start', () => {
  test('makes one owner, however many come with the link at once', async () => {
    const token = await patchbay.makeOwnerLink()
    const answers = await Promise.all(
      Array.from({ length: 50 }, async (_, index) =>
        patchbay.app.fetch(
          new Request('http://patchbay/api/v1/owner', {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({ token, name: `N${index}`, email: `n${index}@example.org`, password: PASSWORD }),
          }),
          { door: 'network', address: `10.0.0.${index}` },
        ),
      ),
    )
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1)
    expect(answers.filter(({ status }) => status === 403)).toHaveLength(49)
    const { items } = await patchbay.client.users.list({})
    expect(items.map(({ isOwner, role }) => [isOwner, role])).toEqual([[true, 'Administrator']])
    expect(await patchbay.makeOwnerLink()).toBeUndefined()
  })

  test('has no other way in: an older link, one that has ended, or a guess', async () => {
    const first = await patchbay.makeOwnerLink()
    const second = await patchbay.makeOwnerLink()
    const claim = { name: 'Olga', email: 'o@example.org', password: PASSWORD }
    expect((await ask('POST', '/owner', { ...claim, token: first })).status).toBe(403)
    expect((await ask('POST', '/owner', { ...claim, token: 'A'.repeat(43) })).status).toBe(403)
    now += 25 * 3_600_000
    expect((await ask('POST', '/owner', { ...claim, token: second })).status).toBe(403)
    expect((await patchbay.client.users.list({})).items).toEqual([])
  })

  test('gives the link back where the password is too weak', async () => {
    const token = await patchbay.makeOwnerLink()
    const weak = await ask('POST', '/owner', { token, name: 'Olga', email: 'o@example.org', password: 'short' })
    expect(weak).toMatchObject({ status: 400, body: { path: 'password' } })
    const good = await ask('POST', '/owner', { token, name: 'Olga', email: 'o@example.org', password: PASSWORD })
    expect(good.status).toBe(201)
  })
})

describe('a session', () => {
  test('is a cookie that no script reads, and says who somebody is', async () => {
    const owner = await claimOwner()
    expect(owner).toMatchObject({
      status: 201,
      body: { kind: 'user', name: 'Olga', email: 'olga@example.org', role: 'Administrator', isOwner: true },
    })
    expect(owner.setCookies.join()).toMatch(/HttpOnly/i)
    expect(owner.setCookies.join()).toMatch(/SameSite=Lax/i)
    expect(await ask('GET', '/me', undefined, owner.cookie)).toMatchObject({ status: 200, body: { name: 'Olga' } })
    expect((await ask('GET', '/me')).status).toBe(401)
    expect((await ask('GET', '/me', undefined, owner.cookie.slice(0, -3))).status).toBe(401)
  })

  test('ends when it is closed, and everywhere at once where that is asked', async () => {
    const first = await claimOwner()
    const second = await ask('POST', '/session', { email: 'olga@example.org', password: PASSWORD })
    expect((await ask('DELETE', '/session', undefined, first.cookie)).status).toBe(204)
    expect((await ask('GET', '/me', undefined, first.cookie)).status).toBe(401)
    expect((await ask('GET', '/me', undefined, second.cookie)).status).toBe(200)
    const third = await ask('POST', '/session', { email: 'olga@example.org', password: PASSWORD })
    expect((await ask('DELETE', '/me/sessions', undefined, third.cookie)).status).toBe(204)
    expect((await ask('GET', '/me', undefined, second.cookie)).status).toBe(401)
  })

  test('of an https address goes over https alone', async () => {
    await patchbay.remove()
    patchbay = await openTestPatchbay({}, { PATCHBAY_PUBLIC_URL: 'https://patchbay.example.com' })
    const owner = await claimOwner()
    expect(owner.setCookies.every((cookie) => /Secure/i.test(cookie))).toBe(true)
    expect((await ask('GET', '/me', undefined, owner.cookie)).status).toBe(200)
  })

  test('changes nothing for a page of another site', async () => {
    const { cookie } = await claimOwner()
    const invite = { email: 'x@example.org', role: 'Viewer' }
    for (const headers of [
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { 'sec-fetch-site': 'none' },
      { origin: 'https://evil.example' },
      { origin: 'null' },
    ]) {
      expect(await ask('POST', '/invitations', invite, cookie, headers)).toMatchObject({ status: 403 })
      expect((await ask('POST', '/session', { email: 'a@b.cd', password: 'x' }, '', headers)).status).toBe(403)
    }
    expect((await ask('GET', '/me', undefined, cookie, { 'sec-fetch-site': 'cross-site' })).status).toBe(200)
    expect((await ask('POST', '/invitations', invite, cookie, { 'sec-fetch-site': 'same-origin' })).status).toBe(201)
  })

  test('is given to whoever knows the password, and a refusal says nothing of the account', async () => {
    await claimOwner()
    const wrong = await ask('POST', '/session', { email: 'olga@example.org', password: 'not the password' })
    const unknown = await ask('POST', '/session', { email: 'nobody@example.org', password: 'not the password' })
    expect(wrong.status).toBe(403)
    const { requestId: _one, ...first } = wrong.body as Record<string, unknown>
    const { requestId: _two, ...second } = unknown.body as Record<string, unknown>
    expect(first).toEqual(second)
    expect(wrong.setCookies).toEqual([])
    const entries = await patchbay.client.audit.list({ query: { action: 'sign-in.failed' } })
    expect(entries.items.length).toBe(2)
    expect(JSON.stringify(entries)).not.toContain('nobody@example.org')
  })

  test('is not to be had by trying, and the owner is not shut out by others who try', async () => {
    await claimOwner()
    const attempt = (address: string, password = 'wrong wrong wrong') =>
      patchbay.app.fetch(
        new Request('http://patchbay/api/v1/session', {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ email: 'olga@example.org', password }),
        }),
        { door: 'network', address },
      )
    expect((await attempt('192.0.2.1', PASSWORD)).status).toBe(200)
    const statuses: number[] = []
    for (let index = 0; index < 12; index++) statuses.push((await attempt('198.51.100.1')).status)
    expect(statuses.slice(0, 10)).toEqual(Array(10).fill(403))
    const limited = await attempt('198.51.100.1')
    expect(limited.status).toBe(429)
    expect(Number(limited.headers.get('retry-after'))).toBeGreaterThan(0)
    expect((await attempt('192.0.2.1', PASSWORD)).status).toBe(200)
    now += 301_000
    expect((await attempt('198.51.100.1')).status).toBe(403)
  })
})

describe('users', () => {
  test('come by invitation, with the role of it, and the link is good once', async () => {
    const owner = await claimOwner()
    const invitation = await ask<{ link: string }>(
      'POST',
      '/invitations',
      { email: 'cem@example.org', role: 'Contributor' },
      owner.cookie,
    )
    const token = new URL(invitation.body.link).hash.slice(1)
    const accept = { token, name: 'Cem', password: OTHER }
    const cem = await ask<Me>('POST', '/invitations/accept', accept)
    expect(cem).toMatchObject({ status: 201, body: { role: 'Contributor', email: 'cem@example.org', isOwner: false } })
    expect((await ask('POST', '/invitations/accept', accept)).status).toBe(403)
    expect((await ask('GET', '/users', undefined, cem.cookie)).status).toBe(403)
    expect((await ask('POST', '/invitations', { email: 'z@z.zz', role: 'Administrator' }, cem.cookie)).status).toBe(403)
    expect((await ask('POST', '/invitations', { email: 'cem@example.org', role: 'Viewer' }, owner.cookie)).status).toBe(
      409,
    )
    const dump = JSON.stringify(await patchbay.store.db.selectFrom('link').selectAll().execute())
    expect(dump).not.toContain(token)
    expect(dump).toContain(createHash('sha256').update(token).digest('hex'))
  })

  test('lose what a demotion takes and their sessions at once; the owner is touched by nobody', async () => {
    const owner = await claimOwner()
    const ada = await invited('Administrator', 'ada@example.org', owner.cookie)
    const ownerId = owner.body.id ?? ''
    const adaId = ada.body.id ?? ''
    expect((await ask('PATCH', `/users/${ownerId}`, { role: 'Viewer' }, ada.cookie)).status).toBe(403)
    expect((await ask('DELETE', `/users/${ownerId}`, undefined, ada.cookie)).status).toBe(403)
    expect((await ask('POST', `/users/${ownerId}/password-link`, undefined, ada.cookie)).status).toBe(403)
    expect((await ask('PUT', '/owner', { user: adaId, password: OTHER }, ada.cookie)).status).toBe(403)
    expect((await ask('PATCH', `/users/${adaId}`, { role: 'Viewer' }, owner.cookie)).status).toBe(200)
    expect((await ask('GET', '/users', undefined, ada.cookie)).status).toBe(401)
    const again = await ask('POST', '/session', { email: 'ada@example.org', password: OTHER })
    expect(again).toMatchObject({ status: 200, body: { role: 'Viewer' } })
    expect((await ask('GET', '/connections', undefined, again.cookie)).status).toBe(403)
  })

  test('who are removed leave what was theirs to the owner, and cannot come back', async () => {
    const owner = await claimOwner()
    const ada = await invited('Administrator', 'ada@example.org', owner.cookie)
    const { body: made } = await ask<{ apiKey: { id: string } }>(
      'POST',
      '/keys',
      { name: 'Nightly', role: 'Viewer' },
      ada.cookie,
    )
    const removed = await ask('DELETE', `/users/${ada.body.id ?? ''}`, undefined, owner.cookie)
    expect(removed).toMatchObject({
      status: 200,
      body: { passedTo: 'Olga', apiKeys: [{ id: made.apiKey.id, name: 'Nightly' }], exports: [] },
    })
    expect((await ask('GET', '/me', undefined, ada.cookie)).status).toBe(401)
    expect((await ask('POST', '/session', { email: 'ada@example.org', password: OTHER })).status).toBe(403)
    const { items } = await patchbay.client.audit.list({ query: { action: 'api-key.created' } })
    expect(items[0]?.actor).toBe('ada')
    const anew = await invited('Viewer', 'ada@example.org', owner.cookie)
    expect(anew.status).toBe(201)
  })

  test('have no more rights by a key than they have themselves', async () => {
    const owner = await claimOwner()
    const ada = await invited('Administrator', 'ada@example.org', owner.cookie)
    const make = async (name: string, who: { cookie?: string; key?: string }): Promise<{ id: string; key: string }> => {
      const headers = who.key === undefined ? {} : { authorization: `Bearer ${who.key}` }
      const path = '/keys'
      type Made = { key: string; apiKey: { id: string } }
      const { body } = await ask<Made>('POST', path, { name, role: 'Administrator' }, who.cookie, headers)
      return { id: body.apiKey.id, key: body.key }
    }
    const first = await make('First', { cookie: ada.cookie })
    const second = await make('Second', { key: first.key })
    const third = await make('Third', { key: second.key })
    const roleOf = async ({ key }: { key: string }): Promise<unknown> => {
      const { status, body } = await ask<Me>('GET', '/me', undefined, '', { authorization: `Bearer ${key}` })
      return status === 200 ? body.role : status
    }
    expect([await roleOf(first), await roleOf(second), await roleOf(third)]).toEqual(Array(3).fill('Administrator'))
    // A key whose maker was removed is its maker's maker's.
    await ask('DELETE', `/keys/${second.id}`, undefined, owner.cookie)
    expect(await roleOf(third)).toBe('Administrator')
    await ask('PATCH', `/users/${ada.body.id ?? ''}`, { role: 'Viewer' }, owner.cookie)
    expect([await roleOf(first), await roleOf(second), await roleOf(third)]).toEqual(['Viewer', 401, 'Viewer'])
    const refused = await ask('GET', '/users', undefined, '', { authorization: `Bearer ${third.key}` })
    expect(refused.status).toBe(403)
  })

  test('hand over what is theirs: the owner alone, with the password', async () => {
    const owner = await claimOwner()
    const ada = await invited('Viewer', 'ada@example.org', owner.cookie)
    const body = { user: ada.body.id }
    expect((await ask('PUT', '/owner', { ...body, password: 'not this one' }, owner.cookie)).status).toBe(403)
    expect(await ask('PUT', '/owner', { ...body, password: PASSWORD }, owner.cookie)).toMatchObject({
      status: 200,
      body: { isOwner: true, role: 'Administrator' },
    })
    expect(await ask('GET', '/me', undefined, owner.cookie)).toMatchObject({ body: { isOwner: false } })
  })

  test('change their password, which ends their other sessions; an Administrator can only make a link', async () => {
    const owner = await claimOwner()
    const ada = await invited('Contributor', 'ada@example.org', owner.cookie)
    const other = await ask('POST', '/session', { email: 'ada@example.org', password: OTHER })
    const next = 'seven slow blue trains'
    expect((await ask('POST', '/me/password', { current: 'wrong', next }, ada.cookie)).status).toBe(403)
    expect((await ask('POST', '/me/password', { current: OTHER, next: 'passwordpassword1' }, ada.cookie)).status).toBe(
      400,
    )
    const changed = await ask('POST', '/me/password', { current: OTHER, next }, ada.cookie)
    expect(changed.status).toBe(204)
    expect((await ask('GET', '/me', undefined, other.cookie)).status).toBe(401)
    expect((await ask('GET', '/me', undefined, changed.cookie)).status).toBe(200)
    const { body } = await ask<{ link: string }>(
      'POST',
      `/users/${ada.body.id ?? ''}/password-link`,
      undefined,
      owner.cookie,
    )
    const token = new URL(body.link).hash.slice(1)
    const set = await ask('POST', '/password', { token, password: PASSWORD })
    expect(set).toMatchObject({ status: 200, body: { name: 'ada' } })
    expect((await ask('POST', '/password', { token, password: PASSWORD })).status).toBe(403)
    expect((await ask('GET', '/me', undefined, changed.cookie)).status).toBe(401)
  })

  test('leave no way back in by links that they made, or that were made for what they were', async () => {
    const owner = await claimOwner()
    const linkFor = async (path: string, by: string, body?: unknown): Promise<string> => {
      const answer = await ask<{ link: string }>('POST', path, body, by)
      return new URL(answer.body.link).hash.slice(1)
    }
    const password = 'seven slow blue trains'
    for (const end of ['DELETE', 'PATCH']) {
      const email = `${end.toLowerCase()}@example.org`
      const ada = await invited('Administrator', email, owner.cookie)
      const token = await linkFor('/invitations', ada.cookie, { email: `other-${email}`, role: 'Administrator' })
      const role = end === 'PATCH' ? { role: 'Viewer' } : undefined
      expect((await ask(end, `/users/${ada.body.id ?? ''}`, role, owner.cookie)).status).toBe(200)
      expect((await ask('POST', '/invitations/accept', { token, name: 'Again', password })).status).toBe(403)
    }
    const ada = await invited('Administrator', 'ada@example.org', owner.cookie)
    const next = await invited('Viewer', 'next@example.org', owner.cookie)
    const nextId = next.body.id ?? ''
    const early = await linkFor(`/users/${nextId}/password-link`, ada.cookie)
    expect((await ask('PUT', '/owner', { user: nextId, password: PASSWORD }, owner.cookie)).status).toBe(200)
    expect((await ask('POST', '/password', { token: early, password })).status).toBe(403)

    const adaId = ada.body.id ?? ''
    const stale = await linkFor(`/users/${adaId}/password-link`, owner.cookie)
    expect((await ask('POST', '/me/password', { current: OTHER, next: password }, ada.cookie)).status).toBe(204)
    expect((await ask('POST', '/password', { token: stale, password: PASSWORD })).status).toBe(403)
  })

  test('are what connections are shared with by name', async () => {
    const owner = await claimOwner()
    const cem = await invited('Contributor', 'cem@example.org', owner.cookie)
    const dora = await invited('Contributor', 'dora@example.org', owner.cookie)
    const connection = await patchbay.client.connections.add({
      body: {
        name: 'Folder',
        connectorId: 'local-folder',
        settings: { path: patchbay.fileRoot },
        sharing: { with: 'named', users: [cem.body.id ?? ''] },
      } as never,
    })
    const seen = async (cookie: string) =>
      (await ask<{ items: { id: string }[] }>('GET', '/connections', undefined, cookie)).body.items.map(({ id }) => id)
    expect(await seen(cem.cookie)).toEqual([connection.id])
    expect(await seen(dora.cookie)).toEqual([])
  })
})
