import {
  DestinationInvalid,
  type Batch,
  type Change,
  type CheckStep,
  type Connector,
  type Mode,
  type RowAnswer,
  type RowDelivery,
  type RowKey,
} from '@patchbay/connector-sdk'
import { assertConnector, makeTestContext } from '@patchbay/connector-sdk/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FAKE_KEY, SENDGRID_CONTRACT, startFakeSendGrid, type ErrorsFile, type FakeSendGrid } from './fake-sendgrid.ts'
import { sendGrid, sendGridAt } from './index.ts'

let service: FakeSendGrid
let connector: Connector
let list: string
beforeEach(async () => {
  service = await startFakeSendGrid()
  connector = sendGridAt(service.origin)
  list = service.addList('Customers').id
})
afterEach(async () => {
  await service.stop()
  service.contract?.throwFaults()
})

const NOW = new Date('2026-03-04T05:06:07Z')
const contextFor = (apiKey = FAKE_KEY) =>
  makeTestContext(connector, { settings: {}, secrets: { apiKey }, now: () => NOW })

function destinationOf() {
  const destination = connector.destinations['list']
  if (destination?.delivers !== 'rows') throw new Error('It delivers rows')
  return destination
}
const open = async (values: Record<string, string | boolean> = {}, mode: Mode = 'mirror'): Promise<RowDelivery> =>
  destinationOf().open(contextFor().context, { target: 'existing', list, makeFields: false, ...values }, mode)

function batchOf(rows: readonly Partial<Change>[], id = 'b_1'): Batch {
  const changes = rows.map((row, at): Change => ({ change: 'added', key: `k${at}` as RowKey, fields: {}, ...row }))
  const json = changes.map((change) => JSON.stringify(change))
  return { id, size: changes.length, keys: changes.map(({ key }) => key), json, changes }
}
const person = (name: string, more: Change['fields'] = {}): Partial<Change> => ({
  fields: { email: `${name}@example.org`, ...more },
})
const leaver = (name: string): Partial<Change> => ({ change: 'removed', fields: { email: `${name}@example.org` } })

async function jobOf(delivery: RowDelivery, batch: Batch): Promise<string> {
  const given = await delivery.deliver(batch)
  if (!('job' in given)) throw new Error('The rows were answered at once')
  return given.job
}

/** As the engine does: asks, each time over another delivery, until there is an answer. */
async function deliver(rows: readonly Partial<Change>[], values: Record<string, string | boolean> = {}) {
  const batch = batchOf(rows)
  const given = await (await open(values)).deliver(batch)
  if (!('job' in given)) return [...given]
  for (let asked = 0; asked < 20; asked += 1) {
    const answers = await collect(await open(values), given.job, batch)
    if (answers !== 'pending') return sorted(answers)
  }
  throw new Error('It was pending for ever')
}
async function collect(delivery: RowDelivery, job: string, batch: Batch) {
  if (delivery.collect === undefined) throw new Error('It gives jobs')
  return await delivery.collect(job, batch)
}
const sorted = (answers: Iterable<RowAnswer>): readonly RowAnswer[] =>
  [...answers].toSorted((a, b) => a.key.localeCompare(b.key, 'en', { numeric: true }))
const accepted = (...keys: readonly string[]): readonly object[] => keys.map((key) => ({ key, status: 'accepted' }))
const onList = (): readonly string[] =>
  [...service.contacts].flatMap(([email, { lists }]) => (lists.has(list) ? [email] : []))

describe('sendgrid', () => {
  it('passes the conformance kit, with jobs', async () => {
    for (const values of [{ list }, { target: 'named', name: 'Kit' }]) {
      const results = await assertConnector(connector, {
        makeFake: () =>
          Promise.resolve({
            settings: {},
            secrets: { apiKey: FAKE_KEY },
            destinations: {
              list: { values, row: (index) => ({ email: `p${index}@example.org`, first_name: 'Ä', points: index }) },
            },
            stop: () => undefined,
          }),
      })
      const skipped = results.filter(({ on, outcome }) => on === 'list' && outcome === 'skipped')
      expect(skipped.map(({ name }) => name)).toEqual(['what is readable can be read back'])
    }
  })

  it('makes and changes contacts in one request, with custom fields by their ids, and puts them on the list', async () => {
    const rows = [
      person('Anna', { first_name: 'Anna', shoe_size: 38, points: 12, since: '2024-02-03', city: null }),
      person('ben', { points: null, phone_number_id: null, Shoe_Size: null }),
    ]
    expect(await deliver(rows)).toEqual(accepted('k0', 'k1'))
    expect(service.contacts.get('anna@example.org')?.fields).toEqual({
      email: 'anna@example.org',
      first_name: 'Anna',
      city: '',
      custom_fields: { e1_T: '38', e2_N: 12, e3_D: '2024-02-03' },
    })
    expect(service.contacts.get('ben@example.org')?.fields).toEqual({
      email: 'ben@example.org',
      custom_fields: { e1_T: '' },
    })
    expect(onList()).toEqual(['anna@example.org', 'ben@example.org'])
    expect(service.requests.filter(({ method }) => method === 'PUT')).toHaveLength(1)
  })

  it('waits for a job that is not known yet, then pending, and gives the same answers however often it is asked', async () => {
    const batch = batchOf([person('anna'), { fields: { email: null } }])
    const job = await jobOf(await open(), batch)
    expect(job).toBe('job-1')
    expect(await collect(await open(), job, batch)).toBe('pending')
    expect(await collect(await open(), job, batch)).toBe('pending')
    const answers = await collect(await open(), job, batch)
    expect(answers).toEqual([
      { key: 'k1', status: 'rejected', reason: 'missing-identifier', message: 'email is empty' },
      { key: 'k0', status: 'accepted' },
    ])
    expect(await collect(await open(), job, batch)).toEqual(answers)
    expect(service.requests.filter(({ method }) => method === 'PUT')).toHaveLength(1)
  })

  it.each([['csv'], ['json-lines']] as const)('reads the errors of a job back to their rows, from %s', async (file) => {
    service.errorsFile = file
    service.refuse = (email) => (email.startsWith('odd') ? 'something else' : undefined)
    const answers = await deliver([person('anna'), { fields: { email: 'no-address' } }, person('odd'), person('ben')])
    expect(answers).toEqual([
      { key: 'k0', status: 'accepted' },
      { key: 'k1', status: 'rejected', reason: 'invalid-field', message: expect.stringMatching(/email is invalid/) as string },
      { key: 'k2', status: 'rejected', reason: 'other', message: expect.stringMatching(/something else/) as string },
      { key: 'k3', status: 'accepted' },
    ])
    const [download] = service.requests.filter(({ path }) => path.startsWith('/errors/'))
    expect(download).toBeDefined()
  }) // prettier-ignore

  it.each([['unknown-form'], ['gone'], ['none']] satisfies [ErrorsFile][])(
    'cuts a batch whose errors cannot be told apart (%s), until the bad row stands alone',
    async (file) => {
      service.errorsFile = file
      service.pendingQuestions = 0
      const bad = { fields: { email: 'no-address' } }
      await expect(deliver([person('anna'), bad])).rejects.toMatchObject({
        code: 'batch-rejected',
        message: 'SendGrid counts 1 errors in the job, and names 0',
      })
      expect(await deliver([person('anna')])).toEqual(accepted('k0'))
      expect(await deliver([bad])).toMatchObject([{ key: 'k0', status: 'rejected', reason: 'other' }])
      const [, second] = await deliver([bad, { fields: { email: 'nor-this' } }])
      expect(second).toMatchObject({ status: 'rejected', message: expect.stringContaining('every contact') as string })
    },
  )

  it('does not take a line that is about two people, or about others, for an error of one', async () => {
    service.pendingQuestions = 0
    service.refuse = (email) => (email.startsWith('anna') ? 'like ben@example.org' : undefined)
    await expect(deliver([person('anna'), person('ben')])).rejects.toMatchObject({ code: 'batch-rejected' })
    service.refuse = (email) => (email.startsWith('anna') ? 'like notben@example.org' : undefined)
    expect(await deliver([person('anna'), person('ben')])).toMatchObject([
      { status: 'rejected' },
      { status: 'accepted' },
    ])
  })

  it('takes off the list who leaves, waits until they are off, and leaves everybody else and all contacts', async () => {
    await deliver([person('anna'), person('ben'), person('carla')])
    const batch = batchOf([leaver('anna'), leaver('nobody'), person('dora')])
    const delivery = await open()
    const job = await jobOf(delivery, batch)
    expect(onList()).toContain('anna@example.org')
    let pending = 0
    for (;;) {
      const answers = await collect(delivery, job, batch)
      if (answers !== 'pending') {
        expect(sorted(answers)).toEqual(accepted('k0', 'k1', 'k2'))
        break
      }
      pending += 1
    }
    expect(pending).toBeGreaterThan(2)
    expect(onList()).toEqual(['ben@example.org', 'carla@example.org', 'dora@example.org'])
    expect(service.contacts.size).toBe(4)
  })

  it('takes people off in requests of a hundred, without a job of an import', async () => {
    const names = Array.from({ length: 250 }, (_, index) => `p${index}`)
    await deliver(names.map((name) => person(name)))
    const before = service.requests.length
    expect(await deliver(names.map(leaver))).toHaveLength(250)
    expect(onList()).toEqual([])
    const after = service.requests.slice(before)
    expect(after.filter(({ method }) => method === 'DELETE')).toHaveLength(3)
    expect(after.filter(({ method }) => method === 'PUT')).toHaveLength(0)
  })

  it('keeps on the list who left under another key in the same batch', async () => {
    await deliver([person('anna')])
    const rows = [person('anna'), { ...leaver('anna'), key: 'old' as RowKey }]
    expect(await deliver(rows)).toEqual(accepted('k0', 'old'))
  })

  it('rejects by itself what would make SendGrid refuse the whole request', async () => {
    const answers = await deliver([person('anna', { first_name: 'x'.repeat(51) }), person('ben'), person('BEN')])
    expect(answers).toEqual([
      { key: 'k0', status: 'rejected', reason: 'invalid-field', message: 'first_name is longer than 50 characters' },
      { key: 'k1', status: 'accepted' },
      { key: 'k2', status: 'rejected', reason: 'duplicate', message: 'Another row has this email' },
    ])
    expect(await deliver([{ fields: {} }])).toMatchObject([{ status: 'rejected', reason: 'missing-identifier' }])
  })

  it('makes custom fields that are missing once, also where batches run at once', async () => {
    const delivery = await open({ makeFields: true })
    const rows = [person('anna', { town: 'Ulm', visits: 3, mixed: 1 }), person('ben', { mixed: 'two', visits: null })]
    await Promise.all([delivery.deliver(batchOf(rows)), delivery.deliver(batchOf(rows, 'b_2'))])
    expect(service.customFields.slice(3)).toEqual([
      { id: 'e4_T', name: 'town', field_type: 'Text' },
      { id: 'e5_N', name: 'visits', field_type: 'Number' },
      { id: 'e6_T', name: 'mixed', field_type: 'Text' },
    ])
    await expect(deliver([person('anna', { 'shoe size': 1 })], { makeFields: true })).rejects.toThrow(/no field of the name/)
    await expect(deliver([person('anna', { hair: 'red' })])).rejects.toMatchObject({
      code: 'destination-invalid',
      field: 'makeFields',
      message: 'SendGrid has no field hair: map to another, or let missing ones be made',
    })
  }) // prettier-ignore

  it('is harmless when a batch arrives twice, after a fault or a broken connection too', async () => {
    const delivery = await open()
    const failures = [
      { does: 'take-and-say', reply: { status: 500 } } as const,
      { does: 'reset', at: 'taken' } as const,
    ]
    for (const trouble of failures) {
      service.trouble(({ method }) => (method === 'PUT' ? trouble : undefined))
      const failed: unknown = await delivery.deliver(batchOf([person('anna')])).catch((error: unknown) => error)
      expect(failed).toMatchObject({ code: 'unavailable', sent: 'maybe' })
      service.trouble(() => undefined)
      expect(await deliver([person('anna')])).toEqual(accepted('k0'))
    }
    expect(onList()).toEqual(['anna@example.org'])
    expect(destinationOf().repeat({})).toEqual({ kind: 'harmless' })
  })
})

describe('what SendGrid answers', () => {
  const reset = { 'x-ratelimit-reset': String(NOW.getTime() / 1000 + 42) }
  it.each([
    ['a pause until its window begins anew', 429, '', reset, { code: 'rate-limited', afterSeconds: 42 }],
    ['a pause of seconds', 429, '', { 'retry-after': '7' }, { code: 'rate-limited', afterSeconds: 7 }],
    ['a key that was taken back in mid-run', 401, '{}', {}, { code: 'connection-refused' }],
    ['a list that is gone', 404, '{}', {}, { code: 'destination-invalid', field: 'list' }],
    ['a batch that is refused', 400, '{"errors":[{"field":"contacts[3].email","message":"anna"}]}', {}, { code: 'batch-rejected', message: 'SendGrid refused the request (400): contacts[3].email' }],
    ['a fault', 503, '', {}, { code: 'unavailable', sent: 'maybe' }],
    ['no job', 202, '{"status":"ok"}', {}, { code: 'unavailable', sent: 'maybe' }],
    ['a job of no name', 202, '{"job_id":""}', {}, { code: 'unavailable', sent: 'maybe' }],
    ['another status', 207, '{"job_id":"1"}', {}, { code: 'unavailable', sent: 'maybe' }],
    ['another shape', 202, '[]', {}, { code: 'unavailable', sent: 'maybe' }],
  ])('%s is told as what it is, without words about anybody', async (_name, status, body, headers, wanted) => {
    const delivery = await open()
    service.trouble(() => ({ does: 'say', reply: { status, body, headers } }))
    const error: unknown = await delivery.deliver(batchOf([person('anna')])).catch((caught: unknown) => caught)
    expect(error).toMatchObject(wanted)
    expect(String(error)).not.toContain('anna')
  }) // prettier-ignore

  it.each([
    [{}],
    [{ status: 'done' }],
    [{ status: 'completed', results: { errored_count: '0' } }],
    [{ state: 'completed' }],
  ])('takes %o of a job for no success', async (status) => {
    const batch = batchOf([person('anna')])
    const delivery = await open()
    const job = await jobOf(delivery, batch)
    service.status = status
    await expect(collect(delivery, job, batch)).rejects.toMatchObject({ code: 'unavailable', sent: 'maybe' })
  })

  it('cuts the batch where a job failed and took nobody, and says so of a row that stands alone', async () => {
    service.status = { status: 'failed' }
    await expect(deliver([person('anna'), person('ben')])).rejects.toMatchObject({ code: 'batch-rejected' })
    expect(await deliver([person('anna')])).toEqual([
      { key: 'k0', status: 'rejected', reason: 'other', message: 'SendGrid gives no reason' },
    ])
  })

  it('does not take somebody for off the list of whom nothing is said', async () => {
    const delivery = await open()
    for (const result of [{}, { 'anna@example.org': {} }, { 'anna@example.org': { contact: { id: '1' } } }]) {
      service.trouble(() => ({ does: 'say', reply: { status: 200, body: { result } } }))
      const failed: unknown = await delivery.deliver(batchOf([leaver('anna')])).catch((error: unknown) => error)
      expect(failed).toMatchObject({ code: 'unavailable', sent: 'maybe' })
    }
  })

  it('opens nothing but web addresses for the errors', async () => {
    for (const url of ['file:///etc/passwd', 'ftp://example.com/errors.csv', 'errors.csv', '']) {
      service.status = { status: 'errored', results: { errored_count: 1, errors_url: url } }
      expect(await deliver([person('anna')])).toMatchObject([{ status: 'rejected' }])
    }
  })
})

describe('the set-up', () => {
  const check = async (context = contextFor().context): Promise<readonly CheckStep[]> => {
    const steps: CheckStep[] = []
    for await (const step of connector.check(context)) steps.push(step)
    return steps
  }

  it('verifies step by step, and changes nothing', async () => {
    expect(await check()).toEqual([
      { step: 'resolved', ok: true },
      { step: 'reached', ok: true },
      { step: 'signed-in', ok: true },
      { step: 'may-write', ok: true },
    ])
    service.mayWrite = false
    expect((await check()).at(-1)).toMatchObject({ step: 'may-write', ok: false, field: 'apiKey' })
    await expect(check(contextFor('SG.wrong').context)).rejects.toMatchObject({ code: 'connection-refused' })
    expect(service.lists.size).toBe(1)
  })

  it('goes to SendGrid and nowhere else', () => {
    const { auth } = sendGrid
    if (auth.type !== 'header') throw new Error('A key')
    expect(auth.origin?.({})).toBe('https://api.sendgrid.com')
  })

  it('offers lists of every page, and fields by their names', async () => {
    for (let index = 0; index < 1200; index += 1) service.addList(`List ${index}`)
    const { context } = contextFor()
    const { lookups, targetFields } = destinationOf()
    expect(await lookups?.['list']?.(context, 'CUST', {})).toEqual([
      { value: list, label: 'Customers', help: '0 contacts' },
    ])
    expect(await lookups?.['list']?.(context, '', {})).toHaveLength(1201)
    expect(service.requests.every(({ path }) => path === '/v3/marketing/lists')).toBe(true)
    const fields = (await targetFields(context, {})) ?? []
    expect(fields.map(({ name }) => name)).toEqual([
      ...['email', 'first_name', 'last_name', 'address_line_1', 'address_line_2', 'city', 'state_province_region'],
      ...['postal_code', 'country', 'phone_number_id', 'external_id', 'Shoe_Size', 'points', 'since'],
    ])
    expect(fields.filter(({ identifier }) => identifier)).toHaveLength(1)
  })

  it('finds a list by its name or makes it, and refuses what is none', async () => {
    const named = { target: 'named', name: 'New' }
    await deliver([person('anna')], named)
    await deliver([person('anna')], named)
    expect([...service.lists.values()].map(({ name }) => name)).toEqual(['Customers', 'New'])
    await expect(open({ target: 'named', name: ' ' })).rejects.toBeInstanceOf(DestinationInvalid)
    for (const id of ['', '../contacts', '00000000-0000-4000-8000-000000000009'])
      await expect(open({ list: id })).rejects.toMatchObject({ code: 'destination-invalid', field: 'list' })
  })

  it.skipIf(SENDGRID_CONTRACT === undefined)('is held against SendGrid’s contract [needs ../shared/contracts]', async () => {
    await deliver([person('anna'), leaver('ben')])
    expect(service.contract?.checked).toBeGreaterThan(5)
  }) // prettier-ignore
})
