/** What is done to exports, one and several. Rules are those of PRODUCT.md, "Exports" and "Connections". */
import type { ApiProblem } from '@patchbay/contract'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeWorld, openTestPatchbay, type TestPatchbay } from '../test-support/test-patchbay.ts'

let patchbay: TestPatchbay
let client: TestPatchbay['client']
const DAILY = { on: true, timeZone: 'Europe/Vienna', every: { type: 'daily' as const, at: '06:00' }, blackout: [] }
const HOURLY = { on: true, timeZone: 'UTC', every: { type: 'hourly' as const, minute: 5 }, blackout: [] }
const OUT = { export: 'Customers out' }

beforeAll(async () => {
  patchbay = await openTestPatchbay()
  client = patchbay.client
  await makeWorld(patchbay)
  for (const name of ['One', 'Two', 'Three'])
    await client.exports.add({
      body: {
        name,
        connection: 'Folder',
        destination: { folder: name },
        mode: 'mirror',
        source: { kind: 'data-out', tables: [{ table: 'customers' }] },
      },
    })
})
afterAll(() => patchbay.remove())

const problemOf = (call: Promise<unknown>): Promise<ApiProblem> =>
  call.then(
    () => Promise.reject(new Error('There was no problem')),
    (error: unknown) => error as ApiProblem,
  )

test('connections rule 5: a detached export keeps everything, does not run, and is active again when attached', async () => {
  await client.exports.schedule({ params: OUT, body: { schedule: DAILY } })
  const before = await patchbay.ended(await client.exports.run({ params: OUT }))
  const detached = await client.exports.detach({ params: OUT })
  expect(detached).toMatchObject({ connectionId: null, connectionName: null, nextAt: null, schedule: { on: true } })
  expect(detached.lastRun?.id).toBe(before.id)
  expect(await client.exports.detach({ params: OUT })).toEqual(detached)
  expect(await problemOf(client.exports.run({ params: OUT }))).toMatchObject({ status: 409, code: 'not-ready' })
  const hook = await client.connections.add({
    body: {
      name: 'Hook',
      connectorId: 'webhook',
      settings: { url: 'https://example.com/in' },
      secrets: { signingSecret: `whsec_${Buffer.alloc(32, 7).toString('base64')}` },
    },
  })
  const other = client.exports.attach({ params: OUT, body: { connection: hook.id } })
  expect(await problemOf(other)).toMatchObject({ status: 400, cure: expect.stringContaining('local-folder') as string })
  const attached = await client.exports.attach({ params: OUT, body: { connection: 'Folder' } })
  expect(attached).toMatchObject({ connectionName: 'Folder', nextAt: expect.any(String) as string })
  const after = await patchbay.ended(await client.exports.run({ params: OUT }))
  expect(after.counts).toMatchObject({ unchanged: 5, added: 0 })
})

test('rule 5: one schedule for several, or each its own turned off and on, which keeps it', async () => {
  const exports = ['One', 'Two', 'No such']
  const one = await client.exports.scheduleMany({ body: { exports, change: { to: 'this', schedule: HOURLY } } })
  expect(one.items.map(({ export: named, problem, nextAt }) => [named, problem?.code, nextAt !== null])).toEqual([
    ['One', undefined, true],
    ['Two', undefined, true],
    ['No such', 'not-found', false],
  ])
  await client.exports.schedule({ params: { export: 'Two' }, body: { schedule: DAILY } })
  const off = await client.exports.scheduleMany({ body: { exports: ['One', 'Two', 'Three'], change: { to: 'off' } } })
  expect(off.items.map(({ schedule, nextAt }) => [schedule?.on, schedule?.every.type, nextAt])).toEqual([
    [false, 'hourly', null],
    [false, 'daily', null],
    [undefined, undefined, null],
  ])
  const on = await client.exports.scheduleMany({ body: { exports: ['One', 'Two', 'Three'], change: { to: 'on' } } })
  expect(on.items.map(({ schedule, problem }) => [schedule?.every.type, problem?.code])).toEqual([
    ['hourly', undefined],
    ['daily', undefined],
    [undefined, 'not-ready'],
  ])
  const none = await client.exports.scheduleMany({ body: { exports: ['Two'], change: { to: 'none' } } })
  expect(none.items).toMatchObject([{ schedule: null, problem: null }])
  const wrong = { ...DAILY, timeZone: 'Mars/Base' }
  const refused = client.exports.scheduleMany({ body: { exports: ['One'], change: { to: 'this', schedule: wrong } } })
  expect(await problemOf(refused)).toMatchObject({ status: 400, path: 'change.schedule.timeZone' })
})

test('rule 6: run several, and all that are active with a schedule on; one run of each at a time', async () => {
  const key = 'all-once'
  const first = await client.exports.runAll({ body: {}, idempotencyKey: key })
  // Customers out and One have a schedule that is on; Two has none, Three never had one.
  expect(new Set(first.items.map(({ name }) => name))).toEqual(new Set(['Customers out', 'One']))
  expect(first.next).toBeNull()
  expect(await client.exports.runAll({ body: {}, idempotencyKey: key })).toEqual(first)
  const again = await client.exports.runMany({ body: { exports: ['One', 'Three', 'Nothing'] } })
  expect(again.items.map(({ export: named, run, problem }) => [named, run?.status, problem?.code])).toEqual([
    ['One', undefined, 'conflict'],
    ['Three', 'queued', undefined],
    ['Nothing', undefined, 'not-found'],
  ])
  for (const { run } of [...first.items, ...again.items])
    if (run !== null) expect(await patchbay.ended(run)).toMatchObject({ status: 'successful' })
})

test('a Contributor runs and schedules none of what is not shared with them', async () => {
  const contributor = patchbay.clientOf(await patchbay.keyOf('Contributor'))
  expect((await contributor.exports.runAll({ body: {} })).items).toEqual([])
  const ran = await contributor.exports.runMany({ body: { exports: ['One'] } })
  expect(ran.items).toMatchObject([{ run: null, problem: { code: 'not-allowed' } }])
  const change = { to: 'off' as const }
  const scheduled = await contributor.exports.scheduleMany({ body: { exports: ['One'], change } })
  expect(scheduled.items).toMatchObject([{ problem: { code: 'not-allowed' } }])
  expect((await client.exports.show({ params: { export: 'One' } })).schedule?.on).toBe(true)
  expect((await contributor.exports.list()).items.map(({ yourPermissions }) => yourPermissions)).not.toContain('edit')
})

test('rule 3: live member counts, each and together', async () => {
  await client.segments.add({ body: { name: 'Consenting', rule: { on: { field: 'consent' }, isTrue: true } } })
  const counted = await client.exports.count({ body: { segments: ['Brazil', 'Consenting'], connector: 'webhook' } })
  expect(counted).toMatchObject({
    members: 4,
    of: 5,
    each: [
      { segment: 'Brazil', members: 2 },
      { segment: 'Consenting', members: 3 },
    ],
    warning: null,
  })
  expect(await client.exports.count({ body: { segments: [] } })).toMatchObject({ members: 5, each: [] })
  expect(await problemOf(client.exports.count({ body: { segments: ['Brazil', 'x'] } }))).toMatchObject({
    path: 'segments[1]',
  })
})

test('rule 3: where any name goes there is nothing to match, and a field that is not looked up is said to be none', async () => {
  const place = { connection: 'Hook', destination: {} }
  const fields = await client.exports.targetFields({ body: place })
  expect(fields).toMatchObject({ anyName: true, unmatched: ['id', 'email', 'country', 'consent', 'spend'] })
  expect(await problemOf(client.exports.lookup({ body: { ...place, field: 'list' } }))).toMatchObject({
    status: 400,
    path: 'field',
  })
})

test('a segment whose field went with a refresh is said to be broken, and counted by nobody', async () => {
  await client.tables.refresh({
    params: { table: 'customers' },
    body: {
      uploads: [await patchbay.upload('customers.csv', 'id,email,country\n1,a@x.y,Peru\n')],
      allowSchemaChange: true,
    },
  })
  const problem = await problemOf(client.exports.count({ body: { segments: ['Consenting'] } }))
  expect(problem).toMatchObject({ status: 400, message: expect.stringContaining('consent') as string })
})
