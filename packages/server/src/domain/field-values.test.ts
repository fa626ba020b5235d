import type { Fields } from '@patchbay/connector-sdk'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { changedEndpoint, endpointOf, parseFieldValues, parseSecretValues, shownSecrets } from './field-values.ts'

const FIELDS: Fields = {
  host: { kind: 'text', label: 'Host', endpoint: true, pattern: '[a-z.]+', example: 'files.example', maxLength: 20 },
  port: { kind: 'number', label: 'Port', min: 1, max: 65_535, default: 22, endpoint: true },
  folder: { kind: 'text', label: 'Folder', optional: true },
  signIn: {
    kind: 'choice',
    label: 'Sign in with',
    choices: [
      { value: 'password', label: 'Password' },
      { value: 'key', label: 'Key' },
    ],
    default: 'password',
  },
  password: { kind: 'secret', label: 'Password', showWhen: { field: 'signIn', is: 'password' } },
  key: { kind: 'secret', label: 'Key', multiline: true, showWhen: { field: 'signIn', is: 'key' } },
  phrase: { kind: 'secret', label: 'Passphrase', optional: true, showWhen: { field: 'signIn', is: 'key' } },
  keyName: { kind: 'text', label: 'Key name', showWhen: { field: 'signIn', is: 'key' } },
  compress: { kind: 'switch', label: 'Compress' },
  level: { kind: 'number', label: 'Level', max: 9, showWhen: { field: 'compress', is: true } },
  hostKey: { kind: 'pin', label: 'Host key', endpoint: true },
}
const problemsOf = (input: unknown): readonly string[] =>
  parseFieldValues(FIELDS, input).problems.map(({ field }) => field)

describe('parseFieldValues', () => {
  it('fills in defaults and takes what fits', () => {
    expect(parseFieldValues(FIELDS, { host: 'a.example', hostKey: 'SHA256:x' })).toEqual({
      values: { host: 'a.example', port: 22, signIn: 'password', compress: false, hostKey: 'SHA256:x' },
      problems: [],
    })
  })

  it('asks only for what is shown, and keeps nothing that is not', () => {
    expect(problemsOf({ host: 'a', signIn: 'key' })).toEqual(['keyName'])
    expect(problemsOf({ host: 'a', compress: true })).toEqual(['level'])
    expect(parseFieldValues(FIELDS, { host: 'a', keyName: 'k', level: 99 })).toEqual({
      values: { host: 'a', port: 22, signIn: 'password', compress: false },
      problems: [],
    })
  })

  it.each([
    [{}, ['host']],
    [{ host: '' }, ['host']],
    [{ host: null }, ['host']],
    [{ host: 'A B' }, ['host']],
    [{ host: 'a\n' }, ['host']],
    [{ host: 'a'.repeat(21) }, ['host']],
    [{ host: 7 }, ['host']],
    [{ host: {} }, ['host']],
    [{ host: ['a'] }, ['host']],
    [{ host: 'a', port: '22' }, ['port']],
    [{ host: 'a', port: 0 }, ['port']],
    [{ host: 'a', port: 65_536 }, ['port']],
    [{ host: 'a', port: Number.NaN }, ['port']],
    [{ host: 'a', signIn: 'agent' }, ['signIn']],
    [{ host: 'a', signIn: ['key'] }, ['signIn']],
    [{ host: 'a', compress: 'true' }, ['compress']],
    [{ host: 'a', password: 'x' }, ['password']],
    [{ host: 'a', proxy: 'http://x' }, ['proxy']],
    [{ host: 'a', constructor: 1, toString: 2 }, ['constructor', 'toString']],
    [JSON.parse('{"host":"a","__proto__":{"port":1}}'), ['__proto__']],
    [[], ['']],
    ['a', ['']],
    [null, ['']],
    [undefined, ['']],
  ])('%j has problems at %j', (input, fields) => {
    expect(problemsOf(input)).toEqual(fields)
  })

  it('says what to do', () => {
    const [problem] = parseFieldValues(FIELDS, { host: 'A B' }).problems
    expect(problem?.message).toBe('Host: write it as in files.example')
  })

  it('survives anything, and leaves prototypes as they are', () => {
    const before = Object.getOwnPropertyNames(Object.prototype).length
    fc.assert(
      fc.property(
        fc.dictionary(fc.oneof(fc.constantFrom(...Object.keys(FIELDS), '__proto__'), fc.string()), fc.anything()),
        (input) => {
          const { values, problems } = parseFieldValues(FIELDS, input)
          for (const [name, value] of Object.entries(values)) {
            expect(Object.hasOwn(FIELDS, name)).toBe(true)
            expect(['string', 'number', 'boolean']).toContain(typeof value)
          }
          if (problems.length === 0) expect(parseFieldValues(FIELDS, values)).toEqual({ values, problems: [] })
        },
      ),
      { numRuns: 1000 },
    )
    expect(Object.getOwnPropertyNames(Object.prototype)).toHaveLength(before)
  })
})

describe('parseSecretValues', () => {
  const values = { host: 'a', port: 22, signIn: 'key', keyName: 'k' }
  it('wants those that are shown and not stored', () => {
    expect(shownSecrets(FIELDS, values)).toEqual(['key', 'phrase'])
    expect(parseSecretValues(FIELDS, values, {}, [])).toEqual({
      secrets: {},
      problems: [{ field: 'key', message: 'Key: enter it' }],
    })
    expect(parseSecretValues(FIELDS, values, {}, ['key'])).toEqual({ secrets: {}, problems: [] })
    expect(parseSecretValues(FIELDS, values, { key: 'a\nb\r\n', password: 'stale' }, [])).toEqual({
      secrets: { key: 'a\nb\r\n' },
      problems: [],
    })
  })

  it.each([
    [{ host: 'x' }],
    [{ toString: 'x' }],
    [{ key: 7 }],
    [{ key: { a: 1 } }],
    [{ key: 'a\0b' }],
    [{ key: 'x'.repeat(20_001) }],
    [{ key: 'x', phrase: 'a\nb' }],
    ['x'],
    [null],
  ])('refuses %j', (input) => {
    expect(parseSecretValues(FIELDS, values, input, ['key']).problems).toHaveLength(1)
  })
})

describe('endpoints', () => {
  it('tells which fields of where and as whom have changed', () => {
    const before = { host: 'a', port: 22, folder: 'x' }
    expect(changedEndpoint(FIELDS, before, { ...before, folder: 'y' })).toEqual([])
    expect(changedEndpoint(FIELDS, before, { ...before, port: 23 })).toEqual(['port'])
    expect(changedEndpoint(FIELDS, before, { folder: 'x', hostKey: 'k' })).toEqual(['host', 'port', 'hostKey'])
    expect(endpointOf(FIELDS, before)).toEqual({ host: 'a', port: 22 })
  })
})
