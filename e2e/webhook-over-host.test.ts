/** The webhook connector over the real connector host and real loopback sockets: what the engine will see. */
import { inspect } from 'node:util'
import type { Batch, Change, CheckStep, RowDelivery, RowKey } from '@patchbay/connector-sdk'
import { answersOf } from '@patchbay/connector-sdk/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  startFakeReceiver,
  type Behaviour,
  type FakeReceiver,
} from '../packages/connectors/src/webhook/fake-receiver.ts'
import { webhook } from '../packages/connectors/src/webhook/index.ts'
import { parseAllowedHosts } from '../packages/server/src/connector-host/allow-hosts.ts'
import { checkConnection } from '../packages/server/src/connector-host/check-connection.ts'
import { makeConnectorHost, type ConnectorHost, type HostOptions } from '../packages/server/src/connector-host/host.ts'
import { openDestination } from '../packages/server/src/connector-host/open-destination.ts'
import { makeRegistry } from '../packages/server/src/connector-host/registry.ts'

const SIGNING_SECRET = `whsec_${Buffer.from('canary-canary-canary-canary-1234').toString('base64')}`
const TOKEN = 'tok/canary+0123456789=='

let receiver: FakeReceiver
let lines: string[]

beforeEach(async () => {
  lines = []
  receiver = await startFakeReceiver({ signingSecret: SIGNING_SECRET, honoursKeys: true })
})
afterEach(() => receiver.stop())

const hostWith = (options: Partial<HostOptions> = {}): ConnectorHost =>
  makeConnectorHost({
    rules: { allowed: parseAllowedHosts('127.0.0.1') },
    fileRoots: [],
    log: { info: (fields, message) => lines.push(JSON.stringify({ fields, message })) },
    timeouts: { idleMs: 500, requestMs: 3000 },
    ...options,
  })

const connection = () => ({
  connectionId: 'con_1',
  settings: { url: receiver.url, signIn: 'bearer' },
  readSecret: (field: string) => Promise.resolve({ signingSecret: SIGNING_SECRET, token: TOKEN }[field]),
})

async function openRows(host = hostWith(), signal = new AbortController().signal): Promise<RowDelivery> {
  const opened = await openDestination(host, {
    connector: webhook,
    connection: connection(),
    destinationType: 'rows',
    destination: { repeat: 'keyed' },
    mode: 'upsert',
    run: { runId: 'run_1', delivered: [] },
    signal,
  })
  if (opened.delivers !== 'rows') throw new Error('It delivers rows')
  return opened.delivery
}

function batchOf(size: number, id = 'b_1'): Batch {
  const changes = Array.from({ length: size }, (_, index): Change => {
    return { change: 'added', key: `${id}-${index}` as RowKey, fields: { email: `person-${index}@example.org` } }
  })
  const json = changes.map((change) => JSON.stringify(change))
  return { id, size, keys: changes.map(({ key }) => key), json, changes }
}

describe('a delivery', () => {
  it('takes 8,000 rows in eight batches at once, each row once', async () => {
    const delivery = await openRows()
    const batches = Array.from({ length: 8 }, (_, index) => batchOf(1000, `b_${index}`))
    const answers = await Promise.all(batches.map((batch) => delivery.deliver(batch)))
    expect(answers.flatMap(answersOf).every(({ status }) => status === 'accepted')).toBe(true)
    expect(receiver.taken.size).toBe(8000)
    expect([...receiver.taken.values()].every((count) => count === 1)).toBe(true)
    expect(receiver.refusedSignatures()).toBe(0)
    expect(receiver.requests[0]?.headers.authorization).toBe(`Bearer ${TOKEN}`)
  })

  const FAULTS: readonly (readonly [string, Behaviour, object])[] = [
    ['a reset before it is read', { does: 'reset', at: 'start' }, { code: 'unavailable', sent: 'maybe' }],
    ['a reset in the body', { does: 'reset', at: 'middle' }, { code: 'unavailable', sent: 'maybe' }],
    ['a reset after it was taken', { does: 'reset', at: 'taken' }, { code: 'unavailable', sent: 'maybe' }],
    ['a failure after it was taken', { does: 'fail-after-taking', status: 500 }, { code: 'unavailable', sent: 'maybe' }],
    ['no answer', { does: 'hang' }, { code: 'unavailable', sent: 'maybe' }],
    ['a refused key', { does: 'refuse', status: 401, body: `No key ${TOKEN}` }, { code: 'connection-refused' }],
    ['a refused batch', { does: 'refuse', status: 422 }, { code: 'batch-rejected' }],
    ['a bare 200', { does: 'answer-by-status', status: 200 }, { code: 'unavailable', sent: 'maybe' }],
    ['another address', { does: 'refuse', status: 307, headers: { location: 'http://127.0.0.1:1/' } }, { code: 'settings-invalid', field: 'url' }],
    ['a pause that cannot be over', { does: 'refuse', status: 503, headers: { 'retry-after': '1000000000' } }, { code: 'unavailable', sent: 'maybe', afterSeconds: 3600 }],
  ] // prettier-ignore
  it.each(FAULTS)('with %s says what is known, and nothing secret', async (_name, behaviour, expected) => {
    receiver.behave((request) => (request === 1 ? behaviour : { does: 'accept' }))
    const delivery = await openRows()
    const error: unknown = await delivery.deliver(batchOf(100)).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject(expected)
    const outputs = `${inspect(error, { depth: 9, showHidden: true })}${JSON.stringify(error)}${lines.join('')}`
    for (const secret of [
      TOKEN,
      SIGNING_SECRET,
      'canary',
      Buffer.from(TOKEN).toString('base64'),
      encodeURIComponent(TOKEN),
    ])
      expect(outputs).not.toContain(secret)
    if ('afterSeconds' in expected) return
    // Sent again with the same key, it takes effect once.
    await delivery.deliver(batchOf(100))
    expect([...receiver.taken.values()].every((count) => count === 1)).toBe(true)
    expect(receiver.taken.size).toBe(100)
  })

  it('sends nothing more while the receiver asks for a pause', async () => {
    receiver.behave({ does: 'refuse', status: 429, headers: { 'retry-after': '60' } })
    const delivery = await openRows()
    for (let round = 0; round < 20; round += 1)
      await expect(delivery.deliver(batchOf(1))).rejects.toMatchObject({ code: 'rate-limited', afterSeconds: 60 })
    expect(receiver.requestCount()).toBe(1)
  })

  it('reaches nothing that the operator did not list', async () => {
    const delivery = await openRows(hostWith({ rules: { allowed: [] } }))
    await expect(delivery.deliver(batchOf(1))).rejects.toMatchObject({
      code: 'connection-refused',
      message: expect.stringContaining('PATCHBAY_ALLOW_HOSTS') as string,
    })
    expect(receiver.requestCount()).toBe(0)
  })

  it('ends within a second of the signal', async () => {
    receiver.behave({ does: 'hang' })
    const controller = new AbortController()
    const delivery = await openRows(hostWith({ timeouts: {} }), controller.signal)
    const pending = delivery.deliver(batchOf(1)).catch((thrown: unknown) => thrown)
    await expect.poll(() => receiver.requestCount()).toBe(1)
    const reason = new Error('canceled')
    controller.abort(reason)
    expect(await pending).toBe(reason)
  })

  it('can be stopped by the proof in the middle of the body, after it, and after the answer', async () => {
    for (const [at, whole, taken] of [
      ['request-half', 0, 0],
      ['request-sent', 1, 3],
      ['answer-read', 1, 3],
    ] as const) {
      const fresh = await startFakeReceiver({ signingSecret: SIGNING_SECRET })
      const points: string[] = []
      const stopping = new Error('killed')
      const host = hostWith({
        failpoint: (point) => {
          points.push(point)
          if (point === at) throw stopping
        },
      })
      const opened = await openDestination(host, {
        connector: webhook,
        connection: { ...connection(), settings: { url: fresh.url, signIn: 'bearer' } },
        destinationType: 'rows',
        destination: {},
        mode: 'upsert',
        run: { runId: 'run_1', delivered: [] },
        signal: new AbortController().signal,
      })
      if (opened.delivers !== 'rows') throw new Error('It delivers rows')
      await expect(opened.delivery.deliver(batchOf(3))).rejects.toThrow(/./)
      expect(points.at(-1)).toBe(at)
      await expect.poll(() => fresh.requests.length).toBe(1)
      expect(fresh.requests.filter(({ isWhole }) => isWhole)).toHaveLength(whole)
      expect(fresh.taken.size).toBe(taken)
      await fresh.stop()
    }
  })
})

describe('Verify', () => {
  const verify = async (host: ConnectorHost): Promise<readonly CheckStep[]> => {
    const steps: CheckStep[] = []
    const connector = makeRegistry([webhook]).findConnector('webhook')
    if (connector === undefined) throw new Error('It is there')
    for await (const step of checkConnection(host, connector, connection(), new AbortController().signal))
      steps.push(step)
    return steps
  }

  it('tells each step', async () => {
    expect((await verify(hostWith())).map(({ step, ok }) => `${step} ${String(ok)}`)).toEqual([
      'resolved true',
      'reached true',
      'signed-in true',
      'may-write true',
    ])
  })

  it('names the address where it is not listed, or nobody answers', async () => {
    expect(await verify(hostWith({ rules: { allowed: [] } }))).toMatchObject([
      { step: 'reached', ok: false, field: 'url' },
    ])
    await receiver.stop()
    expect(await verify(hostWith())).toMatchObject([{ step: 'reached', ok: false, field: 'url' }])
    receiver = await startFakeReceiver({ signingSecret: SIGNING_SECRET })
  })
})
