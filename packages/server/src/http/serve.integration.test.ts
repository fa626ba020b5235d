import { existsSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { Agent, fetch } from 'undici'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openTestPatchbay, type TestPatchbay } from '../test-support/test-patchbay.ts'
import { listen, type Listening } from './serve.ts'

let patchbay: TestPatchbay
let socket: string
let listening: Listening
const agents: Agent[] = []
beforeAll(async () => {
  patchbay = await openTestPatchbay()
  socket = join(patchbay.settings.dataFolder, 'patchbay.sock')
  listening = await listen(patchbay.app, { host: '127.0.0.1', port: 0, socket })
})
afterAll(async () => {
  await Promise.all(agents.map((agent) => agent.destroy()))
  await listening.close(100)
  await patchbay.remove()
})

function overSocket(): Agent {
  const agent = new Agent({ connect: { socketPath: socket } })
  agents.push(agent)
  return agent
}

/** What the server says to bytes that no client library would send. */
function raw(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ''
    const to = connect(listening.port, '127.0.0.1', () => to.write(text))
    to.on('data', (piece: Buffer) => (answer += piece.toString('utf8')))
    to.once('error', reject)
    to.once('close', () => resolve(answer))
  })
}

test('the socket is the operator’s, and the port wants a key', async () => {
  expect(statSync(socket).mode & 0o777).toBe(0o600)
  const operator = await fetch('http://patchbay/api/v1/keys', { dispatcher: overSocket() })
  expect(operator.status).toBe(200)
  expect((await fetch(`${listening.url}/api/v1/keys`)).status).toBe(401)
  const headers = { authorization: `Bearer ${await patchbay.keyOf('Administrator')}` }
  expect((await fetch(`${listening.url}/api/v1/keys`, { headers })).status).toBe(200)
})

test('every answer carries the headers that keep a browser out, and no CORS', async () => {
  for (const path of ['/', '/healthz', '/api/openapi.json', '/api/v1/tables', '/nothing']) {
    const { headers } = await fetch(`${listening.url}${path}`, { headers: { origin: 'https://evil.example' } })
    expect(headers.get('content-security-policy')).toContain("default-src 'none'")
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('x-request-id')).toMatch(/^[\w-]{16}$/)
    expect(headers.get('access-control-allow-origin')).toBeNull()
  }
})

test('what is not there, and what cannot be done there, is said as a problem', async () => {
  const missing = await fetch(`${listening.url}/api/v1/frobs`)
  expect(await missing.json()).toMatchObject({ status: 404, code: 'not-found', cure: expect.any(String) as string })
  const method = await fetch(`${listening.url}/api/v1/tables`, { method: 'PUT' })
  expect(method.headers.get('allow')).toBe('GET, POST')
  expect(await method.json()).toMatchObject({ status: 405 })
})

test('figures for a monitor need a key, and hold counts only', async () => {
  expect((await fetch(`${listening.url}/metrics`)).status).toBe(401)
  const headers = { authorization: `Bearer ${await patchbay.keyOf('Viewer')}` }
  const text = await (await fetch(`${listening.url}/metrics`, { headers })).text()
  expect(text).toMatch(/patchbay_http_requests_total\{endpoint="keys.list",status="200"\} \d+/)
  expect(text).not.toContain('127.0.0.1')
})

test('a bug is answered with a request id and nothing else', async () => {
  await patchbay.store.queueDatabase.executeSql('ALTER TABLE segment RENAME TO segment_gone')
  try {
    const response = await fetch('http://patchbay/api/v1/segments', { dispatcher: overSocket() })
    const problem = (await response.json()) as Record<string, string>
    expect(response.status).toBe(500)
    expect(problem['code']).toBe('bug')
    expect(problem['requestId']).toBe(response.headers.get('x-request-id'))
    expect(JSON.stringify(problem)).not.toMatch(/segment_gone|relation|select/i)
  } finally {
    await patchbay.store.queueDatabase.executeSql('ALTER TABLE segment_gone RENAME TO segment')
  }
})

test.each([
  ['GET /api/v1/keys HTTP/1.1\r\nHost: x\r\nDoor: operator\r\nConnection: close\r\n\r\n', '401'],
  ['GET http://patchbay/api/v1/keys HTTP/1.1\r\nHost: patchbay\r\nConnection: close\r\n\r\n', '401'],
  ['GET /api/v1/../v1/keys HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', '401'],
  ['GET //api/v1/keys HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', '404'],
  ['GET /api/v1/tables/%ZZ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', '401'],
  ['POST /api/v1/keys HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', '400'],
  ['nonsense\r\n\r\n', '400'],
])('%j gets nobody in', async (text, status) => {
  expect(await raw(text)).toContain(`HTTP/1.1 ${status}`)
})

test('an upload is streamed, and one that breaks off leaves nothing', async () => {
  const { key } = await patchbay.client.keys.add({ body: { name: 'Uploader', role: 'Administrator' } })
  const address = `${listening.url}/api/v1/uploads?name=x.csv`
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/octet-stream' }
  const piece = new Uint8Array(1_000_000).fill(65)
  const whole = ReadableStream.from(
    (async function* () {
      for (let count = 0; count < 20; count += 1) yield await Promise.resolve(piece)
    })(),
  )
  const done = await fetch(address, { method: 'POST', headers, body: whole, duplex: 'half' })
  expect(await done.json()).toMatchObject({ sizeBytes: 20_000_000 })
  const broken = ReadableStream.from(
    (async function* () {
      yield await Promise.resolve(piece)
      throw new Error('broken off')
    })(),
  )
  await fetch(address, { method: 'POST', headers, body: broken, duplex: 'half' }).catch(() => undefined)
  await expect
    .poll(async () => (await patchbay.store.queueDatabase.executeSql('SELECT count(*) AS n FROM upload')).rows)
    .toEqual([{ n: 1 }])
})

test('a second server on the folder is refused; a file in the place of the socket is not touched', async () => {
  await expect(listen(patchbay.app, { host: '127.0.0.1', port: 0, socket })).rejects.toThrow(
    'is running on this folder',
  )
  const file = join(patchbay.settings.dataFolder, 'not-a-socket')
  writeFileSync(file, 'mine')
  await expect(listen(patchbay.app, { host: '127.0.0.1', port: 0, socket: file })).rejects.toThrow('is no socket')
  const long = join(patchbay.settings.dataFolder, 'x'.repeat(100))
  await expect(listen(patchbay.app, { host: '127.0.0.1', port: 0, socket: long })).rejects.toThrow('too long')
})

test('a port in use is said, and the socket is let go of', async () => {
  const other = join(patchbay.settings.dataFolder, 'other.sock')
  const taken = listen(patchbay.app, { host: '127.0.0.1', port: listening.port, socket: other })
  await expect(taken).rejects.toMatchObject({ code: 'not-ready', path: 'PORT' })
  await expect.poll(() => existsSync(other)).toBe(false)
})
