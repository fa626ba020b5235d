import { createServer, type AddressInfo, type Server } from 'node:net'
import { ConnectionRefused, Unavailable } from '@patchbay/connector-sdk'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseAllowedHosts } from './allow-hosts.ts'
import { openSocket, type EgressRules } from './egress.ts'

let server: Server
let serverIPv6: Server | undefined
let port: number
let reached = 0

const NOTHING_LISTED: EgressRules = { allowed: [], connectTimeoutMs: 2000 }
const listing = (text: string, more: Partial<EgressRules> = {}): EgressRules => ({
  ...NOTHING_LISTED,
  allowed: parseAllowedHosts(text),
  ...more,
})

beforeAll(async () => {
  const count = (): void => void (reached += 1)
  server = createServer((socket) => socket.on('error', () => undefined)).on('connection', count)
  port = await listen(server, '127.0.0.1', 0)
  // The same port on the other family, where there is one: `localhost` and `::1` must find nobody who counts as missed.
  const other = createServer((socket) => socket.on('error', () => undefined)).on('connection', count)
  serverIPv6 = (await listen(other, '::1', port).catch(() => undefined)) === undefined ? undefined : other
})
afterAll(() => {
  server.close()
  serverIPv6?.close()
})

/** Each of them is loopback, private or the cloud's own to some reader, or is no host at all. */
// prettier-ignore
const SPELLINGS = [
  // Loopback, plainly and by name.
  '127.0.0.1', '127.0.0.2', '127.255.255.254', '::1', 'localhost', 'LOCALHOST', 'localhost.',
  // The same as the C library, or a URL parser, would read it.
  '127.1', '127.0.1', '0x7f.1', '0x7f000001', '0x7f.0x0.0x0.0x1', '2130706433', '017700000001', '0177.0.0.1',
  '127.0.0.01', '0127.0.0.1', '127.00.00.01', '0', '0.0', '1', '127.0.0.1.', '127.0.0.256', '1.2.3.4.5', '0x', '0X7F.1',
  // Beyond ASCII.
  '１２７.０.０.１', '①②⑦.⓪.⓪.①', '127。0。0。1', '127．0．0．1', 'ⓛocalhost', 'lоcalhost', '١٢٧.٠.٠.١', 'bücher.example',
  // Not a host alone.
  '[::1]', '127.0.0.1:80', 'user@127.0.0.1', 'example.com@127.0.0.1', '127.0.0.1#example.com', '127.0.0.1/',
  'http://127.0.0.1', '127.0.0.1\\@example.com', '127.0.0.1?x', '', ' ', ' 127.0.0.1', '127.0.0.1 ', '127.0.0.1\n',
  '127.0.0.1\0.example.com', '%31%32%37.0.0.1', '127.0.0.1%2f', '::1%lo', '::1%1', 'fe80::1%eth0', '-a.example', 'a..b',
  'a_b', '.', '..', `${'a'.repeat(64)}.example`, `${'a.'.repeat(127)}example`,
  // Unspecified, broadcast, multicast, reserved.
  '0.0.0.0', '0.1.2.3', '::', '255.255.255.255', '224.0.0.1', 'ff02::1', '240.0.0.1', '192.0.2.1', '198.18.0.1',
  '2001:db8::1', '3fff::1', '100::1', 'fec0::1', '5f00::1', '4000::1', 'e000::1', '192.0.0.1', '192.88.99.1',
  // Private, link-local, carrier-grade NAT.
  '10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.0.1', '169.254.1.1', '100.64.0.1', 'fe80::1', 'fc00::1', 'fd12:3456::1',
  // Where clouds give out credentials.
  '169.254.169.254', '169.254.170.2', 'fd00:ec2::254', '100.100.100.200', '168.63.129.16', '192.0.0.192',
  // IPv4 inside IPv6, in canonical spelling and in others.
  '::ffff:127.0.0.1', '::ffff:7f00:1', '::127.0.0.1', '::7f00:1', '::ffff:0:7f00:1', '64:ff9b::7f00:1', '64:ff9b::127.0.0.1',
  '64:ff9b::a9fe:a9fe', '64:ff9b:1::7f00:1', '2002:7f00:1::', '2002:a9fe:a9fe::', '2001:0:4136:e378:8000:63bf:80ff:fffe',
  '2001::80ff:fffe', '::ffff:808:808', '64:ff9b::808:808',
  // The other spellings of an IPv6 address.
  '0:0:0:0:0:0:0:1', '::0001', '0::1', '::0:1', '0000:0000:0000:0000:0000:0000:0000:0001', '::0.0.0.1',
]

describe('openSocket', () => {
  it('has a table to speak of', () => {
    expect(new Set(SPELLINGS).size).toBe(SPELLINGS.length)
    expect(SPELLINGS.length).toBeGreaterThan(100)
  })

  it.each(SPELLINGS)('refuses %j, and nothing is reached', async (host) => {
    const before = reached
    const refused = openSocket({ host, port }, NOTHING_LISTED)
    await expect(refused).rejects.toThrow(ConnectionRefused)
    await new Promise((resolve) => setImmediate(resolve))
    expect(reached).toBe(before)
  })

  it('names the host and the cure', async () => {
    await expect(openSocket({ host: '127.0.0.1', port }, NOTHING_LISTED)).rejects.toThrow(
      `127.0.0.1 is a loopback address, which connections may not reach. If it should be reached, ` +
        `the operator can list it in PATCHBAY_ALLOW_HOSTS (127.0.0.1:${port})`,
    )
  })

  it.each([
    ['127.0.0.1', '127.0.0.1'],
    ['127.0.0.1:PORT', '127.0.0.1'],
    ['127.0.0.0/8', '127.0.0.1'],
    ['127.0.0.0/8:PORT', '127.0.0.1'],
    ['localhost', 'localhost'],
    ['localhost:PORT', 'LocalHost'],
    ['10.0.0.0/8, 127.0.0.1', 'localhost'],
    ['::1', '::1'],
    ['[::1]:PORT', '::1'],
    ['[::/64]:PORT', '::1'],
  ])('with %s listed, reaches %s', async (list, host) => {
    if (host === '::1' && serverIPv6 === undefined) return
    const before = reached
    const socket = await openSocket({ host, port }, listing(list.replace('PORT', String(port))))
    await expect.poll(() => reached).toBe(before + 1)
    socket.destroy()
  })

  it.each([
    ['127.0.0.1:1', '127.0.0.1'],
    ['127.0.0.2', '127.0.0.1'],
    ['localhost', '127.0.0.1'],
    ['other.example', 'localhost'],
    ['10.0.0.0/8', '127.0.0.1'],
    ['127.0.0.1', '127.1'],
    ['127.0.0.1', '2130706433'],
    ['127.0.0.1', '::ffff:7f00:1'],
    ['127.0.0.0/8', '0.0.0.0'],
    ['::ffff:0:0/96', '::ffff:7f00:1'],
    ['64:ff9b::/96', '64:ff9b::7f00:1'],
    ['169.254.0.0/16', '169.254.169.254'],
  ])('with %s listed, still refuses %s', async (list, host) => {
    const before = reached
    await expect(openSocket({ host, port }, listing(list))).rejects.toThrow(ConnectionRefused)
    expect(reached).toBe(before)
  })

  it('lets a listed name reach no place where clouds give out credentials', async () => {
    const rules = listing('inner.example', { resolve: () => Promise.resolve(['169.254.169.254', 'fd00:ec2::254']) })
    await expect(openSocket({ host: 'inner.example', port }, rules)).rejects.toThrow(ConnectionRefused)
  })

  it('does not let a connection reach Patchbay itself, whatever is listed', async () => {
    const rules = listing('127.0.0.0/8, localhost', { ownPorts: [port] })
    for (const host of ['127.0.0.1', '127.0.0.9', 'localhost'])
      await expect(openSocket({ host, port }, rules)).rejects.toThrow(/Patchbay itself/)
  })

  it('asks once and connects to what was judged, so a name that changes its mind gains nothing', async () => {
    let asked = 0
    // 127.0.0.3, listed and dead, stands in for the attacker's public address: no test leaves this machine.
    const flipping = listing('127.0.0.3', {
      resolve: () => Promise.resolve([(asked += 1) % 2 === 1 ? '127.0.0.3' : '127.0.0.1']),
    })
    const before = reached
    for (let attempt = 1; attempt <= 1000; attempt += 1) {
      const outcome = await openSocket({ host: 'rebind.example', port }, flipping).then(
        (socket) => socket.destroy(),
        (error: unknown) => error,
      )
      expect(outcome).toBeInstanceOf(attempt % 2 === 1 ? Unavailable : ConnectionRefused)
      expect(asked).toBe(attempt)
    }
    expect(reached).toBe(before)
  })

  it('leaves the forbidden addresses of a name out, and tries the others in turn', async () => {
    const both = listing('127.0.0.1', { resolve: () => Promise.resolve(['127.0.0.2', '10.0.0.1', '127.0.0.1']) })
    const socket = await openSocket({ host: 'two.example', port }, both)
    expect(socket.remoteAddress).toBe('127.0.0.1')
    socket.destroy()

    const dead = await deadPort()
    const second = listing('127.0.0.0/8', { resolve: () => Promise.resolve(['127.0.0.3', '127.0.0.1']) })
    await expect(openSocket({ host: 'dead.example', port: dead }, second)).rejects.toThrow(/nothing listens/)
  })

  it.each([
    ['ENOTFOUND', /does not exist/],
    ['EAI_AGAIN', /name server does not answer/],
  ])('says what %s means, at the step "resolved"', async (code, words) => {
    const resolve = (): Promise<never> => Promise.reject(Object.assign(new Error(code), { code }))
    const failure = await openSocket({ host: 'a.example', port }, { ...NOTHING_LISTED, resolve }).catch(
      (e: unknown) => e,
    )
    expect(failure).toBeInstanceOf(Unavailable)
    expect(failure).toMatchObject({ sent: 'no', step: 'resolved' })
    expect(String(failure)).toMatch(words)
  })

  it('ends with the signal, and after its time', async () => {
    const never = listing('a.example', { resolve: () => new Promise(() => undefined), connectTimeoutMs: 30 })
    await expect(openSocket({ host: 'a.example', port }, never)).rejects.toThrow(/no answer within 0.03 s/)
    const controller = new AbortController()
    const reason = new Error('canceled')
    setTimeout(() => controller.abort(reason), 20)
    const slow = { ...never, connectTimeoutMs: 5000 }
    await expect(openSocket({ host: 'a.example', port, signal: controller.signal }, slow)).rejects.toBe(reason)
  })

  it.each([0, -1, 65_536, 1.5, Number.NaN])('refuses port %s', async (wrong) => {
    await expect(openSocket({ host: '127.0.0.1', port: wrong }, listing('127.0.0.1'))).rejects.toThrow(
      /from 1 to 65535/,
    )
  })
})

describe('parseAllowedHosts', () => {
  it('reads names, addresses and networks, with and without ports', () => {
    const entries = parseAllowedHosts(
      ' files.corp.example:22,10.20.0.0/16 \n 127.0.0.1:2222 [fd00:1::/64]:443,fd00::1, ',
    )
    expect(entries.map((entry) => [entry.kind, entry.port])).toEqual([
      ['name', 22],
      ['network', undefined],
      ['network', 2222],
      ['network', 443],
      ['network', undefined],
    ])
    expect(parseAllowedHosts('')).toEqual([])
  })

  // prettier-ignore
  it.each([
    '*.corp.example', '*', 'corp.example/24', '10.0.0.0/33', '10.0.0.0/', '10.0.0.0/x', '10.1.2.3/8', '0.0.0.0/0', '::/0',
    '10.0.0.1:0', '10.0.0.1:99999', 'http://corp.example', 'user@corp.example', '127.1', 'fd00::1:443/200', '[::1', 'a_b',
    '10.0.0.0/8/8', '::1%lo', '0:0:0:0:0:0:0:1',
  ])('refuses %s with the way to write it', (entry) => {
    expect(() => parseAllowedHosts(entry)).toThrow(/PATCHBAY_ALLOW_HOSTS: ".*" cannot be used: .+ Write a host name/)
  })
})

function listen(listener: Server, host: string, wanted: number): Promise<number> {
  return new Promise((resolve, reject) => {
    listener.once('error', reject)
    listener.listen(wanted, host, () => resolve((listener.address() as AddressInfo).port))
  })
}

async function deadPort(): Promise<number> {
  const listener = createServer()
  const found = await listen(listener, '127.0.0.1', 0)
  await new Promise((resolve) => listener.close(resolve))
  return found
}
