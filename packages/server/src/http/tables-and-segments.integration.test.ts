import { ApiProblem } from '@patchbay/contract'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeWorld, openTestPatchbay, type TestPatchbay } from '../test-support/test-patchbay.ts'

let patchbay: TestPatchbay
let world: Awaited<ReturnType<typeof makeWorld>>
beforeAll(async () => {
  patchbay = await openTestPatchbay()
  world = await makeWorld(patchbay)
})
afterAll(() => patchbay.remove())

/** The problem that a call ends with. */
async function problemOf(call: Promise<unknown>): Promise<ApiProblem> {
  try {
    await call
  } catch (error) {
    if (error instanceof ApiProblem) return error
    throw error
  }
  throw new Error('There was no problem')
}

test('an import infers types and keeps tags', () => {
  expect(world.table).toMatchObject({ name: 'customers', isProfile: true, key: 'id', currentVersion: 1, rows: 5 })
  expect(world.table.fields.map(({ name, type }) => [name, type])).toEqual([
    ['id', 'integer'],
    ['email', 'text'],
    ['country', 'text'],
    ['consent', 'boolean'],
    ['spend', 'decimal'],
  ])
  expect(world.table.fields[1]?.tags).toEqual(['personal', 'identifier'])
})

test('a table is reached by its id and by its name, in any case', async () => {
  const { client } = patchbay
  for (const table of [world.table.id, 'customers', 'CUSTOMERS'])
    expect((await client.tables.show({ params: { table } })).id).toBe(world.table.id)
  expect(await problemOf(client.tables.show({ params: { table: 'custmers' } }))).toMatchObject({ status: 404 })
})

test('inspect says how a file would be read, and changes nothing', async () => {
  const upload = await patchbay.upload('semi.csv', 'code;name\nA;Ångström\nB;Ñandú\n')
  const found = await patchbay.client.tables.inspect({ body: { uploads: [upload] } })
  expect(found).toMatchObject({
    format: 'csv',
    delimiter: ';',
    header: true,
    suggestedKey: 'code',
    sample: [
      ['A', 'Ångström'],
      ['B', 'Ñandú'],
    ],
  })
  expect((await patchbay.client.tables.list()).items).toHaveLength(1)
})

test.each([
  ['a key that comes twice', 'id,name\n1,a\n1,b\n', { key: 'id' }, 'key'],
  ['a key that is empty', 'id,name\n1,a\n,b\n', { key: 'id' }, 'key'],
  ['a key that is not there', 'id,name\n1,a\n', { key: 'number' }, 'key'],
  ['a tag for a field that is not there', 'id,name\n1,a\n', { key: 'id', tags: { nme: ['personal'] } }, 'tags.nme'],
  ['a type for a field that is not there', 'id,name\n1,a\n', { key: 'id', types: { nme: 'text' } }, 'types.nme'],
  ['a value that is not of its type', 'id,n\n1,a\n', { key: 'id', types: { n: 'integer' } }, 'files'],
  ['an empty file', '', { key: 'id' }, ''],
] as const)('%s refuses the whole file and leaves nothing', async (_, content, given, path) => {
  const { client } = patchbay
  const upload = await patchbay.upload('bad.csv', content)
  const problem = await problemOf(client.tables.import({ body: { uploads: [upload], name: 'bad', ...given } as never }))
  expect(problem).toMatchObject({ status: 400, code: 'invalid' })
  if (path !== '') expect(problem.path).toBe(path)
  expect(problem.cure).not.toBe('')
  expect((await client.tables.list()).items.map(({ name }) => name)).toEqual(['customers'])
  await client.uploads.remove({ params: { upload } })
})

test('a bad line is named, and left out where that is allowed', async () => {
  const { client } = patchbay
  const content = 'id,name\n1,a\n2,b,c\n3,d\n'
  const refused = await problemOf(
    client.tables.import({ body: { uploads: [await patchbay.upload('b.csv', content)], name: 'lines', key: 'id' } }),
  )
  expect(refused.message).toContain('b.csv, line 3')
  const { version, badLines, table } = await client.tables.import({
    body: { uploads: [await patchbay.upload('b.csv', content)], name: 'lines', key: 'id', badLinesMax: 1 },
  })
  expect(version).toMatchObject({ rows: 2, badLines: 1 })
  expect(badLines).toMatchObject([{ file: 'b.csv', line: 3 }])
  await client.tables.remove({ params: { table: table.id } })
})

test('a refresh is a new version with the same labels and tags', async () => {
  const { client } = patchbay
  const first = await client.tables.import({
    body: {
      uploads: [await patchbay.upload('t.csv', 'id,mail\n1,a@example.com\n')],
      name: 'things',
      key: 'id',
      tags: { mail: ['personal'] },
      labels: { mail: 'E-mail' },
    },
  })
  const params = { table: 'things' }
  const body = {
    uploads: [await patchbay.upload('t.csv', 'id,mail,city\n1,b@example.com,Bern\n2,c@example.com,Basel\n')],
  }
  const { table, version, change } = await client.tables.refresh({ params, body })
  expect(version).toMatchObject({ version: 2, rows: 2, isCurrent: true })
  expect(change.added).toEqual(['city'])
  expect(table.fields[1]).toEqual({ name: 'mail', label: 'E-mail', type: 'text', tags: ['personal'] })
  expect((await client.tables.versions({ params })).items.map((item) => item.version)).toEqual([2, 1])

  const gone = { uploads: [await patchbay.upload('t.csv', 'id\n1\n')] }
  expect(await problemOf(client.tables.refresh({ params, body: gone }))).toMatchObject({ status: 400 })
  expect((await client.tables.show({ params })).currentVersion).toBe(2)
  await client.tables.remove({ params: { table: first.table.id } })
})

test('rows come in pages, and a page of an older version is refused', async () => {
  const { client } = patchbay
  const params = { table: 'customers' }
  const one = await client.tables.rows({ params, query: { limit: 2 } })
  expect(one.fields[0]).toBe('id')
  expect(one.items.map(([id]) => id)).toEqual([1, 2])
  const two = await client.tables.rows({ params, query: { limit: 2, cursor: one.next ?? '' } })
  const three = await client.tables.rows({ params, query: { limit: 2, cursor: two.next ?? '' } })
  expect([...two.items, ...three.items].map(([id]) => id)).toEqual([3, 4, 5])
  expect(three.next).toBeNull()
  for (const cursor of ['x', Buffer.from('["0","2"]').toString('base64url'), Buffer.from('[1]').toString('base64url')])
    expect((await problemOf(client.tables.rows({ params, query: { cursor } }))).path).toBe('query.cursor')
})

test('a field is described, and an unknown one named', async () => {
  const params = { table: 'customers' }
  expect(await patchbay.client.tables.profile({ params, query: { field: 'spend' } })).toMatchObject({
    rows: 5,
    empty: 1,
    smallest: 4,
    largest: 99.25,
  })
  const unknown = await problemOf(patchbay.client.tables.profile({ params, query: { field: 'spent' } }))
  expect(unknown).toMatchObject({ status: 400, path: 'query.field' })
})

test('tags and labels are edited field by field', async () => {
  const body = { fields: { country: { label: 'Land', tags: ['sensitive' as const] } } }
  const { fields } = await patchbay.client.tables.edit({ params: { table: 'customers' }, body })
  expect(fields[2]).toEqual({ name: 'country', label: 'Land', type: 'text', tags: ['sensitive'] })
  expect(fields[1]?.tags).toEqual(['personal', 'identifier'])
})

test('what is used is not removed', async () => {
  const { client } = patchbay
  expect(await problemOf(client.tables.remove({ params: { table: 'customers' } }))).toMatchObject({ status: 409 })
  expect((await client.tables.show({ params: { table: 'customers' } })).rows).toBe(5)
})

test('an upload is used once, and only when it is whole', async () => {
  const { client } = patchbay
  const upload = await patchbay.upload('u.csv', 'id\n1\n')
  const body = { uploads: [upload], name: 'used', key: 'id' }
  const { table } = await client.tables.import({ body })
  expect(await problemOf(client.tables.import({ body: { ...body, name: 'again' } }))).toMatchObject({ status: 404 })
  await client.tables.remove({ params: { table: table.id } })
})

test('an upload is no larger than the operator allows', async () => {
  const small = await openTestPatchbay({}, { PATCHBAY_UPLOAD_MAX_MB: '1' })
  try {
    const content = 'x'.repeat(1_000_001)
    expect(await problemOf(small.upload('big.csv', content))).toMatchObject({ status: 413, code: 'too-large' })
    const { rows } = await small.store.queueDatabase.executeSql('SELECT count(*) AS n FROM upload')
    expect(rows).toEqual([{ n: 0 }])
  } finally {
    await small.remove()
  }
})

// Incident 3: a body that poses as an upload and names a file of the server.
test.each(['/etc/passwd', '../../etc/passwd', 'a/b', '..\\x', 'x\u0000y', ''])(
  'an upload is never called %j',
  async (name) => {
    const address = `/api/v1/uploads?name=${encodeURIComponent(name)}`
    const response = await patchbay.send(address, { method: 'POST', as: 'operator', body: 'id\n1\n' })
    expect(response.status).toBe(400)
    const asJson = { uploads: [{ path: '/etc/passwd' }], name: 'x', key: 'id' }
    const posing = await patchbay.send('/api/v1/tables', { method: 'POST', as: 'operator', body: asJson })
    expect(await posing.json()).toMatchObject({ status: 400, path: 'uploads[0]' })
  },
)

test('a segment counts its members and shows the first', async () => {
  const { client } = patchbay
  const params = { segment: 'Brazil' }
  expect(await client.segments.count({ params })).toEqual({ members: 2, of: 5 })
  const members = await client.segments.members({ params })
  expect(members.items.map(([id]) => id)).toEqual([1, 5])
  const rule = { all: [{ memberOf: 'Brazil' }, { on: { field: 'consent' }, isTrue: true }] }
  expect(await client.segments.countDraft({ body: { rule } })).toEqual({ members: 1, of: 5 })
})

test.each([
  [{ on: { field: 'contry' }, equals: 'x' }, 'rule.on.field'],
  [
    {
      all: [
        { on: { field: 'id' }, equals: 1 },
        { on: { field: 'id' }, contains: 'x' },
      ],
    },
    'rule.all[1].contains',
  ],
  [{ all: [] }, 'rule.all'],
  [{ memberOf: 'Nobody' }, 'rule.memberOf'],
  [{ not: { any: [{ on: { field: 'id' }, eqals: 1 }] } }, 'rule.not.any[0]'],
  [{ on: { aggregate: 'sum', table: 'orders', by: 'id', of: 'x' }, moreThan: 1 }, 'rule.on.table'],
])('the rule %j is refused at its place', async (rule, path) => {
  const problem = await problemOf(patchbay.client.segments.add({ body: { name: 'Wrong', rule: rule as never } }))
  expect(problem).toMatchObject({ status: 400, path })
  expect(problem.cure).not.toBe('')
})

test('a segment that contains itself is refused', async () => {
  const { client } = patchbay
  await client.segments.add({ body: { name: 'A', rule: { memberOf: 'Brazil' } } })
  const { revision } = await client.segments.show({ params: { segment: 'Brazil' } })
  const edit = client.segments.edit({ params: { segment: 'Brazil' }, revision, body: { rule: { memberOf: 'A' } } })
  expect((await problemOf(edit)).path).toMatch(/^rule\.memberOf/)
  await client.segments.remove({ params: { segment: 'A' } })
})

test('a stale edit is refused', async () => {
  const { client } = patchbay
  const added = await client.segments.add({ body: { name: 'Stale', rule: { on: { field: 'id' }, equals: 1 } } })
  const params = { segment: added.id }
  const response = await patchbay.send(`/api/v1/segments/${added.id}`, { as: 'operator' })
  expect(response.headers.get('etag')).toBe('"1"')
  await client.segments.edit({ params, revision: 1, body: { name: 'Fresh' } })
  const stale = await problemOf(client.segments.edit({ params, revision: 1, body: { name: 'Stale again' } }))
  expect(stale).toMatchObject({ status: 409, path: 'revision' })
  const without = await patchbay.send(`/api/v1/segments/${added.id}`, { method: 'PATCH', as: 'operator', body: {} })
  expect(await without.json()).toMatchObject({ status: 400, path: 'headers.If-Match' })
  await client.segments.remove({ params })
})

test('the same idempotency key does its work once', async () => {
  const { client } = patchbay
  const body = { name: 'Once', rule: { on: { field: 'id' }, equals: 1 } }
  const call = { body, idempotencyKey: 'abc-1' }
  const answers = await Promise.all(Array.from({ length: 10 }, () => client.segments.add(call)))
  expect(new Set(answers.map(({ id }) => id)).size).toBe(1)
  const other = client.segments.add({ body: { ...body, name: 'Twice' }, idempotencyKey: 'abc-1' })
  expect(await problemOf(other)).toMatchObject({ status: 409, path: 'Idempotency-Key' })
  expect((await client.segments.list()).items.filter(({ name }) => name === 'Once')).toHaveLength(1)
})

test('lists come in pages', async () => {
  const { client } = patchbay
  for (const name of ['P1', 'P2', 'P3'])
    await client.segments.add({ body: { name, rule: { on: { field: 'id' }, equals: 1 } } })
  const names: string[] = []
  let cursor: string | undefined
  do {
    const page = await client.segments.list({ query: { limit: 2, ...(cursor === undefined ? {} : { cursor }) } })
    names.push(...page.items.map(({ name }) => name))
    cursor = page.next ?? undefined
  } while (cursor !== undefined)
  expect(names).toEqual((await client.segments.list()).items.map(({ name }) => name))
  expect(names.length).toBeGreaterThanOrEqual(4)
  expect((await problemOf(client.segments.list({ query: { limit: 0 } }))).path).toBe('query.limit')
})
