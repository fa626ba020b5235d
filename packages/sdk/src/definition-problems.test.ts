import { describe, expect, it } from 'vitest'
import { defineConnector, type Connector } from './connector.ts'
import { DEFINITION_RULES, definitionProblems } from './definition-problems.ts'
import { patternProblem } from './linear-pattern.ts'

const GOOD = defineConnector({
  id: 'good-one',
  name: 'Good one',
  summary: 'Does everything as it should.',
  category: 'crm',
  direction: 'export',
  settings: {
    url: { kind: 'text', label: 'Address', endpoint: true, pattern: 'https://.+', default: 'https://a.example' },
    region: {
      kind: 'choice',
      label: 'Region',
      default: 'eu',
      choices: [
        { value: 'eu', label: 'Europe' },
        { value: 'us', label: 'United States' },
      ],
    },
    account: { kind: 'text', label: 'Account', showWhen: { field: 'region', is: 'us' } },
    isTest: { kind: 'switch', label: 'Test', showWhen: { field: 'region', is: 'eu' } },
    size: { kind: 'number', label: 'Size', min: 1, max: 9, default: 3, showWhen: { field: 'isTest', is: true } },
    key: { kind: 'secret', label: 'Key', help: 'Account, then Keys.' },
  },
  auth: { type: 'header', headers: ({ key }) => ({ authorization: key.reveal() }) },
  async *check() {},
  destinations: {
    list: {
      delivers: 'rows',
      name: 'List',
      modes: ['upsert', 'mirror'],
      removal: 'They are removed.',
      fields: {
        list: { kind: 'lookup', label: 'List', dependsOn: ['kind'] },
        kind: { kind: 'text', label: 'Kind' },
      },
      lookups: { list: () => [] },
      limits: { rowsPerBatch: 1, bytesPerBatch: 1, batchesInFlight: 1, requestsPerSecond: 0.5, rowsMin: 1, rowsMax: 2 },
      repeat: () => ({ kind: 'keyed', forHours: 24 }),
      fixedFields: [{ name: 'email', label: 'E-mail', type: 'email', normal: 'email', hash: 'sha256' }],
      targetFields: () => [],
      open: () => ({ deliver: () => Promise.resolve([]), close: () => Promise.resolve() }),
    },
  },
})

const with_ = (changes: object): Connector => ({ ...GOOD, ...changes })
const withFields = (fields: object): Connector => with_({ settings: { ...GOOD.settings, ...fields } })
const withList = (changes: object): Connector =>
  with_({ destinations: { list: { ...GOOD.destinations['list'], ...changes } } })

/** Two ways to sign in, as a service with API keys and OAuth has them. */
const OAUTH = {
  type: 'oauth2',
  authorizationEndpoint: 'https://login.example.com/authorize',
  tokenEndpoint: 'https://login.example.com/token',
  issuer: 'https://login.example.com',
  scopes: ['lists.read', 'lists.write'],
  client: { id: 'clientId', secret: 'clientSecret' },
  clientAuth: 'client_secret_basic',
  pkce: 'S256',
  authorizationParameters: { access_type: 'offline' },
  tokens: { kind: 'refreshed', rotates: true, lifeDays: 180 },
  origins: () => ['https://api.example.com'],
  account: () => ({ id: '1', name: 'One' }),
} as const
const MACHINE = {
  type: 'client-credentials',
  tokenEndpoint: ({ url }: { url: string }) => `${url}/token`,
  scopes: ['.default'],
  client: { id: 'clientId', secret: 'clientSecret' },
  clientAuth: 'client_secret_post',
  origins: () => ['https://api.example.com'],
} as const
const BOTH = {
  ...GOOD,
  settings: {
    ...GOOD.settings,
    signIn: { kind: 'choice', label: 'Sign in with', choices: [{ value: 'key', label: 'Key' }, { value: 'oauth', label: 'Account' }, { value: 'machine', label: 'Application' }] },
    clientId: { kind: 'text', label: 'Client id', endpoint: true },
    clientSecret: { kind: 'secret', label: 'Client secret', help: 'Apps, then Secrets.' },
  },
  auth: { type: 'choice', field: 'signIn', of: { key: GOOD.auth, oauth: OAUTH, machine: MACHINE } },
} as unknown as Connector // prettier-ignore
const withAuth = (auth: object, settings: object = {}): Connector =>
  ({ ...BOTH, auth, settings: { ...BOTH.settings, ...settings } }) as unknown as Connector
const withOAuth = (changes: object, settings: object = {}): Connector => withAuth({ ...OAUTH, ...changes }, settings)
const withMachine = (changes: object, settings: object = {}): Connector =>
  withAuth({ ...MACHINE, ...changes }, settings)

/** [the rule, the mistake that it has to find]. */
const MISTAKES: readonly (readonly [string, Connector])[] = [
  ...['Good', 'good_one', '1good', 'good-', 'a'.repeat(41), '', '../x'].map((id) => ['the id is kebab-case', with_({ id })] as const),
  ['name and summary are there', with_({ name: ' ' })],
  ['name and summary are there', with_({ summary: '' })],
  ['an exporting connector has a destination', with_({ destinations: {} })],
  ...['A', 'a-b', '_a', 'a b', 'constructor', '__proto__x', 'toString'].map((name) => ['field and destination names are plain', withFields({ [name]: { kind: 'text', label: 'A' } })] as const),
  ['field and destination names are plain', with_({ destinations: { 'a list': GOOD.destinations['list'] } })],
  ['fields are plain JSON', withFields({ a: { kind: 'text', label: 'A', default: () => 'x' } })],
  ['fields are plain JSON', withFields({ a: { kind: 'number', label: 'A', max: Infinity } })],
  ['fields are plain JSON', withFields({ a: { kind: 'text', label: 'A', pattern: /a/ } })],
  ['every field has a label', withFields({ a: { kind: 'text', label: '' } })],
  ['every field has a label', withFields({ a: { kind: 'choice', label: 'A', choices: [{ value: 'x', label: '' }] } })],
  ['every secret has help', withFields({ a: { kind: 'secret', label: 'A' } })],
  ['choices can be told apart', withFields({ a: { kind: 'choice', label: 'A', choices: [] } })],
  ['choices can be told apart', withFields({ a: { kind: 'choice', label: 'A', choices: [{ value: 'x', label: 'X' }, { value: 'x', label: 'Y' }] } })],
  ...[{ field: 'nothing', is: 'a' }, { field: 'region', is: 'asia' }, { field: 'isTest', is: 'true' }, { field: 'url', is: 'a' }, { field: 'toString', is: 'a' }].map(
    (showWhen) => ['showWhen names a field of the same form and a value of it', withFields({ a: { kind: 'text', label: 'A', showWhen } })] as const),
  ['showWhen names a field of the same form and a value of it', withFields({
    a: { kind: 'switch', label: 'A', showWhen: { field: 'b', is: true } }, b: { kind: 'switch', label: 'B', showWhen: { field: 'a', is: true } } })],
  ['defaults fit their fields', withFields({ a: { kind: 'number', label: 'A', min: 1, default: 0 } })],
  ['defaults fit their fields', withFields({ a: { kind: 'text', label: 'A', pattern: 'b', default: 'a' } })],
  ['defaults fit their fields', withFields({ a: { kind: 'text', label: 'A', maxLength: 1, default: 'aa' } })],
  ['defaults fit their fields', withFields({ region: { ...GOOD.settings['region'], default: 'asia' } })],
  ['patterns take linear time', withFields({ a: { kind: 'text', label: 'A', pattern: '(a+)+' } })],
  ['secrets and pins belong to the connection', withList({ fields: { a: { kind: 'secret', label: 'A', help: 'A' } }, lookups: {} })],
  ['secrets and pins belong to the connection', withList({ fields: { a: { kind: 'pin', label: 'A' } }, lookups: {} })],
  ['every lookup field has its lookup, and every lookup its field', withList({ lookups: {} })],
  ['every lookup field has its lookup, and every lookup its field', withList({ lookups: { list: () => [], other: () => [] } })],
  ['every lookup field has its lookup, and every lookup its field', withList({ fields: { list: { kind: 'lookup', label: 'A', dependsOn: ['list'] } } })],
  ['every lookup field has its lookup, and every lookup its field', withFields({ a: { kind: 'lookup', label: 'A' } })],
  ['a sign-in goes to an origin of its own', with_({ settings: { key: GOOD.settings['key'] } })],
  ...[{ key: GOOD.auth }, { key: GOOD.auth, oauth: OAUTH, machine: MACHINE, fourth: GOOD.auth }, { key: GOOD.auth, oauth: OAUTH, machine: OAUTH }].map(
    (of) => ['a choice of sign-ins has one for each of its values', withAuth({ type: 'choice', field: 'signIn', of })] as const),
  ['a choice of sign-ins has one for each of its values', withAuth({ type: 'choice', field: 'url', of: {} })],
  ['a choice of sign-ins has one for each of its values', withAuth(BOTH.auth, { signIn: { ...BOTH.settings['signIn'], optional: true } })],
  ...['http://login.example.com/token', 'login.example.com', 'https://login.example.com/#x'].map((tokenEndpoint) => ['addresses of a sign-in are https, or follow from endpoint fields', withOAuth({ tokenEndpoint })] as const),
  ['addresses of a sign-in are https, or follow from endpoint fields', withOAuth({ authorizationEndpoint: 'http://a.example' })],
  ['addresses of a sign-in are https, or follow from endpoint fields', withOAuth({ issuer: 'a.example' })],
  ['addresses of a sign-in are https, or follow from endpoint fields', with_({ auth: MACHINE, settings: { clientSecret: GOOD.settings['key'] } })],
  ['the client of a sign-in is in fields of the connection', withOAuth({ client: { id: 'nothing', secret: 'clientSecret' } })],
  ['the client of a sign-in is in fields of the connection', withOAuth({ client: { id: 'clientId', secret: 'url' } })],
  ['the client of a sign-in is in fields of the connection', withOAuth({ client: { id: 'clientId' } })],
  ['the client of a sign-in is in fields of the connection', withOAuth({ clientAuth: 'none' })],
  ['the client of a sign-in is in fields of the connection', withMachine({}, { clientId: { kind: 'text', label: 'Client id' } })],
  ['a sign-in without client secret has PKCE', withOAuth({ clientAuth: 'none', client: { id: 'clientId' }, pkce: 'refused-by-service' })],
  ...['state', 'redirect_uri', 'code_challenge'].map((name) => ['parameters of a sign-in leave those of the host alone', withOAuth({ authorizationParameters: { [name]: 'x' } })] as const),
  ['parameters of a sign-in leave those of the host alone', withMachine({ tokenParameters: { grant_type: 'password' } })],
  ...[['a', 'a'], ['a b'], ['']].map((scopes) => ['scopes can be told apart', withOAuth({ scopes })] as const),
  ['lives of tokens are positive', withOAuth({ tokens: { kind: 'refreshed', rotates: false, idleDays: 0 } })],
  ['lives of tokens are positive', withOAuth({ tokens: { kind: 'renewed', lifeDays: -1, grantType: 'x', tokenParameter: 'x', atOnce: true } })],
  ['modes are there', withList({ modes: [] })],
  ['modes are there', withList({ modes: ['upsert', 'upsert'] })],
  ['removal is said in words', withList({ removal: '' })],
  ...[{ rowsPerBatch: 0 }, { bytesPerBatch: -1 }, { batchesInFlight: 1.5 }, { requestsPerSecond: 0 }, { rowsMin: 3 }, { rowsPerBatch: Number.NaN }].map(
    (limit) => ['limits are positive', withList({ limits: { rowsPerBatch: 1, bytesPerBatch: 1, batchesInFlight: 1, rowsMax: 2, ...limit } })] as const),
  ['repeat is of a known kind', withList({ repeat: () => ({ kind: 'toString' }) })],
  ['repeat is of a known kind', withList({ repeat: () => ({ kind: 'keyed', forHours: 0 }) })],
  ['repeat is of a known kind', withList({ fields: { a: { kind: 'switch', label: 'A' } }, lookups: {}, repeat: ({ a }: { a: boolean }) => ({ kind: a ? 'often' : 'keyed' }) })],
  ...[[{ name: 'a' }, { name: 'a' }], [{ name: 'a', normal: 'toString' }], [{ name: 'a', hash: 'sha256' }]].map(
    (fixedFields) => ['fixed fields make sense', withList({ fixedFields })] as const),
  ['fixed fields make sense', withList({ fixedFields: [], onlyFixedFields: true })],
] // prettier-ignore

describe('the rules of a definition', () => {
  it('find nothing in one that is right', () => {
    expect(DEFINITION_RULES.flatMap(({ problems }) => problems(GOOD))).toEqual([])
    expect(DEFINITION_RULES.flatMap(({ problems }) => problems(BOTH))).toEqual([])
  })

  it.each(MISTAKES)('"%s" finds its mistake, and says so', (name, connector) => {
    const rule = DEFINITION_RULES.find((candidate) => candidate.name === name)
    expect(rule?.problems(connector)).not.toEqual([])
    if (rule?.isAdvice !== true) expect(definitionProblems(connector).map((found) => found.rule)).toContain(name)
    else expect(definitionProblems(connector)).toEqual([])
  })

  it('are all proven', () => {
    const proven = new Set(MISTAKES.map(([name]) => name))
    expect(DEFINITION_RULES.map(({ name }) => name).filter((name) => !proven.has(name))).toEqual([])
  })
})

describe('patternProblem', () => {
  it.each(['[a-z0-9-]{1,40}', 'https?://[^\\s]+', '\\d{3}-\\d{4}', '(?:a|b)+', '(ab|cd)*x', '[^/\\\\][^\\\\]*', '(\\d{2}:)*', 'a(?:b+)?c', '', '(?=a)a+', '[(*+]+', '\\(+\\)*', '(?:x{3})+', '\\p{L}+'])(
    'takes %s', (pattern) => expect(patternProblem(pattern)).toBeUndefined())

  it.each(['(a+)+', '(a*)*', '([a-z]+)*x', '(?:a{1,9})+', '((a)+)+', '(a|a)*', '(a|ab)*', '(.|x)+', '(\\w|\\d)+', '(?:a?)*', '(a|b*)+', '(?<x>a+){2,}', '(a+){9}', '(a|a){9}', '(?:a+b?)*', '(', '[', 'a**', '(a)\\1', '(?<n>a)\\k<n>', '(?<=a)b', '(|a)+', '((?:ab|ac))+', '(x(?:a|a))*'])(
    'refuses %s', (pattern) => expect(patternProblem(pattern)).not.toBeUndefined())
}) // prettier-ignore
