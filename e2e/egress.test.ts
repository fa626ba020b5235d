/**
 * Nobody reaches this machine, its network or the cloud's credentials over a connection: every field of every connector that
 * says where, in 60 spellings and more, by Verify, lookup, run and sign-in. Made from the registry, so a new connector is in
 * it. Every attempt of this process to connect is seen, whoever makes it.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import {
  valueOf,
  signInMethods,
  type Batch,
  type Connector,
  type Field,
  type Fields,
  type RowKey,
  type Values,
} from '@patchbay/connector-sdk'
import { connectors } from '@patchbay/connectors'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { specialKind } from '../packages/server/src/connector-host/address.ts'
import { parseAllowedHosts } from '../packages/server/src/connector-host/allow-hosts.ts'
import { checkConnection } from '../packages/server/src/connector-host/check-connection.ts'
import { makeContext, type ConnectionAccess } from '../packages/server/src/connector-host/context.ts'
import { openSocket } from '../packages/server/src/connector-host/egress.ts'
import { parseAddress } from '../packages/server/src/connector-host/host-name.ts'
import { makeConnectorHost, type ConnectorHost } from '../packages/server/src/connector-host/host.ts'
import { exchangeCode } from '../packages/server/src/connector-host/oauth/token-requests.ts'
import { openDestination } from '../packages/server/src/connector-host/open-destination.ts'
import { oauthConnector } from '../packages/server/src/test-support/oauth-connector.ts'

const SPELLINGS = [
  // This machine.
  '127.0.0.1', '127.1', '127.0.1', '2130706433', '0x7f000001', '0x7f.1', '0177.0.0.1', '017700000001', '127.0.0.1.', '127.255.255.254',
  '[::1]', '::1', '[::]', '0.0.0.0', '0', '[::ffff:127.0.0.1]', '::ffff:7f00:1', '[0:0:0:0:0:0:0:1]', 'localhost', 'LOCALHOST', 'localhost.',
  '１２７.０.０.１', '①②⑦.0.0.1', '127。0。0。1', '127.0.0.1%00', '127.0.0.1%2f', '[::1%25lo]', 'a@127.0.0.1', '127.0.0.1#@example.com',
  'example.com@127.0.0.1', '127.0.0.1\\@example.com', '127.0.0.1/', ' 127.0.0.1', '127.0.0.1\t', '127.0.0.1:80',
  // Its network.
  '10.0.0.1', '10.1', '172.16.0.1', '172.31.255.254', '192.168.0.1', '3232235521', '100.64.0.1', '[fc00::1]', '[fd12:3456::1]', '[::ffff:10.0.0.1]', '198.18.0.1',
  // Its link, and where clouds give out credentials.
  '169.254.1.1', '[fe80::1]', '[fe80::1%25eth0]', '169.254.169.254', '2852039166', '0xa9fea9fe', '0251.0376.0251.0376', '[::ffff:a9fe:a9fe]', '[64:ff9b::a9fe:a9fe]',
  '169.254.170.2', '100.100.100.200', '168.63.129.16', '[fd00:ec2::254]', '192.0.0.192',
  // What carries one of these, or is nobody's.
  '[2002:7f00:1::]', '[64:ff9b::7f00:1]', '[::7f00:1]', '[2001:0:0:0:0:0:80ff:fffe]', '224.0.0.1', '255.255.255.255', '240.0.0.1', '[ff02::1]',
  // Names that point there: see NAMES.
  'rebind.example.com', 'inside.example.com', 'metadata.example.com', 'six.example.com',
] // prettier-ignore

const NAMES: Readonly<Record<string, readonly string[]>> = {
  'inside.example.com': ['10.0.0.5'],
  'metadata.example.com': ['169.254.169.254'],
  'six.example.com': ['fd00:ec2::254', '::1'],
  localhost: ['127.0.0.1', '::1'],
}

let attempts: string[] = []
const watch = (message: unknown): void => {
  const { socket } = message as { readonly socket: Socket }
  socket.on('connectionAttempt', (ip: string) => void attempts.push(ip))
}
beforeAll(() => subscribe('net.client.socket', watch))
afterAll(() => unsubscribe('net.client.socket', watch))

/** Public addresses count as well: nothing here is one, and nothing may leave the machine that runs the tests. */
const quietHost = (): ConnectorHost => {
  let asked = 0
  return makeConnectorHost({
    rules: {
      allowed: [],
      connectTimeoutMs: 2000,
      // Another address each time: whoever asks twice is caught by neither answer.
      resolve: async (name) =>
        NAMES[name] ??
        (name === 'rebind.example.com' && (asked += 1) % 2 === 0
          ? ['127.0.0.1']
          : name === 'rebind.example.com'
            ? ['10.0.0.9']
            : nowhere(name)),
    },
    fileRoots: [],
    log: { info: () => undefined },
    timeouts: { idleMs: 2000, requestMs: 3000, checkMs: 3000 },
  })
}

function nowhere(name: string): never {
  throw Object.assign(new Error(`${name} is not in this test`), { code: 'ENOTFOUND' })
}

const everyConnector: readonly Connector[] = [...connectors, oauthConnector()]
const hostFields = everyConnector.flatMap((connector) =>
  Object.entries(connector.settings)
    .filter(([, field]) => field.kind === 'text' && field.endpoint === true)
    .map(([name, field]) => ({ connector, name, field, title: `${connector.id}: ${name}` })),
)

/** Settings in which the field is shown, with something in every other one. */
function settingsWith(
  connector: Connector,
  target: string,
  text: string,
): Readonly<Record<string, string | number | boolean>> {
  const values: Record<string, string | number | boolean> = {}
  for (const [name, field] of Object.entries(connector.settings)) {
    const value = sampleOf(field)
    if (value !== undefined) values[name] = value
  }
  for (let name: string | undefined = target; name !== undefined;) {
    const condition: Field['showWhen'] = connector.settings[name]?.showWhen
    if (condition !== undefined) values[condition.field] = condition.is
    name = condition?.field
  }
  values[target] = text
  return values
}

function sampleOf(field: Field): string | number | boolean | undefined {
  switch (field.kind) {
    case 'text':
      return field.default ?? field.example ?? 'sample'
    case 'number':
      return field.default ?? field.min ?? 1
    case 'switch':
      return field.default ?? false
    case 'choice':
      return field.default ?? field.choices[0]?.value
    case 'lookup':
      return 'sample'
    case 'pin':
    case 'secret':
      return undefined
  }
}

/** As a person would write it into that field: alone, or as a web address where one is asked for. */
function written(field: Field, spelling: string): readonly string[] {
  const isAddress = field.kind === 'text' && /^https?:/.test(field.pattern ?? field.example ?? '')
  return isAddress || field.label === 'Address' ? [`http://${spelling}/x`, `https://${spelling}`, spelling] : [spelling]
}

function accessOf(settings: ConnectionAccess['settings']): ConnectionAccess {
  return {
    connectionId: 'con_test',
    settings,
    readSecret: () => Promise.resolve('secret-of-the-test-0123456789abcdef'),
  }
}

const KEY = 'k1' as RowKey
const BATCH: Batch = {
  id: 'batch-1',
  size: 1,
  keys: [KEY],
  json: [JSON.stringify({ change: 'added', key: KEY, fields: { email: 'a@example.org' } })],
  changes: [{ change: 'added', key: KEY, fields: { email: 'a@example.org' } }],
}

async function verify(host: ConnectorHost, connector: Connector, access: ConnectionAccess, signal: AbortSignal) {
  for await (const step of checkConnection(host, connector, access, signal)) if (!step.ok) return
}

async function lookUp(host: ConnectorHost, connector: Connector, access: ConnectionAccess, signal: AbortSignal) {
  const { context, close } = await makeContext(host, connector, access, signal, 'administrators')
  try {
    for (const destination of Object.values(connector.destinations)) {
      for (const ask of Object.values(destination.lookups ?? {})) await quietly(async () => ask(context, '', {}))
      if (destination.delivers === 'rows')
        await quietly(async () => destination.targetFields(context, destinationValues(destination.fields)))
    }
  } finally {
    await close()
  }
}

async function deliver(host: ConnectorHost, connector: Connector, access: ConnectionAccess, signal: AbortSignal) {
  for (const [destinationType, { modes, fields }] of Object.entries(connector.destinations))
    await quietly(async () => {
      const opened = await openDestination(host, {
        connector,
        connection: access,
        destinationType,
        destination: destinationValues(fields) as ConnectionAccess['settings'],
        mode: modes[0] ?? 'append',
        run: { runId: 'run_test', delivered: [] },
        signal,
      })
      try {
        if (opened.delivers === 'rows') await opened.delivery.deliver(BATCH)
        if (opened.delivers === 'table') await opened.openDelivery()
      } finally {
        await opened.close()
      }
    })
}

function destinationValues(fields: Fields): Values<Fields> {
  const entries = Object.entries(fields).map(([name, field]) => [name, sampleOf(field)])
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined)) as Values<Fields>
}

async function signIn(host: ConnectorHost, connector: Connector, access: ConnectionAccess, signal: AbortSignal) {
  for (const { method } of signInMethods(connector.auth)) {
    if (method.type !== 'oauth2') continue
    const settings = access.settings as Values<Fields>
    const client = { id: 'client', secret: 'secret-of-the-client' }
    const at = { host, connector, method, settings, client, connectionId: access.connectionId }
    const issuer = method.issuer === undefined ? {} : { iss: valueOf(method.issuer, settings) }
    const callback = new URLSearchParams({ code: 'c', state: 's', ...issuer })
    const given = {
      callback,
      state: 's',
      verifier: 'v'.repeat(43),
      redirectUri: 'https://patchbay.example/oauth/callback',
    }
    await quietly(() => exchangeCode(at, given, signal))
  }
}

/** Whatever comes of it: only the attempts to connect count. */
async function quietly(work: () => Promise<unknown>): Promise<void> {
  await work().catch(() => undefined)
}

describe('the watch', () => {
  it('sees an attempt to connect, and an address that the operator listed is reached', async () => {
    attempts = []
    await expect(
      openSocket({ host: '127.0.0.1', port: 9 }, { allowed: parseAllowedHosts('127.0.0.1:9') }),
    ).rejects.toThrow(/nothing listens/)
    expect(attempts).toEqual(['127.0.0.1'])
  })

  it.each([
    ['another port', '127.0.0.1', 10],
    ['another address', '127.0.0.2', 9],
    ['the same by another name', 'localhost', 9],
    ['the same, carried', '::ffff:7f00:1', 9],
  ])('the list opens exactly what it names: not %s', async (_what, host, port) => {
    attempts = []
    const rules = {
      allowed: parseAllowedHosts('127.0.0.1:9, 10.1.0.0/16:22'),
      resolve: () => Promise.resolve(['127.0.0.2']),
    }
    await expect(openSocket({ host, port }, rules)).rejects.toThrow(/may not reach|cannot be used/)
    expect(attempts).toEqual([])
  })
})

it('knows the host fields of every connector that has some, and 60 spellings', () => {
  expect(SPELLINGS.length).toBeGreaterThanOrEqual(60)
  expect(new Set(hostFields.map(({ connector }) => connector.id))).toEqual(
    new Set(
      everyConnector
        .filter(({ settings }) =>
          Object.values(settings).some((field) => field.kind === 'text' && field.endpoint === true),
        )
        .map(({ id }) => id),
    ),
  )
  expect(hostFields.length).toBeGreaterThan(5)
})

describe.each(hostFields)('$title', ({ connector, name, field }) => {
  it.each([
    ['verify', verify],
    ['lookup', lookUp],
    ['run', deliver],
    ['sign-in', signIn],
  ])('%s connects to nothing that is not public', { timeout: 120_000 }, async (_operation, work) => {
    const host = quietHost()
    attempts = []
    const signal = AbortSignal.timeout(100_000)
    for (const spelling of SPELLINGS)
      for (const text of written(field, spelling)) {
        const access = accessOf(settingsWith(connector, name, text))
        await quietly(() => work(host, connector, access, signal))
      }
    const reached = attempts.filter((ip) => {
      const address = parseAddress(ip)
      return address === undefined || specialKind(address) !== undefined
    })
    expect(reached).toEqual([])
    // Names are only those of this test, so nothing public was reached either.
    expect(attempts).toEqual([])
  })
})
