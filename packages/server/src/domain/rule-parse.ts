/**
 * A rule from unknown JSON: closed objects, each refusal with its place. What the words in it mean (fields, types,
 * segments) is the matter of `checkRule`.
 */
import { Problem } from './problem.ts'
import type { Literal, Operand, Rule } from './segment.ts'

const RULE_DEPTH_MAX = 20
const RULE_NODES_MAX = 500
const CHOICES_MAX = 10_000
const TEXT_MAX = 10_000
const DAYS_MAX = 36_500

const AGGREGATES = ['count', 'sum', 'average', 'smallest', 'largest'] as const
const COMPARISONS = [
  'equals',
  'oneOf',
  'contains',
  'startsWith',
  'between',
  'moreThan',
  'lessThan',
  'isEmpty',
  'before',
  'after',
  'inLastDays',
  'isTrue',
] as const
const WITH_IGNORE_CASE: readonly string[] = ['equals', 'contains', 'startsWith']

type JsonObject = Readonly<Record<string, unknown>>
interface Count {
  nodes: number
}

export function parseRule(json: unknown, path = 'rule'): Rule {
  return parse(json, path, 1, { nodes: 0 })
}

function parse(json: unknown, path: string, depth: number, given: Count): Rule {
  const count = given
  count.nodes += 1
  if (depth > RULE_DEPTH_MAX) {
    throw tooLarge(path, `The rule is nested deeper than ${RULE_DEPTH_MAX} levels`)
  }
  if (count.nodes > RULE_NODES_MAX) throw tooLarge(path, `The rule has more than ${RULE_NODES_MAX} parts`)
  const node = objectAt(json, path)
  const inner = (child: unknown, at: string): Rule => parse(child, `${path}.${at}`, depth + 1, count)
  if ('all' in node) {
    onlyKeys(node, ['all'], path)
    return { all: listAt(node['all'], `${path}.all`).map((child, index) => inner(child, `all[${index}]`)) }
  }
  if ('any' in node) {
    onlyKeys(node, ['any'], path)
    return { any: listAt(node['any'], `${path}.any`).map((child, index) => inner(child, `any[${index}]`)) }
  }
  if ('not' in node) {
    onlyKeys(node, ['not'], path)
    return { not: inner(node['not'], 'not') }
  }
  if ('memberOf' in node) {
    onlyKeys(node, ['memberOf'], path)
    return { memberOf: textAt(node['memberOf'], `${path}.memberOf`) }
  }
  return parseComparison(node, path, inner)
}

function parseComparison(node: JsonObject, path: string, inner: (child: unknown, at: string) => Rule): Rule {
  const words = COMPARISONS.filter((word) => word in node)
  const [word] = words
  if (word === undefined || words.length > 1 || !('on' in node)) {
    throw invalid(
      path,
      'This is no part of a rule',
      `Use all, any, not, memberOf, or on with one of ${COMPARISONS.join(', ')}.`,
    )
  }
  onlyKeys(node, WITH_IGNORE_CASE.includes(word) ? ['on', word, 'ignoreCase'] : ['on', word], path)
  const on = parseOperand(node['on'], `${path}.on`, inner)
  const value = node[word]
  const at = `${path}.${word}`
  const ignoreCase = 'ignoreCase' in node ? { ignoreCase: booleanAt(node['ignoreCase'], `${path}.ignoreCase`) } : {}
  switch (word) {
    case 'equals':
      return { on, equals: literalAt(value, at), ...ignoreCase }
    case 'oneOf':
      return { on, oneOf: choicesAt(value, at) }
    case 'contains':
      return { on, contains: textAt(value, at), ...ignoreCase }
    case 'startsWith':
      return { on, startsWith: textAt(value, at), ...ignoreCase }
    case 'between':
      return { on, between: pairAt(value, at) }
    case 'moreThan':
      return { on, moreThan: literalAt(value, at) }
    case 'lessThan':
      return { on, lessThan: literalAt(value, at) }
    case 'isEmpty':
      return { on, isEmpty: booleanAt(value, at) }
    case 'before':
      return { on, before: textAt(value, at) }
    case 'after':
      return { on, after: textAt(value, at) }
    case 'inLastDays':
      return { on, inLastDays: daysAt(value, at) }
    case 'isTrue':
      return { on, isTrue: booleanAt(value, at) }
  }
}

function parseOperand(json: unknown, path: string, inner: (child: unknown, at: string) => Rule): Operand {
  const node = objectAt(json, path)
  if ('field' in node) {
    onlyKeys(node, ['field'], path)
    return { field: textAt(node['field'], `${path}.field`) }
  }
  onlyKeys(node, ['aggregate', 'table', 'by', 'of', 'where'], path)
  const aggregate = AGGREGATES.find((word) => word === node['aggregate'])
  if (aggregate === undefined) {
    throw invalid(
      'aggregate' in node ? `${path}.aggregate` : path,
      'This is neither a field nor an aggregate',
      `Use field, or aggregate with one of ${AGGREGATES.join(', ')}.`,
    )
  }
  return {
    aggregate,
    table: textAt(node['table'], `${path}.table`),
    by: textAt(node['by'], `${path}.by`),
    ...('of' in node ? { of: textAt(node['of'], `${path}.of`) } : {}),
    ...('where' in node ? { where: inner(node['where'], 'on.where') } : {}),
  }
}

function objectAt(json: unknown, path: string): JsonObject {
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json as JsonObject
  throw invalid(path, 'An object is expected here', 'Write it as {"…": …}.')
}

function onlyKeys(node: JsonObject, allowed: readonly string[], path: string): void {
  const extra = Object.keys(node).find((key) => !allowed.includes(key))
  if (extra !== undefined) {
    throw invalid(
      `${path}.${extra.slice(0, 50)}`,
      'This does not belong here',
      `Only ${allowed.join(', ')} may stand here.`,
    )
  }
}

function listAt(json: unknown, path: string): readonly unknown[] {
  if (Array.isArray(json)) return json
  throw invalid(path, 'A list is expected here', 'Write it as [ … ].')
}

/** Unpaired surrogates are refused: they stand for no character, and would match U+FFFD. */
function textAt(json: unknown, path: string): string {
  if (typeof json !== 'string') throw invalid(path, 'A text is expected here', 'Write it in quotes.')
  if (json.length > TEXT_MAX) throw tooLarge(path, `The text is longer than ${TEXT_MAX} characters`)
  if (!json.isWellFormed()) throw invalid(path, 'The text is not valid Unicode', 'Type it again.')
  return json
}

function booleanAt(json: unknown, path: string): boolean {
  if (typeof json === 'boolean') return json
  throw invalid(path, 'true or false is expected here', 'Write true or false without quotes.')
}

function literalAt(json: unknown, path: string): Literal {
  if (typeof json === 'boolean' || (typeof json === 'number' && Number.isFinite(json))) return json
  if (typeof json === 'string') return textAt(json, path)
  throw invalid(path, 'A text, a number, or true or false is expected here', 'To find empty values, use isEmpty.')
}

function choicesAt(json: unknown, path: string): readonly Literal[] {
  const list = listAt(json, path)
  if (list.length === 0) throw invalid(path, 'The list of choices is empty', 'Name at least one value.')
  if (list.length > CHOICES_MAX) throw tooLarge(path, `The list has more than ${CHOICES_MAX} values`)
  return list.map((item, index) => literalAt(item, `${path}[${index}]`))
}

function pairAt(json: unknown, path: string): readonly [Literal, Literal] {
  const list = listAt(json, path)
  if (list.length !== 2) throw invalid(path, 'Two values are expected here', 'Give the smallest and the largest.')
  return [literalAt(list[0], `${path}[0]`), literalAt(list[1], `${path}[1]`)]
}

function daysAt(json: unknown, path: string): number {
  if (typeof json === 'number' && Number.isInteger(json) && json >= 0 && json <= DAYS_MAX) return json
  throw invalid(path, 'A number of days is expected here', `Give a whole number from 0 to ${DAYS_MAX}.`)
}

function invalid(path: string, message: string, cure: string): Problem {
  return new Problem('invalid', message, { path, cure })
}

function tooLarge(path: string, message: string): Problem {
  return new Problem('invalid', message, { path, cure: 'Split it into several segments, and join them with memberOf.' })
}
