/** PRODUCT.md, Connections, rule 1: a row per connection, sortable by every column, searchable, filterable. */
import { randomBytes } from 'node:crypto'
import { ApiProblem, CONNECTION_SORTS, type Connection } from '@patchbay/contract'
import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { pageConnections } from '../store/connection-list.ts'
import { makeWorld, openTestPatchbay, type TestPatchbay } from '../test-support/test-patchbay.ts'

let patchbay: TestPatchbay
const SECRET = `whsec_${randomBytes(32).toString('base64')}`

beforeAll(async () => {
  patchbay = await openTestPatchbay({}, { PATCHBAY_ALLOW_HOSTS: '127.0.0.1' })
  await makeWorld(patchbay)
  const { client } = patchbay
  for (const [index, name] of ['Ärzte', 'arm', 'Zebra', 'azul', 'B_50%'].entries())
    await client.connections.add({
      body:
        index % 2 === 0
          ? { name, connectorId: 'local-folder', settings: { path: patchbay.fileRoot } }
          : {
              name,
              connectorId: 'webhook',
              settings: { url: 'http://127.0.0.1:1/' },
              secrets: { signingSecret: SECRET },
              sharing: { with: 'contributors' },
            },
    })
  await client.connections.check({ params: { connection: 'Zebra' } })
  await client.connections.check({ params: { connection: 'arm' } })
})
afterAll(() => patchbay.remove())

type Query = NonNullable<NonNullable<Parameters<TestPatchbay['client']['connections']['list']>[0]>['query']>

async function pagesOf(query: Query, limit = 100): Promise<readonly Connection[]> {
  const items: Connection[] = []
  let cursor: string | undefined
  do {
    const page = await patchbay.client.connections.list({
      query: { ...query, limit, ...(cursor === undefined ? {} : { cursor }) },
    })
    items.push(...(page.items as Connection[]))
    cursor = page.next ?? undefined
  } while (cursor !== undefined)
  return items
}
const namesOf = async (query: Query): Promise<readonly string[]> => (await pagesOf(query)).map(({ name }) => name)

test('rule 1: a row has every column', async () => {
  const [folder] = await pagesOf({ search: 'folder', used: 'yes' })
  expect(folder).toMatchObject({
    name: 'Folder',
    connectorId: 'local-folder',
    direction: 'export',
    category: 'files',
    health: 'unknown',
    checkedAt: null,
    usedBy: 1,
    sharing: { with: 'administrators' },
    createdAt: expect.any(String) as string,
    createdBy: 'command line',
  })
})

test('rule 1: sorted by each column, both ways, the same in pages of two', async () => {
  for (const sort of CONNECTION_SORTS)
    for (const way of [sort, `-${sort}`] as const) {
      const whole = (await pagesOf({ sort: way })).map(({ id }) => id)
      expect(new Set(whole).size).toBe(6)
      expect((await pagesOf({ sort: way }, 2)).map(({ id }) => id)).toEqual(whole)
    }
  expect(await namesOf({ sort: 'name' })).toEqual(['arm', 'Ärzte', 'azul', 'B_50%', 'Folder', 'Zebra'])
  expect((await namesOf({ sort: '-usedBy' }))[0]).toBe('Folder')
  expect((await namesOf({ sort: 'health' }))[0]).toBe('arm')
  expect((await namesOf({ sort: '-health' }))[0]).toBe('Zebra')
  expect((await namesOf({ sort: '-checked' }))[0]).toBe('arm')
  expect((await namesOf({ sort: '-created' }))[0]).toBe('B_50%')
  expect((await pagesOf({ sort: 'category' })).map(({ category }) => category).toSorted()).toEqual(
    (await pagesOf({ sort: 'category' })).map(({ category }) => category),
  )
})

test('rule 1: searched and filtered', async () => {
  expect(await namesOf({ search: '_50%' })).toEqual(['B_50%'])
  expect(await namesOf({ search: 'WEBHOOK' })).toEqual(['arm', 'azul'])
  expect(await namesOf({ connector: 'webhook' })).toEqual(['arm', 'azul'])
  expect(await namesOf({ category: 'messaging', connector: 'local-folder' })).toEqual([])
  expect(await namesOf({ category: 'messaging' })).toEqual(['arm', 'azul'])
  expect(await namesOf({ direction: 'enrichment' })).toEqual([])
  expect(await namesOf({ direction: 'export' })).toHaveLength(6)
  expect(await namesOf({ health: 'failing' })).toEqual(['arm'])
  expect(await namesOf({ sharing: 'contributors' })).toEqual(['arm', 'azul'])
  expect(await namesOf({ used: 'yes' })).toEqual(['Folder'])
})

test('rule 1: used by counts exports as they are attached, detached and removed', async () => {
  const { client } = patchbay
  const used = async () => (await client.connections.show({ params: { connection: 'Folder' } })).usedBy
  const params = { export: 'Customers out' }
  await client.exports.duplicate({ params, body: { name: 'Copy' } })
  expect(await used()).toBe(2)
  await client.exports.edit({ params, body: { connection: null } })
  expect(await used()).toBe(1)
  await client.exports.edit({ params, body: { connection: 'Folder' } })
  await client.exports.remove({ params: { export: 'Copy' } })
  expect(await used()).toBe(1)
})

test('rule 2: neither order nor filter tells a Contributor more than name and connector', async () => {
  const client = patchbay.clientOf(await patchbay.keyOf('Contributor'))
  const shared = await client.connections.list({ query: { sort: '-name' } })
  expect(shared.items.map(({ name }) => name)).toEqual(['azul', 'arm'])
  const first = await client.connections.list({ query: { limit: 1 } })
  expect(first).toMatchObject({ items: [{ name: 'arm' }], next: expect.any(String) as string })
  const queries = [
    ...(['health', '-checked', 'usedBy', 'sharing', 'created', 'createdBy'] as const).map((sort) => ({ sort })),
    { health: 'failing' as const },
    { sharing: 'named' as const },
    { used: 'yes' as const },
  ]
  for (const query of queries) {
    const refused = client.connections.list({ query })
    await expect(refused).rejects.toBeInstanceOf(ApiProblem)
    await expect(refused).rejects.toMatchObject({ status: 403 })
  }
})

test('of 10,000 connections the first page comes by the index, in under 100 ms', async () => {
  const { db } = patchbay.store
  await sql`
    INSERT INTO connection (id, name, connector_id, settings, policy, created_at, created_by, updated_at, sharing)
    SELECT 'con_' || translate(lpad(i::text, 20, 'a'), '0189', 'wxyz'), 'Connection ' || i,
           (ARRAY['webhook', 'sftp', 'local-folder'])[1 + i % 3], '{}', '{"fields":"all","hashed":[]}',
           now() - i * interval '1 minute', 'key:' || i % 7, now(),
           (ARRAY['administrators', 'contributors'])[1 + i % 2]
      FROM generate_series(1, 10000) AS i`.execute(db)
  await sql`ANALYZE connection, connection_sort`.execute(db)
  const millis: number[] = []
  for (const reader of [undefined, { userId: null }])
    for (const sort of CONNECTION_SORTS)
      for (const descending of [false, true]) {
        const started = performance.now()
        const page = await pageConnections(
          db,
          { search: 'connection 9', ...(reader === undefined ? {} : { reader }) },
          { sort, descending, limit: 100 },
        )
        millis.push(performance.now() - started)
        expect(page.items).toHaveLength(100)
      }
  const sorted = millis.toSorted((a, b) => a - b)
  expect(sorted[Math.floor(sorted.length / 2)]).toBeLessThan(100)
  const { rows } = await sql<Record<string, string>>`
    EXPLAIN SELECT connection_id FROM connection_sort WHERE sort = 'usedBy' ORDER BY key DESC, connection_id DESC LIMIT 101
  `.execute(db)
  expect(JSON.stringify(rows)).toContain('connection_sort_key')
}, 60_000)
