import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { ApiProblem, type Client } from '@patchbay/contract'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { CUSTOMERS, makeWorld, openTestPatchbay, type TestPatchbay } from '../test-support/test-patchbay.ts'

let patchbay: TestPatchbay
let client: Client
beforeAll(async () => {
  patchbay = await openTestPatchbay()
  client = patchbay.client
  await makeWorld(patchbay)
})
afterAll(() => patchbay.remove())

async function problemOf(call: Promise<unknown>): Promise<ApiProblem> {
  const error: unknown = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (error instanceof ApiProblem) return error
  throw new Error('There was no problem', { cause: error })
}

const OUT = { export: 'Customers out' }

function deliveredFiles(folder: string): readonly string[] {
  return readdirSync(join(patchbay.fileRoot, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => statSync(join(patchbay.fileRoot, folder, name)).isFile())
    .toSorted()
}

test('a preview sends nothing and shows what would be sent', async () => {
  const run = await patchbay.ended(await client.exports.preview({ params: OUT }))
  expect(run).toMatchObject({ purpose: 'preview', status: 'successful', counts: { read: 5, added: 5, accepted: 0 } })
  const { items } = await client.runs.sample({ params: { run: run.id }, query: { limit: 2 } })
  expect(items).toHaveLength(2)
  expect(items[0]).toMatchObject({ source: 'customers', row: { change: 'added' } })
  expect(readdirSync(patchbay.fileRoot)).toEqual([])
})

test('a run delivers, a second one finds nothing to do, and the sums hold', async () => {
  const run = await patchbay.ended(await client.exports.run({ params: OUT }))
  expect(run).toMatchObject({ status: 'successful', counts: { read: 5, added: 5, accepted: 5, unsent: 0 } })
  const files = deliveredFiles('out')
  expect(files).toHaveLength(2)
  expect(
    readFileSync(join(patchbay.fileRoot, 'out', files.find((name) => name.endsWith('.csv')) ?? ''), 'utf8'),
  ).toContain('ana@example.com')
  const again = await patchbay.ended(await client.exports.run({ params: OUT }))
  expect(again).toMatchObject({ status: 'successful', counts: { read: 5, unchanged: 5, added: 0, accepted: 0 } })
})

test('after a refresh only the difference is sent', async () => {
  const changed =
    CUSTOMERS.replace('1,ana@example.com', '1,anna@example.com').replace(/^2,.*\n/m, '') +
    '6,new@example.com,Peru,true,1\n'
  await client.tables.refresh({
    params: { table: 'customers' },
    body: { uploads: [await patchbay.upload('customers.csv', changed)] },
  })
  const run = await patchbay.ended(await client.exports.run({ params: OUT }))
  expect(run.counts).toMatchObject({ read: 5, unchanged: 3, added: 1, changed: 1, removed: 1, accepted: 3 })
})

test('ten starts at once with one key are one run, and without a key one run and nine refusals', async () => {
  const starts = await Promise.all(
    Array.from({ length: 10 }, () => client.exports.run({ params: OUT, idempotencyKey: 'start-1' })),
  )
  expect(new Set(starts.map(({ id }) => id)).size).toBe(1)
  if (starts[0] !== undefined) await patchbay.ended(starts[0])
  const settled = await Promise.allSettled(Array.from({ length: 10 }, () => client.exports.run({ params: OUT })))
  const started = settled.filter((one) => one.status === 'fulfilled')
  expect(started).toHaveLength(1)
  for (const one of settled) if (one.status === 'rejected') expect(one.reason).toMatchObject({ status: 409 })
  if (started[0] !== undefined) await patchbay.ended(started[0].value)
})

test('a run that would remove too much is held, and approved only as it was looked at', async () => {
  const target = await client.exports.add({
    body: {
      name: 'Guarded',
      connection: 'Folder',
      destination: { folder: 'guarded' },
      mode: 'mirror',
      source: { kind: 'segment', segments: [], fields: [{ to: 'mail', from: 'email', identifier: true }] },
      guard: { removedShareMax: 0.1, removedRowsMin: 0 },
    },
  })
  const params = { export: target.id }
  await patchbay.ended(await client.exports.run({ params }))
  const source = {
    kind: 'segment' as const,
    segments: ['Brazil'],
    fields: [{ to: 'mail', from: 'email', identifier: true, transforms: [] }],
  }
  await client.exports.edit({ params, body: { source } })
  const held = await patchbay.ended(await client.exports.run({ params }))
  expect(held).toMatchObject({ status: 'held', outboxDigest: expect.any(String) as string })
  expect(held.reason).toContain('would be removed')
  expect(await problemOf(client.exports.run({ params }))).toMatchObject({ status: 409 })
  const wrong = client.runs.approve({ params: { run: held.id }, body: { outboxDigest: 'another' } })
  expect(await problemOf(wrong)).toMatchObject({ status: 409 })
  const approved = await client.runs.approve({
    params: { run: held.id },
    body: { outboxDigest: held.outboxDigest ?? '' },
  })
  const ended = await patchbay.ended({ ...approved, status: 'queued' })
  expect(ended).toMatchObject({ status: 'successful', approvedBy: 'command line' })
  expect(await problemOf(client.runs.retry({ params: { run: held.id }, body: {} }))).toMatchObject({ status: 409 })
})

test('a held run is canceled', async () => {
  const target = await client.exports
    .add({
      body: {
        name: 'Empty',
        connection: 'Folder',
        destination: { folder: 'empty' },
        mode: 'replace',
        source: { kind: 'segment', segments: ['Nobody'], fields: [{ to: 'mail', from: 'email', identifier: true }] },
      },
    })
    .catch((error: unknown) => error)
  expect(target).toMatchObject({ status: 400, path: 'source.segments[0]' })
  await client.segments.add({ body: { name: 'Nobody', rule: { on: { field: 'country' }, equals: 'Nowhere' } } })
  const added = await client.exports.add({
    body: {
      name: 'Empty',
      connection: 'Folder',
      destination: { folder: 'empty' },
      mode: 'replace',
      source: { kind: 'segment', segments: ['Nobody'], fields: [{ to: 'mail', from: 'email', identifier: true }] },
    },
  })
  const held = await patchbay.ended(await client.exports.run({ params: { export: added.id } }))
  expect(held).toMatchObject({ status: 'held' })
  await client.runs.cancel({ params: { run: held.id } })
  const canceled = await patchbay.ended({ ...held, status: 'queued' })
  expect(canceled).toMatchObject({ status: 'canceled' })
})

test('what was set aside is listed, page by page', async () => {
  const { table } = await client.tables.import({
    body: {
      uploads: [
        await patchbay.upload(
          'twins.csv',
          'id,mail\n1,a@example.com\n2,A@example.com\n3,a@example.com\n4,b@example.com\n',
        ),
      ],
      name: 'twins',
      key: 'id',
    },
  })
  const fields = [{ to: 'mail', from: 'mail', transforms: ['lowercase' as const], identifier: true }]
  const added = await client.exports.add({
    body: {
      name: 'Twins',
      connection: 'Folder',
      destination: { folder: 'twins' },
      mode: 'mirror',
      source: { kind: 'data-out', tables: [{ table: table.name, fields }] },
    },
  })
  const run = await patchbay.ended(await client.exports.run({ params: { export: added.id } }))
  expect(run.counts).toMatchObject({ read: 4, merged: 2, added: 2, accepted: 2 })
  const params = { run: run.id }
  const one = await client.runs.rows({ params, query: { which: 'merged', limit: 1 } })
  const two = await client.runs.rows({ params, query: { which: 'merged', limit: 1, cursor: one.next ?? '' } })
  expect([...one.items, ...two.items].map(({ key, standsFor }) => [key, standsFor])).toEqual([
    ['2', '1'],
    ['3', '1'],
  ])
  expect(two.next).toBeNull()
  expect((await client.runs.rows({ params })).items).toEqual([])
  const mixed = client.runs.rows({ params, query: { which: 'rejected', cursor: one.next ?? '' } })
  expect((await problemOf(mixed)).path).toBe('query.cursor')
})

test.each([
  [{ connection: 'nothing' }, 404, ''],
  [{ destinationType: 'table' }, 400, 'destinationType'],
  [{ destination: { fodler: 'x' } }, 400, 'destination.fodler'],
  [{ destination: { folder: '../x\u0000' } }, 400, 'destination.folder'],
  [{ source: { kind: 'data-out', tables: [{ table: 'custmers' }] } }, 400, 'source.tables[0].table'],
  [
    { source: { kind: 'data-out', tables: [{ table: 'customers' }, { table: 'customers' }] } },
    400,
    'source.tables[1].to',
  ],
  [
    { source: { kind: 'segment', segments: [], fields: [{ to: 'm', from: 'mail', identifier: true }] } },
    400,
    'source.fields[0].from',
  ],
  [{ source: { kind: 'segment', segments: [], fields: [{ to: 'm', from: 'email' }] } }, 400, 'source.fields'],
  [
    { source: { kind: 'segment', segments: ['Nemo'], fields: [{ to: 'm', from: 'email', identifier: true }] } },
    400,
    'source.segments[0]',
  ],
  [{ merge: { by: 'newest', field: 'when' } }, 400, 'merge.field'],
  [{ guard: { removedShareMax: 2 } }, 400, 'guard.removedShareMax'],
  [
    { schedule: { on: true, timeZone: 'Europe/Nowhere', every: { type: 'daily', at: '06:00' } } },
    400,
    'schedule.timeZone',
  ],
  [
    { schedule: { on: true, timeZone: 'UTC', every: { type: 'cron', cron: '61 * * * *' } } },
    400,
    'schedule.every.cron',
  ],
  [{ format: { delimiter: 'x' } }, 400, 'format.delimiter'],
])('the export with %j is refused', async (change, status, path) => {
  const before = await client.exports.list()
  const body = {
    name: 'Wrong',
    connection: 'Folder',
    destination: { folder: 'x' },
    mode: 'mirror',
    source: { kind: 'data-out', tables: [{ table: 'customers' }] },
    ...change,
  }
  const problem = await problemOf(client.exports.add({ body: body as never }))
  expect(problem).toMatchObject({ status })
  expect(problem.path.startsWith(path)).toBe(true)
  expect(problem.cure).not.toBe('')
  expect(await client.exports.list()).toEqual(before)
})

test('the policy of the connection holds when an export is saved', async () => {
  const policy = { fields: 'not-personal' as const, hashed: ['country'] }
  const strict = await client.connections.add({
    body: { name: 'Strict', connectorId: 'local-folder', settings: { path: patchbay.fileRoot }, policy },
  })
  const add = (fields: object[], segments: string[] = []) =>
    problemOf(
      client.exports.add({
        body: {
          name: 'Policy',
          connection: strict.id,
          mode: 'mirror',
          source: { kind: 'segment', segments, fields },
        } as never,
      }),
    )
  const id = { to: 'id', from: 'id', identifier: true }
  expect(await add([id, { to: 'mail', from: 'email' }])).toMatchObject({ status: 403, path: 'source.fields[1].from' })
  expect(await add([id, { to: 'land', from: 'country' }])).toMatchObject({ status: 403, path: 'source.fields[1].from' })
  await client.segments.add({ body: { name: 'By mail', rule: { on: { field: 'email' }, contains: 'a' } } })
  expect(await add([id], ['By mail'])).toMatchObject({ status: 403, path: 'source.segments[0]' })
})

test('an export is edited, duplicated, scheduled and removed', async () => {
  const shown = await client.exports.show({ params: OUT })
  const edited = await client.exports.edit({
    params: OUT,
    revision: shown.revision,
    body: { format: { ...shown.format, gzip: true } },
  })
  expect(edited).toMatchObject({ revision: shown.revision + 1, format: { gzip: true, type: 'csv' } })
  const stale = client.exports.edit({ params: OUT, revision: shown.revision, body: { name: 'Late' } })
  expect(await problemOf(stale)).toMatchObject({ status: 409, path: 'revision' })

  const schedule = {
    on: true,
    timeZone: 'Europe/Vienna',
    every: { type: 'daily' as const, at: '06:00' },
    blackout: [],
  }
  expect((await client.exports.schedule({ params: OUT, body: { schedule } })).nextAt).not.toBeNull()
  expect((await client.exports.slots({ params: OUT, query: { count: 3 } })).slots).toHaveLength(3)
  const copy = await client.exports.duplicate({ params: OUT, body: { name: 'Copy' } })
  expect(copy).toMatchObject({ schedule: { on: false }, nextAt: null, destination: shown.destination })
  const off = await client.exports.schedule({ params: OUT, body: { schedule: { ...schedule, on: false } } })
  expect(off).toMatchObject({ nextAt: null, schedule: { every: { type: 'daily', at: '06:00' } } })
  await client.exports.remove({ params: { export: copy.id } })
  expect(await problemOf(client.exports.show({ params: { export: copy.id } }))).toMatchObject({ status: 404 })
})

test('runs are listed, the newest first, in pages', async () => {
  const all = (await client.runs.list({ query: { limit: 100 } })).items
  const pages: string[] = []
  let cursor: string | undefined
  do {
    const page = await client.runs.list({ query: { limit: 3, ...(cursor === undefined ? {} : { cursor }) } })
    pages.push(...page.items.map(({ id }) => id))
    cursor = page.next ?? undefined
  } while (cursor !== undefined)
  expect(pages).toEqual(all.map(({ id }) => id))
  const one = await client.runs.list({ query: { export: 'Twins', status: 'successful' } })
  expect(one.items.map(({ exportName }) => exportName)).toEqual(['Twins'])
})

test('after a restore nothing starts until it is confirmed', async () => {
  const { store } = patchbay
  await store.anchorAudit()
  await store.queueDatabase.executeSql('ALTER TABLE audit DISABLE TRIGGER audit_no_change')
  await store.queueDatabase.executeSql('DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)')
  await store.queueDatabase.executeSql('ALTER TABLE audit ENABLE TRIGGER audit_no_change')
  expect((await patchbay.send('/readyz')).status).toBe(503)
  expect(await problemOf(client.exports.run({ params: OUT }))).toMatchObject({ code: 'not-ready' })
  expect(await client.audit.verify()).toMatchObject({ ok: false, what: 'cut off' })
  expect((await client.system.show()).findings).toContainEqual(
    expect.objectContaining({ subject: 'control store', state: 'wrong' }),
  )
  await client.system.confirmRestore()
  expect((await patchbay.send('/readyz')).status).toBe(200)
  expect(await problemOf(client.system.confirmRestore())).toMatchObject({ code: 'not-ready' })
  expect(await patchbay.ended(await client.exports.run({ params: OUT }))).toMatchObject({ status: 'successful' })
})
