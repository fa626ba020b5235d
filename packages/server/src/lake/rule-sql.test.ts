/**
 * The rule compiler against a naive evaluator that follows the comments of `domain/segment.ts` and knows no SQL: random
 * tables, random rules, the same rows.
 */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { timestampMicros } from '../domain/iso-time.ts'
import type { Operand, Rule } from '../domain/segment.ts'
import { checkRule } from '../domain/segment-rule.ts'
import type { FieldType, PinnedTable } from '../domain/table.ts'
import { DuckDbError } from './duckdb-error.ts'
import { makeTestLake } from './lake-test-support.ts'
import type { TestLake, TestRow, TestValue } from './lake-test-support.ts'
import { compileRule } from './rule-sql.ts'
import { relationOf } from './sql-text.ts'

const NOW = '2026-03-01T12:34:56.789Z'
const RULES_PER_TABLE = 110

const PROFILE = {
  id: 'integer',
  'the "name"': 'text',
  visits: 'integer',
  balance: 'decimal',
  active: 'boolean',
  born: 'date',
  seen: 'timestamp',
} as const satisfies Record<string, FieldType>
const ORDERS = {
  customer: 'integer',
  amount: 'decimal',
  pieces: 'integer',
  status: 'text',
  day: 'date',
  at: 'timestamp',
} as const satisfies Record<string, FieldType>

// ---- the naive evaluator -------------------------------------------------------------------------------------------

function holds(
  rule: Rule,
  row: TestRow,
  types: Readonly<Record<string, FieldType>>,
  orders: readonly TestRow[],
): boolean {
  if ('all' in rule) return rule.all.every((child) => holds(child, row, types, orders))
  if ('any' in rule) return rule.any.some((child) => holds(child, row, types, orders))
  if ('not' in rule) return !holds(rule.not, row, types, orders)
  if ('memberOf' in rule) throw new Error('not here')
  const [value, type] = operand(rule.on, row, types, orders)
  if ('isEmpty' in rule) return (value === null || value === '') === rule.isEmpty
  if (value === null) return false
  const order = (other: TestValue): number => compareValues(value, other, type)
  if ('equals' in rule)
    return rule.ignoreCase === true ? lower(String(value)) === lower(String(rule.equals)) : order(rule.equals) === 0
  if ('oneOf' in rule) return rule.oneOf.some((choice) => order(choice) === 0)
  const fold = (text: string): string => ('ignoreCase' in rule && rule.ignoreCase === true ? lower(text) : text)
  if ('contains' in rule) return fold(String(value)).includes(fold(rule.contains))
  if ('startsWith' in rule) return fold(String(value)).startsWith(fold(rule.startsWith))
  if ('between' in rule) return order(rule.between[0]) >= 0 && order(rule.between[1]) <= 0
  if ('moreThan' in rule) return order(rule.moreThan) > 0
  if ('lessThan' in rule) return order(rule.lessThan) < 0
  if ('before' in rule) return order(rule.before) < 0
  if ('after' in rule) return order(rule.after) > 0
  if ('isTrue' in rule) return value === rule.isTrue
  const days = rule.inLastDays
  if (type === 'date') {
    const age = (Date.parse(NOW.slice(0, 10)) - Date.parse(String(value))) / 86_400_000
    return age >= 0 && age <= days
  }
  const from = Date.parse(NOW.replace(/\.\d+Z$/, 'Z')) - days * 86_400_000
  return Date.parse(String(value)) >= from && Date.parse(String(value)) <= Date.parse(NOW)
}

function operand(
  on: Operand,
  row: TestRow,
  types: Readonly<Record<string, FieldType>>,
  orders: readonly TestRow[],
): readonly [TestValue, FieldType] {
  if ('field' in on) return [row[on.field] ?? null, types[on.field] ?? 'text']
  const mine = orders.filter(
    (order) =>
      order[on.by] !== null &&
      order[on.by] === row['id'] &&
      (on.where === undefined || holds(on.where, order, ORDERS, [])),
  )
  if (on.aggregate === 'count') return [mine.length, 'integer']
  const of = on.of ?? ''
  const type: FieldType = ORDERS[of as keyof typeof ORDERS]
  const values = mine.map((order) => order[of] ?? null).filter((value) => value !== null)
  if (values.length === 0) return [null, type]
  // Amounts have two decimals: added up as cents, exactly.
  const total = values.reduce((sum: number, value) => sum + Math.round(Number(value) * 100), 0)
  if (on.aggregate === 'sum') return [total / 100, type]
  if (on.aggregate === 'average') return [Number((total / 100 / values.length).toPrecision(13)), 'decimal']
  const sorted = values.toSorted((a, b) => compareValues(a, b, type))
  return [(on.aggregate === 'smallest' ? sorted[0] : sorted.at(-1)) ?? null, type]
}

function compareValues(a: TestValue, b: TestValue, type: FieldType): number {
  const rank = (value: TestValue): number | bigint | string | boolean => {
    if (type === 'timestamp') return timestampMicros(String(value)) ?? 0n
    return type === 'integer' || type === 'decimal' ? Number(value) : (value ?? '')
  }
  const [x, y] = [rank(a), rank(b)]
  if (x === y) return 0
  return x < y ? -1 : 1
}

/** Letter by letter, as DuckDB does it: JavaScript's own knows the final sigma. */
function lower(text: string): string {
  return Array.from(text, (letter) => letter.toLowerCase()).join('')
}

// ---- random tables and rules ---------------------------------------------------------------------------------------

const TEXTS = [
  '',
  ' ',
  'a',
  'A',
  '%',
  '_',
  'a%b',
  "O'Neil",
  '"',
  '\\',
  'ÄÖ',
  'äö',
  'Σίσυφος',
  'ΣΊΣΥΦΟΣ',
  '日本',
  '👩‍👩‍👧',
  'e\u0301',
  'é',
  '\u0000',
  'a\u0000b',
  '\uFEFFx',
  'null',
  '[x]*',
  'İ',
].filter((text) => text !== 'İ')
const text = fc
  .oneof(
    fc.constantFrom(...TEXTS),
    fc.string({ unit: 'grapheme', maxLength: 4 }),
    fc.string({ unit: 'binary', maxLength: 3 }),
  )
  .filter((value) => lower(value) === value.toLowerCase() || TEXTS.includes(value))
const integer = fc.oneof(
  fc.integer({ min: -3, max: 8 }),
  fc.constantFrom(9_007_199_254_740_991, -9_007_199_254_740_991),
)
const decimal = fc.integer({ min: -500, max: 900 }).map((cents) => cents / 100)
const day = fc.oneof(
  fc
    .integer({ min: -12, max: 3 })
    .map((days) => new Date(Date.parse('2026-03-01') + days * 86_400_000).toISOString().slice(0, 10)),
  fc.constantFrom('0001-01-01', '1582-10-10', '2024-02-29', '9999-12-31'),
)
const moment = fc.oneof(
  fc.integer({ min: -900_000, max: 90_000 }).map((seconds) => new Date(Date.parse(NOW) + seconds * 1000).toISOString()),
  fc.constantFrom(
    '2026-02-27T12:34:56Z',
    '2026-02-27T12:34:55.999999Z',
    NOW,
    '2026-03-01T12:34:56.790Z',
    '2026-03-01T12:34:56+01:00',
    '9999-12-31T23:59:59.999999Z',
    '1969-12-31T23:59:59Z',
  ),
)
const orNull = <T extends TestValue>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null> =>
  fc.option(value, { nil: null, freq: 4 })
const VALUES = { text, integer, decimal, boolean: fc.boolean(), date: day, timestamp: moment }

const profileRow = fc.record({
  'the "name"': orNull(text),
  visits: orNull(integer),
  balance: orNull(decimal),
  active: orNull(fc.boolean()),
  born: orNull(day),
  seen: orNull(moment),
})
const orderRow = fc.record({
  customer: orNull(fc.integer({ min: 0, max: 14 })),
  amount: orNull(decimal),
  pieces: orNull(fc.integer({ min: -2, max: 9 })),
  status: orNull(text),
  day: orNull(day),
  at: orNull(moment),
})

function comparisonOn(on: Operand, type: FieldType): fc.Arbitrary<Rule> {
  const value: fc.Arbitrary<string | number | boolean> = VALUES[type]
  const number: typeof value = type === 'integer' ? fc.oneof(integer, decimal) : value
  const rules: fc.Arbitrary<Rule>[] = [
    fc.record({ on: fc.constant(on), equals: number }),
    fc.record({ on: fc.constant(on), oneOf: fc.array(number, { minLength: 1, maxLength: 4 }) }),
    fc.record({ on: fc.constant(on), isEmpty: fc.boolean() }),
  ]
  if (type === 'text') {
    const ignoreCase = fc.boolean()
    rules.push(
      fc.record({ on: fc.constant(on), equals: text, ignoreCase }),
      fc.record({ on: fc.constant(on), contains: text, ignoreCase }),
      fc.record({ on: fc.constant(on), startsWith: text, ignoreCase }),
    )
  } else if (type === 'boolean') rules.push(fc.record({ on: fc.constant(on), isTrue: fc.boolean() }))
  else {
    rules.push(
      fc.record({ on: fc.constant(on), between: fc.tuple(number, number) }),
      fc.record({ on: fc.constant(on), moreThan: number }),
      fc.record({ on: fc.constant(on), lessThan: number }),
    )
  }
  if (type === 'date' || type === 'timestamp') {
    const time = type === 'date' ? day : moment
    rules.push(
      fc.record({ on: fc.constant(on), before: time }),
      fc.record({ on: fc.constant(on), after: time }),
      fc.record({ on: fc.constant(on), inLastDays: fc.integer({ min: 0, max: 12 }) }),
    )
  }
  return fc.oneof(...rules)
}

function tree(leaf: fc.Arbitrary<Rule>, maxDepth: number): fc.Arbitrary<Rule> {
  return fc.letrec<{ rule: Rule }>((tie) => ({
    rule: fc.oneof(
      { maxDepth, depthSize: 'small' },
      leaf,
      fc.record({ all: fc.array(tie('rule'), { minLength: 1, maxLength: 3 }) }),
      fc.record({ any: fc.array(tie('rule'), { minLength: 1, maxLength: 3 }) }),
      fc.record({ not: tie('rule') }),
    ),
  })).rule
}

const fieldLeaf = (types: Readonly<Record<string, FieldType>>): fc.Arbitrary<Rule> =>
  fc.constantFrom(...Object.entries(types)).chain(([field, type]) => comparisonOn({ field }, type))

const aggregateLeaf: fc.Arbitrary<Rule> = fc
  .record({
    aggregate: fc.constantFrom('count', 'sum', 'average', 'smallest', 'largest'),
    number: fc.constantFrom('amount', 'pieces'),
    ordered: fc.constantFrom('amount', 'pieces', 'day', 'at'),
    where: fc.option(tree(fieldLeaf(ORDERS), 2), { nil: undefined }),
  })
  .chain(({ aggregate, number, ordered, where }) => {
    const isNumeric = aggregate === 'sum' || aggregate === 'average'
    const of = isNumeric ? number : ordered
    const type =
      aggregate === 'average' ? 'decimal' : aggregate === 'count' ? 'integer' : ORDERS[of as keyof typeof ORDERS]
    const on: Operand = {
      aggregate,
      table: 'orders',
      by: 'customer',
      ...(aggregate === 'count' ? {} : { of }),
      ...(where === undefined ? {} : { where }),
    }
    return comparisonOn(on, type)
  })

const rule = tree(fc.oneof({ weight: 2, arbitrary: fieldLeaf(PROFILE) }, { weight: 1, arbitrary: aggregateLeaf }), 4)

// ---- the tests -----------------------------------------------------------------------------------------------------

let lake: TestLake
beforeAll(async () => {
  lake = await makeTestLake()
})
afterAll(async () => lake.remove())

async function select(rules: readonly Rule[], profile: PinnedTable, orders: PinnedTable): Promise<readonly number[][]> {
  const statements = rules.map((each, index) => {
    const { joins, condition } = compileRule(each, profile, [orders], NOW, lake.root)
    return `SELECT ${index} AS i, list(t.id ORDER BY t.id) FILTER (WHERE ${condition}) AS ids,
      count(*) FILTER (WHERE (${condition}) IS NULL) AS nulls, count(*) AS n FROM ${relationOf(profile, lake.root)} t${joins}`
  })
  const found = await lake.db.rows(`${statements.join('\nUNION ALL\n')}\nORDER BY i`).catch((error: unknown) => {
    throw error instanceof DuckDbError ? new Error(error.rawMessage()) : error
  })
  for (const row of found) expect([row['nulls'], row['n']]).toEqual([0, profile.rows])
  return found.map((row) => (row['ids'] ?? []) as number[])
}

describe('compileRule', () => {
  it('selects the rows that a naive evaluator selects, for 1,100 random rules', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(profileRow, { minLength: 4, maxLength: 14 }),
        fc.array(orderRow, { maxLength: 30 }),
        fc.array(rule, { minLength: RULES_PER_TABLE, maxLength: RULES_PER_TABLE }),
        async (given, orderRows, rules) => {
          const rows = given.map((row, id) => ({ id, ...row }))
          const profile = await lake.write('customers', 'id', PROFILE, rows)
          const orders = await lake.write('orders', 'customer', ORDERS, orderRows)
          const tables = [
            { ...profile, isProfile: true },
            { ...orders, isProfile: false },
          ]
          for (const each of rules) checkRule(each, tables, [])
          const found = await select(rules, profile, orders)
          for (const [index, each] of rules.entries()) {
            const expected = rows.filter((row) => holds(each, row, PROFILE, orderRows)).map(({ id }) => id)
            expect(`${JSON.stringify(each)} selects ${found[index]?.join()}`).toBe(
              `${JSON.stringify(each)} selects ${expected.join()}`,
            )
          }
        },
      ),
      // A hundred rules shrink slowly, and the message names the one that differs.
      { numRuns: 10, endOnFailure: true },
    )
  })
})
