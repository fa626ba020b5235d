import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { decryptStream, encryptStream } from './encrypt-stream.ts'
import { describeKeyFile, readKeyFile } from './key-file.ts'
import { makeDataKey, openKeyring } from './keyring.ts'
import { openSecret, SealBroken, sealSecret, type SealTarget } from './seal.ts'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'patchbay-vault-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

describe('the key file', () => {
  test('is made once, readable by its owner alone, and of parallel first starts one key stands', async () => {
    const path = join(folder, 'deep', 'key')
    const keys = await Promise.all(Array.from({ length: 20 }, () => readKeyFile(path, true)))
    expect(new Set(keys.map((key) => key.toString('hex'))).size).toBe(1)
    expect((await stat(path)).mode & 0o777).toBe(0o400)
    expect(await describeKeyFile(path)).toMatchObject({ ok: true })
  })

  test('is never made up where something is sealed already', async () => {
    await expect(readKeyFile(join(folder, 'key'), false)).rejects.toMatchObject({ code: 'not-ready' })
    await expect(stat(join(folder, 'key'))).rejects.toThrow('ENOENT')
  })

  test('is refused when others may read it, or when it holds no key', async () => {
    const path = join(folder, 'key')
    await readKeyFile(path, true)
    await chmod(path, 0o440)
    await expect(readKeyFile(path, true)).rejects.toThrow('can be read by others (mode 440)')
    for (const text of ['', 'short', randomBytes(31).toString('base64'), randomBytes(33).toString('base64')]) {
      await writeFile(join(folder, 'wrong'), text, { mode: 0o400 })
      await expect(readKeyFile(join(folder, 'wrong'), true)).rejects.toThrow('does not hold a key')
      await rm(join(folder, 'wrong'))
    }
  })
})

describe('sealed secrets', () => {
  const kek = randomBytes(32)
  const stored = [
    { ...makeDataKey(kek, 'k1'), state: 'retired' as const },
    { ...makeDataKey(kek, 'k2'), state: 'active' as const },
  ]
  const keyring = openKeyring(kek, stored)
  const target: SealTarget = {
    connectionId: 'con_a',
    connectorId: 'sftp',
    field: 'password',
    endpoint: { host: 'sftp.example.com', port: 22, user: 'acme' },
  }

  test('open as they were sealed, whatever the order in which the endpoint is given', () => {
    const sealed = sealSecret(keyring, target, 'pa$$ wörd')
    expect(sealed).not.toContain('pa$$')
    expect(
      openSecret(keyring, { ...target, endpoint: { user: 'acme', port: 22, host: 'sftp.example.com' } }, sealed),
    ).toBe('pa$$ wörd')
    expect(sealSecret(keyring, target, 'pa$$ wörd')).not.toBe(sealed)
  })

  test('do not open for another field, connection, connector or endpoint', () => {
    const sealed = sealSecret(keyring, target, 'secret')
    const others: SealTarget[] = [
      { ...target, connectionId: 'con_b' },
      { ...target, field: 'passphrase' },
      { ...target, connectorId: 'webhook' },
      { ...target, endpoint: { ...target.endpoint, host: 'evil.example.com' } },
      { ...target, endpoint: { ...target.endpoint, port: 2222 } },
      { ...target, endpoint: { ...target.endpoint, port: '22' } },
      { ...target, endpoint: { host: 'sftp.example.com', port: 22 } },
    ]
    for (const other of others) expect(() => openSecret(keyring, other, sealed)).toThrow(SealBroken)
  })

  test('a thousand edits of a row: none opens', () => {
    const sealed = sealSecret(keyring, target, 'a secret of some length')
    fc.assert(
      fc.property(fc.nat(sealed.length - 1), fc.constantFrom(...'abcXYZ019_-.'), (at, letter) => {
        fc.pre(sealed[at] !== letter)
        const edited = sealed.slice(0, at) + letter + sealed.slice(at + 1)
        expect(() => openSecret(keyring, target, edited)).toThrow(SealBroken)
      }),
      { numRuns: 1000 },
    )
  })

  test('a wrong key file is told before anything is used', () => {
    expect(() => openKeyring(randomBytes(32), stored)).toThrow('another key')
  })
})

describe('encrypted streams', () => {
  const key = randomBytes(32)
  const collect = async (source: AsyncIterable<Uint8Array>): Promise<Buffer> =>
    Buffer.concat(await Array.fromAsync(source))
  async function* inChunks(bytes: Buffer, sizeBytes: number): AsyncGenerator<Buffer> {
    for (let at = 0; at < bytes.byteLength; at += sizeBytes)
      yield await Promise.resolve(bytes.subarray(at, at + sizeBytes))
  }
  const MIB = 1024 * 1024

  test('come back as they were, at every boundary', async () => {
    for (const sizeBytes of [0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB, 3 * MIB + 17]) {
      const plain = randomBytes(sizeBytes)
      const sealed = await collect(encryptStream(key, inChunks(plain, 300_001)))
      const opened = await collect(decryptStream(key, inChunks(sealed, 70_003)))
      expect(opened.equals(plain)).toBe(true)
    }
  })

  test('do not come back cut, changed, re-ordered, lengthened or with another key', async () => {
    const sealed = await collect(encryptStream(key, inChunks(randomBytes(3 * MIB + 5), MIB)))
    const header = 7 + 32 + 7
    const piece = (number: number): Buffer =>
      sealed.subarray(header + number * (MIB + 16), header + (number + 1) * (MIB + 16))
    const flipped = Buffer.from(sealed)
    flipped.writeUInt8((flipped[header + 2 * MIB] ?? 0) ^ 1, header + 2 * MIB)
    const wrong: Buffer[] = [
      sealed.subarray(0, 20),
      sealed.subarray(0, header),
      sealed.subarray(0, header + MIB + 16),
      sealed.subarray(0, sealed.byteLength - 1),
      flipped,
      Buffer.concat([sealed.subarray(0, header), piece(1), piece(0), piece(2), piece(3)]),
      Buffer.concat([sealed, sealed.subarray(header)]),
      Buffer.concat([Buffer.from('PBENC2\n'), sealed.subarray(7)]),
    ]
    for (const bytes of wrong)
      await expect(collect(decryptStream(key, inChunks(bytes, MIB)))).rejects.toThrow('damaged')
    await expect(collect(decryptStream(randomBytes(32), inChunks(sealed, MIB)))).rejects.toThrow('damaged')
  })
})
