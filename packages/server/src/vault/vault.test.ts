import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openVault, type DataKeyPlace, type SecretPlace, type StoredDataKey } from './vault.ts'

let folder: string
let keyFile: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'patchbay-vault-'))
  keyFile = join(folder, 'key')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function memoryKeys(): DataKeyPlace {
  let rows: StoredDataKey[] = []
  return {
    list: () => Promise.resolve(rows),
    addFirst: (key) => {
      if (rows.length === 0) rows.push({ ...key, wrappedNext: null, state: 'active' })
      return Promise.resolve()
    },
    beginRotation: (_retired, fresh, next) => {
      rows = rows.map((row) => ({ ...row, state: 'retired', wrappedNext: next.get(row.id) ?? null }))
      rows.push({ ...fresh, state: 'active' })
      return Promise.resolve()
    },
    settleRotation: () => {
      rows = rows.map((row) => ({ ...row, wrapped: row.wrappedNext ?? row.wrapped, wrappedNext: null }))
      return Promise.resolve()
    },
  }
}

const place: SecretPlace = { connectionId: 'con_a', field: 'password', endpointIdentity: 'e1' }

describe('I2 a secret opens where it was sealed for, and nowhere else', () => {
  test('round trip of any text', async () => {
    const vault = await openVault({ keyFile, dataKeys: memoryKeys(), randomBytes })
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'grapheme', maxLength: 5000 }), async (text) => {
        const sealed = vault.seal(text, place)
        expect(await vault.open(sealed, place)).toBe(text)
        expect(vault.seal(text, place)).not.toBe(sealed)
      }),
    )
  })

  test('B3 1,000 random edits and swaps of rows: none opens', async () => {
    const vault = await openVault({ keyFile, dataKeys: memoryKeys(), randomBytes })
    const other = await openVault({ keyFile: join(folder, 'key2'), dataKeys: memoryKeys(), randomBytes })
    const secret = 'correct horse battery staple'
    const sealed = vault.seal(secret, place)
    const swap = fc.constantFrom<SecretPlace>(
      { ...place, connectionId: 'con_b' },
      { ...place, field: 'passphrase' },
      { ...place, endpointIdentity: 'e2' },
      { connectionId: 'con_apassword', field: '', endpointIdentity: 'e1' },
    )
    const edit = fc
      .record({
        at: fc.nat(sealed.length - 1),
        to: fc.constantFrom('A', 'B', 'a', 'b', '0', '9', '-', '_', '.'),
        cut: fc.boolean(),
      })
      .map(({ at, to, cut }) => (cut ? sealed.slice(0, at) : sealed.slice(0, at) + to + sealed.slice(at + 1)))
      .filter((text) => text !== sealed)
    // The front of one text and the end of another; from within the nonce on, since before it they are alike.
    const second = vault.seal(secret, place)
    const nonceAt = sealed.indexOf('.', 3) + 1
    const mixed = fc
      .integer({ min: nonceAt + 8, max: sealed.length - 8 })
      .map((at) => sealed.slice(0, at) + second.slice(at))
    const foreign = fc.constant(0).map(() => other.seal(secret, place))
    const attempts = fc.oneof(
      swap.map((elsewhere) => ({ text: sealed, at: elsewhere })),
      edit.map((text) => ({ text, at: place })),
      mixed.map((text) => ({ text, at: place })),
      foreign.map((text) => ({ text, at: place })),
    )
    await fc.assert(
      fc.asyncProperty(attempts, async ({ text, at }) => {
        const said = await vault.open(text, at).catch((error: unknown) => error)
        expect(said).toMatchObject({ name: 'Problem', code: 'not-ready' })
        expect(String(said)).not.toContain(secret)
      }),
      { numRuns: 1000 },
    )
    expect(await vault.open(sealed, place)).toBe(secret)
  })
})

describe('I9 the key file fails closed', () => {
  test('the first start makes a key that only its owner may read, and later starts open what it sealed', async () => {
    const dataKeys = memoryKeys()
    const sealed = (await openVault({ keyFile, dataKeys, randomBytes })).seal('s', place)
    expect(statSync(keyFile).mode & 0o777).toBe(0o400)
    expect(await (await openVault({ keyFile, dataKeys, randomBytes })).open(sealed, place)).toBe('s')
  })

  test('two first starts at once have one key', async () => {
    const dataKeys = memoryKeys()
    const vaults = await Promise.all([1, 2, 3, 4].map(() => openVault({ keyFile, dataKeys, randomBytes })))
    const sealed = vaults[0]?.seal('s', place) ?? ''
    for (const vault of vaults) expect(await vault.open(sealed, place)).toBe('s')
  })

  test.each([
    ['missing', () => rmSync(keyFile), /is missing/],
    ['readable by others', () => chmodSync(keyFile, 0o440), /Others on this machine/],
    ['writable by others', () => chmodSync(keyFile, 0o402), /Others on this machine/],
    ['too short', () => rewrite(randomBytes(16).toString('base64')), /does not hold a key/],
    ['empty', () => rewrite(''), /does not hold a key/],
    ['no base64', () => rewrite('correct horse battery staple'), /does not hold a key/],
    ['another key', () => rewrite(randomBytes(32).toString('base64')), /is not the one/],
  ])('%s: refused, and nothing changed', async (_, spoil, message) => {
    const dataKeys = memoryKeys()
    await openVault({ keyFile, dataKeys, randomBytes })
    const before = JSON.stringify(await dataKeys.list())
    spoil()
    const start = openVault({ keyFile, dataKeys, randomBytes })
    await expect(start).rejects.toMatchObject({ code: 'not-ready', message: expect.stringMatching(message) })
    expect(JSON.stringify(await dataKeys.list())).toBe(before)
  })

  test('a wrapped key that was edited, or given another id, is refused', async () => {
    const dataKeys = memoryKeys()
    await openVault({ keyFile, dataKeys, randomBytes })
    const [row] = [...(await dataKeys.list())] as { id: string; wrapped: string }[]
    if (row === undefined) throw new Error('no row')
    row.id = 'dk_other'
    await expect(openVault({ keyFile, dataKeys, randomBytes })).rejects.toThrow('is not the one')
  })

  test('keys of two purposes have nothing in common', async () => {
    const vault = await openVault({ keyFile, dataKeys: memoryKeys(), randomBytes })
    const salt = randomBytes(16)
    expect(vault.deriveKey('backup', salt)).toEqual(vault.deriveKey('backup', salt))
    expect(vault.deriveKey('backup', salt)).not.toEqual(vault.deriveKey('other', salt))
    expect(Buffer.from(vault.deriveKey('backup', salt)).toString('base64')).not.toBe(
      readFileSync(keyFile, 'utf8').trim(),
    )
  })
})

function rewrite(text: string): void {
  chmodSync(keyFile, 0o600)
  writeFileSync(keyFile, text)
  chmodSync(keyFile, 0o400)
}
