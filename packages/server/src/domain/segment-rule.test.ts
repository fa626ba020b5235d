import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Problem } from './problem.ts'
import { parseRule } from './rule-parse.ts'
import type { Rule } from './segment.ts'
import { checkRule, fieldsUsed, resolveMembers } from './segment-rule.ts'
import type { RuleSegment, RuleTable } from './segment-rule.ts'
import type { FieldType, TableField } from './table.ts'

const fields = (types: Readonly<Record<string, FieldType>>): TableField[] =>
  Object.entries(types).map(([name, type]) => ({ name, label: name, type, tags: [] }))
const TABLES: readonly RuleTable[] = [
  {
    name: 'customers',
    isProfile: true,
    key: 'id',
    fields: fields({
      id: 'integer',
      email: 'text',
      age: 'integer',
      balance: 'decimal',
      active: 'boolean',
      born: 'date',
      seen: 'timestamp',
    }),
  },
  {
    name: 'orders',
    isProfile: false,
    key: 'order',
    fields: fields({
      order: 'integer',
      customer: 'integer',
      amount: 'decimal',
      status: 'text',
      day: 'date',
      gift: 'boolean',
    }),
  },
]
const SEGMENTS: readonly RuleSegment[] = [
  { name: 'adults', rule: { on: { field: 'age' }, moreThan: 17 } },
  { name: 'rich adults', rule: { all: [{ memberOf: 'adults' }, { on: { field: 'balance' }, moreThan: 1000 }] } },
  { name: 'a', rule: { not: { memberOf: 'b' } } },
  { name: 'b', rule: { any: [{ memberOf: 'a' }, { memberOf: 'adults' }] } },
]

function refusal(work: () => unknown): { path: string; message: string; cure: string } {
  try {
    work()
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    expect([error.code, error.cure === '']).toEqual(['invalid', false])
    return { path: error.path, message: error.message, cure: error.cure }
  }
  throw new Error('was not refused')
}

const count = { aggregate: 'count', table: 'orders', by: 'customer' } as const

describe('parseRule', () => {
  it.each<[unknown, string]>([
    ['text', 'rule'],
    [null, 'rule'],
    [[], 'rule'],
    [{}, 'rule'],
    [{ all: {} }, 'rule.all'],
    [{ all: [], any: [] }, 'rule.any'],
    [{ all: [{ not: 5 }] }, 'rule.all[0].not'],
    [{ memberOf: 5 }, 'rule.memberOf'],
    [{ on: { field: 'a' } }, 'rule'],
    [{ equals: 1 }, 'rule'],
    [{ on: { field: 'a' }, equals: 1, lessThan: 2 }, 'rule'],
    [{ on: { field: 'a' }, equals: 1, extra: 2 }, 'rule.extra'],
    [{ on: { field: 'a' }, moreThan: 1, ignoreCase: true }, 'rule.ignoreCase'],
    [{ on: { field: 'a' }, equals: null }, 'rule.equals'],
    [{ on: { field: 'a' }, equals: { $gt: '' } }, 'rule.equals'],
    [{ on: { field: 'a' }, equals: ['a'] }, 'rule.equals'],
    [{ on: { field: 'a' }, equals: '\ud800' }, 'rule.equals'],
    [{ on: { field: 'a' }, equals: 'x'.repeat(10_001) }, 'rule.equals'],
    [{ on: { field: 'a' }, oneOf: [] }, 'rule.oneOf'],
    [{ on: { field: 'a' }, oneOf: [1, {}] }, 'rule.oneOf[1]'],
    [{ on: { field: 'a' }, between: [1] }, 'rule.between'],
    [{ on: { field: 'a' }, inLastDays: 1.5 }, 'rule.inLastDays'],
    [{ on: { field: 'a' }, inLastDays: -1 }, 'rule.inLastDays'],
    [{ on: { field: 'a' }, isEmpty: 'yes' }, 'rule.isEmpty'],
    [{ on: { field: 'a', table: 'b' }, isEmpty: true }, 'rule.on.table'],
    [{ on: 'a', isEmpty: true }, 'rule.on'],
    [{ on: { aggregate: 'median', table: 'a', by: 'b' }, equals: 1 }, 'rule.on.aggregate'],
    [{ on: { table: 'a', by: 'b' }, equals: 1 }, 'rule.on'],
    [{ on: { ...count, where: { all: [{ x: 1 }] } }, equals: 1 }, 'rule.on.where.all[0]'],
    [JSON.parse('{"on":{"field":"a"},"equals":1,"__proto__":{}}'), 'rule.__proto__'],
  ])('refuses %j at %s', (json, path) => {
    expect(refusal(() => parseRule(json)).path).toBe(path)
  })

  it('refuses what is nested too deep, or has too many parts', () => {
    let deep: unknown = { on: { field: 'a' }, isEmpty: true }
    for (let level = 0; level < 100_000; level += 1) deep = { not: deep }
    expect(refusal(() => parseRule(deep)).message).toContain('nested deeper than 20')
    const wide = { any: Array.from({ length: 500 }, () => ({ on: { field: 'a' }, isEmpty: true })) }
    expect(refusal(() => parseRule(wide)).message).toContain('more than 500')
  })

  it('gives back every rule that it takes, as it is', () => {
    const on = fc.constantFrom({ field: 'a' }, count, {
      aggregate: 'sum',
      table: 'o',
      by: 'c',
      of: 'd',
      where: { memberOf: 'x' },
    })
    const literal = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.boolean(),
    )
    const leaf = fc.oneof(
      fc.record({ on, equals: literal, ignoreCase: fc.boolean() }),
      fc.record({ on, oneOf: fc.array(literal, { minLength: 1 }) }),
      fc.record({ on, between: fc.tuple(literal, literal) }),
      fc.record({ on, inLastDays: fc.nat(36_500) }),
      fc.record({ on, isEmpty: fc.boolean() }),
    )
    const rule = fc.letrec((tie) => ({
      rule: fc.oneof({ maxDepth: 4 }, leaf, fc.record({ all: fc.array(tie('rule')) }), fc.record({ not: tie('rule') })),
    })).rule
    fc.assert(
      fc.property(rule, (given) => {
        expect(parseRule(structuredClone(given))).toEqual(given)
      }),
    )
  })

  it('refuses any other JSON with a problem, and changes nothing about objects', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (json) => {
        try {
          parseRule(json)
        } catch (error) {
          expect(error).toBeInstanceOf(Problem)
        }
      }),
    )
  })
})

describe('checkRule', () => {
  const refused = (rule: Rule): { path: string; message: string; cure: string } =>
    refusal(() => checkRule(rule, TABLES, SEGMENTS))

  it.each<[Rule, string, string]>([
    [{ on: { field: 'emial' }, equals: 'a' }, 'rule.on.field', 'Did you mean "email"?'],
    [
      {
        all: [
          { on: { field: 'age' }, equals: 1 },
          { on: { field: 'zzzzzzz' }, equals: 1 },
        ],
      },
      'rule.all[1].on.field',
      'Fields: id, email',
    ],
    [{ on: { ...count, table: 'Orders' }, equals: 1 }, 'rule.on.table', 'Did you mean "orders"?'],
    [{ on: { ...count, by: 'costumer' }, equals: 1 }, 'rule.on.by', 'Did you mean "customer"?'],
    [{ on: { ...count, by: 'status' }, equals: 1 }, 'rule.on.by', 'holds "id"'],
    [{ on: { ...count, of: 'amount' }, equals: 1 }, 'rule.on.of', 'Leave this out'],
    [{ on: { ...count, aggregate: 'sum' }, equals: 1 }, 'rule.on.of', 'Name a field'],
    [{ on: { ...count, aggregate: 'sum', of: 'status' }, equals: 1 }, 'rule.on.of', 'integer, decimal'],
    [{ on: { ...count, aggregate: 'largest', of: 'gift' }, equals: true }, 'rule.on.of', 'timestamp'],
    [
      { on: { ...count, where: { on: { field: 'email' }, equals: 'a' } }, equals: 1 },
      'rule.on.where.on.field',
      'Fields: order',
    ],
    [
      { on: { ...count, where: { on: count, equals: 1 } }, equals: 1 },
      'rule.on.where.on',
      'field of the related table',
    ],
    [{ on: { ...count, where: { memberOf: 'adults' } }, equals: 1 }, 'rule.on.where.memberOf', 'out of where'],
    [{ on: { field: 'age' }, equals: 'old' }, 'rule.equals', 'Write a number'],
    [{ on: { field: 'balance' }, equals: '1' }, 'rule.equals', 'Write a number'],
    [{ on: { field: 'email' }, equals: 1 }, 'rule.equals', 'Write a text'],
    [{ on: { field: 'active' }, equals: 'true' }, 'rule.equals', 'true or false'],
    [{ on: { field: 'born' }, equals: '2026-02-30' }, 'rule.equals', '2026-01-31'],
    [{ on: { field: 'born' }, before: '2026-02-03T00:00:00Z' }, 'rule.before', '2026-01-31'],
    [{ on: { field: 'seen' }, after: '2026-02-03' }, 'rule.after', '2026-01-31T23:59:59Z'],
    [
      { on: { field: 'seen' }, between: ['2026-02-03T00:00:00Z', '2026-02-03T24:00:00Z'] },
      'rule.between[1]',
      'Write date and time',
    ],
    [{ on: { field: 'email' }, oneOf: ['a', 2] }, 'rule.oneOf[1]', 'Write a text'],
    [{ on: { field: 'age' }, contains: '1' }, 'rule.contains', 'It goes with text'],
    [{ on: { field: 'age' }, equals: 1, ignoreCase: true }, 'rule.ignoreCase', 'It goes with text'],
    [{ on: { field: 'email' }, moreThan: 'a' }, 'rule.moreThan', 'integer, decimal, date, timestamp'],
    [{ on: { field: 'age' }, inLastDays: 3 }, 'rule.inLastDays', 'date, timestamp'],
    [{ on: { field: 'email' }, isTrue: true }, 'rule.isTrue', 'boolean'],
    [{ all: [] }, 'rule.all', 'Add a condition'],
    [{ not: { any: [] } }, 'rule.not.any', 'Add a condition'],
    [{ memberOf: 'adlts' }, 'rule.memberOf', 'Did you mean "adults"?'],
    [{ memberOf: 'a' }, 'rule.memberOf.not.memberOf.any[0].memberOf', 'out of the circle'],
  ])('refuses %j', (rule, path, cure) => {
    const found = refused(rule)
    expect(found.path).toBe(path)
    expect(found.cure).toContain(cure)
  })

  it('takes what is right', () => {
    const rule: Rule = {
      all: [
        { memberOf: 'rich adults' },
        { on: { field: 'id' }, oneOf: ['9223372036854775807', 5] },
        { on: { field: 'age' }, moreThan: 2.5 },
        { on: { field: 'seen' }, after: '2026-02-03T10:00:00+02:00' },
        {
          on: { ...count, aggregate: 'largest', of: 'day', where: { on: { field: 'gift' }, isTrue: true } },
          inLastDays: 30,
        },
        { on: { ...count, aggregate: 'average', of: 'amount' }, between: [1, 2] },
      ],
    }
    expect(() => checkRule(rule, TABLES, SEGMENTS)).not.toThrow()
  })

  it('finds a circle that the rule itself closes', () => {
    const { message } = refusal(() => checkRule({ memberOf: 'rich adults' }, TABLES, SEGMENTS, 'adults'))
    expect(message).toBe('The segment contains itself: "adults" → "rich adults" → "adults"')
  })

  it('says that there is no profile table', () => {
    expect(() => checkRule({ memberOf: 'a' }, [], [])).toThrow('no profile table')
  })
})

describe('resolveMembers', () => {
  it('puts the rules in the places of the names', () => {
    expect(resolveMembers({ not: { memberOf: 'rich adults' } }, SEGMENTS)).toEqual({
      not: {
        all: [
          { on: { field: 'age' }, moreThan: 17 },
          { on: { field: 'balance' }, moreThan: 1000 },
        ],
      },
    })
  })

  it('refuses a circle, an unknown name, and segments that double without end', () => {
    expect(refusal(() => resolveMembers({ memberOf: 'b' }, SEGMENTS)).message).toContain('"b" → "a" → "b"')
    expect(refusal(() => resolveMembers({ memberOf: 'c' }, SEGMENTS)).message).toContain('no segment "c"')
    const doubling = Array.from({ length: 19 }, (_, n): RuleSegment => ({
      name: `s${n}`,
      rule:
        n === 0
          ? { on: { field: 'age' }, isEmpty: true }
          : { any: [{ memberOf: `s${n - 1}` }, { memberOf: `s${n - 1}` }] },
    }))
    expect(refusal(() => resolveMembers({ memberOf: 's18' }, doubling)).message).toContain('too many conditions')
    const chain = Array.from({ length: 40 }, (_, n): RuleSegment => ({
      name: `s${n}`,
      rule: n === 0 ? { on: { field: 'age' }, isEmpty: true } : { memberOf: `s${n - 1}` },
    }))
    expect(refusal(() => resolveMembers({ memberOf: 's39' }, chain)).message).toContain('too many times over')
  })
})

describe('fieldsUsed', () => {
  it('names each field once, with those of related tables and the key that links them', () => {
    const rule: Rule = {
      all: [
        { on: { field: 'email' }, isEmpty: false },
        { not: { on: { field: 'email' }, equals: 'a' } },
        {
          on: {
            ...count,
            aggregate: 'sum',
            of: 'amount',
            where: { any: [{ on: { field: 'status' }, equals: 'paid' }] },
          },
          moreThan: 1,
        },
      ],
    }
    expect(fieldsUsed(rule, 'id')).toEqual([
      { table: null, field: 'email' },
      { table: null, field: 'id' },
      { table: 'orders', field: 'customer' },
      { table: 'orders', field: 'amount' },
      { table: 'orders', field: 'status' },
    ])
  })
})
