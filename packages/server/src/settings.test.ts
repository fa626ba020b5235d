import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readSettings, SettingInvalid } from './settings.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'patchbay-settings-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function refusal(environment: Record<string, string>, where = folder): SettingInvalid {
  try {
    readSettings(environment, where)
  } catch (error) {
    if (error instanceof SettingInvalid) return error
    throw error
  }
  throw new Error('Nothing was refused')
}

test('without anything said, everything is in ./data and nobody else is let in', () => {
  const settings = readSettings({}, folder)
  expect(settings).toMatchObject({
    dataFolder: join(folder, 'data'),
    keyFile: join(folder, 'data', 'patchbay.key'),
    fileRoots: [join(folder, 'data', 'files')],
    port: 4400,
    host: '127.0.0.1',
    allowHosts: '',
    log: 'info',
    databaseUrl: undefined,
  })
  expect(settings.described.every(({ source }) => source === 'default')).toBe(true)
})

test('the file says the same by the same names, and the environment wins', () => {
  const file = join(folder, 'patchbay.env')
  writeFileSync(file, '# our server\nPORT=5000\nPATCHBAY_DATA = "./here"\n\nPATCHBAY_LOG=warn\r\n')
  try {
    const settings = readSettings({ PORT: '5001', PATCHBAY_LOG: '' }, folder)
    expect(settings).toMatchObject({ port: 5001, dataFolder: join(folder, 'here'), log: 'warn' })
    const sourceOf = (name: string) => settings.described.find((setting) => setting.name === name)?.source
    expect([sourceOf('PORT'), sourceOf('PATCHBAY_DATA'), sourceOf('PATCHBAY_HOST')]).toEqual([
      'environment',
      'file',
      'default',
    ])
  } finally {
    rmSync(file)
  }
})

test('paths in a named file are taken from where it stands', () => {
  const file = join(folder, 'other.env')
  writeFileSync(file, 'PATCHBAY_DATA=data-there\n')
  expect(readSettings({ PATCHBAY_CONFIG: file }, '/').dataFolder).toBe(join(folder, 'data-there'))
})

test.each([
  [{ PATCHBAY_DTA: '/x' }, 'PATCHBAY_DTA', 'PATCHBAY_DATA'],
  [{ PATCHBAY_ALLOWED_HOSTS: '10.0.0.0/8' }, 'PATCHBAY_ALLOWED_HOSTS', 'PATCHBAY_ALLOW_HOSTS'],
  [{ PATCHBAY_FILEROOTS: '/x' }, 'PATCHBAY_FILEROOTS', 'PATCHBAY_FILE_ROOTS'],
  [{ PATCHBAY_: 'x' }, 'PATCHBAY_', 'PATCHBAY_'],
])('the unknown name in %j is refused with the nearest known one', (environment, name, nearest) => {
  const { setting, cure } = refusal(environment)
  expect(setting).toBe(name)
  expect(cure).toContain(`Did you mean ${nearest}`)
})

test.each([
  ['PORT', 'http'],
  ['PORT', '70000'],
  ['PORT', '-1'],
  ['PORT', '44 00'],
  ['PATCHBAY_HOST', 'a b'],
  ['PATCHBAY_LOG', 'loud'],
  ['PATCHBAY_MEMORY_MB', '1'],
  ['PATCHBAY_RUNS_AT_ONCE', '0'],
  ['PATCHBAY_UPLOAD_MAX_MB', '1e9'],
  ['PATCHBAY_DATA', '\0'],
  ['DATABASE_URL', 'mysql://localhost/x'],
  ['DATABASE_URL', 'localhost'],
  ['PATCHBAY_URL', 'ftp://example.com'],
  ['PATCHBAY_CONFIG', '/nowhere/patchbay.env'],
])('%s cannot be %j', (name, value) => {
  const { setting, cure, message } = refusal({ [name]: value })
  expect(setting).toBe(name)
  expect(cure).not.toBe('')
  expect(message).toContain(name)
})

test.each([
  ['PORT', 'line 1'],
  ['PORT=1\nPORT=2', 'line 2'],
  ['PORT=1\nPATH=/bin', 'PATH'],
  ['export PORT=1', 'line 1'],
])('the file %j is refused with the place', (content, place) => {
  const file = join(folder, 'wrong.env')
  writeFileSync(file, content)
  expect(refusal({ PATCHBAY_CONFIG: file }).setting).toContain(place)
})

test('a password is never described', () => {
  const environment = { DATABASE_URL: 'postgres://me:hush@db:5432/x', PATCHBAY_API_KEY: 'pbk_hush' }
  const settings = readSettings({ ...environment, PATCHBAY_SECRET_TOKEN: 'hush' }, folder)
  expect(JSON.stringify(settings.described)).not.toContain('hush')
  expect(refusal({ DATABASE_URL: 'mysql://me:hush@db/x' }).message).not.toContain('hush')
})
