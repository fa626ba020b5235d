/** The connector against a real OpenSSH server, through its front door. */
import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DestinationInvalid, SettingsInvalid, Unavailable, type OutgoingFile } from '@patchbay/connector-sdk'
import { checkConnector } from '@patchbay/connector-sdk/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { requirement } from '../../../../checks/requirement.ts'
import { makeContext } from '../../test-servers/context.ts'
import { startCuttingProxy } from '../../test-servers/cutting-proxy.ts'
import { deliveredOf, fileAt, fileOf, manifestOf } from '../../test-servers/files.ts'
import { startOpenssh, type OpensshServer } from '../../test-servers/openssh.ts'
import { connectSession } from './connect.ts'
import { SftpFolder } from './folder.ts'
import { sftp } from './index.ts'
import { readPrivateKey } from './private-key.ts'
import { LIMITS } from './session.ts'
import { checkAll, openDelivery, summary, withKey, type SftpSettings } from './sftp-test-support.ts'

const ALL_GOOD = 'resolved reached trusted signed-in may-write'
const openssh = requirement('openssh')

describe.skipIf(!openssh.available)('SFTP to OpenSSH [needs openssh-server]', () => {
  let server: OpensshServer
  let own: string
  let settings: SftpSettings
  let folderCount = 0

  beforeAll(async () => {
    server = await startOpenssh()
    own = mkdtempSync(join(tmpdir(), 'patchbay-sftp-test-'))
  })
  afterAll(async () => {
    rmSync(own, { recursive: true, force: true })
    await server.stop()
  })
  beforeEach(() => {
    folderCount += 1
    const baseFolder = join(server.folder, `base-${folderCount}`)
    makeOnServer(baseFolder)
    settings = { ...withKey(server), baseFolder }
  })

  function makeOnServer(path: string): void {
    mkdirSync(path)
    server.give(path)
  }
  const base = (...names: readonly string[]): string => join(settings.baseFolder ?? '', ...names)
  /** All files, hidden ones too. */
  const standing = (): readonly string[] =>
    readdirSync(base(), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(base().length + 1))
      .toSorted()
  const publish = async (files: readonly OutgoingFile[], folder?: string): Promise<void> => {
    const delivery = await openDelivery(settings, folder === undefined ? {} : { folder })
    for (const file of files) expect(await delivery.put(file)).toEqual({ sizeBytes: file.sizeBytes })
    await delivery.commit(manifestOf(files))
  }

  describe('keys', () => {
    const kinds = ['-t ed25519', '-t ecdsa -b 256', '-t ecdsa -b 521', '-t rsa -b 3072']
    const pem = ['-t rsa -m PEM', '-t rsa -m PKCS8', '-t ecdsa -m PEM', '-t ecdsa -m PKCS8']
    const all = [...kinds, ...pem].flatMap((kind) => [
      [kind, ''],
      [kind, 'open sesame'],
    ])
    it.each(all)('of ssh-keygen %s with the passphrase "%s" sign in', async (kind, passphrase) => {
      const path = join(own, `key-${readdirSync(own).length}`)
      execFileSync('ssh-keygen', ['-q', ...kind.split(' '), '-N', passphrase, '-f', path])
      server.authorize(readFileSync(`${path}.pub`, 'utf8'))
      const privateKey = readFileSync(path, 'utf8')
      expect(summary(await checkAll(withKey({ ...server, privateKey }, passphrase)))).toBe(ALL_GOOD)
    })

    it('that the account does not know are refused', async () => {
      const path = join(own, 'stranger')
      execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path])
      const stranger = withKey({ ...server, privateKey: readFileSync(path, 'utf8') })
      expect(summary(await checkAll(stranger))).toBe('resolved reached trusted signed-in(privateKey)!')
    })

    it('that cannot be read are said to be so before anybody tries to sign in', async () => {
      const broken = withKey({ ...server, privateKey: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me@here' })
      expect(summary(await checkAll(broken))).toBe('resolved reached trusted signed-in(privateKey)!')
    })
  })

  it('does what every connector must', async () => {
    const { baseFolder = '', host, port, user, hostKey = '' } = settings
    const results = await checkConnector(sftp, {
      makeFake: () =>
        Promise.resolve({
          settings: { host, port, user, hostKey, baseFolder, signIn: 'key' },
          secrets: { privateKey: server.privateKey },
          destinations: {
            folder: {
              values: {},
              standing,
              read: (name) => readFileSync(base(name), 'utf8'),
              plant: (name, text) => writeFileSync(base(name), text),
            },
          },
          stop: () => undefined,
        }),
    })
    expect(results.filter(({ outcome }) => outcome !== 'passed')).toEqual([])
  })

  it('proposes the fingerprint that OpenSSH prints, while none is trusted', async () => {
    const { hostKey: _none, ...untrusted } = settings
    expect((await checkAll(untrusted)).at(-1)).toMatchObject({
      step: 'trusted',
      pin: { field: 'hostKey', value: server.hostKey },
    })
  })

  it('leaves nothing behind when it checks', async () => {
    expect(summary(await checkAll(settings))).toBe(ALL_GOOD)
    expect(readdirSync(base())).toEqual([])
  })

  it('delivers, and shows nothing before it commits', async () => {
    const files = [
      fileOf('customers.csv', 'id\n1\n'),
      fileOf('orders/part-1.csv', 'x'.repeat(100_000)),
      fileOf('e.csv', ''),
    ]
    const delivery = await openDelivery(settings, { folder: 'daily/export' })
    await Promise.all(files.map((file) => delivery.put(file)))
    expect(standing().filter((name) => !/(^|\/)\.patchbay-/.test(name))).toEqual([])
    await delivery.commit(manifestOf(files))
    expect(standing()).toEqual(
      ['customers.csv', 'e.csv', 'model.json', 'orders/part-1.csv'].map((n) => `daily/export/${n}`),
    )
    expect(readFileSync(base('daily/export/orders/part-1.csv'), 'utf8')).toBe('x'.repeat(100_000))
    expect(lstatSync(base('daily/export/e.csv')).size).toBe(0)
  })

  it('takes odd names as they are', async () => {
    const names = [
      'a b.csv',
      "it's.csv",
      '-rf',
      '%2e%2e',
      '"q" $(x);`y`|*?<>.csv',
      'ümläut/名前 🙂.csv',
      `${'x'.repeat(251)}.csv`,
    ]
    await publish(names.map((name) => fileOf(name, name)))
    expect(standing()).toEqual([...names, 'model.json'].toSorted())
    for (const name of names) expect(readFileSync(base(name), 'utf8')).toBe(name)
  })

  it('keeps every byte of 100 MB', async () => {
    const path = join(own, 'big')
    const bytes = randomBytes(100 * 1024 * 1024 + 17)
    writeFileSync(path, bytes)
    await publish([fileAt('big.bin', path)])
    const sum = (content: Buffer): string => createHash('sha256').update(content).digest('hex')
    expect(sum(readFileSync(base('big.bin')))).toBe(sum(bytes))
    rmSync(path)
  })

  it('replaces and removes what it wrote before, and nothing else', async () => {
    const first = [fileOf('a.csv', 'old a'), fileOf('gone.csv', 'old'), fileOf('changed.csv', 'old')]
    await publish(first)
    writeFileSync(base('changed.csv'), 'by somebody else')
    writeFileSync(base('foreign.csv'), 'theirs')

    const model = fileOf('model.json', '{"name":"test"}')
    const delivered = [...first, model].map(deliveredOf)
    const next = fileOf('a.csv', 'new content')
    const delivery = await openDelivery(settings, { runId: 'run_2', delivered })
    await delivery.put(next)
    await delivery.commit(manifestOf([next], delivered, model))
    expect(standing()).toEqual(['a.csv', 'changed.csv', 'foreign.csv', 'model.json'])
    expect(readFileSync(base('a.csv'), 'utf8')).toBe('new content')
  })

  it('may be told to commit again, by another process too', async () => {
    const file = fileOf('a.csv', 'a')
    const delivery = await openDelivery(settings)
    await delivery.put(file)
    await delivery.commit(manifestOf([file]))
    await delivery.commit(manifestOf([file]))
    await (await openDelivery(settings)).commit(manifestOf([file]))
    expect(standing()).toEqual(['a.csv', 'model.json'])
  })

  it('overwrites no file of others', async () => {
    writeFileSync(base('a.csv'), 'theirs')
    const delivery = await openDelivery(settings)
    await expect(delivery.put(fileOf('a.csv', 'ours'))).rejects.toThrow(DestinationInvalid)
    await delivery.put(fileOf('a.csv', 'ours 6'))
    await expect(delivery.commit(manifestOf([fileOf('a.csv', 'ours 6')]))).rejects.toThrow(
      /a\.csv already stands there/,
    )
    await delivery.abandon()
    expect(standing()).toEqual(['a.csv'])
    expect(readFileSync(base('a.csv'), 'utf8')).toBe('theirs')
  })

  it('says which folder the account may not write to', async () => {
    makeOnServer(base('closed'))
    chmodSync(base('closed'), 0o555)
    const put = (await openDelivery(settings, { folder: 'closed' })).put(fileOf('a.csv', 'a'))
    await expect(put).rejects.toThrow(DestinationInvalid)
    await expect(put).rejects.toThrow(/may not write .*closed/)
    const below = (await openDelivery(settings, { folder: 'closed/deep' })).put(fileOf('a.csv', 'a'))
    await expect(below).rejects.toThrow(/may not make the folder .*closed\/deep/)
    const steps = await checkAll({ ...settings, baseFolder: base('closed') })
    expect(summary(steps)).toBe('resolved reached trusted signed-in may-write(baseFolder)!')
  })

  it('wants the base folder to be there', async () => {
    const missing = { ...settings, baseFolder: base('missing') }
    expect(summary(await checkAll(missing))).toBe('resolved reached trusted signed-in may-write(baseFolder)!')
    await expect((await openDelivery(missing)).put(fileOf('a.csv', 'a'))).rejects.toThrow(SettingsInvalid)
  })

  describe('links on the server', () => {
    it.each(['link', 'link/deeper', 'inside/link'])(
      'that lead out of the base folder are not followed: %s',
      async (folder) => {
        const outside = mkdtempSync(join(server.folder, 'outside-'))
        server.give(outside)
        makeOnServer(base('inside'))
        symlinkSync(outside, base('link'))
        symlinkSync(outside, base('inside/link'))
        const delivery = await openDelivery(settings, { folder })
        await expect(delivery.put(fileOf('a.csv', 'a'))).rejects.toThrow(/leads out of the connection's base folder/)
        const into = await openDelivery(settings)
        await expect(into.put(fileOf(`${folder}/a.csv`, 'a'))).rejects.toThrow(DestinationInvalid)
        expect(readdirSync(outside)).toEqual([])
      },
    )

    it('that stay inside are fine', async () => {
      makeOnServer(base('real'))
      symlinkSync('real', base('alias'))
      await publish([fileOf('a.csv', 'a')], 'alias')
      expect(readdirSync(base('real')).toSorted()).toEqual(['a.csv', 'model.json'])
    })

    it('in the place of a file are neither written through nor replaced', async () => {
      writeFileSync(join(own, 'target'), 'theirs')
      chmodSync(join(own, 'target'), 0o666)
      symlinkSync(join(own, 'target'), base('a.csv'))
      const put = (await openDelivery(settings)).put(fileOf('a.csv', 'a'))
      await expect(put).rejects.toThrow(/no plain file/)
      expect(readFileSync(join(own, 'target'), 'utf8')).toBe('theirs')
    })

    it('in the place of a temporary file are not followed', async () => {
      writeFileSync(join(own, 'victim'), 'theirs')
      chmodSync(join(own, 'victim'), 0o666)
      const delivery = await openDelivery(settings)
      await delivery.put(fileOf('a.csv', 'a'))
      const [temporary = ''] = readdirSync(base())
      rmSync(base(temporary))
      symlinkSync(join(own, 'victim'), base(temporary))
      await delivery.put(fileOf('a.csv', 'a'))
      expect(lstatSync(base(temporary)).isSymbolicLink()).toBe(false)
      expect(readFileSync(join(own, 'victim'), 'utf8')).toBe('theirs')
    })
  })

  describe('on a bad line', () => {
    it('writes again after it was cut in the middle, on a new connection', async () => {
      const proxy = await startCuttingProxy(server)
      const file = fileOf('big.bin', randomBytes(8 * 1024 * 1024))
      const delivery = await openDelivery({ ...settings, port: proxy.port })
      proxy.cutAfter(4 * 1024 * 1024)
      const error: unknown = await delivery.put(file).catch((thrown: unknown) => thrown)
      expect(error).toBeInstanceOf(Unavailable)
      expect(error).toMatchObject({ sent: 'maybe' })
      expect(await delivery.put(file)).toEqual({ sizeBytes: file.sizeBytes })
      await delivery.commit(manifestOf([file]))
      expect(proxy.connections()).toBe(2)
      expect(
        createHash('sha256')
          .update(readFileSync(base('big.bin')))
          .digest('hex'),
      ).toBe(file.sha256)
      await proxy.stop()
    })

    it('cleans up after it was cut for good', async () => {
      const proxy = await startCuttingProxy(server)
      const delivery = await openDelivery({ ...settings, port: proxy.port })
      proxy.cutAfter(1024 * 1024)
      await expect(delivery.put(fileOf('a.bin', randomBytes(2 * 1024 * 1024)))).rejects.toThrow(Unavailable)
      expect(standing()).toHaveLength(1)
      await delivery.abandon()
      expect(standing()).toEqual([])
      await proxy.stop()
    })

    it('gives up a line that went dead without a word', async () => {
      const proxy = await startCuttingProxy(server)
      const { host, user, hostKey: pin, privateKey } = server
      const signal = new AbortController().signal
      const ctx = makeContext({ settings: {}, signal })
      const account = {
        host,
        port: proxy.port,
        user,
        pin,
        proof: () => ({ key: readPrivateKey(privateKey, undefined) }),
      }
      const folder = new SftpFolder(
        async () => connectSession(await ctx.connect(proxy), account, signal, { ...LIMITS, silentMs: 400 }).ready,
        base(),
        signal,
      )
      expect(await folder.sizeOf('a.csv')).toBeUndefined()
      proxy.freeze()
      await expect(folder.write('a.csv', fileOf('a.csv', 'a'))).rejects.toThrow(/sent nothing for 0.4 s/)
      await folder.close()
      await proxy.stop()
    })
  })

  it.each(['commit', 'abandon', 'check'])('leaves no connection open after it has done %s', async (act) => {
    const count = (text: string): number => server.log().split(text).length
    const before = { accepted: count('Accepted publickey for'), ended: count('Disconnected from user') }
    if (act === 'commit') await publish([fileOf('a.csv', 'a')])
    else if (act === 'check') await checkAll(settings)
    else await (await openDelivery(settings)).abandon()
    expect(count('Accepted publickey for') - before.accepted).toBe(1)
    await expect.poll(() => count('Disconnected from user') - before.ended).toBe(1)
  })
})
