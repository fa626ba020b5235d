/** Delivery to a server with the bare SFTP version 3: no extensions, small packets, a rename that overwrites nothing. */
import { randomBytes } from 'node:crypto'
import { DestinationInvalid, Unavailable } from '@patchbay/connector-sdk'
import { checkConnector } from '@patchbay/connector-sdk/testing'
import { afterEach, describe, expect, it } from 'vitest'
import { makeContext } from '../../test-servers/context.ts'
import { startFakeSsh, type FakeSsh, type FakeSshOptions } from '../../test-servers/fake-ssh.ts'
import { deliveredOf, fileOf, manifestOf } from '../../test-servers/files.ts'
import { connectSession } from './connect.ts'
import { SftpFolder } from './folder.ts'
import { sftp } from './index.ts'
import { LIMITS, type SessionLimits } from './session.ts'
import { openDelivery, withPassword } from './sftp-test-support.ts'

const open: FakeSsh[] = []

async function start(options?: FakeSshOptions): Promise<FakeSsh> {
  const server = await startFakeSsh(options)
  open.push(server)
  return server
}

/** The folder by itself, where limits must be shorter than the connector's. */
function folderOf(server: FakeSsh, limits: Partial<SessionLimits>, signal = new AbortController().signal): SftpFolder {
  const { host, port, user, hostKey: pin, password } = server
  const ctx = makeContext({ settings: {}, signal })
  const account = { host, port, user, pin, proof: () => ({ password }) }
  const connect = async () =>
    connectSession(await ctx.connect({ host, port }), account, signal, { ...LIMITS, ...limits }).ready
  return new SftpFolder(connect, undefined, signal)
}

afterEach(async () => {
  for (const server of open.splice(0)) await server.stop()
})

describe('a bare SFTP server', () => {
  it('gets what every connector must do', async () => {
    const { host, port, user, hostKey, password, files } = await start()
    const results = await checkConnector(sftp, {
      makeFake: () =>
        Promise.resolve({
          settings: { host, port, user, hostKey, signIn: 'password' },
          secrets: { password },
          destinations: {
            folder: {
              values: {},
              standing: () => [...files.keys()].map((path) => path.slice('/home/'.length)),
              read: (name) => files.get(`/home/${name}`)?.toString() ?? 'nothing',
              plant: (name, text) => void files.set(`/home/${name}`, Buffer.from(text)),
            },
          },
          stop: () => undefined,
        }),
    })
    expect(results.filter(({ outcome }) => outcome !== 'passed')).toEqual([])
  })

  it('gets files whole, in small packets', async () => {
    const server = await start()
    const big = randomBytes(60_000).toString('base64').repeat(20)
    const files = [fileOf('big.csv', big), fileOf('empty.csv', '')]
    const delivery = await openDelivery(withPassword(server, server.password), { folder: 'out' })
    for (const file of files) expect(await delivery.put(file)).toEqual({ sizeBytes: file.sizeBytes })
    await delivery.commit(manifestOf(files))
    expect([...server.files.keys()].toSorted()).toEqual([
      '/home/out/big.csv',
      '/home/out/empty.csv',
      '/home/out/model.json',
    ])
    expect(server.files.get('/home/out/big.csv')?.toString()).toBe(big)
  })

  it('has its old files replaced although its rename does not overwrite', async () => {
    const server = await start()
    const old = fileOf('a.csv', 'old')
    const next = fileOf('a.csv', 'new content')
    for (const [file, runId, delivered] of [
      [old, 'run_1', []],
      [next, 'run_2', [old]],
    ] as const) {
      const model = fileOf('model.json', '{"name":"test"}')
      const all = delivered.length === 0 ? [] : [...delivered, model]
      const delivery = await openDelivery(withPassword(server, server.password), {
        runId,
        delivered: all.map(deliveredOf),
      })
      await delivery.put(file)
      await delivery.commit(manifestOf([file]))
    }
    expect(server.files.get('/home/a.csv')?.toString()).toBe('new content')
    expect(server.files.size).toBe(2)
  })

  it('is cleared of half a file that it had no room for', async () => {
    const server = await start({ quotaBytes: 100_000 })
    const delivery = await openDelivery(withPassword(server, server.password))
    const put = delivery.put(fileOf('a.csv', 'x'.repeat(200_000)))
    await expect(put).rejects.toThrow(Unavailable)
    await expect(put).rejects.toThrow(/disk or the account's quota is full/)
    expect(server.files.size).toBe(0)
    await delivery.put(fileOf('b.csv', 'x'.repeat(50_000)))
    await delivery.abandon()
    expect(server.files.size).toBe(0)
  })

  it('that falls silent is given up, and asked anew', async () => {
    const options = { silentAt: 'write' as const }
    const server = await start(options)
    const folder = folderOf(server, { answerMs: 300 })
    const write = folder.write('a.csv', fileOf('a.csv', 'abc'))
    await expect(write).rejects.toThrow(Unavailable)
    await expect(write).rejects.toThrow(/answered nothing for 0.3 s/)
    expect(await folder.sizeOf('a.csv')).toBe(0)
    expect(server.connections()).toBe(2)
    await folder.close()
  })

  it('that never finishes the sign-in is given up', async () => {
    const server = await start({ silentAt: 'sign-in' })
    await expect(folderOf(server, { connectMs: 300 }).sizeOf('a.csv')).rejects.toThrow(/does not go on to speak SSH/)
  })

  it('is left when nobody needs it, and connected to again when somebody does', async () => {
    const server = await start()
    const folder = folderOf(server, { idleMs: 100 })
    await folder.write('a.csv', fileOf('a.csv', 'abc'))
    await expect.poll(() => server.openConnections()).toBe(0)
    expect(await folder.sizeOf('a.csv')).toBe(3)
    expect(server.connections()).toBe(2)
    await folder.close()
  })

  it('stops at once when the run is cancelled, and lets what is half written be removed', async () => {
    const server = await start({ silentAt: 'write' })
    const cancel = new AbortController()
    const delivery = await openDelivery(withPassword(server, server.password), { signal: cancel.signal })
    const put = delivery.put(fileOf('a.csv', 'abc'))
    await expect.poll(() => server.files.size).toBe(1)
    cancel.abort(new Error('cancelled'))
    await expect(put).rejects.toThrow('cancelled')
    await delivery.abandon()
    expect(server.files.size).toBe(0)
    await expect.poll(() => server.openConnections()).toBe(0)
  })

  it('is refused a foreign file in the way', async () => {
    const server = await start()
    server.files.set('/home/a.csv', Buffer.from('theirs'))
    const delivery = await openDelivery(withPassword(server, server.password))
    await expect(delivery.put(fileOf('a.csv', 'ours!'))).rejects.toThrow(DestinationInvalid)
    await delivery.abandon()
    expect(Object.fromEntries(server.files)).toEqual({ '/home/a.csv': Buffer.from('theirs') })
  })
})
