import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Batch, Change, CheckStep, Connector, Mode, RowAnswer, RowDelivery, RowKey } from '@patchbay/connector-sdk'
import { answerOf, answersOf, assertConnector, makeTestContext } from '@patchbay/connector-sdk/testing'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startFakeReceiver, type Behaviour, type FakeReceiver } from './fake-receiver.ts'
import { webhook } from './index.ts'
import { readSigningKey, signedHeaders } from './signature.ts'
import { verifyWebhook } from './test-support/verify-webhook.ts'

const SIGNING_SECRET = `whsec_${Buffer.from('a signing secret of 32 bytes, so').toString('base64')}`

let receiver: FakeReceiver
let behaviour: Behaviour

beforeAll(async () => {
  receiver = await startFakeReceiver({ signingSecret: SIGNING_SECRET })
})
afterAll(() => receiver.stop())
beforeEach(() => {
  behaviour = { does: 'accept' }
  receiver.behave(() => behaviour)
})

const last = (): FakeReceiver['requests'][number] => {
  const request = receiver.requests.at(-1)
  if (request === undefined) throw new Error('Nothing arrived')
  return request
}

function contextFor(settings: Record<string, string> = {}, secrets: Record<string, string> = {}) {
  return makeTestContext(webhook, {
    settings: { url: receiver.url, signIn: 'nothing', ...settings },
    secrets: { signingSecret: SIGNING_SECRET, ...secrets },
  })
}

async function openRows(
  values: Record<string, string | number> = {},
  mode: Mode = 'upsert',
  context = contextFor().context,
): Promise<RowDelivery> {
  const destination = webhook.destinations['rows']
  if (destination?.delivers !== 'rows') throw new Error('It delivers rows')
  return destination.open(context, { answers: 'per-row', repeat: 'keyed', rememberHours: 24, ...values }, mode)
}

function batchOf(rows: readonly Partial<Change>[], id = 'b_1'): Batch {
  const changes = rows.map((row, index): Change => ({
    change: 'added',
    key: `k${index}` as RowKey,
    fields: {},
    ...row,
  }))
  const json = changes.map((change) => JSON.stringify(change))
  return { id, size: changes.length, keys: changes.map(({ key }) => key), json, changes }
}
const THREE = batchOf([{}, {}, {}])

const deliver = async (batch = THREE, values: Record<string, string | number> = {}): Promise<readonly RowAnswer[]> =>
  answersOf(await (await openRows(values)).deliver(batch))

describe('webhook', () => {
  it('passes the conformance kit', async () => {
    const row = (index: number) => ({ email: `person-${index}@example.org` })
    for (const repeat of ['harmless', 'keyed', 'blind']) {
      const results = await assertConnector(webhook, {
        makeFake: () =>
          Promise.resolve({
            settings: { url: receiver.url, signIn: 'bearer' },
            secrets: { signingSecret: SIGNING_SECRET, token: 'tok_canary_1234567890' },
            destinations: { rows: { values: { repeat }, row } },
            stop: () => undefined,
          }),
      })
      expect(results.filter(({ outcome }) => outcome === 'skipped').map(({ name }) => name)).toEqual([
        'a job is collected by any delivery, as often as it is asked',
        'what is readable can be read back',
      ])
    }
  })

  it('sends a batch in one signed request', async () => {
    const batch = batchOf([
      { fields: { email: 'ä@example.org', n: 1.5, no: null } },
      { change: 'removed', fields: { email: 'b' } },
    ])
    const delivery = await openRows({ topic: 'news "1"' }, 'mirror')
    expect(await delivery.deliver(batch)).toEqual(batch.keys.map((key) => ({ key, status: 'accepted' })))
    expect(last().headers).toMatchObject({
      'content-type': 'application/json',
      'idempotency-key': 'b_1',
      'webhook-id': 'b_1',
      'webhook-timestamp': expect.stringMatching(/^\d{10}$/) as string,
    })
    expect(JSON.parse(last().body)).toEqual({
      type: 'changes',
      batch: 'b_1',
      mode: 'mirror',
      topic: 'news "1"',
      changes: batch.changes,
    })
    expect(receiver.refusedSignatures()).toBe(0)
  })

  it('sends the texts as they are, whatever is in them', async () => {
    const value = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.boolean(),
      fc.constant(null),
    )
    const fields = fc.dictionary(fc.string({ maxLength: 20 }), value, { maxKeys: 6 })
    await fc.assert(
      fc.asyncProperty(
        fc.array(fields, { minLength: 1, maxLength: 30 }),
        fc.string({ maxLength: 50 }),
        async (rows, topic) => {
          const batch = batchOf(rows.map((row) => ({ fields: row })))
          await (await openRows({ topic })).deliver(batch)
          const { body } = last()
          expect(body.endsWith(`,"changes":[${batch.json.join(',')}]}`)).toBe(true)
          expect(JSON.parse(body)).toEqual({
            type: 'changes',
            batch: batch.id,
            mode: 'upsert',
            topic,
            changes: JSON.parse(JSON.stringify(batch.changes)),
          })
        },
      ),
      { numRuns: 200 },
    )
    expect(receiver.refusedSignatures()).toBe(0)
  })

  it('sends it again with the same key and body, which changes nothing at a receiver that remembers', async () => {
    const remembering = await startFakeReceiver({ signingSecret: SIGNING_SECRET, honoursKeys: true })
    const delivery = await openRows({}, 'append', contextFor({ url: remembering.url }).context)
    remembering.behave((request) => (request === 1 ? { does: 'fail-after-taking', status: 500 } : { does: 'accept' }))
    await expect(delivery.deliver(THREE)).rejects.toMatchObject({ code: 'unavailable', sent: 'maybe' })
    expect(await delivery.deliver(THREE)).toHaveLength(3)
    expect([...remembering.taken.values()]).toEqual([1, 1, 1])
    const [first, second] = remembering.requests
    expect(second?.body).toBe(first?.body)
    expect(second?.headers['idempotency-key']).toBe(first?.headers['idempotency-key'])
    await remembering.stop()
  })

  it.each([
    [{ signIn: 'nothing' }, {}, {}],
    [{ signIn: 'bearer' }, { token: 'tok' }, { authorization: 'Bearer tok' }],
    [{ signIn: 'header', headerName: 'X-Api-Key' }, { headerValue: 'val' }, { 'x-api-key': 'val' }],
  ] as const)('signs in by %o', async (settings, secrets, headers) => {
    await (await openRows({}, 'upsert', contextFor(settings, secrets).context)).deliver(THREE)
    expect(last().headers).toMatchObject(headers)
    if (settings.signIn !== 'bearer') expect(last().headers.authorization).toBeUndefined()
  })

  it('declares what a repeated batch does', () => {
    const destination = webhook.destinations['rows']
    if (destination?.delivers !== 'rows') throw new Error('It delivers rows')
    expect(destination.repeat({ repeat: 'keyed', rememberHours: 7 })).toEqual({ kind: 'keyed', forHours: 7 })
    expect(destination.repeat({ repeat: 'harmless' })).toEqual({ kind: 'harmless' })
    expect(destination.repeat({ repeat: 'blind' })).toEqual({ kind: 'blind' })
  })
})

describe('answers', () => {
  it('are read row by row', async () => {
    behaviour = { does: 'reject', why: ({ key }) => (key === 'k1' ? 'city is missing' : undefined) }
    expect(await deliver()).toEqual([
      { key: 'k0', status: 'accepted' },
      { key: 'k1', status: 'rejected', reason: 'invalid-field', message: 'city is missing' },
      { key: 'k2', status: 'accepted' },
    ])
  })

  it.each([
    ['rows that are missing', [{ key: 'k1', status: 'accepted' }], [{ key: 'k1', status: 'accepted' }]],
    ['none at all', [], []],
    [
      'rows of others',
      [
        { key: 'x', status: 'accepted' },
        { key: 'toString', status: 'accepted' },
      ],
      [],
    ],
    [
      'words we do not know',
      [
        { key: 'k0', status: 'ok' },
        { key: 'k1' },
        { status: 'accepted' },
        null,
        1,
        'k0',
        [],
        { key: 0, status: 'accepted' },
      ],
      [],
    ],
    [
      'the same twice',
      [
        { key: 'k0', status: 'accepted' },
        { key: 'k0', status: 'accepted' },
      ],
      [{ key: 'k0', status: 'accepted' }],
    ],
    [
      'contradictions',
      [
        { key: 'k0', status: 'accepted' },
        { key: 'k0', status: 'rejected' },
      ],
      [],
    ],
    [
      'reasons we do not know',
      [{ key: 'k0', status: 'rejected', reason: 'constructor', message: 7 }],
      [{ key: 'k0', status: 'rejected', reason: 'other', message: '' }],
    ],
    [
      'pauses',
      [
        { key: 'k0', status: 'retry', afterSeconds: 7, message: 'a' },
        { key: 'k1', status: 'retry', afterSeconds: 1e9 },
        { key: 'k2', status: 'retry', afterSeconds: -1 },
      ],
      [
        { key: 'k0', status: 'retry', afterSeconds: 7, message: 'a' },
        { key: 'k1', status: 'retry', afterSeconds: 3600, message: '' },
        { key: 'k2', status: 'retry', message: '' },
      ],
    ],
    [
      'long words',
      [{ key: 'k0', status: 'rejected', reason: 'other', message: 'x'.repeat(5000) }],
      [{ key: 'k0', status: 'rejected', reason: 'other', message: 'x'.repeat(1000) }],
    ],
  ])('with %s', async (_name, answers, expected) => {
    behaviour = { does: 'refuse', status: 207, body: JSON.stringify({ answers }) }
    expect(await deliver()).toEqual(expected)
  })

  it.each([200, 201, 202, 204, 207])('a bare %i takes all rows only where the export says so', async (status) => {
    behaviour = { does: 'answer-by-status', status }
    await expect(deliver()).rejects.toMatchObject({ code: 'unavailable', sent: 'maybe' })
    expect(await deliver(THREE, { answers: 'by-status' })).toEqual(
      THREE.keys.map((key) => ({ key, status: 'accepted' })),
    )
  })

  it.each([
    [400, 'batch-rejected'],
    [413, 'batch-rejected'],
    [422, 'batch-rejected'],
    [401, 'connection-refused'],
    [403, 'connection-refused'],
    [301, 'settings-invalid'],
    [308, 'settings-invalid'],
    [404, 'settings-invalid'],
    [405, 'settings-invalid'],
    [410, 'settings-invalid'],
    [451, 'settings-invalid'],
    [408, 'unavailable'],
    [409, 'unavailable'],
    [425, 'unavailable'],
    [500, 'unavailable'],
    [503, 'unavailable'],
    [429, 'rate-limited'],
  ])('%i is %s, whichever way the receiver answers', async (status, code) => {
    behaviour = {
      does: 'refuse',
      status,
      headers: { 'retry-after': '7', location: 'http://127.0.0.1:1/' },
      body: '{"answers":[]}',
    }
    for (const answers of ['per-row', 'by-status']) {
      const error: unknown = await deliver(THREE, { answers }).catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({
        code,
        ...(code === 'unavailable' ? { sent: 'maybe' } : {}),
        ...(status === 429 ? { afterSeconds: 7 } : {}),
      })
    }
  })

  it.each(['start', 'middle', 'taken'] as const)('a connection that breaks at %s may have been taken', async (at) => {
    behaviour = { does: 'reset', at }
    await expect(deliver(batchOf([{ fields: { a: 'x'.repeat(100_000) } }]))).rejects.toMatchObject({
      code: 'unavailable',
      sent: 'maybe',
    })
  })
})

describe('the signature', () => {
  const body = Buffer.from('{"type":"ping"}')
  const at = new Date('2026-03-01T12:00:00Z')
  const later = (seconds: number): Date => new Date(at.getTime() + seconds * 1000)
  const key = readSigningKey(SIGNING_SECRET)
  const headers = signedHeaders(key, 'b_1', at, body)

  it('is what the standard says', () => {
    // The example of the specification's own libraries.
    const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
    const payload = Buffer.from('{"test": 2432232314}')
    const signed = signedHeaders(
      readSigningKey(secret),
      'msg_p5jXN8AQM9LWM0D4loKWxJek',
      new Date(1_614_265_330_000),
      payload,
    )
    expect(signed).toEqual({
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    })
    expect(headers['webhook-signature']).toBe(
      `v1,${createHmac('sha256', key).update(`b_1.1772366400.${body.toString()}`).digest('base64')}`,
    )
  })

  it.each([
    ['now', headers, body, 0, true],
    ['299 s later', headers, body, 299, true],
    ['299 s earlier', headers, body, -299, true],
    ['301 s later', headers, body, 301, false],
    ['301 s earlier', headers, body, -301, false],
    ['cut short', headers, body.slice(0, -1), 0, false],
    ['written anew', headers, '{"type": "ping"}', 0, false],
    ['under another id', { ...headers, 'webhook-id': 'b_2' }, body, 0, false],
    ['at another time', { ...headers, 'webhook-timestamp': '1772366401' }, body, 0, false],
    ['at no time', { ...headers, 'webhook-timestamp': 'NaN' }, body, 0, false],
    ['unsigned', { ...headers, 'webhook-signature': undefined }, body, 0, false],
    [
      'by another version',
      { ...headers, 'webhook-signature': headers['webhook-signature']?.replace('v1', 'v0') },
      body,
      0,
      false,
    ],
    [
      'beside another one',
      { ...headers, 'webhook-signature': `v1,AAAA v1a,xyz ${headers['webhook-signature']}` },
      body,
      0,
      true,
    ],
  ] as const)('%s', (_name, given, text, seconds, isGood) => {
    expect(verifyWebhook(given, String(text), SIGNING_SECRET, later(seconds))).toBe(isGood)
  })

  it('is verified by the code that the README gives', () => {
    const readme = readFileSync(new URL('README.md', import.meta.url), 'utf8')
    const code = readFileSync(new URL('test-support/verify-webhook.ts', import.meta.url), 'utf8')
    expect(readme).toContain('```ts\n' + code + '```')
  })

  it.each([
    '',
    'secret',
    'whsec_',
    `whsec_${'A'.repeat(28)}`,
    `whsec_${'A'.repeat(90)}`,
    'whsec_not base64 at all, but long enough for one',
    'whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  ])('wants a secret of enough bytes, not %j', async (signingSecret) => {
    expect(() => readSigningKey(signingSecret)).toThrow(/24 to 64 random bytes/)
    await expect(openRows({}, 'upsert', contextFor({}, { signingSecret }).context)).rejects.toMatchObject({
      field: 'signingSecret',
    })
  })
})

describe('Verify', () => {
  const verify = async (connector: Connector, context = contextFor().context): Promise<readonly CheckStep[]> => {
    const steps: CheckStep[] = []
    for await (const step of connector.check(context)) steps.push(step)
    return steps
  }

  it('sends a signed ping', async () => {
    expect((await verify(webhook)).map(({ step, ok }) => [step, ok])).toEqual([
      ['resolved', true],
      ['reached', true],
      ['signed-in', true],
      ['may-write', true],
    ])
    expect(JSON.parse(last().body)).toEqual({ type: 'ping' })
    const { context } = contextFor({ url: 'https://hooks.example/x' })
    const steps = await verify(webhook, { ...context, fetch: () => Promise.resolve(answerOf(204, '')) })
    expect(steps.map(({ step }) => step)).toEqual(['resolved', 'reached', 'trusted', 'signed-in', 'may-write'])
  })

  it('names the field to mend', async () => {
    const wrong = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
    expect((await verify(webhook, contextFor({}, { signingSecret: wrong }).context)).at(-1)).toMatchObject({
      step: 'signed-in',
      ok: false,
      field: 'signingSecret',
    })
    behaviour = { does: 'refuse', status: 403 }
    const bearer = contextFor({ signIn: 'bearer' }, { token: 't' }).context
    expect((await verify(webhook, bearer)).at(-1)).toMatchObject({ step: 'signed-in', ok: false, field: 'token' })
    behaviour = { does: 'refuse', status: 500 }
    expect((await verify(webhook)).at(-1)).toMatchObject({ step: 'may-write', ok: false, field: 'url' })
  })
})

it('the address takes no query, no user name and no other scheme', () => {
  const field = webhook.settings['url']
  if (field?.kind !== 'text' || field.pattern === undefined) throw new Error('It has a pattern')
  const pattern = new RegExp(`^(?:${field.pattern})$`, 'u')
  for (const good of ['https://a.example/', 'http://127.0.0.1:80/x', 'https://a.example/a/b-c_d.e~f'])
    expect(good).toMatch(pattern)
  for (const bad of [
    'https://a.example/?code=secret',
    'https://u:p@a.example/',
    'ftp://a.example/',
    'https://a.example/#x',
    'a.example',
    'https://',
    'https://a b/',
  ])
    expect(bad).not.toMatch(pattern)
})
