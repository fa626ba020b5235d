import { describe, expect, test } from 'vitest'
import type { DataPolicy } from './connection.ts'
import { DEFAULT_FORMAT, DEFAULT_GUARD, type MappedField } from './export.ts'
import { makePlan, type PlanBasis, type PlannedExport } from './make-plan.ts'
import { policyRefusal } from './plan-policy.ts'
import type { LedgerRef } from './plan.ts'
import type { Rule } from './segment.ts'
import type { PinnedTable, TableField } from './table.ts'

const field = (name: string, type: TableField['type'] = 'text', tags: TableField['tags'] = []): TableField => ({
  name,
  label: name,
  type,
  tags,
})
const table = (name: string, key: string, fields: readonly TableField[]): PinnedTable => ({
  id: `tbl_${name}` as PinnedTable['id'],
  name,
  version: 4,
  key,
  fields,
  files: [`tables/tbl_${name}/4/a.parquet`],
  rows: 10,
})
const people = table('People', 'id', [
  field('id'),
  field('email', 'text', ['personal', 'identifier']),
  field('phone', 'text', ['personal']),
  field('consent', 'boolean'),
  field('spend', 'decimal'),
  field('seen', 'timestamp'),
])
const orders = table('Orders', 'number', [
  field('number'),
  field('person'),
  field('phone', 'text', ['personal']),
  field('total', 'decimal', ['sensitive']),
])
const BIG: Rule = { on: { aggregate: 'sum', table: 'Orders', by: 'person', of: 'total' }, moreThan: 5 }
const SEEN: Rule = { on: { field: 'seen' }, inLastDays: 5 }
const segments = [
  { name: 'Big', rule: BIG },
  { name: 'Seen', rule: { all: [SEEN, { not: { memberOf: 'Big' } }] } },
  {
    name: 'Orders by phone',
    rule: { on: { aggregate: 'count', table: 'Orders', by: 'phone' }, moreThan: 1 },
  },
  {
    name: 'Dear orders',
    rule: {
      on: {
        aggregate: 'count',
        table: 'Orders',
        by: 'person',
        where: { on: { field: 'total' }, moreThan: 100 },
      },
      moreThan: 1,
    },
  },
  { name: 'Called', rule: { on: { field: 'phone' }, isEmpty: false } },
  { name: 'Indirect', rule: { all: [{ memberOf: 'Called' }, SEEN] } },
  { name: 'Broken', rule: { on: { field: 'gone' }, isEmpty: true } },
] satisfies readonly { name: string; rule: Rule }[]

const mapped = (from: string, change: Partial<MappedField> = {}): MappedField => ({
  to: from,
  from,
  transforms: [],
  identifier: false,
  ...change,
})
const email = mapped('email', { to: 'mail', transforms: ['trim', 'lowercase', 'hash'], identifier: true })
const base: PlannedExport = {
  destinationType: 'list',
  destination: { list: 'a' },
  mode: 'upsert',
  source: { kind: 'segment', segments: ['Seen'], fields: [email, mapped('spend')] },
  merge: { by: 'newest', field: 'seen' },
  format: DEFAULT_FORMAT,
  guard: DEFAULT_GUARD,
}
const SMALLEST = { by: 'smallest-key' } as const
const plan = (change: Partial<PlannedExport> = {}, policy: Partial<DataPolicy> = {}, basis: Partial<PlanBasis> = {}) =>
  makePlan(
    {
      export: { ...base, ...change },
      connection: { id: 'con_a' as never, connectorId: 'webhook', policy: { fields: 'all', hashed: [], ...policy } },
      delivers: 'rows',
      tables: [
        { isProfile: true, pinned: people },
        { isProfile: false, pinned: orders },
      ],
      segments,
      ledgers: new Map(),
      now: new Date('2026-05-01T00:00:00Z'),
      ...basis,
    },
    {
      runId: 'run_a' as never,
      exportId: 'exp_a' as never,
      exportRevision: 3,
      retryOf: null,
      repeat: { kind: 'harmless' },
    },
  )
const tables = (...names: string[]) => ({ kind: 'data-out', tables: names.map((name) => ({ table: name })) }) as const
const segment = (fields: readonly MappedField[], names: readonly string[] = ['Seen']) =>
  ({ kind: 'segment', segments: names, fields }) as const

test('a segment export: membership resolved, related tables pinned, types after the transforms', () => {
  const ref: LedgerRef = { kind: 'rows', path: 'x', rows: 1, fingerprintProbe: 'p' }
  const made = plan({}, { rowsPerRunMax: 5, consentField: 'consent' }, { ledgers: new Map([['People', ref]]) })
  expect(made).toMatchObject({
    connectorId: 'webhook',
    rowsPerRunMax: 5,
    now: '2026-05-01T00:00:00.000Z',
    exportRevision: 3,
  })
  expect(made.sources).toEqual([
    {
      name: 'People',
      table: people,
      columns: [
        { to: 'mail', from: 'email', sourceType: 'text', type: 'text', transforms: email.transforms, identifier: true },
        { to: 'spend', from: 'spend', sourceType: 'decimal', type: 'decimal', transforms: [], identifier: false },
      ],
      where: { all: [SEEN, { not: BIG }] },
      related: [orders],
      consentField: 'consent',
      merge: { by: 'newest', field: 'seen' },
      ledger: ref,
    },
  ])
})

test('several segments are any of them; none is everybody', () => {
  expect(plan({ source: segment([email], ['Big', 'Seen']) }).sources[0]?.where).toMatchObject({ any: [{}, {}] })
  expect(plan({ source: segment([email], []) }).sources[0]?.where).toBeNull()
})

test('whole tables bring every field, their key as identifier, and a merge field only where they have it', () => {
  const { sources } = plan({ source: tables('people', 'ORDERS') }, {}, { delivers: 'files' })
  expect(sources.map(({ name, columns, merge }) => [name, columns.length, merge.by])).toEqual([
    ['People', 6, 'newest'],
    ['Orders', 4, 'smallest-key'],
  ])
  expect(sources[0]?.columns.filter(({ identifier }) => identifier).map(({ to }) => to)).toEqual(['id'])
})

test.each([
  [
    'an unknown field',
    { source: segment([mapped('emial', { identifier: true })]) },
    'source.fields[0].from',
    'not-found',
  ],
  ['an unknown table', { source: tables('Peeple') }, 'source.tables[0].table', 'not-found'],
  ['an unknown segment', { source: segment([email], ['Seen', 'Sean']) }, 'source.segments[1]', 'not-found'],
  [
    'a segment that lost its field',
    { source: segment([email], ['Broken']) },
    'source.segments[0].rule.on.field',
    'not-found',
  ],
  ['an unknown merge field', { merge: { by: 'newest', field: 'sen' } }, 'merge.field', 'not-found'],
  ['no field', { source: segment([]) }, 'source.fields', 'invalid'],
  ['no identifier', { source: segment([mapped('spend')]) }, 'source.fields', 'invalid'],
  [
    'two fields of one name',
    { source: segment([email, mapped('spend', { to: 'mail' })]) },
    'source.fields[1].to',
    'invalid',
  ],
  [
    'a transform after the hash',
    { source: segment([{ ...email, transforms: ['hash', 'trim'] }]) },
    'source.fields[0].transforms',
    'invalid',
  ],
  ['no table', { source: tables() }, 'source.tables', 'invalid'],
  ['two tables of one name', { source: tables('People', 'people') }, 'source.tables[1].to', 'invalid'],
  ['two tables for one list', { source: tables('People', 'Orders') }, 'source.tables', 'invalid'],
] satisfies readonly [string, Partial<PlannedExport>, string, string][])(
  '%s is refused, with its place',
  (_, change, path, code) => {
    expect(() => plan(change)).toThrow(expect.objectContaining({ name: 'Problem', path }))
    if (path !== 'source.segments[0].rule.on.field')
      expect(() => plan(change)).toThrow(expect.objectContaining({ code }))
  },
)

test('without a profile table there are no segments', () => {
  expect(() => plan({}, {}, { tables: [{ isProfile: false, pinned: orders }] })).toThrow('profile table')
})

describe('I3 the policy covers every use', () => {
  const only = (...names: string[]): Partial<DataPolicy> => ({ fields: { only: names } })
  const used = ['id', 'email', 'spend', 'seen', 'person', 'total']

  test('all fields in use are allowed, each one missing is refused', () => {
    expect(plan({}, only(...used)).sources).toHaveLength(1)
    for (const missing of used) {
      const policy = only(...used.filter((name) => name !== missing))
      expect(() => plan({}, policy), missing).toThrow(expect.objectContaining({ code: 'not-allowed' }))
    }
  })

  test.each([
    [
      'mapped',
      { source: segment([mapped('phone', { identifier: true })], []), merge: { by: 'smallest-key' } },
      'source.fields[0].from',
    ],
    ['in a filter, over a segment', { source: segment([email], ['Big']) }, 'source.segments[0]'],
    [
      'to choose between two rows',
      { merge: { by: 'newest', field: 'phone' }, source: segment([email], []) },
      'merge.field',
    ],
    [
      'hashed',
      { source: segment([mapped('phone', { identifier: true, transforms: ['hash'] })], []), merge: SMALLEST },
      'source.fields[0].from',
    ],
    ['joined by', { source: segment([email], ['Orders by phone']), merge: SMALLEST }, 'source.segments[0]'],
    ['in a filter inside an aggregate', { source: segment([email], ['Dear orders']) }, 'source.segments[0]'],
    ['in a segment that a segment names', { source: segment([email], ['Indirect']) }, 'source.segments[0]'],
  ] satisfies readonly [string, Partial<PlannedExport>, string][])('%s', (_, change, path) => {
    const policy = only('email', 'spend', 'seen', 'id', 'person')
    expect(() => plan(change, policy)).toThrow(expect.objectContaining({ code: 'not-allowed', path }))
  })

  test('not personal: personal and sensitive fields stay, hashed or not, filtered by or sent', () => {
    expect(() => plan({ source: segment([email], []) }, { fields: 'not-personal' })).toThrow('People.email')
    const plain = {
      source: segment([mapped('id', { identifier: true })], ['Big']),
      merge: { by: 'smallest-key' } as const,
    }
    expect(() => plan(plain, { fields: 'not-personal' })).toThrow('Orders.total')
    expect(
      plan({ ...plain, source: segment(plain.source.fields, []) }, { fields: 'not-personal' }).sources,
    ).toHaveLength(1)
  })

  test('a list may name a field of one table', () => {
    const source = segment([mapped('id', { identifier: true })], [])
    const merge = { by: 'smallest-key' } as const
    expect(plan({ source, merge }, only('People.id')).sources).toHaveLength(1)
    expect(() => plan({ source, merge }, only('Orders.id'))).toThrow('People.id')
  })

  test('what must be hashed leaves only hashed', () => {
    const hashed = { hashed: ['email'] }
    expect(plan({}, hashed).sources).toHaveLength(1)
    const bare = { source: segment([{ ...email, transforms: ['trim'] }]) } as const
    expect(() => plan(bare, hashed)).toThrow(
      expect.objectContaining({ code: 'not-allowed', path: 'source.fields[0].from' }),
    )
    expect(() => plan({ source: tables('People') }, hashed)).toThrow('only hashed')
  })

  test('a table without the consent field, or with one of another type, does not leave', () => {
    expect(() => plan({ source: tables('People', 'Orders') }, { consentField: 'consent' })).toThrow('"Orders" lacks')
    expect(() => plan({}, { consentField: 'spend' })).toThrow('asks consent by "spend"')
  })

  test('the key counts: sent with each row, and looked at in files and tables', () => {
    const source = segment([mapped('spend'), email], [])
    const change = { source, merge: SMALLEST }
    expect(plan(change, only('spend', 'email', 'id')).sources).toHaveLength(1)
    expect(() => plan(change, only('spend', 'email'))).toThrow(/"People.id" leave/)
    expect(() => plan(change, only('spend', 'email'), { delivers: 'files' })).toThrow(/"People.id" leave/)
    const hashed = { hashed: ['id'] }
    expect(() => plan(change, hashed)).toThrow('only hashed')
    expect(plan(change, hashed, { delivers: 'files' }).sources).toHaveLength(1)
  })

  test('a plan that was made before is held against the policy of now, for each use', () => {
    const made = plan()
    expect(policyRefusal({ fields: 'all', hashed: [] }, made)).toBeNull()
    expect(policyRefusal({ hashed: [], fields: { only: used } }, made)).toBeNull()
    for (const missing of used)
      expect(policyRefusal({ hashed: [], fields: { only: used.filter((name) => name !== missing) } }, made)).toContain(
        `.${missing}"`,
      )
    expect(policyRefusal({ fields: 'all', hashed: ['spend'] }, made)).toContain('only hashed')
    expect(policyRefusal({ fields: 'all', hashed: ['email'] }, made)).toBeNull()
    expect(policyRefusal({ fields: 'not-personal', hashed: [] }, made)).toContain('People.email')
    expect(policyRefusal({ fields: 'all', hashed: [], consentField: 'consent' }, made)).toContain('Run it again')
    const asking = plan({}, { consentField: 'consent' })
    expect(policyRefusal({ fields: 'all', hashed: [], consentField: 'consent' }, asking)).toBeNull()
    expect(policyRefusal({ fields: 'all', hashed: [] }, asking)).toBeNull()
  })
})
