/** Lists come from the store: ordered, searched, filtered and paged there. Rules are those of PRODUCT.md, "Exports". */
import { ApiProblem, EXPORT_SORTS } from '@patchbay/contract'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeWorld, openTestPatchbay, type TestPatchbay } from '../test-support/test-patchbay.ts'

let patchbay: TestPatchbay
let world: Awaited<ReturnType<typeof makeWorld>>
const FIELDS = [{ to: 'mail', from: 'email', identifier: true }]
const NAMES = ['Ärzte', 'arm', 'Zebra', 'Apfel', 'azul', 'B_50%']

beforeAll(async () => {
  patchbay = await openTestPatchbay()
  world = await makeWorld(patchbay)
  const { client } = patchbay
  const other = await client.connections.add({
    body: { name: 'Archive', connectorId: 'local-folder', settings: { path: patchbay.fileRoot } },
  })
  for (const [index, name] of NAMES.entries())
    await client.exports.add({
      body: {
        name,
        connection: index % 2 === 0 ? other.id : world.connection.id,
        destination: { folder: `f${index}` },
        mode: 'mirror',
        source: { kind: 'segment', segments: ['Brazil'], fields: FIELDS },
        schedule: {
          on: index < 3,
          timeZone: 'UTC',
          every: { type: 'daily', at: `0${index}:30` },
        },
      },
    })
  await patchbay.ended(await client.exports.run({ params: { export: 'Zebra' } }))
  await patchbay.ended(await client.exports.preview({ params: { export: 'azul' } }))
  await client.exports.edit({ params: { export: 'arm' }, body: { connection: null } })
})
afterAll(() => patchbay.remove())

type Query = NonNullable<NonNullable<Parameters<TestPatchbay['client']['exports']['list']>[0]>['query']>

async function pagesOf(query: Query, limit: number) {
  const items = []
  let cursor: string | undefined
  do {
    const page = await patchbay.client.exports.list({
      query: { ...query, limit, ...(cursor === undefined ? {} : { cursor }) },
    })
    items.push(...page.items)
    cursor = page.next ?? undefined
  } while (cursor !== undefined)
  return items
}
const namesOf = async (query: Query): Promise<readonly string[]> => (await pagesOf(query, 100)).map(({ name }) => name)

test('rule 1: a row has every column, and its status is of the last run that delivers', async () => {
  const [ran] = await pagesOf({ search: 'zebra' }, 10)
  expect(ran).toMatchObject({
    name: 'Zebra',
    connectorId: 'local-folder',
    connectionName: 'Archive',
    kind: 'segment',
    lastRun: { status: 'successful', startedBy: 'person', actor: 'command line', delivered: 2, rejected: 0 },
    schedule: { on: true },
    nextAt: expect.any(String) as string,
    yourPermissions: 'edit',
    updatedBy: 'command line',
  })
  const [previewed] = await pagesOf({ search: 'azul' }, 10)
  expect(previewed?.lastRun).toBeNull()
  const [detached] = await pagesOf({ attached: 'no' }, 10)
  expect(detached).toMatchObject({ name: 'arm', connectionId: null, connectionName: null, nextAt: null })
})

test('rule 1: sorted by each column, both ways, the same in pages of two', async () => {
  for (const sort of EXPORT_SORTS)
    for (const way of [sort, `-${sort}`] as const) {
      const whole = (await pagesOf({ sort: way }, 100)).map(({ id }) => id)
      expect(new Set(whole).size).toBe(NAMES.length + 1)
      expect((await pagesOf({ sort: way }, 2)).map(({ id }) => id)).toEqual(whole)
    }
  expect(await namesOf({ sort: 'name' })).toEqual(['Apfel', 'arm', 'Ärzte', 'azul', 'B_50%', 'Customers out', 'Zebra'])
  expect((await namesOf({ sort: '-lastRun' }))[0]).toBe('Zebra')
  expect((await namesOf({ sort: '-delivered' }))[0]).toBe('Zebra')
  expect((await namesOf({ sort: 'connection' }))[0]).toBe('arm')
  expect((await pagesOf({ sort: 'nextRun' }, 10)).map(({ nextAt }) => nextAt !== null)).toEqual([
    ...[true, true],
    ...[false, false, false, false, false],
  ])
})

test('rule 1: searched and filtered, with signs that mean something to a database', async () => {
  expect(await namesOf({ search: 'ARCH' })).toEqual(['Ärzte', 'azul', 'Zebra'])
  expect(await namesOf({ search: '_50%' })).toEqual(['B_50%'])
  expect(await namesOf({ search: '%' })).toEqual(['B_50%'])
  expect(await namesOf({ search: "'; DROP TABLE export; --" })).toEqual([])
  expect(await namesOf({ kind: 'data-out' })).toEqual(['Customers out'])
  expect(await namesOf({ status: 'successful' })).toEqual(['Zebra'])
  expect(await namesOf({ status: 'never' })).toHaveLength(NAMES.length)
  expect(await namesOf({ schedule: 'none' })).toEqual(['Customers out'])
  expect(await namesOf({ schedule: 'off' })).toEqual(['Apfel', 'azul', 'B_50%'])
  expect(await namesOf({ connection: 'Archive', connector: 'local-folder' })).toHaveLength(3)
})

test('what is renamed meanwhile takes its new place, and no page repeats or skips another', async () => {
  const first = await patchbay.client.exports.list({ query: { limit: 3 } })
  await patchbay.client.connections.edit({ params: { connection: 'Archive' }, body: { name: 'Zoo' } })
  expect((await namesOf({ sort: '-connection' })).slice(0, 3).toSorted()).toEqual(['azul', 'Zebra', 'Ärzte'].toSorted())
  await patchbay.client.exports.edit({ params: { export: 'Zebra' }, body: { name: 'AA' } })
  const rest = await patchbay.client.exports.list({ query: { limit: 100, cursor: first.next ?? '' } })
  expect([...first.items, ...rest.items].map(({ name }) => name)).toEqual([
    ...['Apfel', 'arm', 'Ärzte'],
    ...['azul', 'B_50%', 'Customers out'],
  ])
})

test('a cursor of another order, or of nobody, is refused by name', async () => {
  const { next } = await patchbay.client.exports.list({ query: { limit: 2 } })
  const lists = ['exports', 'runs', 'segments', 'tables', 'audit']
  // Only where the order is by a time in the store; of exports it is text, and any text may be the last page's end.
  const times = ['2026-01-01 00:00:00+00; DROP', 'infinity', ''].map((key) =>
    Buffer.from(JSON.stringify(['-created', key, 'x'])).toString('base64url'),
  )
  const forged = [
    next ?? '',
    'x',
    Buffer.from('["created","not a time","x"]').toString('base64url'),
    Buffer.from(JSON.stringify(['name', '\u0000', 'x'])).toString('base64url'),
    Buffer.from(JSON.stringify(['-seq', '9'.repeat(20)])).toString('base64url'),
  ]
  for (const list of lists)
    for (const cursor of ['exports', 'audit'].includes(list) ? forged : [...forged, ...times]) {
      const sort = list === 'audit' ? '' : '&sort=-created'
      const response = await patchbay.send(`/api/v1/${list}?cursor=${encodeURIComponent(cursor)}${sort}`, {
        as: 'operator',
      })
      expect([list, cursor, response.status]).toEqual([list, cursor, 400])
      expect(((await response.json()) as { path: string }).path).toBe('query.cursor')
    }
})

test('runs, segments, tables and the log are ordered, searched and filtered as well', async () => {
  const { client } = patchbay
  expect((await client.runs.list({ query: { search: 'AZU' } })).items).toMatchObject([{ purpose: 'preview' }])
  expect((await client.runs.list({ query: { purpose: 'deliver', startedBy: 'person' } })).items).toHaveLength(1)
  expect((await client.runs.list({ query: { until: '2020-01-01T00:00:00Z' } })).items).toEqual([])
  const oldest = (await client.runs.list({ query: { sort: 'created' } })).items.map(({ createdAt }) => createdAt)
  expect(oldest).toEqual(oldest.toSorted())
  for (const name of ['beta', 'Alpha'])
    await client.segments.add({ body: { name, rule: { on: { field: 'country' }, equals: 'Peru' } } })
  const segments = async (sort: 'name' | '-created') =>
    (await client.segments.list({ query: { sort, limit: 500 } })).items.map(({ name }) => name)
  expect(await segments('name')).toEqual(['Alpha', 'beta', 'Brazil'])
  expect(await segments('-created')).toEqual(['Alpha', 'beta', 'Brazil'])
  expect((await client.segments.list({ query: { search: 'RAZ' } })).items).toHaveLength(1)
  expect((await client.tables.list({ query: { search: 'cust', sort: '-updated' } })).items).toHaveLength(1)
  const log = await client.audit.list({ query: { action: 'segment.', sort: 'seq', limit: 2 } })
  expect(log.items.map(({ action }) => action)).toEqual(['segment.created', 'segment.created'])
  const more = await client.audit.list({ query: { action: 'segment.', sort: 'seq', limit: 2, cursor: log.next ?? '' } })
  expect(more).toMatchObject({ items: [{ action: 'segment.created' }], next: null })
  expect((await client.audit.list({ query: { actor: 'nobody' } })).items).toEqual([])
})

test('a stale edit of each thing that is edited is refused with both versions', async () => {
  const { client } = patchbay
  const params = { export: 'Apfel', segment: 'Brazil', table: 'customers', connection: 'Folder' }
  const edits = {
    exports: { show: () => client.exports.show({ params }), change: { name: 'Apple' } },
    segments: { show: () => client.segments.show({ params }), change: { rule: { memberOf: 'Alpha' } } },
    tables: { show: () => client.tables.show({ params }), change: { fields: { email: { label: 'Mail' } } } },
    connections: {
      show: () => client.connections.show({ params }),
      change: { policy: { fields: 'all', hashed: ['email'] } },
    },
  }
  for (const [resource, { show, change }] of Object.entries(edits)) {
    const { revision, id } = await show()
    const edit = client[resource as 'exports'].edit as (call: object) => Promise<unknown>
    const call = { params: { export: id, segment: id, table: id, connection: id }, body: change }
    await edit({ ...call, revision })
    const stale: unknown = await edit({ ...call, revision }).catch((error: unknown) => error)
    expect(stale).toBeInstanceOf(ApiProblem)
    expect(stale).toMatchObject({
      status: 409,
      code: 'conflict',
      path: 'revision',
      versions: { current: { id, revision: revision + 1 }, yours: change, yourRevision: revision },
    })
    const response = await patchbay.send(`/api/v1/${resource}/${id}`, { as: 'operator' })
    expect(response.headers.get('etag')).toBe(`"${revision + 1}"`)
  }
})
