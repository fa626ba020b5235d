/** What was typed for a connection, checked against the fields that its connector declares. */
import type { Registry } from '../connector-host/registry.ts'
import { parseFieldValues, parseSecretValues, type FieldProblem, type FieldValues } from '../domain/field-values.ts'
import { Problem } from '../domain/problem.ts'

import type { Connector, Fields } from './connector-types.ts'

export interface CheckedDraft {
  readonly values: FieldValues
  readonly secrets: Readonly<Record<string, string>>
}

export function connectorFor(registry: Registry, id: string, path: string): Connector {
  const connector = registry.findConnector(id)
  if (connector !== undefined) return connector
  throw new Problem('invalid', `${path}: There is no connector "${id}"`, {
    path,
    cure: `Choose one of ${registry.connectors.map((known) => known.id).join(', ')}`,
  })
}

/** Pins are no settings: they are confirmed, not typed, and arrive apart. `stored` are secrets that may stay as they are. */
export function checkDraft(
  fields: Fields,
  given: {
    readonly settings: Readonly<Record<string, unknown>>
    readonly pins: Readonly<Record<string, string>>
    readonly secrets: Readonly<Record<string, string>>
    readonly stored: readonly string[]
  },
): CheckedDraft {
  refuseKind(fields, given.settings, (kind) => kind === 'pin', 'settings', 'It is confirmed by a check, not typed')
  refuseKind(fields, given.pins, (kind) => kind !== 'pin', 'pins', 'Only what a check shows of the far end is trusted')
  const { values, problems } = parseFieldValues(fields, { ...given.settings, ...given.pins })
  refuse(problems, (field) => (Object.hasOwn(given.pins, field) ? 'pins' : 'settings'))
  const parsed = parseSecretValues(fields, values, given.secrets, given.stored)
  refuse(parsed.problems, () => 'secrets')
  return { values, secrets: parsed.secrets }
}

function refuseKind(
  fields: Fields,
  given: Readonly<Record<string, unknown>>,
  isWrong: (kind: Fields[string]['kind']) => boolean,
  part: string,
  cure: string,
): void {
  const wrong = Object.keys(given).find((name) => {
    const kind = Object.hasOwn(fields, name) ? fields[name]?.kind : undefined
    return kind === undefined ? part === 'pins' : isWrong(kind)
  })
  if (wrong === undefined) return
  const path = `${part}.${wrong}`
  throw new Problem('invalid', `${path}: This field does not belong here`, { path, cure })
}

function refuse(problems: readonly FieldProblem[], partOf: (field: string) => string): void {
  const [first] = problems
  if (first === undefined) return
  const part = partOf(first.field)
  const path = first.field === '' ? part : `${part}.${first.field}`
  throw new Problem('invalid', `${path}: ${first.message}`, {
    path,
    cure: 'The connector says what it needs: patchbay connector show',
  })
}

/** The pins among the values, and the rest. */
export function splitPins(
  fields: Fields,
  values: FieldValues,
): { readonly pins: Readonly<Record<string, string>>; readonly settings: FieldValues } {
  const isPin = ([name]: readonly [string, unknown]): boolean =>
    Object.hasOwn(fields, name) && fields[name]?.kind === 'pin'
  const entries = Object.entries(values)
  return {
    pins: Object.fromEntries(entries.filter(isPin).map(([name, value]) => [name, String(value)])),
    settings: Object.fromEntries(entries.filter((entry) => !isPin(entry))),
  }
}
