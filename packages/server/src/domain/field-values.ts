/**
 * Checks what a person, a file or a program gave for the fields of a connector, and makes values of it. Closed: what no
 * field asks for is refused by name. Secrets are a form of their own, because they go to the vault and never come back.
 */
import type { Field, Fields } from '@patchbay/connector-sdk'

export type FieldValue = string | number | boolean
/** Only the fields that are shown and have a value; defaults are filled in. Never a secret. */
export type FieldValues = Readonly<Record<string, FieldValue>>

export interface FieldProblem {
  readonly field: string
  /** What is wrong and what to do, for the person in front of the form. */
  readonly message: string
}

const TEXT_LENGTH_MAX = 1000
const SECRET_LENGTH_MAX = 20_000

export function parseFieldValues(
  fields: Fields,
  input: unknown,
): { readonly values: FieldValues; readonly problems: readonly FieldProblem[] } {
  const given = asRecord(input)
  if (given === undefined) return { values: {}, problems: [{ field: '', message: 'Give the fields as a JSON object' }] }
  const problems = unknownKeys(fields, given)
  const parsed = new Map<string, FieldValue>()
  for (const [name, field] of Object.entries(fields)) {
    const raw = own(given, name)
    if (field.kind === 'secret') {
      if (raw !== undefined)
        problems.push({ field: name, message: `${field.label} is a secret: give it among the secrets` })
      continue
    }
    const value = raw === undefined || raw === null || raw === '' ? defaultOf(field) : raw
    if (value === undefined) continue
    const problem = problemOf(field, value)
    if (problem === undefined) parsed.set(name, value as FieldValue)
    else problems.push({ field: name, message: `${field.label}: ${problem}` })
  }
  // A field that is not shown has no value, whatever was given: it would wait unseen until the form shows it again.
  const shown = [...parsed].filter(([name]) => isShown(fields, name, parsed))
  const values = Object.fromEntries(shown)
  const hidden = (name: string): boolean => !isShown(fields, name, parsed)
  return {
    values,
    problems: [
      ...problems.filter(({ field }) => !Object.hasOwn(fields, field) || !hidden(field)),
      ...missing(fields, parsed, given),
    ],
  }
}

export function parseSecretValues(
  fields: Fields,
  values: FieldValues,
  input: unknown,
  /** Fields whose secret is stored already, and may stay. */
  stored: readonly string[],
): { readonly secrets: Readonly<Record<string, string>>; readonly problems: readonly FieldProblem[] } {
  const given = asRecord(input)
  if (given === undefined)
    return { secrets: {}, problems: [{ field: '', message: 'Give the secrets as a JSON object' }] }
  const secretFields = Object.fromEntries(Object.entries(fields).filter(([, field]) => field.kind === 'secret'))
  const problems = unknownKeys(secretFields, given)
  const secrets: Record<string, string> = {}
  for (const name of shownSecrets(fields, values)) {
    const field = secretFields[name]
    if (field?.kind !== 'secret') continue
    const secret = own(given, name)
    if (secret === undefined || secret === null || secret === '') {
      if (field.optional !== true && !stored.includes(name))
        problems.push({ field: name, message: `${field.label}: enter it` })
      continue
    }
    const problem = typeof secret === 'string' ? secretProblem(secret, field.multiline === true) : 'enter a text'
    if (typeof secret === 'string' && problem === undefined) secrets[name] = secret
    else problems.push({ field: name, message: `${field.label}: ${problem}` })
  }
  return { secrets, problems }
}

/** The secret fields that the form shows with these values. */
export function shownSecrets(fields: Fields, values: FieldValues): readonly string[] {
  const parsed = new Map(Object.entries(values))
  return Object.keys(fields).filter((name) => fields[name]?.kind === 'secret' && isShown(fields, name, parsed))
}

/** The fields that say where or as whom we connect, and that differ. Any of them drops every stored secret. */
export function changedEndpoint(fields: Fields, before: FieldValues, after: FieldValues): readonly string[] {
  return Object.keys(fields).filter((name) => fields[name]?.endpoint === true && own(before, name) !== own(after, name))
}

/** The fields that say where or as whom we connect, with their values: what a secret is sealed for. */
export function endpointOf(fields: Fields, values: FieldValues): FieldValues {
  return Object.fromEntries(
    Object.entries(values).filter(([name]) => Object.hasOwn(fields, name) && fields[name]?.endpoint === true),
  )
}

function isShown(fields: Fields, name: string, values: ReadonlyMap<string, FieldValue>): boolean {
  const condition = fields[name]?.showWhen
  if (condition === undefined) return true
  // The registry lets no circle of conditions start.
  return values.get(condition.field) === condition.is && isShown(fields, condition.field, values)
}

function missing(
  fields: Fields,
  parsed: ReadonlyMap<string, FieldValue>,
  given: Readonly<Record<string, unknown>>,
): readonly FieldProblem[] {
  return Object.entries(fields)
    .filter(
      ([name, { kind, optional }]) => kind !== 'secret' && kind !== 'pin' && optional !== true && !parsed.has(name),
    )
    .filter(([name]) => isEmpty(own(given, name)) && isShown(fields, name, parsed))
    .map(([name, { kind, label }]) => ({
      field: name,
      message: `${label}: ${kind === 'choice' || kind === 'lookup' ? 'choose one' : 'enter a value'}`,
    }))
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || value === ''
}

function defaultOf(field: Field): FieldValue | undefined {
  if (field.kind === 'switch') return field.default ?? false
  return 'default' in field ? field.default : undefined
}

function problemOf(field: Field, value: unknown): string | undefined {
  switch (field.kind) {
    case 'text':
      return textProblem(value, field.maxLength ?? TEXT_LENGTH_MAX) ?? patternProblem(field, value)
    case 'lookup':
    case 'pin':
      return textProblem(value, TEXT_LENGTH_MAX)
    case 'number':
      if (typeof value !== 'number' || !Number.isFinite(value)) return 'enter a number'
      if (field.min !== undefined && value < field.min) return `enter at least ${field.min}`
      return field.max !== undefined && value > field.max ? `enter at most ${field.max}` : undefined
    case 'switch':
      return typeof value === 'boolean' ? undefined : 'give true or false'
    case 'choice':
      return field.choices.some((choice) => choice.value === value)
        ? undefined
        : `choose one of ${field.choices.map((choice) => choice.value).join(', ')}`
    case 'secret':
      return 'give it among the secrets'
  }
}

function textProblem(value: unknown, lengthMax: number): string | undefined {
  if (typeof value !== 'string') return 'enter a text'
  if (value.length > lengthMax) return `enter at most ${lengthMax} characters`
  return /\p{Cc}/u.test(value) || !value.isWellFormed() ? 'leave out line breaks and control characters' : undefined
}

function patternProblem(field: Field & { readonly kind: 'text' }, value: unknown): string | undefined {
  if (field.pattern === undefined || new RegExp(`^(?:${field.pattern})$`, 'u').test(String(value))) return undefined
  return field.example === undefined ? 'this is not in the form that is expected' : `write it as in ${field.example}`
}

function secretProblem(value: string, isMultiline: boolean): string | undefined {
  if (value.length > SECRET_LENGTH_MAX) return `enter at most ${SECRET_LENGTH_MAX} characters`
  const controls = isMultiline ? /[^\P{Cc}\r\n\t]/u : /\p{Cc}/u
  return controls.test(value) || !value.isWellFormed()
    ? 'it holds characters that cannot be typed; copy it again'
    : undefined
}

function unknownKeys(fields: Fields, given: Readonly<Record<string, unknown>>): FieldProblem[] {
  return Object.keys(given)
    .filter((key) => !Object.hasOwn(fields, key))
    .map((key) => ({ field: key.slice(0, 100), message: 'There is no such field' }))
}

function asRecord(input: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof input === 'object' && input !== null && !Array.isArray(input)
    ? (input as Readonly<Record<string, unknown>>)
    : undefined
}

/** Never what a prototype holds: names such as `constructor` are ordinary here. */
function own<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined
}
