/**
 * What can be wrong with a connector before it runs, as named rules. The registry lets no connector with a problem start;
 * the conformance kit shows each rule by its name.
 */
import { AUTH_RULES } from './auth-problems.ts'
import type { Connector, Destination, Repeat } from './connector.ts'
import type { Field, Fields } from './fields.ts'
import { patternProblem } from './linear-pattern.ts'
import { NORMAL_FORMS } from './normal-form.ts'

export interface DefinitionRule {
  readonly name: string
  readonly problems: (connector: Connector) => readonly string[]
  /** A matter of care and not of sense: the program starts, but the conformance kit does not pass. */
  readonly isAdvice?: true
}

export function definitionProblems(
  connector: Connector,
): readonly { readonly rule: string; readonly problem: string }[] {
  return DEFINITION_RULES.filter(({ isAdvice }) => isAdvice !== true).flatMap(({ name, problems }) =>
    problems(connector).map((problem) => ({ rule: name, problem })),
  )
}

export const DEFINITION_RULES: readonly DefinitionRule[] = [
  {
    name: 'the id is kebab-case',
    problems: ({ id }) =>
      when(!/^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/.test(id) || id.length > 40, `"${id}" is not, or is longer than 40`),
  },
  {
    name: 'name and summary are there',
    problems: ({ name, summary }) => [
      ...when(isBlank(name), 'the name is empty'),
      ...when(isBlank(summary), 'the summary is empty'),
    ],
  },
  {
    name: 'an exporting connector has a destination',
    problems: ({ direction, destinations }) =>
      when(direction !== 'enrichment' && Object.keys(destinations).length === 0, 'it has none'),
  },
  {
    name: 'field and destination names are plain',
    problems: (connector) =>
      [...Object.keys(connector.destinations), ...formsOf(connector).flatMap(({ fields }) => Object.keys(fields))]
        .filter((name) => !/^[a-z][A-Za-z0-9]{0,39}$/.test(name) || RESERVED.has(name))
        .map((name) => `"${name}" is not lowerCamelCase, or has a meaning of its own in JavaScript`),
  },
  { name: 'fields are plain JSON', problems: perField((field) => when(!isJson(field), 'it does not survive JSON')) },
  {
    name: 'every field has a label',
    problems: perField((field) => [
      ...when(isBlank(field.label), 'its label is empty'),
      ...when(field.kind === 'choice' && field.choices.some(({ label }) => isBlank(label)), 'a choice has no label'),
    ]),
  },
  {
    name: 'every secret has help',
    isAdvice: true,
    problems: perField((field) => when(field.kind === 'secret' && isBlank(field.help), 'say where a person finds it')),
  },
  {
    name: 'choices can be told apart',
    problems: perField((field) =>
      when(
        field.kind === 'choice' &&
          (field.choices.length === 0 || new Set(field.choices.map(({ value }) => value)).size < field.choices.length),
        'it has no choices, or two of the same value',
      ),
    ),
  },
  { name: 'showWhen names a field of the same form and a value of it', problems: perField(showWhenProblems) },
  {
    name: 'defaults fit their fields',
    problems: perField((field) => when(!defaultFits(field), 'its default does not')),
  },
  {
    name: 'patterns take linear time',
    problems: perField((field) => {
      const problem =
        field.kind === 'text' && typeof field.pattern === 'string' ? patternProblem(field.pattern) : undefined
      return when(problem !== undefined, `its pattern cannot be used: ${problem}`)
    }),
  },
  {
    name: 'secrets and pins belong to the connection',
    problems: (connector) =>
      destinationsOf(connector).flatMap(({ place, destination }) =>
        Object.entries(destination.fields)
          .filter(([, { kind }]) => kind === 'secret' || kind === 'pin')
          .map(([name]) => `${place}.${name} is in a destination, where nothing is sealed`),
      ),
  },
  { name: 'every lookup field has its lookup, and every lookup its field', problems: lookupProblems },
  ...AUTH_RULES,
  {
    name: 'modes are there',
    problems: perDestination(({ modes }) =>
      when(modes.length === 0 || new Set(modes).size < modes.length, 'it has none, or one twice'),
    ),
  },
  {
    name: 'removal is said in words',
    problems: perDestination(({ removal }) => when(isBlank(removal), 'say what happens to rows that leave')),
  },
  { name: 'limits are positive', problems: perDestination(limitProblems) },
  { name: 'repeat is of a known kind', problems: perDestination(repeatProblems) },
  { name: 'fixed fields make sense', problems: perDestination(fixedFieldProblems) },
]

const RESERVED: ReadonlySet<string> = new Set(['constructor', 'prototype', 'toString', 'valueOf', 'hasOwnProperty'])

interface Form {
  readonly place: string
  readonly fields: Fields
}

function formsOf(connector: Connector): readonly Form[] {
  return [
    { place: 'settings', fields: connector.settings },
    ...destinationsOf(connector).map(({ place, destination }) => ({ place, fields: destination.fields })),
  ]
}

function destinationsOf(
  connector: Connector,
): readonly { readonly place: string; readonly destination: Destination<Fields, Fields> }[] {
  return Object.entries(connector.destinations).map(([name, destination]) => ({
    place: `destinations.${name}`,
    destination,
  }))
}

function perField(
  check: (field: Field, fields: Fields, name: string) => readonly string[],
): DefinitionRule['problems'] {
  return (connector) =>
    formsOf(connector).flatMap(({ place, fields }) =>
      Object.entries(fields).flatMap(([name, field]) =>
        check(field, fields, name).map((problem) => `${place}.${name}: ${problem}`),
      ),
    )
}

function perDestination(
  check: (destination: Destination<Fields, Fields>) => readonly string[],
): DefinitionRule['problems'] {
  return (connector) =>
    destinationsOf(connector).flatMap(({ place, destination }) =>
      check(destination).map((problem) => `${place}: ${problem}`),
    )
}

function showWhenProblems(field: Field, fields: Fields, name: string): readonly string[] {
  if (field.showWhen === undefined) return []
  const { field: other, is } = field.showWhen
  const controller = Object.hasOwn(fields, other) ? fields[other] : undefined
  if (controller === undefined) return [`there is no field ${other} beside it`]
  if (isInCircle(fields, name)) return ['it shows itself in a circle']
  const isPossible =
    controller.kind === 'switch'
      ? typeof is === 'boolean'
      : controller.kind === 'choice' && controller.choices.some(({ value }) => value === is)
  return when(!isPossible, `${other} can never be ${String(is)}`)
}

function isInCircle(fields: Fields, start: string): boolean {
  const seen = new Set<string>()
  for (let name: string | undefined = start; name !== undefined; name = fields[name]?.showWhen?.field) {
    if (seen.has(name)) return true
    seen.add(name)
  }
  return false
}

function defaultFits(field: Field): boolean {
  if (!('default' in field) || field.default === undefined) return true
  const value = field.default
  switch (field.kind) {
    case 'choice':
      return field.choices.some((choice) => choice.value === value)
    case 'number':
      return field.default >= (field.min ?? -Infinity) && field.default <= (field.max ?? Infinity)
    case 'text':
      return (
        field.default.length <= (field.maxLength ?? Infinity) &&
        (field.pattern === undefined ||
          patternProblem(field.pattern) !== undefined ||
          new RegExp(`^(?:${field.pattern})$`, 'u').test(field.default))
      )
    case 'switch':
      return true
  }
}

function lookupProblems(connector: Connector): readonly string[] {
  const inSettings = Object.entries(connector.settings)
    .filter(([, { kind }]) => kind === 'lookup')
    .map(([name]) => `settings.${name}: a lookup needs a connection, so it cannot be a field of one`)
  const inDestinations = destinationsOf(connector).flatMap(({ place, destination }) => {
    const { fields, lookups = {} } = destination
    const wanted = Object.entries(fields).flatMap(([name, field]) => (field.kind === 'lookup' ? [{ name, field }] : []))
    return [
      ...wanted.filter(({ name }) => !Object.hasOwn(lookups, name)).map(({ name }) => `${place}.${name} has no lookup`),
      ...wanted.flatMap(({ name, field }) =>
        (field.dependsOn ?? [])
          .filter((other) => !Object.hasOwn(fields, other) || other === name)
          .map((other) => `${place}.${name} depends on ${other}, which is no other field beside it`),
      ),
      ...Object.keys(lookups)
        .filter((name) => fields[name]?.kind !== 'lookup')
        .map((name) => `${place}: the lookup ${name} is of no lookup field`),
    ]
  })
  return [...inSettings, ...inDestinations]
}

/** Limits that need not be whole numbers. */
const FRACTIONS: ReadonlySet<string> = new Set(['requestsPerSecond', 'hoursPerJob'])

function limitProblems(destination: Destination<Fields, Fields>): readonly string[] {
  if (destination.delivers === 'table') return []
  const { limits } = destination
  const wrong = Object.entries(limits)
    .filter(([name, limit]) => !(limit > 0) || (!FRACTIONS.has(name) && !Number.isInteger(limit)))
    .map(([name]) => `${name} is not a positive number`)
  const isCrossed = 'rowsMin' in limits && (limits.rowsMin ?? 0) > (limits.rowsMax ?? Infinity)
  return [...wrong, ...when(isCrossed, 'rowsMin is above rowsMax')]
}

const KINDS: Readonly<Record<Repeat, true>> = { harmless: true, keyed: true, readable: true, blind: true }

function repeatProblems(destination: Destination<Fields, Fields>): readonly string[] {
  if (destination.delivers !== 'rows') return []
  return sampleValues(destination.fields).flatMap((values) => {
    const { kind, forHours } = destination.repeat(values)
    return [
      ...when(!Object.hasOwn(KINDS, kind), `"${kind}" is none`),
      ...when(forHours !== undefined && !(forHours > 0), 'forHours is not positive'),
    ]
  })
}

function fixedFieldProblems(destination: Destination<Fields, Fields>): readonly string[] {
  if (destination.delivers !== 'rows') return []
  const { fixedFields = [], onlyFixedFields } = destination
  const names = fixedFields.map(({ name }) => name)
  return [
    ...when(onlyFixedFields === true && names.length === 0, 'it has only fixed fields, and none'),
    ...when(new Set(names).size < names.length, 'two fixed fields have one name'),
    ...fixedFields.flatMap(({ name, normal, hash }) => [
      ...when(normal !== undefined && !Object.hasOwn(NORMAL_FORMS, normal), `${name} asks for no known normal form`),
      // The hash of a value as it stands in somebody's table would match nothing.
      ...when(hash !== undefined && normal === undefined, `${name} is hashed and does not say in which normal form`),
    ]),
  ]
}

/** Every combination of choices and switches, up to a limit, with something in the other fields. */
function sampleValues(fields: Fields): readonly Readonly<Record<string, string | number | boolean>>[] {
  const SAMPLES_MAX = 200
  let samples: Readonly<Record<string, string | number | boolean>>[] = [{}]
  for (const [name, field] of Object.entries(fields))
    samples = samples
      .flatMap((sample) => possible(field).map((value) => ({ ...sample, [name]: value })))
      .slice(0, SAMPLES_MAX)
  return samples
}

function possible(field: Field): readonly (string | number | boolean)[] {
  switch (field.kind) {
    case 'choice':
      return field.choices.map(({ value }) => value)
    case 'switch':
      return [false, true]
    case 'number':
      return [field.default ?? field.min ?? 1]
    case 'text':
      return [field.default ?? field.example ?? 'sample']
    case 'secret':
    case 'lookup':
    case 'pin':
      return ['sample']
  }
}

function isJson(field: Field): boolean {
  try {
    const text = JSON.stringify(field)
    return isSame(JSON.parse(text), field)
  } catch {
    return false
  }
}

function isSame(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return Object.is(a, b)
  const [left, right] = [new Map(Object.entries(a)), new Map(Object.entries(b))]
  // A pattern or a date would look like an empty object.
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false
  return left.size === right.size && [...left].every(([key, value]) => right.has(key) && isSame(value, right.get(key)))
}

function isBlank(text: string | undefined): boolean {
  return text === undefined || text.trim() === ''
}

function when(isWrong: boolean, problem: string): readonly string[] {
  return isWrong ? [problem] : []
}
