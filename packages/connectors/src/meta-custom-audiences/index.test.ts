import { createHash } from 'node:crypto'
import type { Batch, Change, CheckStep, RowAnswer, RowDelivery, RowKey } from '@patchbay/connector-sdk'
import { answersOf, assertConnector, makeTestContext } from '@patchbay/connector-sdk/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readContract } from '../../test-servers/contract/contract.ts'
import { startFakeMeta, type FakeMeta } from './fake-meta.ts'
import { metaCustomAudiences, metaCustomAudiencesAt } from './index.ts'

const TOKEN = 'token-of-a-system-user'
const sha = (text: string): string => createHash('sha256').update(text).digest('hex')

let meta: FakeMeta
beforeEach(async () => {
  meta = await startFakeMeta()
})
const text = (name: string) => ({ in: 'query', name, required: false, schema: { type: 'string' } })
/** What the Graph API takes everywhere, and what of it the pruned contract leaves out. */
const contract = readContract('meta', {
  files: ['custom_audiences.json'],
  supplement: {
    paths: {
      '/me': { get: { parameters: [text('fields')], responses: {} } },
      '/me/permissions': { get: { parameters: [], responses: {} } },
      '/{custom_audience_id}': {
        get: {
          parameters: [
            { in: 'path', name: 'custom_audience_id', required: true, schema: { type: 'string' } },
            text('fields'),
          ],
        },
      },
      '/act_{ad_account_id}/customaudiences': {
        get: {
          parameters: [
            { in: 'path', name: 'ad_account_id', required: true, schema: { type: 'string' } },
            ...['fields', 'limit', 'after'].map(text),
          ],
        },
      },
    },
  },
})
afterEach(async () => {
  await meta.stop()
  const faults = meta.requests.flatMap(
    ({ path, query, method, body, headers }) =>
      contract?.check({ url: `${path}?${query.toString()}`, method, headers, body }) ?? [],
  )
  if (faults.length > 0) throw new Error(`Meta's contract does not allow: ${[...new Set(faults)].join('\n')}`)
})

const contextFor = (settings: Record<string, string> = {}, token = TOKEN) =>
  makeTestContext(metaCustomAudiencesAt(meta.origin), {
    settings: { adAccount: 'act_1234567890', signIn: 'system-user', ...settings },
    secrets: { token },
  })

function destinationOf() {
  const destination = metaCustomAudiencesAt(meta.origin).destinations['audience']
  if (destination?.delivers !== 'rows') throw new Error('It delivers rows')
  return destination
}

const open = async (values: Record<string, string>, token = TOKEN): Promise<RowDelivery> =>
  destinationOf().open(contextFor({}, token).context, { target: 'existing', ...values }, 'mirror')

function batchOf(rows: readonly Partial<Change>[], id = 'b_1'): Batch {
  const changes = rows.map((row, at): Change => ({ change: 'added', key: `k${at}` as RowKey, fields: {}, ...row }))
  const json = changes.map((change) => JSON.stringify(change))
  return { id, size: changes.length, keys: changes.map(({ key }) => key), json, changes }
}
const person = (name: string, more: object = {}): Partial<Change> => ({
  fields: { EMAIL: sha(name), PHONE: null, ...more },
})
const delivered = async (delivery: RowDelivery, batch: Batch): Promise<readonly RowAnswer[]> =>
  answersOf(await delivery.deliver(batch))

describe('meta-custom-audiences', () => {
  it('passes the conformance kit', async () => {
    const { id } = meta.addAudience('Kit')
    const results = await assertConnector(metaCustomAudiencesAt(meta.origin), {
      makeFake: () =>
        Promise.resolve({
          settings: { adAccount: '1234567890', signIn: 'system-user' },
          secrets: { token: TOKEN },
          destinations: {
            audience: {
              values: { target: 'existing', audience: id },
              row: (index) => ({ EMAIL: sha(`p${index}`), FN: sha('a') }),
            },
          },
          stop: () => undefined,
        }),
    })
    expect(results.filter(({ outcome }) => outcome === 'skipped').map(({ name }) => name)).toEqual([
      'a job is collected by any delivery, as often as it is asked',
      'what is readable can be read back',
    ])
  })

  it('goes to Meta and nowhere else, also where it signs in', () => {
    const { auth } = metaCustomAudiences
    if (auth.type !== 'choice') throw new Error('It has two ways to sign in')
    expect(auth.of['person']).toMatchObject({
      type: 'oauth2',
      tokenEndpoint: 'https://graph.facebook.com/v23.0/oauth/access_token',
      tokens: { kind: 'renewed', lifeDays: 60 },
    })
    const person = auth.of['person']
    if (person?.type !== 'oauth2') throw new Error('A person signs in by OAuth')
    expect(person.origins({}, undefined)).toEqual(['https://graph.facebook.com'])
  })

  it('adds people by the keys that are mapped, and takes out those who left', async () => {
    const audience = meta.addAudience('Customers')
    const delivery = await open({ audience: audience.id })
    const batch = batchOf([person('a', { COUNTRY: sha('de'), MADID: 'aece52e7-03ee-455a-b3c4-e57283966239' }), person('b')])
    expect(await delivered(delivery, batch)).toEqual(batch.keys.map((key) => ({ key, status: 'accepted' })))
    expect(JSON.parse(meta.requests.at(-1)?.body ?? '')).toEqual({
      payload: {
        schema: ['EMAIL', 'PHONE', 'COUNTRY', 'MADID'],
        data: [
          [sha('a'), '', sha('de'), 'aece52e7-03ee-455a-b3c4-e57283966239'],
          [sha('b'), '', '', ''],
        ],
      },
    })
    expect(audience.members.size).toBe(2)
    const second = batchOf([{ change: 'removed', fields: { EMAIL: sha('a') } }, person('c')], 'b_2')
    expect(await delivered(delivery, second)).toHaveLength(2)
    expect([...audience.members.keys()].map((member) => member.split(' ')[0])).toEqual([
      `EMAIL=${sha('b')}`,
      `EMAIL=${sha('c')}`,
    ])
  }) // prettier-ignore

  it('is harmless when a batch arrives twice, after a fault or a broken connection too', async () => {
    const audience = meta.addAudience('Customers')
    const delivery = await open({ audience: audience.id })
    for (const does of ['fail-after-taking', 'reset-after-taking'] as const) {
      meta.trouble((request) => (request.path.endsWith('/users') ? { does } : undefined))
      await expect(delivery.deliver(batchOf([person('a')]))).rejects.toMatchObject({ code: 'unavailable', sent: 'maybe' })
      meta.trouble(() => undefined)
      expect(await delivered(delivery, batchOf([person('a')]))).toMatchObject([{ status: 'accepted' }])
    }
    expect(audience.members.size).toBe(1)
    expect(destinationOf().repeat({ target: 'existing' })).toEqual({ kind: 'harmless' })
  }) // prettier-ignore

  it('never calls a batch delivered that Meta did not count whole', async () => {
    const delivery = await open({ audience: meta.addAudience('Customers').id })
    const batch = batchOf([person('a'), { fields: { EMAIL: 'not-a-hash' } }])
    await expect(delivery.deliver(batch)).rejects.toMatchObject({
      code: 'batch-rejected',
      message: 'Meta received 2 of 2 entries and could not use 1 of them: INVALID_HASH',
    })
    for (const body of ['{"num_received":1}', '{"num_received":"2","num_invalid_entries":"0"}', '{"success":true}', '[]', ''])
      await expect(withAnswer(delivery, 200, body)).rejects.toMatchObject({ code: 'unavailable', sent: 'maybe' })
    for (const body of ['{"num_received":1,"num_invalid_entries":0}', '{"num_received":3,"num_invalid_entries":0}'])
      await expect(withAnswer(delivery, 200, body)).rejects.toMatchObject({ code: 'batch-rejected' })
  }) // prettier-ignore

  async function withAnswer(delivery: RowDelivery, status: number, body: string) {
    meta.trouble(() => ({ does: 'say', status, body }))
    try {
      return await delivery.deliver(batchOf([person('a'), person('b')]))
    } finally {
      meta.trouble(() => undefined)
    }
  }

  it('a person without any key is rejected and not sent', async () => {
    const delivery = await open({ audience: meta.addAudience('Customers').id })
    const answers = await delivered(delivery, batchOf([{ fields: { EMAIL: null, FN: '' } }, person('b')]))
    expect(answers).toEqual([
      { key: 'k1', status: 'accepted' },
      { key: 'k0', status: 'rejected', reason: 'missing-identifier', message: expect.any(String) as string },
    ])
    expect(JSON.parse(meta.requests.at(-1)?.body ?? '')).toMatchObject({
      payload: { schema: ['EMAIL', 'PHONE'], data: [[sha('b'), '']] },
    })
  })

  it.each([
    ['a pause by the ad account', 400, { code: 80_003 }, { 'x-business-use-case-usage': '{"1":[{"estimated_time_to_regain_access":3}]}' }, { code: 'rate-limited', afterSeconds: 180 }],
    ['a pause by the app, with 403', 403, { code: 4 }, {}, { code: 'rate-limited', afterSeconds: undefined }],
    ['a pause with 429', 429, {}, { 'retry-after': '7' }, { code: 'rate-limited', afterSeconds: 7 }],
    ['a token that ended in mid-run', 400, { code: 190, error_subcode: 463 }, {}, { code: 'connection-refused', step: 'signed-in' }],
    ['a right that is missing', 403, { code: 200 }, {}, { code: 'connection-refused', step: 'may-write' }],
    ['terms that are not accepted', 400, { code: 100, error_subcode: 1_870_090 }, {}, { code: 'connection-refused', message: expect.stringContaining('terms') as string }],
    ['an audience that is blocked', 400, { code: 100, error_subcode: 1_713_230, error_user_title: 'Audience Upload Blocked' }, {}, { code: 'destination-invalid', message: expect.stringContaining('Audience Upload Blocked') as string }],
    ['an audience that was removed', 400, { code: 100, error_subcode: 33 }, {}, { code: 'destination-invalid', field: 'audience' }],
    ['a fault of its own with 400', 400, { code: 2 }, {}, { code: 'unavailable', sent: 'maybe' }],
    ['a body that it does not take', 400, { code: 100, message: 'EMAIL of ana@example.com is wrong' }, {}, { code: 'batch-rejected', message: 'Meta refused the request (400, code 100)' }],
  ])('tells %s', async (_, status, error, headers, wanted) => {
    const delivery = await open({ audience: meta.addAudience('Customers').id })
    meta.trouble(() => ({ does: 'error', status, error: { type: 'OAuthException', ...error }, headers }))
    await expect(delivery.deliver(batchOf([person('a')]))).rejects.toMatchObject(wanted)
  }) // prettier-ignore

  it('makes the audience once, and finds it by its name afterwards', async () => {
    for (let at = 0; at < 230; at += 1) meta.addAudience(`Other ${at}`)
    const values = { target: 'named', name: ' New customers ', source: 'USER_PROVIDED_ONLY' }
    await (await open(values)).deliver(batchOf([person('a')]))
    await (await open(values)).deliver(batchOf([person('b')]))
    const made = [...meta.audiences.values()].filter(({ name }) => name === 'New customers')
    expect(made).toHaveLength(1)
    expect(made[0]?.members.size).toBe(2)
    meta.addAudience('New customers')
    await expect(open(values)).rejects.toMatchObject({ code: 'destination-invalid', field: 'name' })
  })

  it.each([
    ['another type', { subtype: 'LOOKALIKE' }, /LOOKALIKE/],
    ['one that Meta has flagged', { status: 471 }, /flagged/],
  ])('refuses an audience of %s before anything is sent', async (_, change, message) => {
    const { id } = meta.addAudience('Wrong', change)
    await expect(open({ audience: id })).rejects.toMatchObject({ code: 'destination-invalid', message: expect.stringMatching(message) as string })
    await expect(open({ audience: '99' })).rejects.toMatchObject({ code: 'destination-invalid' })
    await expect(open({ audience: '../me' })).rejects.toMatchObject({ code: 'destination-invalid' })
    expect(meta.requests.filter(({ method }) => method !== 'GET')).toEqual([])
  }) // prettier-ignore

  it('offers the customer lists of the account, page by page, and never follows the address of a page', async () => {
    for (let at = 0; at < 120; at += 1) meta.addAudience(`List ${at}`)
    meta.addAudience('Lookalike', { subtype: 'LOOKALIKE' })
    const lookup = destinationOf().lookups?.['audience']
    const choices = (await lookup?.(contextFor().context, 'list 1', {})) ?? []
    expect(choices.map(({ label }) => label)).toContain('List 119')
    expect(choices.some(({ label }) => label === 'Lookalike')).toBe(false)
    expect(await lookup?.(contextFor().context, '', {})).toHaveLength(120)
    expect(meta.requests.every(({ query }) => !query.has('access_token'))).toBe(true)
  })
})

describe('Verify', () => {
  const verify = async (settings: Record<string, string> = {}, token = TOKEN): Promise<readonly CheckStep[]> => {
    const steps: CheckStep[] = []
    for await (const step of metaCustomAudiencesAt(meta.origin).check(contextFor(settings, token).context))
      steps.push(step)
    return steps
  }

  it('goes step by step, and writes nothing', async () => {
    expect((await verify()).map(({ step, ok }) => [step, ok])).toEqual([
      ['resolved', true],
      ['reached', true],
      ['signed-in', true],
      ['may-write', true],
    ])
    expect(meta.requests.every(({ method }) => method === 'GET')).toBe(true)
  })

  it('names what is to be mended', async () => {
    await expect(verify({}, 'old')).rejects.toMatchObject({ code: 'connection-refused', step: 'signed-in' })
    expect((await verify({ adAccount: '99999' })).at(-1)).toMatchObject({ step: 'may-write', ok: false, field: 'adAccount' })
    meta.permissions = ['public_profile']
    expect((await verify()).at(-1)).toMatchObject({ step: 'may-write', ok: false, field: 'token' })
  }) // prettier-ignore
})
