/** Trust and sign-in, against a server in this process that records what it is told. */
import { ConnectionRefused, SettingsInvalid, Unavailable } from '@patchbay/connector-sdk'
import { afterEach, describe, expect, it } from 'vitest'
import { startFakeSsh, type FakeSsh, type FakeSshOptions } from '../../test-servers/fake-ssh.ts'
import { fileOf, manifestOf } from '../../test-servers/files.ts'
import { checkAll, openDelivery, summary, withKey, withPassword } from './sftp-test-support.ts'

const OTHER_KEY = `SHA256:${'A'.repeat(43)}`
const open: FakeSsh[] = []

async function start(options?: FakeSshOptions): Promise<FakeSsh> {
  const server = await startFakeSsh(options)
  open.push(server)
  return server
}

afterEach(async () => {
  for (const server of open.splice(0)) await server.stop()
})

describe('a server that nobody has trusted yet', () => {
  it('is shown with its key, and is not told who we are', async () => {
    const server = await start()
    const { hostKey: _none, ...settings } = withPassword(server, server.password)
    const steps = await checkAll(settings)
    expect(summary(steps)).toBe('resolved reached trusted(hostKey)!')
    expect(steps.at(-1)).toMatchObject({ pin: { field: 'hostKey', value: server.hostKey } })
    expect(server.attempts).toEqual([])
  })

  it('is not written to', async () => {
    const server = await start()
    const { hostKey: _none, ...settings } = withPassword(server, server.password)
    const delivery = await openDelivery(settings)
    await expect(delivery.put(fileOf('a.csv', 'a'))).rejects.toThrow(ConnectionRefused)
    expect(server.attempts).toEqual([])
  })
})

describe('a server that is another one than was trusted', () => {
  it.each(['check', 'put', 'commit', 'abandon'] as const)('is told nothing by %s', async (act) => {
    const server = await start()
    const settings = { ...withPassword(server, server.password), hostKey: OTHER_KEY }
    if (act === 'check') {
      const steps = await checkAll(settings)
      expect(summary(steps)).toBe('resolved reached trusted(hostKey)!')
      expect(steps.at(-1)).not.toHaveProperty('pin')
    } else {
      const delivery = await openDelivery(settings)
      const run = {
        put: () => delivery.put(fileOf('a.csv', 'a')),
        commit: () => delivery.commit(manifestOf([])),
        abandon: () => delivery.abandon(),
      }
      const error: unknown = await run[act]().catch((thrown: unknown) => thrown)
      expect(error).toBeInstanceOf(ConnectionRefused)
      expect(error).toMatchObject({ field: 'hostKey', step: 'trusted' })
      expect(String(error)).toContain(OTHER_KEY)
      expect(String(error)).toContain(server.hostKey)
    }
    expect(server.connections()).toBe(1)
    // Not one attempt to sign in: no password, no key, not even the user's name.
    expect(server.attempts).toEqual([])
  })
})

describe('a password', () => {
  it('signs in, and is sent once', async () => {
    const server = await start()
    expect(summary(await checkAll(withPassword(server, server.password)))).toBe(
      'resolved reached trusted signed-in may-write',
    )
    expect(server.attempts).toEqual([
      { method: 'none', user: server.user, secret: undefined },
      { method: 'password', user: server.user, secret: server.password },
    ])
  })

  it('is refused once when it is wrong, and says so', async () => {
    const server = await start()
    const steps = await checkAll(withPassword(server, 'wrong'))
    expect(summary(steps)).toBe('resolved reached trusted signed-in(password)!')
    expect(server.attempts.filter(({ method }) => method === 'password')).toHaveLength(1)
    const delivery = await openDelivery(withPassword(server, 'wrong'))
    await expect(delivery.put(fileOf('a.csv', 'a'))).rejects.toThrow(ConnectionRefused)
  })

  it('answers a prompt where the server asks by one', async () => {
    const server = await start({ methods: ['keyboard-interactive'] })
    expect(summary(await checkAll(withPassword(server, server.password)))).toMatch(/may-write$/)
    expect(summary(await checkAll(withPassword(server, 'wrong')))).toMatch(/signed-in\(password\)!$/)
  })

  it.each([['password'], ['keyboard-interactive']] as const)('is not enough where %s asks for more', async (method) => {
    const server = await start({ methods: [method], secondFactor: true })
    const steps = await checkAll(withPassword(server, server.password))
    expect(summary(steps)).toBe('resolved reached trusted signed-in(user)!')
    expect(steps.at(-1)).toMatchObject({ message: expect.stringContaining('second factor') as unknown })
  })

  it('is not sent to a server that wants a key, and the other way round', async () => {
    const keyServer = await start({ methods: ['publickey'] })
    const steps = await checkAll(withPassword(keyServer, 'secret'))
    expect(summary(steps)).toBe('resolved reached trusted signed-in(signIn)!')
    expect(steps.at(-1)).toMatchObject({ message: expect.stringContaining('publickey') as unknown })
    expect(keyServer.attempts.map(({ method }) => method)).toEqual(['none'])

    const passwordServer = await start()
    const privateKey =
      '-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIHKj+sVa9WcD/q2DJUJaf43Kptc8xYuUQA4bOFj9vC8T\n-----END PRIVATE KEY-----'
    expect(summary(await checkAll(withKey({ ...passwordServer, privateKey })))).toMatch(/signed-in\(signIn\)!$/)
  })

  it('must be there', async () => {
    const server = await start()
    expect(summary(await checkAll(withPassword(server, '')))).toMatch(/signed-in\(password\)!$/)
    const delivery = await openDelivery(withPassword(server, ''))
    await expect(delivery.put(fileOf('a.csv', 'a'))).rejects.toThrow(SettingsInvalid)
  })
})

describe('what else can be on a port', () => {
  it('an account without SFTP', async () => {
    const server = await start({ withoutSftp: true })
    expect(summary(await checkAll(withPassword(server, server.password)))).toMatch(/signed-in\(user\)!$/)
  })

  it('only outdated encryption', async () => {
    const server = await start({ algorithms: { cipher: ['aes128-cbc'], kex: ['diffie-hellman-group14-sha1'] } })
    const steps = await checkAll(withPassword(server, server.password))
    expect(summary(steps)).toBe('resolved reached trusted()!')
    expect(steps.at(-1)).toMatchObject({ message: expect.stringContaining('outdated') as unknown })
    expect(server.attempts).toEqual([])
  })

  it('nothing', async () => {
    const server = await start()
    await server.stop()
    open.pop()
    expect(summary(await checkAll(withPassword(server, 'x')))).toBe('reached()!')
    const delivery = await openDelivery(withPassword(server, 'x'))
    await expect(delivery.put(fileOf('a.csv', 'a'))).rejects.toThrow(Unavailable)
  })
})
