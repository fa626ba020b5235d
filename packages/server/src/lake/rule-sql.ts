/**
 * A rule as SQL over the subject table, which the statement around it calls `t`: joins that bring one row of aggregates
 * per key, and a condition that is true or false and never NULL. Each comparison says `IS NOT NULL AND …` instead of
 * `coalesce(…, false)`, so that Parquet files can still be skipped by it.
 */
import { timestampMicros } from '../domain/iso-time.ts'
import type { Literal, Operand, Rule } from '../domain/segment.ts'
import type { FieldType, PinnedTable } from '../domain/table.ts'
import { literal, quoteName, quoteText, relationOf } from './sql-text.ts'

type Aggregate = Extract<Operand, { readonly aggregate: string }>
type Comparison = Extract<Rule, { readonly on: Operand }>

export interface RuleSql {
  /** ` LEFT JOIN (…) agg1 ON …`, or empty. */
  readonly joins: string
  readonly condition: string
}

interface Scope {
  readonly alias: string
  readonly table: PinnedTable
  readonly now: string
  /** Null inside an aggregate's `where`, which holds no further aggregate. */
  readonly aggregates: AggregateJoins | null
}

interface AggregateJoins {
  valueOf(aggregate: Aggregate): Value
  sql(): string
}

interface Value {
  readonly sql: string
  readonly type: FieldType
}

export function compileRule(
  rule: Rule,
  subject: PinnedTable,
  related: readonly PinnedTable[],
  now: string,
  root: string,
): RuleSql {
  const aggregates = aggregateJoins(subject, related, now, root)
  const condition = compile(rule, { alias: 't', table: subject, now, aggregates })
  return { joins: aggregates.sql(), condition }
}

function compile(rule: Rule, scope: Scope): string {
  if ('all' in rule) return together(rule.all, 'AND', 'TRUE', scope)
  if ('any' in rule) return together(rule.any, 'OR', 'FALSE', scope)
  if ('not' in rule) return `(NOT ${compile(rule.not, scope)})`
  if ('memberOf' in rule) throw new TypeError('membership is resolved before a rule is compiled')
  return compare(rule, valueOf(rule.on, scope), scope)
}

function together(rules: readonly Rule[], word: 'AND' | 'OR', none: string, scope: Scope): string {
  return rules.length === 0 ? none : `(${rules.map((rule) => compile(rule, scope)).join(` ${word} `)})`
}

function compare(rule: Comparison, value: Value, scope: Scope): string {
  if ('isEmpty' in rule) return isEmpty(value, rule.isEmpty)
  return `(${value.sql} IS NOT NULL AND ${comparison(rule, value, scope)})`
}

function isEmpty({ sql, type }: Value, wanted: boolean): string {
  if (type !== 'text') return `(${sql} IS ${wanted ? '' : 'NOT '}NULL)`
  return wanted ? `(${sql} IS NULL OR ${sql} = '')` : `(${sql} IS NOT NULL AND ${sql} <> '')`
}

function comparison(rule: Exclude<Comparison, { readonly isEmpty: boolean }>, value: Value, scope: Scope): string {
  const { sql, type } = value
  const as = (given: Literal): string => literal(given, type)
  if ('equals' in rule)
    return rule.ignoreCase === true ? `lower(${sql}) = lower(${as(rule.equals)})` : `${sql} = ${as(rule.equals)}`
  if ('oneOf' in rule) return rule.oneOf.length === 0 ? 'FALSE' : `${sql} IN (${rule.oneOf.map(as).join(', ')})`
  if ('contains' in rule) return textTest('contains', sql, rule.contains, rule.ignoreCase)
  if ('startsWith' in rule) return textTest('starts_with', sql, rule.startsWith, rule.ignoreCase)
  if ('between' in rule) return `${sql} BETWEEN ${as(rule.between[0])} AND ${as(rule.between[1])}`
  if ('moreThan' in rule) return `${sql} > ${as(rule.moreThan)}`
  if ('lessThan' in rule) return `${sql} < ${as(rule.lessThan)}`
  if ('before' in rule) return `${sql} < ${as(rule.before)}`
  if ('after' in rule) return `${sql} > ${as(rule.after)}`
  if ('inLastDays' in rule) return inLastDays(value, rule.inLastDays, scope.now)
  return rule.isTrue ? sql : `NOT ${sql}`
}

/** Functions and not LIKE: `%` and `_` mean themselves. */
function textTest(name: string, sql: string, given: string, ignoreCase: boolean | undefined): string {
  const fold = (text: string): string => (ignoreCase === true ? `lower(${text})` : text)
  return `${name}(${fold(sql)}, ${fold(quoteText(given))})`
}

function inLastDays({ sql, type }: Value, days: number, now: string): string {
  const micros = timestampMicros(now)
  if (micros === undefined || !Number.isInteger(days)) throw new TypeError('not a moment, or not a number of days')
  if (type === 'date') {
    const today = `${quoteText(now.slice(0, 10))}::DATE`
    return `${sql} BETWEEN ${today} - ${days} AND ${today}`
  }
  const second = micros - (micros % 1_000_000n)
  const from = second - BigInt(days) * 86_400_000_000n
  return `${sql} BETWEEN make_timestamp(${from}::BIGINT) AND make_timestamp(${micros}::BIGINT)`
}

function valueOf(operand: Operand, scope: Scope): Value {
  if ('field' in operand) {
    return { sql: `${scope.alias}.${quoteName(operand.field)}`, type: typeOf(scope.table, operand.field) }
  }
  if (scope.aggregates === null) throw new TypeError('an aggregate inside an aggregate')
  return scope.aggregates.valueOf(operand)
}

function typeOf(table: PinnedTable, field: string): FieldType {
  const found = table.fields.find(({ name }) => name === field)
  if (found === undefined) throw new TypeError('a rule names a field that its table does not have')
  return found.type
}

/** Aggregates over the same rows (table, `by`, `where`) share one pass over them. */
function aggregateJoins(
  subject: PinnedTable,
  related: readonly PinnedTable[],
  now: string,
  root: string,
): AggregateJoins {
  const groups = new Map<
    string,
    { readonly alias: string; readonly rows: string; readonly by: string; columns: string[] }
  >()

  const groupOf = ({ by, where }: Aggregate, table: PinnedTable): { alias: string; columns: string[] } => {
    const filter = where === undefined ? 'TRUE' : compile(where, { alias: 'r', table, now, aggregates: null })
    const key = `r.${quoteName(by)}`
    const rows = `${relationOf(table, root)} r WHERE ${key} IS NOT NULL AND ${filter}`
    const id = JSON.stringify([key, rows])
    const group = groups.get(id) ?? { alias: `agg${groups.size + 1}`, rows, by: key, columns: [] }
    groups.set(id, group)
    return group
  }

  return {
    valueOf(aggregate) {
      const table = related.find(({ name }) => name === aggregate.table)
      if (table === undefined) throw new TypeError('a rule names a table that is not given')
      const { alias, columns } = groupOf(aggregate, table)
      const { sql, type } = aggregateColumn(aggregate, table)
      const at = columns.indexOf(sql) < 0 ? columns.push(sql) - 1 : columns.indexOf(sql)
      const column = `${alias}.v${at + 1}`
      return { sql: aggregate.aggregate === 'count' ? `coalesce(${column}, 0)` : column, type }
    },
    sql: () =>
      [...groups.values()]
        .map(({ alias, rows, by, columns }) => {
          const values = columns.map((column, index) => `${column} AS v${index + 1}`)
          const rowPerKey = `SELECT ${[`${by} AS k`, ...values].join(', ')} FROM ${rows} GROUP BY ${by}`
          return ` LEFT JOIN (${rowPerKey}) ${alias} ON ${alias}.k = t.${quoteName(subject.key)}`
        })
        .join(''),
  }
}

function aggregateColumn({ aggregate, of }: Aggregate, table: PinnedTable): Value {
  if (aggregate === 'count') return { sql: 'count(*)', type: 'integer' }
  if (of === undefined) throw new TypeError(`${aggregate} of nothing`)
  const field = `r.${quoteName(of)}`
  const type = typeOf(table, of)
  switch (aggregate) {
    case 'sum':
      return type === 'integer' ? { sql: `sum(${field})`, type } : { sql: steady(`fsum(${field}::DOUBLE)`), type }
    case 'average':
      return { sql: type === 'integer' ? `avg(${field})` : steady(`favg(${field}::DOUBLE)`), type: 'decimal' }
    case 'smallest':
      return { sql: `min(${field})`, type }
    case 'largest':
      return { sql: `max(${field})`, type }
  }
}

/**
 * Sums of doubles differ in their last digits with the order in which threads add them up, and a run that resumes must
 * select the same rows. 13 digits do not differ; and three times 19.99 are then 59.97.
 */
function steady(sum: string): string {
  return `CASE WHEN ${sum} = 0 OR NOT isfinite(${sum}) THEN ${sum} ELSE round(${sum}, (13 - ceil(log10(abs(${sum}))))::INTEGER) END`
}
