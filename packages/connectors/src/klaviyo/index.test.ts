import type { Batch, Change, CheckStep, RowAnswer, RowDelivery, RowKey } from '@patchbay/connector-sdk'
import { answersOf, assertConnector, makeTestContext } from '@patchbay/connector-sdk/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readContract } from '../../test-servers/contract/contract.ts'
import { startFakeKlaviyo, type FakeKlaviyo, type FakeList } from './fake-klaviyo.ts'
import { klaviyo, klaviyoConnectorAt } from './index.ts'

const KEY = 'pk_test_0123456789'

let fake: FakeKlaviyo
let list: FakeList
beforeEach(async () => {
  fake = await startFakeKlaviyo()
  list = fake.addList('Newsletter')
})
const contract = readContract('klaviyo', { files: ['klaviyo.json'] })
afterEach(async () => {
  await fake.stop()
  const faults = fake.requests.flatMap(
    ({ path, query, ...request }) => contract?.check({ url: `${path}?${query.toString()}`, ...request }) ?? [],
  )
  if (faults.length > 0) throw new Error(`Klaviyo's contract does not allow: ${[...new Set(faults)].join('\n')}`)
})

const contextFor = (apiKey = KEY) =>
  makeTestContext(klaviyoConnectorAt(fake.origin), { settings: {}, secrets: { apiKey } })

function destinationOf() {
  const destination = klaviyoConnectorAt(fake.origin).destinations['list']
  if (destination?.delivers !== 'rows') throw new Error('It delivers rows')
  return destination
} // prettier-ignore

const open = async (values: Record<string, string> = { list: list.id }): Promise<RowDelivery> =>
  destinationOf().open(contextFor().context, { target: 'existing', ...values }, 'mirror')

function batchOf(rows: readonly Partial<Change>[], id = 'b_1'): Batch {
  const changes = rows.map((row, at): Change => ({ change: 'added', key: `k${at}` as RowKey, fields: {}, ...row }))
  const json = changes.map((change) => JSON.stringify(change))
  return { id, size: changes.length, keys: changes.map(({ key }) => key), json, changes }
}
const person = (email: string | null, more: Change['fields'] = {}): Partial<Change> => ({ fields: { email, ...more } })
const gone = (fields: Change['fields']): Partial<Change> => ({ change: 'removed', fields })

/** As the engine does: on another delivery, and as often as it takes. */
async function collected(batch: Batch, delivery?: RowDelivery): Promise<readonly RowAnswer[]> {
  const given = await (delivery ?? (await open())).deliver(batch)
  if (!('job' in given)) return [...given]
  for (let question = 0; question < 20; question += 1) {
    const answers = await (await open()).collect?.(given.job, batch)
    if (answers !== undefined && answers !== 'pending') return [...answers]
  }
  throw new Error('The job never ends')
}
const statuses = (answers: readonly RowAnswer[]) =>
  Object.fromEntries(answers.map((answer) => [answer.key, answer.status]))

describe('klaviyo', () => {
  it('passes the conformance kit', async () => {
    const results = await assertConnector(klaviyoConnectorAt(fake.origin), {
      makeFake: () =>
        Promise.resolve({
          settings: {},
          secrets: { apiKey: KEY },
          destinations: {
            list: {
              values: { target: 'existing', list: list.id },
              row: (index) => ({ email: `p${index}@example.org` }),
            },
          },
          stop: () => undefined,
        }),
    })
    expect(results.filter(({ outcome }) => outcome === 'skipped').map(({ name }) => name)).toEqual([
      'what is readable can be read back',
    ])
  })

  it('goes to Klaviyo and nowhere else', () => {
    expect(klaviyo.auth).toMatchObject({ type: 'header' })
    if (klaviyo.auth.type !== 'header') throw new Error('It signs in by a header')
    expect(klaviyo.auth.origin?.({})).toBe('https://a.klaviyo.com')
  })

  it('imports profiles into the list by a job, and leaves their consent alone', async () => {
    fake.questionsPerJob = 3
    const batch = batchOf([
      person('a@x.org', { first_name: 'Ana', city: 'Rio', zip: '20', points: 7, vip: true, last_name: null }),
      { change: 'changed', fields: { email: 'b@x.org', phone_number: null, last_name: null, points: null } },
    ])
    expect(statuses(await collected(batch))).toEqual({ k0: 'accepted', k1: 'accepted' })
    const post = fake.requests.find(({ method }) => method === 'POST')
    expect(post?.headers).toMatchObject({ revision: '2026-07-15', 'content-type': 'application/vnd.api+json' })
    expect(JSON.parse(post?.body ?? '')).toEqual({
      data: {
        type: 'profile-bulk-import-job',
        attributes: {
          profiles: {
            data: [
              {
                type: 'profile',
                attributes: {
                  email: 'a@x.org',
                  first_name: 'Ana',
                  location: { city: 'Rio', zip: '20' },
                  properties: { points: 7, vip: true },
                },
              },
              { type: 'profile', attributes: { email: 'b@x.org', last_name: null, properties: { points: null } } },
            ],
          },
        },
        relationships: { lists: { data: [{ type: 'list', id: list.id }] } },
      },
    })
    expect(post?.body).not.toContain('subscription')
    expect([...list.members]).toEqual(['a@x.org', 'b@x.org'])
    expect(fake.profiles.get('a@x.org')?.consent).toBe('NEVER_SUBSCRIBED')
  })

  it('reads the errors of the job back to their rows, whichever way Klaviyo names them', async () => {
    fake.judge = ({ email }) => {
      if (email === 'bad@x.org') return { code: 'invalid', title: 'Invalid input.', detail: 'Phone number is not valid.', pointsAtIt: true }
      return email === 'twice@x.org' ? { code: 'duplicate_profile', title: 'Duplicate.', detail: '', pointsAtIt: false } : undefined
    }
    const rows = ['a@x.org', 'bad@x.org', 'b@x.org', 'twice@x.org'].map((email) => person(email))
    expect(await collected(batchOf([...rows, person(null)]))).toEqual([
      { key: 'k4', status: 'rejected', reason: 'missing-identifier', message: expect.any(String) as string },
      { key: 'k1', status: 'rejected', reason: 'invalid-field', message: 'Invalid input. Phone number is not valid.' },
      { key: 'k3', status: 'rejected', reason: 'duplicate', message: 'Duplicate.' },
      { key: 'k0', status: 'accepted' },
      { key: 'k2', status: 'accepted' },
    ])
  }) // prettier-ignore

  it('reads all pages of errors', async () => {
    fake.judge = () => ({ code: 'invalid', title: 'No.', detail: '', pointsAtIt: false })
    const answers = await collected(batchOf(Array.from({ length: 250 }, (_, at) => person(`p${at}@x.org`))))
    expect(answers.filter(({ status }) => status === 'rejected')).toHaveLength(250)
    expect(fake.requests.filter(({ path }) => path.endsWith('/import-errors'))).toHaveLength(3)
    expect(fake.requests.some(({ path }) => path === '/elsewhere')).toBe(false)
  })

  it('calls no row accepted that could be the one that failed', async () => {
    const batch = batchOf(['a@x.org', 'b@x.org'].map((email) => person(email)))
    const said = async (attributes: object, errors: readonly object[] = []): Promise<readonly RowAnswer[]> => {
      fake.trouble(({ path }) =>
        path.endsWith('/import-errors')
          ? { does: 'say', status: 200, body: JSON.stringify({ data: errors }) }
          : path.includes('import-jobs/')
            ? { does: 'say', status: 200, body: JSON.stringify({ data: { id: 'x', attributes } }) }
            : undefined,
      )
      const answers = await (await open()).collect?.('J1', batch)
      if (answers === undefined || answers === 'pending') throw new Error('It is done')
      return [...answers]
    }
    const failing = { attributes: { code: 'invalid', title: 'No', detail: '', source: { pointer: '/data' } } }
    expect(await said({ status: 'complete', total_count: 2, failed_count: 1 }, [failing])).toEqual([])
    expect(await said({ status: 'complete', total_count: 2, failed_count: 1 })).toEqual([])
    expect(await said({ status: 'complete', total_count: 1, failed_count: 0 })).toEqual([])
    expect(await said({ status: 'complete' })).toEqual([])
    expect(await said({ status: 'complete', total_count: 2, failed_count: null })).toHaveLength(2)
    await expect(said({ status: 'finished', total_count: 2, failed_count: 0 })).rejects.toMatchObject({ code: 'unavailable' })
    await expect(said({ status: 'cancelled', total_count: 2 })).rejects.toMatchObject({ code: 'batch-rejected' })
  }) // prettier-ignore

  it('a job that Klaviyo has forgotten is sent again', async () => {
    await expect((await open()).collect?.('gone', batchOf([person('a@x.org')]))).rejects.toMatchObject({
      code: 'batch-rejected',
    })
  })

  it('a request that is refused for some rows goes again without them', async () => {
    const batch = batchOf([person('a@x.org'), person('nonsense'), person('b@x.org')])
    expect(await collected(batch)).toEqual([
      { key: 'k1', status: 'rejected', reason: 'invalid-field', message: 'Invalid input. Invalid email address.' },
      { key: 'k0', status: 'retry', message: expect.any(String) as string },
      { key: 'k2', status: 'retry', message: expect.any(String) as string },
    ])
    expect(list.members.size).toBe(0)
  })

  it('takes people off the list by looking them up in it, and only them', async () => {
    for (let at = 0; at < 130; at += 1) fake.addMember(list, { email: `p${at}@x.org` })
    fake.addMember(list, { phone_number: '+491711' })
    fake.addMember(list, { email: 'other@x.org', phone_number: '+491712' })
    const rows = Array.from({ length: 130 }, (_, at) => gone({ email: `p${at}@x.org`, phone_number: '+491712' }))
    const batch = batchOf([...rows, gone({ email: null, phone_number: '+491711' }), gone({ email: 'never@x.org' }), gone({ external_id: '7' })])
    const answers = answersOf(await (await open()).deliver(batch))
    expect(answers.filter(({ status }) => status === 'accepted')).toHaveLength(132)
    expect(answers.at(-1)).toMatchObject({ key: 'k132', status: 'rejected', reason: 'missing-identifier' })
    expect([...list.members]).toEqual(['other@x.org'])
    expect(fake.profiles.has('p0@x.org')).toBe(true)
  }) // prettier-ignore

  it('does not take off whom an unknown filter lets through', async () => {
    const { id } = fake.addMember(list, { email: 'stays@x.org' })
    const body = JSON.stringify({ data: [{ type: 'profile', id, attributes: { email: 'stays@x.org' } }] })
    fake.trouble(({ path }) => (path.endsWith('/profiles') ? { does: 'say', status: 200, body } : undefined))
    await (await open()).deliver(batchOf([gone({ email: 'leaves@x.org' })]))
    expect([...list.members]).toEqual([id])
  })

  it('is harmless when a batch arrives twice, after a fault or a broken connection too', async () => {
    for (const does of ['fail-after-taking', 'reset-after-taking'] as const) {
      fake.trouble(({ method }) => (method === 'POST' ? { does } : undefined))
      await expect((await open()).deliver(batchOf([person('a@x.org')]))).rejects.toMatchObject({ code: 'unavailable', sent: 'maybe' })
      fake.trouble(() => undefined)
      expect(statuses(await collected(batchOf([person('a@x.org')])))).toEqual({ k0: 'accepted' })
    }
    expect(list.members.size).toBe(1)
  }) // prettier-ignore

  it.each([
    ['a limit', 429, { 'retry-after': '3' }, { code: 'rate-limited', afterSeconds: 3 }],
    ['a key that was taken back in mid-run', 401, {}, { code: 'connection-refused' }],
    ['a key without the right', 403, {}, { code: 'connection-refused' }],
    ['a list that was removed', 404, {}, { code: 'destination-invalid', field: 'list' }],
    ['a fault', 503, { 'retry-after': '9' }, { code: 'unavailable', sent: 'maybe', afterSeconds: 9 }],
    ['a redirect', 302, {}, { code: 'unavailable', sent: 'maybe' }],
    ['a body that is too large', 413, {}, { code: 'batch-rejected' }],
  ])('tells %s', async (_, status, headers, wanted) => {
    const delivery = await open()
    fake.trouble(() => ({ does: 'say', status, headers, body: '{"errors":[{"code":"x","title":"No","detail":"ana@x.org"}]}' }))
    const refused: unknown = await delivery.deliver(batchOf([person('a@x.org')])).catch((error: unknown) => error)
    expect(refused).toMatchObject(wanted)
    expect(String(refused)).not.toContain('ana@')
  }) // prettier-ignore

  it('a profile above 100 KB is rejected and not sent', async () => {
    const answers = await collected(batchOf([person('a@x.org', { note: 'x'.repeat(100_000) }), person('b@x.org')]))
    expect(answers).toMatchObject([{ key: 'k0', reason: 'too-large' }, { key: 'k1', status: 'accepted' }])
  }) // prettier-ignore

  it('makes the list once, and finds it by its name afterwards', async () => {
    const values = { target: 'named', name: ' Say "hi" \\o/ ' }
    await open(values)
    await open(values)
    const made = [...fake.lists.values()].filter(({ name }) => name === 'Say "hi" \\o/')
    expect(made).toHaveLength(1)
    fake.addList('Say "hi" \\o/')
    await expect(open(values)).rejects.toMatchObject({ code: 'destination-invalid', field: 'name' })
    await expect(open({ list: 'gone' })).rejects.toMatchObject({ code: 'destination-invalid', field: 'list' })
    await expect(open({ list: '../accounts' })).rejects.toMatchObject({ code: 'destination-invalid', field: 'list' })
  })

  it('offers the lists, page by page', async () => {
    for (let at = 0; at < 25; at += 1) fake.addList(`List ${at}`)
    const choices = (await destinationOf().lookups?.['list']?.(contextFor().context, 'LIST', {})) ?? []
    expect(choices).toHaveLength(25)
    expect(choices[24]).toMatchObject({ label: 'List 24' })
  })
})

describe('Verify', () => {
  const verify = async (key = KEY): Promise<readonly CheckStep[]> => {
    const steps: CheckStep[] = []
    for await (const step of klaviyoConnectorAt(fake.origin).check(contextFor(key).context)) steps.push(step)
    return steps
  }

  it('goes step by step, and makes nothing', async () => {
    const steps = await verify()
    expect(steps.map(({ step, ok }) => [step, ok])).toEqual([
      ['resolved', true],
      ['reached', true],
      ['signed-in', true],
      ['may-write', true],
    ])
    expect(steps[2]).toMatchObject({ detail: 'Contoso (AbC123)' })
    expect(fake.jobs.size).toBe(0)
  })

  it('names what is to be mended', async () => {
    await expect(verify('pk_old')).rejects.toMatchObject({ code: 'connection-refused', step: 'signed-in' })
    fake.readOnly = true
    expect((await verify()).at(-1)).toMatchObject({ step: 'may-write', ok: false, field: 'apiKey' })
  })
})
