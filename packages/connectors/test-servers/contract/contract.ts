/**
 * Checks what a connector sends against the API contract of its service. The contracts are data beside the project and no
 * part of it: where they are not there, `readContract` gives undefined, or throws with REQUIRE_CONTRACTS=1 (as `.ci/run` sets
 * it). Whatever the contract does not allow in so many words is a fault.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { operationsOf, type Operation, type Parameter } from './operations.ts'
import { isRecord, type Json } from './schemas.ts'

export interface CheckedRequest {
  readonly method: string
  /** With its query; where it names a host, that is not looked at. */
  readonly url: string
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body: string
}

export interface ContractOptions {
  /** Files of the service's folder. */
  readonly files: readonly string[]
  /** What the service has and the files lack, in OpenAPI, put over the first of them; say there where it is known from. */
  readonly supplement?: Json
  /** Values of the variables in the server's address, where they are not the contract's own. */
  readonly variables?: Readonly<Record<string, string>>
  /** Allows properties that the contract does not declare: only where it is known to be incomplete. */
  readonly isOpen?: true
}

export interface ContractFolder {
  readonly folder: string
  readonly environment: NodeJS.ProcessEnv
}

const FOLDER = fileURLToPath(new URL('../../../../../shared/contracts', import.meta.url))

export function readContract(
  service: string,
  { files, supplement, variables = {}, isOpen }: ContractOptions,
  { folder, environment }: ContractFolder = { folder: FOLDER, environment: process.env },
): Contract | undefined {
  const paths = files.map((file) => join(folder, service, file))
  const missing = paths.find((path) => !existsSync(path))
  if (missing !== undefined) {
    // A folder that is there and lacks one file is a mistake in a name.
    if (environment['REQUIRE_CONTRACTS'] !== '1' && !existsSync(folder)) return undefined
    throw new Error(`There is no contract ${missing}`)
  }
  const documents: Json[] = paths.map((path) => JSON.parse(readFileSync(path, 'utf8')) as Json)
  if (supplement !== undefined) documents[0] = merged(documents[0], supplement) as Json
  return new Contract(documents.flatMap((document) => operationsOf(document, isOpen !== true, variables)))
}

export class Contract {
  readonly #operations: readonly Operation[]
  readonly #faults: string[] = []
  #checked = 0

  constructor(operations: readonly Operation[]) {
    this.#operations = operations
  }

  /** The same contract with nothing checked yet: compiling one takes longer than most tests. */
  fresh(): Contract {
    return new Contract(this.#operations)
  }

  /** How many operations it knows. */
  get size(): number {
    return this.#operations.length
  }

  /** How many requests were looked at, and what was wrong with them, since the start. */
  get checked(): number {
    return this.#checked
  }
  get faults(): readonly string[] {
    return this.#faults
  }

  /** For the end of a test. */
  throwFaults(): void {
    if (this.#faults.length > 0) throw new Error(`The contract does not allow:\n${this.#faults.join('\n')}`)
  }

  /** Gives what is wrong with a request, and remembers it. */
  check(request: CheckedRequest): readonly string[] {
    this.#checked += 1
    const url = new URL(request.url, 'http://nowhere.invalid')
    const found = this.#find(request.method.toUpperCase(), url.pathname)
    const faults =
      found === undefined
        ? ['there is no such operation']
        : [...parameterFaults(found.operation, found.values, url, request), ...bodyFaults(found.operation, request)]
    const told = faults.map((fault) => `${request.method.toUpperCase()} ${url.pathname}: ${fault}`)
    this.#faults.push(...told)
    return told
  }

  /** Of several paths that match, that with the fewest places: `/lists/search` before `/lists/{id}`. */
  #find(method: string, path: string): { operation: Operation; values: readonly string[] } | undefined {
    const hits = this.#operations
      .filter((operation) => operation.method === method)
      .flatMap((operation) => {
        const match = operation.matches.exec(path)
        return match === null ? [] : [{ operation, values: match.slice(1) }]
      })
    return hits.toSorted((a, b) => a.values.length - b.values.length)[0]
  }
}

function parameterFaults(
  { parameters, pathNames }: Operation,
  values: readonly string[],
  { searchParams }: URL,
  { headers }: CheckedRequest,
): readonly string[] {
  const queried = parameters.filter(({ in: place }) => place === 'query')
  const unknown = [...new Set(searchParams.keys())].filter((key) => !queried.some(({ name }) => name === key))
  const undeclared = pathNames.filter((key) => !parameters.some(({ name, in: at }) => at === 'path' && name === key))
  return [
    ...unknown.map((key) => `the query parameter ${key} is not declared`),
    ...undeclared.map((key) => `the path parameter ${key} is not declared`),
    ...parameters.flatMap((parameter) => {
      const { name, in: place } = parameter
      const given =
        place === 'query'
          ? searchParams.getAll(name)
          : place === 'path'
            ? [decodeURIComponent(values[pathNames.indexOf(name)] ?? '')].filter((value) => value !== '')
            : headerValues(headers, name)
      return valueFaults(parameter, given)
    }),
  ]
}

function valueFaults(parameter: Parameter, given: readonly string[]): readonly string[] {
  const { name, in: place, isRequired, isList, isExploded, validate } = parameter
  const shown = `the ${place} parameter ${name}`
  if (given.length === 0) return isRequired ? [`${shown} is missing`] : []
  if (given.length > 1 && !(isList && isExploded)) return [`${shown} is given ${given.length} times`]
  const value = isList ? (isExploded ? [...given] : (given[0] ?? '').split(',')) : given[0]
  return validate({ value }) ? [] : [`${shown} ${errorsOf(validate)}`]
}

function headerValues(headers: CheckedRequest['headers'], name: string): readonly string[] {
  return Object.entries(headers).flatMap(([key, value]) =>
    key.toLowerCase() !== name.toLowerCase() || value === undefined ? [] : typeof value === 'string' ? [value] : value,
  )
}

function bodyFaults({ body: declared }: Operation, { headers, body }: CheckedRequest): readonly string[] {
  if (declared === undefined) return body === '' ? [] : ['it has a body, and none is declared']
  if (body === '') return declared.isRequired ? ['its body is missing'] : []
  const type = (headerValues(headers, 'content-type')[0] ?? '').split(';')[0]?.trim().toLowerCase() ?? ''
  const validate = declared.types.get(type)
  if (validate === undefined) return [`a body of the type "${type}" is not declared`]
  const parsed = parse(type, body)
  if (parsed === undefined) return [`the body is not ${type}`]
  return validate(parsed.value) ? [] : [`the body ${errorsOf(validate)}`]
}

function parse(type: string, body: string): { readonly value: unknown } | undefined {
  if (type === 'application/x-www-form-urlencoded') return { value: Object.fromEntries(new URLSearchParams(body)) }
  if (type !== 'application/json' && !type.endsWith('+json'))
    throw new Error(`Bodies of the type ${type} cannot be checked`)
  try {
    return { value: JSON.parse(body) as unknown }
  } catch {
    return undefined
  }
}

/** Without values: places and rules only. */
function errorsOf({ errors }: Parameter['validate']): string {
  const told = (errors ?? []).map(({ instancePath, message, params }) => {
    const detail: unknown = params['additionalProperty'] ?? params['unevaluatedProperty'] ?? params['allowedValues']
    return `${instancePath} ${message ?? ''}${detail === undefined ? '' : ` (${JSON.stringify(detail)})`}`.trim()
  })
  return [...new Set(told)].slice(0, 5).join('; ')
}

function merged(base: unknown, more: unknown): unknown {
  if (!isRecord(base) || !isRecord(more)) return more
  const names = new Set([...Object.keys(base), ...Object.keys(more)])
  return Object.fromEntries(
    [...names].map((name) => [name, name in more ? merged(base[name], more[name]) : base[name]]),
  )
}
