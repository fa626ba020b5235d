/** The operations of an OpenAPI document, each with its parameters and bodies compiled. What does not compile throws. */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import { fullFormats } from 'ajv-formats/dist/formats.js'
import { definitionsOf, isRecord, schemaOf, type Json, type SchemaOptions } from './schemas.ts'

export interface Operation {
  readonly method: string
  /** As the contract writes it: `/lists/{list_id}`. */
  readonly path: string
  readonly matches: RegExp
  readonly pathNames: readonly string[]
  readonly parameters: readonly Parameter[]
  /** By media type; undefined where the operation has no body. */
  readonly body: { readonly isRequired: boolean; readonly types: ReadonlyMap<string, ValidateFunction> } | undefined
}

export interface Parameter {
  readonly name: string
  readonly in: 'path' | 'query' | 'header'
  readonly isRequired: boolean
  readonly isList: boolean
  /** Each value of a list on its own, as `ids=1&ids=2`, and not `ids=1,2`. */
  readonly isExploded: boolean
  readonly validate: ValidateFunction
}

const METHODS = new Set(['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'])

export function operationsOf(
  document: Json,
  isClosed: boolean,
  variables: Readonly<Record<string, string>>,
): Operation[] {
  const version = String(document['openapi'])
  if (!/^3\.[01]\./.test(version)) throw new Error(`It is of OpenAPI ${version}, and not of 3.0 or 3.1`)
  const options = { isVersion30: version.startsWith('3.0'), isClosed }
  const components = recordAt(document, 'components')
  const compiler = new Compiler(recordAt(components, 'schemas'), options)
  const bases = basesOf(document, variables)
  const found: Operation[] = []
  for (const [path, item] of Object.entries(recordAt(document, 'paths'))) {
    if (!isRecord(item)) throw new Error(`${path} is no object`)
    for (const [method, operation] of Object.entries(item)) {
      if (!METHODS.has(method) || !isRecord(operation)) continue
      const at = `${method.toUpperCase()} ${path}`
      try {
        const shared = listAt(item, 'parameters').filter((one) => !isOverridden(one, listAt(operation, 'parameters')))
        const parameters = [...shared, ...listAt(operation, 'parameters')].map((one) =>
          compiler.parameter(resolve(document, one)),
        )
        const body = compiler.body(resolve(document, operation['requestBody']))
        for (const base of bases)
          found.push({ method: method.toUpperCase(), path, ...pattern(`${base}${path}`), parameters, body })
      } catch (cause) {
        throw new Error(`${at} cannot be checked: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
      }
    }
  }
  if (found.length === 0) throw new Error('It has no operation')
  return found
}

class Compiler {
  readonly #options: SchemaOptions
  /** One takes what is sent as JSON; the other reads numbers and switches out of the text of an address. */
  readonly #strict: Ajv2020
  readonly #fromText: Ajv2020

  constructor(schemas: Json, options: SchemaOptions) {
    this.#options = options
    const definitions = definitionsOf(schemas, options)
    const make = (coerceTypes: boolean): Ajv2020 => {
      const ajv = new Ajv2020({
        strict: true,
        strictTypes: false,
        strictRequired: false,
        allErrors: true,
        coerceTypes,
        formats: fullFormats,
      })
      return ajv.addSchema({ $id: 'components', $defs: definitions })
    }
    this.#strict = make(false)
    this.#fromText = make(true)
  }

  parameter(parameter: unknown): Parameter {
    if (!isRecord(parameter)) throw new Error('a parameter is no object')
    const { name, in: place, required, schema, style, explode } = parameter
    if (typeof name !== 'string') throw new Error('a parameter has no name')
    if (place !== 'path' && place !== 'query' && place !== 'header') throw new Error(`${name} is in ${String(place)}`)
    const usual = place === 'query' ? 'form' : 'simple'
    if (style !== undefined && style !== usual)
      throw new Error(`${name} is written in the style ${JSON.stringify(style)}`)
    if (!isRecord(schema)) throw new Error(`${name} has no schema`)
    const isList = schema['type'] === 'array'
    if (schema['type'] === 'object') throw new Error(`${name} is an object`)
    return {
      name,
      in: place,
      isRequired: place === 'path' || required === true,
      isList,
      isExploded: place === 'query' && explode !== false,
      validate: this.#fromText.compile({ type: 'object', properties: { value: schemaOf(schema, this.#options) } }),
    }
  }

  body(body: unknown): Operation['body'] {
    if (body === undefined) return undefined
    if (!isRecord(body)) throw new Error('the body is no object')
    const types = Object.entries(recordAt(body, 'content')).map(([type, media]) => {
      if (!isRecord(media) || media['schema'] === undefined) throw new Error(`the body ${type} has no schema`)
      const isForm = type === 'application/x-www-form-urlencoded'
      const ajv = isForm ? this.#fromText : this.#strict
      return [type.toLowerCase(), ajv.compile(schemaOf(media['schema'], this.#options))] as const
    })
    if (types.length === 0) throw new Error('the body is of no type')
    return { isRequired: body['required'] === true, types: new Map(types) }
  }
}

/** What stands before the paths in the address, as `/3.0`; none where the document names no server. */
function basesOf(document: Json, variables: Readonly<Record<string, string>>): readonly string[] {
  const servers = listAt(document, 'servers')
  if (servers.length === 0) return ['']
  const bases = servers.map((server) => {
    if (!isRecord(server)) throw new Error('a server is no object')
    const declared = recordAt(server, 'variables')
    const url = String(server['url']).replaceAll(/\{([^}]+)\}/g, (_whole, name: string) => {
      const variable = declared[name]
      return variables[name] ?? (isRecord(variable) ? String(variable['default']) : name)
    })
    return new URL(url, 'https://nowhere.invalid').pathname.replace(/\/$/, '')
  })
  return [...new Set(bases)]
}

function pattern(path: string): { readonly matches: RegExp; readonly pathNames: readonly string[] } {
  const pathNames: string[] = []
  const text = path
    .split(/(\{[^}]+\})/)
    .map((part) => {
      if (!part.startsWith('{')) return part.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
      pathNames.push(part.slice(1, -1))
      return '([^/]+)'
    })
    .join('')
  return { matches: new RegExp(`^${text}$`), pathNames }
}

function isOverridden(shared: unknown, own: readonly unknown[]): boolean {
  return own.some(
    (one) => isRecord(one) && isRecord(shared) && one['name'] === shared['name'] && one['in'] === shared['in'],
  )
}

/** Follows a reference to a parameter or a body; those to schemas are the schema's own. */
function resolve(document: Json, value: unknown): unknown {
  if (!isRecord(value) || typeof value['$ref'] !== 'string') return value
  const parts = value['$ref'].split('/').map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
  if (parts[0] !== '#') throw new Error(`${value['$ref']} leads out of the document`)
  const target = parts.slice(1).reduce<unknown>((at, part) => (isRecord(at) ? at[part] : undefined), document)
  if (target === undefined) throw new Error(`${value['$ref']} leads nowhere`)
  return resolve(document, target)
}

function recordAt(value: Json, key: string): Json {
  const found = value[key] ?? {}
  if (!isRecord(found)) throw new Error(`${key} is no object`)
  return found
}

function listAt(value: Json, key: string): readonly unknown[] {
  const found = value[key] ?? []
  if (!Array.isArray(found)) throw new Error(`${key} is no list`)
  return found
}
