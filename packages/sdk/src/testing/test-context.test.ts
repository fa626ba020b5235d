import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { defineConnector } from '../connector.ts'
import { definitionProblems } from '../definition-problems.ts'
import { ConnectionRefused } from '../errors.ts'
import { makeTestContext } from './test-context.ts'

const connector = defineConnector({
  id: 'two-ways',
  name: 'Two ways',
  summary: 'Signs in with a key or as somebody.',
  category: 'crm',
  direction: 'enrichment',
  settings: {
    url: { kind: 'text', label: 'Address', endpoint: true },
    signIn: {
      kind: 'choice',
      label: 'Sign in with',
      default: 'key',
      choices: [
        { value: 'key', label: 'Key' },
        { value: 'person', label: 'Account' },
      ],
    },
    apiKey: { kind: 'secret', label: 'Key', help: 'Settings, Keys', showWhen: { field: 'signIn', is: 'key' } },
    clientId: { kind: 'text', label: 'Client id', showWhen: { field: 'signIn', is: 'person' } },
    clientSecret: { kind: 'secret', label: 'Client secret', help: 'Apps', showWhen: { field: 'signIn', is: 'person' } },
  },
  auth: {
    type: 'choice',
    field: 'signIn',
    of: {
      key: { type: 'header', headers: ({ apiKey }) => ({ 'x-key': apiKey?.reveal() ?? '' }), origin: ({ url }) => url },
      person: {
        type: 'oauth2',
        authorizationEndpoint: ({ url }) => `${url}/authorize`,
        tokenEndpoint: ({ url }) => `${url}/token`,
        scopes: ['all'],
        client: { id: 'clientId', secret: 'clientSecret' },
        clientAuth: 'client_secret_basic',
        pkce: 'S256',
        tokens: { kind: 'lasting' },
        origins: ({ url }, account) => [
          url,
          ...(account?.details?.['host'] === undefined ? [] : [account.details['host']]),
        ],
        account: (_ctx, answer) => ({ id: String(answer['user']), name: 'Somebody' }),
      },
    },
  },
  async *check() {},
  destinations: {},
})

let server: Server
let origin: string

beforeEach(async () => {
  server = createServer((_request, response) => response.end('{}'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterEach(() => server.close())

it('is a definition without problems', () => expect(definitionProblems(connector)).toEqual([]))

it('signs in by the way that the settings choose', async () => {
  const key = makeTestContext(connector, { settings: { url: origin }, secrets: { apiKey: 'k1' } })
  await key.context.fetch(`${origin}/x`)
  expect(key.sent[0]?.headers).toEqual({ 'x-key': 'k1' })

  const settings = { url: 'http://127.0.0.1:9', signIn: 'person', clientId: 'c' }
  const account = { id: '7', name: 'Ada', details: { host: origin } }
  const person = makeTestContext(connector, { settings, accessToken: 't1', account })
  await person.context.fetch(`${origin}/x`)
  expect(person.sent[0]?.headers).toEqual({ authorization: 'Bearer t1' })
  expect(person.context.account).toEqual(account)
})

it('puts no token on another origin, and says where nobody has signed in', async () => {
  const settings = { url: 'http://127.0.0.1:9', signIn: 'person', clientId: 'c' }
  const other = makeTestContext(connector, { settings, accessToken: 't1' })
  await other.context.fetch(`${origin}/x`)
  expect(other.sent[0]?.headers).toEqual({})

  const nobody = makeTestContext(connector, { settings: { ...settings, url: origin } })
  await expect(nobody.context.fetch(`${origin}/x`)).rejects.toThrow(ConnectionRefused)
})

it('refuses an authorization header of the connector, as the host does', async () => {
  const { context } = makeTestContext(connector, { settings: { url: origin }, secrets: { apiKey: 'k1' } })
  await expect(context.fetch(origin, { headers: { Authorization: 'x' } })).rejects.toThrow(TypeError)
})
