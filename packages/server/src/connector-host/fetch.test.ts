import { createServer, type AddressInfo, type Socket } from 'node:net'
import { deflateSync, gzipSync, brotliCompressSync } from 'node:zlib'
import { ConnectionRefused, Unavailable, type Connector, type Context } from '@patchbay/connector-sdk'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { parseAllowedHosts } from './allow-hosts.ts'
import type { HostedContext } from './context.ts'
import type { ExchangePoint } from './exchange.ts'
import { startServer, type AnsweringServer } from './testing/answering-server.ts'
import { makeAuthority, makeIdentity, type Identity } from './testing/certificates.ts'
import { exampleConnector, openExample } from './testing/example-host.ts'

let server: AnsweringServer
let hosted: HostedContext
let ctx: Context

const caught = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'no error',
    (error: unknown) => error,
  )
const post = { method: 'POST', body: '{"rows":1}' } as const
const quick = { timeouts: { idleMs: 300, requestMs: 1500 } }

beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())
beforeEach(async () => {
  server.received.length = 0
  server.answer((response) => response.end('{}'))
  hosted = await openExample(server.origin, quick)
  ctx = hosted.context
})
afterEach(() => hosted.close())

describe('a request', () => {
  it('carries the declared sign-in, the body as it is, and the answer back', async () => {
    server.answer((response) => response.writeHead(201, { 'x-id': '7' }).end('{"a":"ü"}'))
    const answer = await ctx.fetch(`${server.origin}/rows?x=1`, {
      ...post,
      headers: { 'Content-Type': 'application/json' },
    })
    expect(answer.status).toBe(201)
    expect(answer.headers.get('X-Id')).toBe('7')
    expect(answer.text()).toBe('{"a":"ü"}')
    expect(answer.json()).toEqual({ a: 'ü' })
    const [request] = server.received
    expect(request).toMatchObject({ method: 'POST', url: '/rows?x=1', body: post.body })
    expect(request?.headers).toMatchObject({
      authorization: expect.stringMatching(/^Bearer /) as string,
      'content-type': 'application/json',
      'content-length': '10',
      'accept-encoding': 'gzip',
      host: `127.0.0.1:${server.port}`,
    })
  })

  it('reads as much of an answer, and waits as long for it, as the request asked, up to a limit', async () => {
    const large = 'x'.repeat(3 * 1024 * 1024)
    server.answer((response) => response.end(large))
    await expect(ctx.fetch(`${server.origin}/`)).rejects.toThrow(/more than 1 MiB/)
    await expect(ctx.fetch(`${server.origin}/`, { answerBytesMax: 2 * 1024 * 1024 })).rejects.toThrow(/more than 2 MiB/)
    expect((await ctx.fetch(`${server.origin}/`, { answerBytesMax: 4 * 1024 * 1024 })).text()).toBe(large)
    server.answer((response) => response.end(large.repeat(3)))
    await expect(ctx.fetch(`${server.origin}/`, { answerBytesMax: 1e9 })).rejects.toThrow(/more than 8 MiB/)
    // The timers of the HTTP client are a second late at most.
    const patient = await openExample(server.origin, { timeouts: { idleMs: 300, requestMs: 10_000 } })
    server.answer((response) => void setTimeout(() => response.end('late'), 2500))
    await expect(patient.context.fetch(`${server.origin}/`)).rejects.toThrow(/did not answer in time/)
    expect((await patient.context.fetch(`${server.origin}/`, { patienceSeconds: 10 })).text()).toBe('late')
    await patient.close()
  })

  it('does not carry the sign-in to another origin', async () => {
    const other = await startServer()
    await ctx.fetch(`${other.origin}/`, post)
    await ctx.fetch(`http://localhost:${server.port}/`, post)
    expect([...other.received, ...server.received].map(({ headers }) => headers.authorization)).toEqual([
      undefined,
      undefined,
    ])
    await other.close()
  })

  it('lets a connector that signs each request do so, to its own origins only', async () => {
    const signing: Connector = {
      ...exampleConnector,
      auth: { type: 'signed', origins: () => [server.origin] },
    }
    const signed = await openExample(server.origin, { connector: signing })
    const other = await startServer()
    const headers = { authorization: 'SharedKey account:signature' }
    await signed.context.fetch(`${server.origin}/a`, { method: 'PUT', headers })
    expect(server.received[0]?.headers.authorization).toBe(headers.authorization)
    await expect(signed.context.fetch(other.origin, { headers })).rejects.toThrow(TypeError)
    await expect(signed.context.fetch(server.origin, { headers: { host: 'other' } })).rejects.toThrow(TypeError)
    expect(other.received).toEqual([])
    await other.close()
    await signed.close()
  })

  it('asks by HEAD for the size of something large', async () => {
    server.answer((response) => response.writeHead(200, { 'content-length': '5000000000' }).end())
    const answer = await ctx.fetch(server.origin, { method: 'HEAD' })
    expect([answer.headers.get('content-length'), answer.text()]).toEqual(['5000000000', ''])
  })

  it.each([301, 302, 303, 307, 308])('does not follow a %i', async (status) => {
    const other = await startServer()
    server.answer((response) => response.writeHead(status, { location: `${other.origin}/elsewhere` }).end())
    expect((await ctx.fetch(server.origin, post)).status).toBe(status)
    expect(other.connections()).toBe(0)
    await other.close()
  })

  it('forgets cookies', async () => {
    server.answer((response) => response.writeHead(200, { 'set-cookie': ['sid=1; Path=/', 'b=2'] }).end('{}'))
    const answer = await ctx.fetch(server.origin)
    expect([...answer.headers.keys()]).not.toContain('set-cookie')
    await ctx.fetch(server.origin)
    expect(server.received[1]?.headers.cookie).toBeUndefined()
  })

  it.each([
    'Host',
    'cookie',
    'Authorization',
    'proxy-authorization',
    'Proxy-Connection',
    'transfer-encoding',
    'content-length',
    'connection',
    'upgrade',
    'te',
    'trailer',
    'expect',
    'x-forwarded-for',
    'X-Forwarded-User',
    'x-webauth-user',
    'forwarded',
    'x-real-ip',
    'keep-alive',
    'via',
    'accept-encoding',
    'x-remote-user',
  ])('refuses the header %s from a connector', async (name) => {
    await expect(ctx.fetch(server.origin, { headers: { [name]: '1' } })).rejects.toThrow(TypeError)
    expect(server.received).toEqual([])
  })

  it.each(['a\r\nx-evil: 1', 'a\nb', 'a\0b', '\u2028', 'ü', '\x7f'])('refuses the header value %j', async (value) => {
    await expect(ctx.fetch(server.origin, { headers: { 'x-a': value } })).rejects.toThrow(/line breaks or characters/)
    await expect(ctx.fetch(server.origin, { headers: { [`x-${value}`]: '1' } })).rejects.toThrow(TypeError)
    expect(server.received).toEqual([])
  })

  it.each([
    'http://127.1:PORT/',
    'http://2130706433:PORT/',
    'http://0x7f.1:PORT/',
    'http://１２７.０.０.１:PORT/',
    'http://127。0。0。1:PORT/',
    'http://user@127.0.0.1:PORT/',
    'http://user:pw@127.0.0.1:PORT/',
    'http:\\\\127.0.0.1:PORT\\',
    'http:127.0.0.1:PORT',
    '\thttp://127.0.0.1:PORT',
    'http://127.0.0.\n1:PORT/',
    'file:///etc/passwd',
    'ftp://127.0.0.1:PORT/',
    'gopher://127.0.0.1:PORT/',
    'data:,x',
    '/rows',
    '',
    '127.0.0.1:PORT',
    'http://%31%32%37.0.0.1:PORT/',
    'http://[::ffff:127.0.0.1]:PORT/',
  ])('refuses the address %s', async (address) => {
    const before = server.connections()
    await expect(ctx.fetch(address.replace('PORT', String(server.port)))).rejects.toThrow(ConnectionRefused)
    expect(server.connections()).toBe(before)
  })

  it('takes no notice of proxy variables', async () => {
    const proxy = await startServer()
    for (const name of ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'ALL_PROXY', 'all_proxy'])
      vi.stubEnv(name, proxy.origin)
    vi.stubEnv('NODE_USE_ENV_PROXY', '1')
    vi.stubEnv('NO_PROXY', '')
    const again = await openExample(server.origin)
    await again.context.fetch(server.origin)
    expect(server.received).toHaveLength(1)
    expect(proxy.connections()).toBe(0)
    vi.unstubAllEnvs()
    await again.close()
    await proxy.close()
  })
})

describe('statuses that every service uses alike', () => {
  it.each([401, 403])('%i is a refused sign-in', async (status) => {
    server.answer((response) => response.writeHead(status).end('Key revoked'))
    const error = await caught(ctx.fetch(server.origin))
    expect(error).toBeInstanceOf(ConnectionRefused)
    expect(error).toMatchObject({
      step: 'signed-in',
      message: expect.stringContaining(`(${status}): Key revoked`) as string,
    })
  })

  it.each([401, 403, 429, 500])(
    '%i to a request with rows is not told in words that may repeat them',
    async (status) => {
      server.answer((response) => response.writeHead(status).end('Ada Example is not known here'))
      const error = await caught(ctx.fetch(server.origin, post))
      expect(error).toBeInstanceOf(Error)
      expect(String(error)).not.toContain('Ada')
    },
  )

  it.each([500, 501, 502, 503, 504, 507, 599])('%i may have been taken', async (status) => {
    server.answer((response) => response.writeHead(status).end('<html>oops</html>'))
    const error = await caught(ctx.fetch(server.origin, post))
    expect(error).toBeInstanceOf(Unavailable)
    expect(error).toMatchObject({ sent: 'maybe', afterSeconds: undefined })
  })

  it('a 503 with Retry-After names the pause, and may still have been taken', async () => {
    server.answer((response) => response.writeHead(503, { 'retry-after': '7' }).end())
    expect(await caught(ctx.fetch(server.origin, post))).toMatchObject({
      code: 'unavailable',
      sent: 'maybe',
      afterSeconds: 7,
    })
  })

  it.each([200, 201, 202, 204, 207, 302, 304, 400, 404, 409, 410, 413, 422, 451])(
    '%i is for the connector to judge',
    async (status) => {
      server.answer((response) => response.writeHead(status).end())
      expect((await ctx.fetch(server.origin, post)).status).toBe(status)
    },
  )

  it.each([401, 429, 500])("%i is the connector's to judge where it asks for that", async (status) => {
    server.answer((response) => response.writeHead(status).end())
    expect((await ctx.fetch(server.origin, { ...post, accept: [status] })).status).toBe(status)
  })

  it('during a pause nothing is sent', async () => {
    server.answer((response) => response.writeHead(429, { 'retry-after': '30' }).end())
    expect(await caught(ctx.fetch(server.origin, post))).toMatchObject({ code: 'rate-limited', afterSeconds: 30 })
    const errors = await Promise.all(Array.from({ length: 50 }, () => caught(ctx.fetch(server.origin, post))))
    for (const error of errors) expect(error).toMatchObject({ code: 'rate-limited', afterSeconds: 30 })
    expect(server.received).toHaveLength(1)
  })
})

/** [what the far end does, what it is taken for]. None of them may look like a success, or like "nothing was sent". */
const megabyte = Buffer.alloc(1024 * 1024, 0x20)
const HOSTILE: readonly (readonly [string, (socket: Socket) => void, RegExp])[] = [
  ['resets before it reads', (s) => s.resetAndDestroy(), /broke the connection off/],
  ['closes without an answer', (s) => void s.end(), /broke the connection off/],
  [
    'resets in the headers',
    (s) => void s.write('HTTP/1.1 200 OK\r\nx-a', () => s.resetAndDestroy()),
    /broke the connection off/,
  ],
  [
    'resets in the body',
    (s) => void s.write('HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"a', () => s.resetAndDestroy()),
    /broke the connection off/,
  ],
  [
    'closes in the body',
    (s) => void s.end('HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"a'),
    /broke the connection off/,
  ],
  [
    'closes in a chunk',
    (s) => void s.end('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab'),
    /broke the connection off/,
  ],
  ['never answers', () => undefined, /did not answer in time/],
  ['stops in the body', (s) => void s.write('HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{'), /stopped in the middle/],
  ['dribbles the body', (s) => dribble(s, 'HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n'), /did not end its answer/],
  ['dribbles the headers', (s) => dribble(s, 'HTTP/1.1 200 OK\r\nx-a: '), /did not answer in time|did not end/],
  [
    'announces a huge body',
    (s) => void s.write('HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n'),
    /more than 1 MiB/,
  ],
  ['sends a huge body', (s) => flood(s), /more than 1 MiB/],
  [
    'sends huge headers',
    (s) => void s.write(`HTTP/1.1 200 OK\r\nx-a: ${'a'.repeat(100_000)}\r\n\r\n`),
    /too many headers|broke/,
  ],
  ['speaks no HTTP', (s) => void s.end('SSH-2.0-OpenSSH_9\r\n'), /broke the connection off/],
  [
    'says 101',
    (s) => void s.write('HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'),
    /broke|protocol/,
  ],
  ['sends a gzip bomb', (s) => void s.end(withBody(gzipSync(Buffer.alloc(50_000_000)), 'gzip')), /beyond all measure/],
  [
    'sends a deflate bomb',
    (s) => void s.end(withBody(deflateSync(Buffer.alloc(900_000)), 'deflate')),
    /beyond all measure/,
  ],
  [
    'sends a brotli bomb',
    (s) => void s.end(withBody(brotliCompressSync(Buffer.alloc(900_000)), 'br')),
    /beyond all measure/,
  ],
  ['sends broken gzip', (s) => void s.end(withBody(Buffer.from('no gzip'), 'gzip')), /cannot be decompressed/],
  ['sends an unknown encoding', (s) => void s.end(withBody(Buffer.from('{}'), 'rot13')), /not asked for/],
  ['names two encodings', (s) => void s.end(withBody(Buffer.from('{}'), 'gzip, gzip')), /not asked for/],
  [
    'sends two lengths',
    (s) => void s.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}'),
    /cut its answer short/,
  ],
]

describe('a hostile far end', () => {
  it.each(HOSTILE)('that %s may have taken the request', async (_name, behave, words) => {
    const far = await rawServer(behave)
    const memory = process.memoryUsage().rss
    const error = await caught(ctx.fetch(`http://127.0.0.1:${far.port}/`, post))
    expect(error).toBeInstanceOf(Unavailable)
    expect(error).toMatchObject({ sent: 'maybe' })
    expect(String(error)).toMatch(words)
    expect(process.memoryUsage().rss - memory).toBeLessThan(50 * 1024 * 1024)
    far.close()
  })

  it.each([
    ['not JSON', '<html>'],
    ['nothing', ''],
    ['half of it', '{"a":'],
    ['NaN', 'NaN'],
    ['two of them', '{}{}'],
  ])('JSON that is %s is no answer', async (_name, body) => {
    server.answer((response) => response.end(body))
    const answer = await ctx.fetch(server.origin, post)
    expect(() => answer.json()).toThrow(Unavailable)
    expect(answer.text()).toBe(body)
  })

  it('reads an honest compressed answer', async () => {
    const text = JSON.stringify(Array.from({ length: 3000 }, (_, at) => ({ key: `k${at}`, status: 'accepted' })))
    server.answer((response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(text)))
    expect((await ctx.fetch(server.origin)).text()).toBe(text)
    server.answer((response) => response.end(megabyte))
    expect((await ctx.fetch(server.origin)).text()).toHaveLength(megabyte.length)
  })

  it('nothing listening, and no such name, mean that nothing was sent', async () => {
    const far = await rawServer(() => undefined)
    far.close()
    expect(await caught(ctx.fetch(`http://127.0.0.1:${far.port}/`, post))).toMatchObject({
      sent: 'no',
      step: 'reached',
    })
    const resolve = (): Promise<never> => Promise.reject(Object.assign(new Error('x'), { code: 'ENOTFOUND' }))
    const rules = { allowed: parseAllowedHosts('127.0.0.1'), resolve }
    const other = await openExample('http://missing.example', { rules })
    expect(await caught(other.context.fetch('http://missing.example/', post))).toMatchObject({
      sent: 'no',
      step: 'resolved',
    })
    await other.close()
  })

  it('ends within a second of the signal, with its reason', async () => {
    server.answer(() => undefined)
    const controller = new AbortController()
    const slow = await openExample(server.origin, { signal: controller.signal })
    const reason = new Error('canceled')
    const pending = caught(slow.context.fetch(server.origin, post))
    await vi.waitFor(() => expect(server.received).toHaveLength(1))
    const start = performance.now()
    controller.abort(reason)
    expect(await pending).toBe(reason)
    expect(performance.now() - start).toBeLessThan(1000)
    expect(await caught(slow.context.fetch(server.origin, post))).toBe(reason)
    await slow.close()
  })

  it('never has more requests at once than the connection may, and goes on after failures', async () => {
    let open = 0
    let most = 0
    server.answer((response) => {
      most = Math.max(most, (open += 1))
      setTimeout(() => {
        open -= 1
        response.writeHead(500).end()
      }, 10)
    })
    await Promise.all(Array.from({ length: 30 }, () => caught(ctx.fetch(server.origin, post))))
    expect(most).toBe(4)
    server.answer((response) => response.end('{}'))
    expect((await ctx.fetch(server.origin)).status).toBe(200)
  })
})

describe('failpoints', () => {
  it('stand after half of the body, after all of it, and after the answer', async () => {
    const seen: [ExchangePoint, number][] = []
    let arrived = 0
    const far = await rawServer((socket, first) => {
      arrived += first.length
      socket.on('data', (chunk) => {
        arrived += chunk.length
        if (chunk.includes('end"')) socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}')
      })
    })
    const url = `http://127.0.0.1:${far.port}`
    const body = JSON.stringify({ text: 'x'.repeat(300_001), last: 'end' })
    const armed = await openExample(url, {
      failpoint: async (point) => {
        // The time that loopback needs, with room: what had been written by now has arrived.
        await new Promise((resolve) => setTimeout(resolve, 50))
        seen.push([point, arrived])
      },
    })
    expect((await armed.context.fetch(url, { method: 'POST', body })).json()).toEqual({})
    expect(seen.map(([point]) => point)).toEqual(['request-half', 'request-sent', 'answer-read'])
    const [half, sent] = seen.map(([, bytes]) => bytes)
    expect(half).toBeGreaterThan(body.length / 2)
    expect(half).toBeLessThan(body.length / 2 + 1000)
    expect(sent).toBeGreaterThan(body.length)
    await armed.close()
    far.close()
  })
})

describe('TLS', () => {
  const authority = makeAuthority()
  const authorities = [authority.certificate]
  const day = (days: number): Date => new Date(Date.now() + days * 86_400_000)
  const rules = { allowed: parseAllowedHosts('127.0.0.1, localhost'), authorities }

  it('reaches a name and an address whose certificate holds', async () => {
    const secure = await startServer(makeIdentity({ names: ['localhost'], addresses: ['127.0.0.1'] }, authority))
    const client = await openExample(secure.origin, { rules })
    expect((await client.context.fetch(secure.origin)).status).toBe(200)
    expect((await client.context.fetch(`https://localhost:${secure.port}/`)).status).toBe(200)
    await client.close()
    await secure.close()
  })

  const bad: readonly (readonly [string, () => Identity, RegExp])[] = [
    ['self-signed', () => makeIdentity({ addresses: ['127.0.0.1'] }), /self-signed/],
    [
      'of an unknown authority',
      () => makeIdentity({ addresses: ['127.0.0.1'] }, makeAuthority('Other')),
      /not trusted here/,
    ],
    [
      'of an impostor with the name of ours',
      () => makeIdentity({ addresses: ['127.0.0.1'] }, makeAuthority()),
      /cannot be trusted/,
    ],
    [
      'expired',
      () => makeIdentity({ addresses: ['127.0.0.1'], validFrom: day(-9), validTo: day(-1) }, authority),
      /expired/,
    ],
    [
      'not yet valid',
      () => makeIdentity({ addresses: ['127.0.0.1'], validFrom: day(1), validTo: day(9) }, authority),
      /not valid yet/,
    ],
    ['for another name', () => makeIdentity({ names: ['other.example'] }, authority), /another name/],
    ['for another address', () => makeIdentity({ addresses: ['127.0.0.2'] }, authority), /another name/],
    ['with our address as a name only', () => makeIdentity({ names: ['127.0.0.1'] }, authority), /another name/],
    ['for a wildcard of everything', () => makeIdentity({ names: ['*'] }, authority), /another name/],
  ]
  it.each(bad)('refuses a certificate that is %s', async (_name, identity, words) => {
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0')
    const secure = await startServer(identity())
    const client = await openExample(secure.origin, { rules })
    const error = await caught(client.context.fetch(secure.origin, post))
    expect(error).toBeInstanceOf(ConnectionRefused)
    expect(error).toMatchObject({ step: 'trusted', message: expect.stringMatching(words) as string })
    expect(secure.received).toEqual([])
    vi.unstubAllEnvs()
    await client.close()
    await secure.close()
  })

  it('refuses a far end that speaks no TLS, and calls one that breaks off unavailable', async () => {
    const client = await openExample(server.origin, { rules })
    expect(await caught(client.context.fetch(`https://127.0.0.1:${server.port}/`))).toBeInstanceOf(ConnectionRefused)
    const far = await rawServer((socket) => socket.resetAndDestroy())
    expect(await caught(client.context.fetch(`https://127.0.0.1:${far.port}/`))).toMatchObject({ sent: 'no' })
    far.close()
    await client.close()
  })
})

/** Reads something, and then behaves. */
async function rawServer(
  behave: (socket: Socket, first: Buffer) => void,
): Promise<{ readonly port: number; close(): void }> {
  const sockets = new Set<Socket>()
  const listener = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.once('data', (first) => behave(socket, first))
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  return {
    port: (listener.address() as AddressInfo).port,
    close() {
      listener.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

function withBody(body: Buffer, encoding: string): Buffer {
  const head = `HTTP/1.1 200 OK\r\ncontent-encoding: ${encoding}\r\ncontent-length: ${body.length}\r\n\r\n`
  return Buffer.concat([Buffer.from(head), body])
}

function dribble(socket: Socket, start: string): void {
  socket.write(start)
  const timer = setInterval(() => socket.write('a'), 20)
  socket.on('close', () => clearInterval(timer))
}

function flood(socket: Socket): void {
  socket.write('HTTP/1.1 200 OK\r\n\r\n')
  const more = (): void => {
    while (!socket.destroyed && socket.write(megabyte));
  }
  socket.on('drain', more)
  more()
}
