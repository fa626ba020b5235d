/**
 * Makes of an OpenAPI schema the JSON Schema (2020-12) that a request must keep. Fail-closed: a keyword that is not known
 * here would be one that is not checked, so it throws. What a schema does not declare is refused, since a misspelt property
 * is otherwise right in every contract.
 */
export type Json = Readonly<Record<string, unknown>>

export interface SchemaOptions {
  /** There `exclusiveMinimum` is true or false, and not a number. */
  readonly isVersion30: boolean
  /** Refuse properties that an object does not declare. */
  readonly isClosed: boolean
}

/** Say nothing of what is right. */
const ANNOTATIONS = new Set([
  'title',
  'description',
  'example',
  'examples',
  'default',
  'deprecated',
  'externalDocs',
  'xml',
  'writeOnly',
  'readOnly',
  // Only says which of the alternatives to try first.
  'discriminator',
])
const KEPT = new Set([
  'type',
  'enum',
  'const',
  'format',
  'pattern',
  'minLength',
  'maxLength',
  'minimum',
  'maximum',
  'multipleOf',
  'minItems',
  'maxItems',
  'uniqueItems',
  'minProperties',
  'maxProperties',
  'required',
])
const LISTS = new Set(['allOf', 'anyOf', 'oneOf'])

/** Of components.schemas: each as it stands, and once more open, for where others add to it. */
export function definitionsOf(schemas: Json, options: SchemaOptions): Json {
  return Object.fromEntries(
    Object.entries(schemas).flatMap(([name, schema]) => [
      [name, schemaOf(schema, options)],
      [`${name}~open`, schemaOf(schema, { ...options, isClosed: false })],
    ]),
  )
}

export function schemaOf(schema: unknown, options: SchemaOptions): Json | boolean {
  if (typeof schema === 'boolean') return schema
  if (!isRecord(schema)) throw new Error(`A schema is ${JSON.stringify(schema)}`)
  const made: Record<string, unknown> = {}
  // A reference may have siblings, which add to it.
  const isComposed = 'allOf' in schema || Object.keys(schema).some((key) => LISTS.has(key) && 'properties' in schema)
  const inner = isComposed ? { ...options, isClosed: false } : options
  for (const [key, value] of Object.entries(schema)) {
    if (ANNOTATIONS.has(key) || key.startsWith('x-')) continue
    if (KEPT.has(key)) made[key] = value
    else if (LISTS.has(key)) made[key] = listOf(value).map((one) => schemaOf(one, inner))
    else if (key === '$ref') made['$ref'] = refOf(value, inner)
    else if (key === 'properties') made[key] = propertiesOf(value, options)
    else if (key === 'items' || key === 'not') made[key] = schemaOf(value, options)
    else if (key === 'additionalProperties') made[key] = typeof value === 'boolean' ? value : schemaOf(value, options)
    else if (key === 'nullable' || key.startsWith('exclusive'))
      Object.assign(made, versioned(key, value, schema, options))
    else throw new Error(`The keyword ${key} is not known`)
  }
  if ('required' in made) made['required'] = requiredOf(schema)
  if (schema['nullable'] === true) return nullable(closed(made, isComposed, options))
  return closed(made, isComposed, options)
}

function closed(made: Record<string, unknown>, isComposed: boolean, { isClosed }: SchemaOptions): Json {
  if (!isClosed || 'additionalProperties' in made) return made
  if (isComposed) return { ...made, unevaluatedProperties: false }
  return 'properties' in made ? { ...made, additionalProperties: false } : made
}

/** What only the service sets must not be sent. */
function propertiesOf(properties: unknown, options: SchemaOptions): Json {
  if (!isRecord(properties)) throw new Error('properties is no object')
  return Object.fromEntries(
    Object.entries(properties).map(([name, schema]) => [
      name,
      isRecord(schema) && schema['readOnly'] === true ? false : schemaOf(schema, options),
    ]),
  )
}

function requiredOf({ required, properties }: Json): readonly unknown[] {
  const isReadOnly = (name: unknown): boolean => {
    const property = isRecord(properties) && typeof name === 'string' ? properties[name] : undefined
    return isRecord(property) && property['readOnly'] === true
  }
  return listOf(required).filter((name) => !isReadOnly(name))
}

function versioned(key: string, value: unknown, schema: Json, { isVersion30 }: SchemaOptions): Json {
  // Of 3.0; vendors go on writing it in 3.1.
  if (key === 'nullable') return {}
  if (typeof value === 'number') return { [key]: value }
  if (!isVersion30 || typeof value !== 'boolean') throw new Error(`${key} is ${JSON.stringify(value)}`)
  const limit = key === 'exclusiveMinimum' ? 'minimum' : 'maximum'
  return value ? { [key]: schema[limit] } : {}
}

function nullable(schema: Json): Json {
  return { anyOf: [{ type: 'null' }, schema] }
}

function refOf(ref: unknown, { isClosed }: SchemaOptions): string {
  const name = /^#\/components\/schemas\/([^/]+)$/.exec(String(ref))?.[1]
  if (name === undefined) throw new Error(`The reference ${JSON.stringify(ref)} leads elsewhere`)
  return `components#/$defs/${name}${isClosed ? '' : '~0open'}`
}

function listOf(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error(`${JSON.stringify(value)} is no list`)
  return value
}

export function isRecord(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
