/** What a rule means over the tables and segments there are: checked when it is saved, and again when a run is planned. */
import { isIsoDate, timestampMicros } from './iso-time.ts'
import { nearestName } from './nearest-name.ts'
import { Problem } from './problem.ts'
import type { Literal, Operand, Rule, Segment } from './segment.ts'
import type { FieldType, Table } from './table.ts'

export type RuleTable = Pick<Table, 'name' | 'isProfile' | 'key' | 'fields'>
export type RuleSegment = Pick<Segment, 'name' | 'rule'>

/** A use of a field: filtering by it counts, as does adding it up. */
export interface FieldUse {
  /** Name of the related table; null is the profile table. */
  readonly table: string | null
  readonly field: string
}

/** What a chain of segments may come to once each `memberOf` is replaced. */
const RESOLVED_NODES_MAX = 5000
/** Segments within segments; together with the depth of a rule, within what the data engine's parser takes. */
const CHAIN_MAX = 20
const ORDERED: readonly FieldType[] = ['integer', 'decimal', 'date', 'timestamp']
const NUMBERS: readonly FieldType[] = ['integer', 'decimal']
const TIMES: readonly FieldType[] = ['date', 'timestamp']

type Comparison = Extract<Rule, { readonly on: Operand }>
type Aggregate = Extract<Operand, { readonly aggregate: string }>

interface Scope {
  readonly table: RuleTable
  readonly tables: readonly RuleTable[]
  readonly segments: readonly RuleSegment[]
  /** Inside an aggregate's `where`. */
  readonly isInner: boolean
}

/**
 * Throws `Problem` for the first thing that is wrong. `self` is the name of the segment whose rule this is, so that it
 * cannot contain itself; undefined for one that has no name yet.
 */
export function checkRule(
  rule: Rule,
  tables: readonly RuleTable[],
  segments: readonly RuleSegment[],
  self?: string,
): void {
  const table = tables.find(({ isProfile }) => isProfile)
  if (table === undefined) {
    throw new Problem('not-ready', 'There is no profile table', {
      cure: 'Import the table that has a row per customer.',
    })
  }
  check(rule, 'rule', { table, tables, segments, isInner: false })
  const own = self === undefined ? [] : [{ name: self, rule }]
  resolve(rule, [...own, ...segments.filter(({ name }) => name !== self)], 'rule', self === undefined ? [] : [self], {
    nodes: 0,
  })
}

function check(rule: Rule, path: string, scope: Scope): void {
  if ('all' in rule) checkEach(rule.all, `${path}.all`, scope)
  else if ('any' in rule) checkEach(rule.any, `${path}.any`, scope)
  else if ('not' in rule) check(rule.not, `${path}.not`, scope)
  else if ('memberOf' in rule) checkMember(rule.memberOf, `${path}.memberOf`, scope)
  else checkComparison(rule, path, operandType(rule.on, `${path}.on`, scope))
}

function checkEach(rules: readonly Rule[], path: string, scope: Scope): void {
  if (rules.length === 0) throw invalid(path, 'There is nothing in this group', 'Add a condition, or remove the group.')
  for (const [index, rule] of rules.entries()) check(rule, `${path}[${index}]`, scope)
}

function checkMember(name: string, path: string, { segments, isInner }: Scope): void {
  if (isInner) throw invalid(path, 'Rows of a related table are in no segment', 'Move this condition out of where.')
  if (!segments.some((segment) => segment.name === name)) throw unknownSegment(name, path, segments)
}

function operandType(on: Operand, path: string, scope: Scope): FieldType {
  if ('field' in on) return fieldType(scope.table, on.field, `${path}.field`)
  if (scope.isInner)
    throw invalid(path, 'An aggregate cannot hold another one', 'Compare a field of the related table.')
  const related = scope.tables.find(({ name }) => name === on.table)
  if (related === undefined) {
    const names = scope.tables.map(({ name }) => name)
    throw invalid(`${path}.table`, `There is no table "${on.table}"`, suggestion(on.table, names, 'Tables'))
  }
  checkLink(on, related, path, scope)
  if (on.where !== undefined) check(on.where, `${path}.where`, { ...scope, table: related, isInner: true })
  return aggregateType(on, related, path)
}

/** The related field must hold what the profile's key holds. */
function checkLink(on: Aggregate, related: RuleTable, path: string, { table }: Scope): void {
  const keyType = fieldType(table, table.key, `${path}.by`)
  const byType = fieldType(related, on.by, `${path}.by`)
  if (keyType === byType) return
  throw invalid(
    `${path}.by`,
    `"${on.by}" is ${byType}, and the key of "${table.name}" is ${keyType}`,
    `Choose the field of "${related.name}" that holds "${table.key}".`,
  )
}

function aggregateType({ aggregate, of }: Aggregate, related: RuleTable, path: string): FieldType {
  if (aggregate === 'count') {
    if (of !== undefined) throw invalid(`${path}.of`, 'Rows are counted, not a field', 'Leave this out.')
    return 'integer'
  }
  if (of === undefined) throw invalid(`${path}.of`, `It is not said what the ${aggregate} is made of`, 'Name a field.')
  const type = fieldType(related, of, `${path}.of`)
  const allowed = aggregate === 'sum' || aggregate === 'average' ? NUMBERS : ORDERED
  if (!allowed.includes(type)) throw wrongType(`${path}.of`, aggregate, type, allowed)
  return aggregate === 'average' ? 'decimal' : type
}

function fieldType(table: RuleTable, field: string, path: string): FieldType {
  const found = table.fields.find(({ name }) => name === field)
  if (found !== undefined) return found.type
  const names = table.fields.map(({ name }) => name)
  throw invalid(path, `"${table.name}" has no field "${field}"`, suggestion(field, names, 'Fields'))
}

function checkComparison(rule: Comparison, path: string, type: FieldType): void {
  const only = (word: string, allowed: readonly FieldType[]): void => {
    if (!allowed.includes(type)) throw wrongType(`${path}.${word}`, word, type, allowed)
  }
  const fits = (value: Literal, at: string): void => checkLiteral(value, type, `${path}.${at}`)
  if ('ignoreCase' in rule && rule.ignoreCase === true) only('ignoreCase', ['text'])
  if ('equals' in rule) fits(rule.equals, 'equals')
  else if ('oneOf' in rule) for (const [index, value] of rule.oneOf.entries()) fits(value, `oneOf[${index}]`)
  else if ('contains' in rule) only('contains', ['text'])
  else if ('startsWith' in rule) only('startsWith', ['text'])
  else if ('between' in rule) {
    only('between', ORDERED)
    fits(rule.between[0], 'between[0]')
    fits(rule.between[1], 'between[1]')
  } else if ('moreThan' in rule) {
    only('moreThan', ORDERED)
    fits(rule.moreThan, 'moreThan')
  } else if ('lessThan' in rule) {
    only('lessThan', ORDERED)
    fits(rule.lessThan, 'lessThan')
  } else if ('before' in rule) {
    only('before', TIMES)
    fits(rule.before, 'before')
  } else if ('after' in rule) {
    only('after', TIMES)
    fits(rule.after, 'after')
  } else if ('inLastDays' in rule) only('inLastDays', TIMES)
  else if ('isTrue' in rule) only('isTrue', ['boolean'])
}

const WRITTEN: Readonly<Record<FieldType, string>> = {
  text: 'Write a text.',
  integer: 'Write a number.',
  decimal: 'Write a number.',
  boolean: 'Write true or false.',
  date: 'Write a date as 2026-01-31.',
  timestamp: 'Write date and time as 2026-01-31T23:59:59Z.',
}

function checkLiteral(value: Literal, type: FieldType, path: string): void {
  if (!isOfType(value, type)) throw invalid(path, `This is no value of type ${type}`, WRITTEN[type])
}

/** Integers may come as text too: beyond 2^53, JSON's numbers are not exact. */
function isOfType(value: Literal, type: FieldType): boolean {
  switch (type) {
    case 'text':
      return typeof value === 'string'
    case 'integer':
      return typeof value === 'number' || (typeof value === 'string' && /^-?\d{1,19}$/.test(value))
    case 'decimal':
      return typeof value === 'number'
    case 'boolean':
      return typeof value === 'boolean'
    case 'date':
      return typeof value === 'string' && isIsoDate(value)
    case 'timestamp':
      return typeof value === 'string' && timestampMicros(value) !== undefined
  }
}

/** The rule with each `memberOf` replaced by the rule of that segment. Throws `Problem` for circles and unknown names. */
export function resolveMembers(rule: Rule, segments: readonly RuleSegment[]): Rule {
  return resolve(rule, segments, 'rule', [], { nodes: 0 })
}

function resolve(
  rule: Rule,
  segments: readonly RuleSegment[],
  path: string,
  within: readonly string[],
  given: { nodes: number },
): Rule {
  const count = given
  count.nodes += 1
  // Segments of segments of segments may double at each step.
  if (count.nodes > RESOLVED_NODES_MAX) {
    throw invalid(path, 'The segments in this rule come to too many conditions', 'Use fewer segments in it.')
  }
  const inner = (child: Rule, at: string): Rule => resolve(child, segments, `${path}.${at}`, within, count)
  if ('all' in rule) return { all: rule.all.map((child, index) => inner(child, `all[${index}]`)) }
  if ('any' in rule) return { any: rule.any.map((child, index) => inner(child, `any[${index}]`)) }
  if ('not' in rule) return { not: inner(rule.not, 'not') }
  if (!('memberOf' in rule)) return rule
  const name = rule.memberOf
  const at = `${path}.memberOf`
  if (within.includes(name)) {
    const circle = [...within.slice(within.indexOf(name)), name].map((step) => `"${step}"`).join(' → ')
    throw invalid(at, `The segment contains itself: ${circle}`, 'Take one of them out of the circle.')
  }
  if (within.length >= CHAIN_MAX) throw invalid(at, 'Segments hold segments too many times over', 'Use fewer levels.')
  const segment = segments.find((candidate) => candidate.name === name)
  if (segment === undefined) throw unknownSegment(name, at, segments)
  return resolve(segment.rule, segments, at, [...within, name], count)
}

/** Every field that a resolved rule looks at. What links a related table to the profile is a use of the profile's key as well. */
export function fieldsUsed(rule: Rule, profileKey: string): readonly FieldUse[] {
  const uses = new Map<string, FieldUse>()
  const add = (table: string | null, field: string): void => {
    uses.set(JSON.stringify([table, field]), { table, field })
  }
  collect(rule, null, profileKey, add)
  return [...uses.values()]
}

function collect(
  rule: Rule,
  table: string | null,
  profileKey: string,
  add: (table: string | null, field: string) => void,
): void {
  const inner = (child: Rule): void => collect(child, table, profileKey, add)
  if ('all' in rule) rule.all.forEach(inner)
  else if ('any' in rule) rule.any.forEach(inner)
  else if ('not' in rule) inner(rule.not)
  else if ('memberOf' in rule) throw new TypeError('membership is resolved before fields are collected')
  else if ('field' in rule.on) add(table, rule.on.field)
  else {
    const { on } = rule
    add(null, profileKey)
    add(on.table, on.by)
    if (on.of !== undefined) add(on.table, on.of)
    if (on.where !== undefined) collect(on.where, on.table, profileKey, add)
  }
}

function unknownSegment(name: string, path: string, segments: readonly RuleSegment[]): Problem {
  const names = segments.map((segment) => segment.name)
  return invalid(path, `There is no segment "${name}"`, suggestion(name, names, 'Segments'))
}

function wrongType(path: string, word: string, type: FieldType, allowed: readonly FieldType[]): Problem {
  return invalid(path, `${word} does not go with the type ${type}`, `It goes with ${allowed.join(', ')}.`)
}

function suggestion(given: string, names: readonly string[], what: string): string {
  const nearest = nearestName(given, names)
  if (nearest !== undefined) return `Did you mean "${nearest}"?`
  return names.length === 0
    ? `There are none yet.`
    : `${what}: ${names.slice(0, 20).join(', ')}${names.length > 20 ? ', …' : ''}.`
}

function invalid(path: string, message: string, cure: string): Problem {
  return new Problem('invalid', message, { path, cure })
}
