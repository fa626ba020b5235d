/** The OpenAPI 3.1 description, made from the contract's entries. */
import { z } from 'zod'
import { listEndpoints } from './contract.ts'
import type { Endpoint } from './endpoint.ts'
import { ruleInput } from './rule.ts'
import { problemSchema, STATUS_OF, type ProblemCode } from './problem.ts'

type Json = { [name: string]: unknown }

const ALWAYS: readonly ProblemCode[] = ['invalid', 'not-signed-in', 'not-allowed', 'too-many', 'bug']
/** What only a body can get wrong. */
const OF_BODIES: readonly ProblemCode[] = ['too-large', 'unsupported-media-type']
const RATE_HEADERS = {
  'RateLimit-Limit': { description: 'Requests a minute', schema: { type: 'integer' } },
  'RateLimit-Remaining': { description: 'Requests that are left now', schema: { type: 'integer' } },
  'RateLimit-Reset': { description: 'Seconds until all are there again', schema: { type: 'integer' } },
  'X-Request-Id': { description: "Stands in the server's log as well", schema: { type: 'string' } },
}

export function makeOpenApi(version: string): Json {
  const components: Json = {}
  const paths: Record<string, Json> = {}
  for (const { id, path, endpoint } of listEndpoints()) {
    const operations = (paths[path] ??= {})
    operations[endpoint.method.toLowerCase()] = describe(id, endpoint, components)
  }
  schemaOf(problemSchema, 'output', components)
  return {
    openapi: '3.1.0',
    info: {
      title: 'Patchbay',
      version,
      description: 'Exports customer data to other services. Every row of every run is accounted for.',
    },
    servers: [{ url: '/' }],
    security: [{ apiKey: [] }],
    paths,
    components: { schemas: components, securitySchemes: { apiKey: { type: 'http', scheme: 'bearer' } } },
  }
}

function describe(id: string, endpoint: Endpoint, components: Json): Json {
  const { body, response } = endpoint
  return {
    operationId: id,
    tags: [id.split('.', 1)[0]],
    summary: endpoint.summary,
    description: `Needs the permission ${endpoint.permission}.`,
    parameters: [
      ...parametersOf(endpoint.params, 'path', components),
      ...parametersOf(endpoint.query, 'query', components),
      ...headersOf(endpoint),
    ],
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: true,
            content:
              body === 'stream'
                ? { 'application/octet-stream': {} }
                : { 'application/json': { schema: schemaOf(body, 'input', components) } },
          },
        }),
    responses: {
      [String(endpoint.status ?? (response === undefined ? 204 : 200))]: {
        description: 'Done',
        headers: {
          ...RATE_HEADERS,
          ...(endpoint.revision === undefined
            ? {}
            : { ETag: { description: 'The revision; send it as If-Match', schema: { type: 'string' } } }),
        },
        ...(response === undefined
          ? {}
          : {
              content:
                response === 'stream'
                  ? { [endpoint.media ?? 'application/octet-stream']: {} }
                  : { 'application/json': { schema: schemaOf(response, 'output', components) } },
            }),
      },
      ...problemsOf([...ALWAYS, ...(isJson(body) ? OF_BODIES : []), ...(endpoint.errors ?? [])]),
    },
  }
}

function isJson(body: Endpoint['body']): boolean {
  return body !== undefined && body !== 'stream'
}

function parametersOf(schema: z.ZodObject | undefined, place: 'path' | 'query', components: Json): readonly Json[] {
  if (schema === undefined) return []
  const described = schemaOf(schema, 'input', components)
  const required = Array.isArray(described['required']) ? described['required'] : []
  return Object.entries((described['properties'] ?? {}) as Json).map(([name, of]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    schema: of,
  }))
}

function headersOf(endpoint: Endpoint): readonly Json[] {
  const headers: Json[] = []
  if (endpoint.revision === 'required')
    headers.push({
      name: 'If-Match',
      in: 'header',
      required: true,
      description: 'The revision that was changed, in quotes as the ETag gave it; * for whatever is there',
      schema: { type: 'string' },
    })
  if (endpoint.idempotent === true)
    headers.push({
      name: 'Idempotency-Key',
      in: 'header',
      required: false,
      description: 'The same key within a day gives the first answer again, and does nothing a second time',
      schema: { type: 'string', maxLength: 200 },
    })
  if (endpoint.media === 'text/event-stream')
    headers.push({
      name: 'Last-Event-ID',
      in: 'header',
      required: false,
      description: 'The id of the last event that was seen: the stream goes on after it',
      schema: { type: 'string' },
    })
  return headers
}

function problemsOf(codes: readonly ProblemCode[]): Json {
  const byStatus = Map.groupBy(codes, (code) => STATUS_OF[code])
  return Object.fromEntries(
    [...byStatus].map(([status, same]) => [
      String(status),
      {
        description: [...new Set(same)].join(', '),
        headers: status === 429 ? { ...RATE_HEADERS, 'Retry-After': { schema: { type: 'integer' } } } : RATE_HEADERS,
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
      },
    ]),
  )
}

/** One schema, with what it defines by name moved to the document's components. */
function schemaOf(schema: z.ZodType, io: 'input' | 'output', components: Json): Json {
  const described = z.toJSONSchema(schema, {
    io,
    unrepresentable: 'any',
    override({ zodSchema, jsonSchema }) {
      if (zodSchema === ruleInput) Object.assign(jsonSchema, { $ref: refOf('Rule', 'output') })
    },
  }) as Json
  const text = JSON.stringify(described).replaceAll(/"#\/\$defs\/(\w+)"/g, (_, name: string) => `"${refOf(name, io)}"`)
  const { $schema: _schema, $defs: definitions, ...rest } = JSON.parse(text) as Json
  for (const [name, of] of Object.entries((definitions ?? {}) as Json))
    components[componentOf(name, io)] = withoutId(of)
  const { id, ...unnamed } = rest
  if (typeof id !== 'string') return unnamed
  components[componentOf(id, io)] = unnamed
  return { $ref: refOf(id, io) }
}

function withoutId(schema: unknown): unknown {
  const { id: _id, ...rest } = schema as Json
  return rest
}

/** What is sent may leave out what has a default; what comes back never does. So the two are named apart where both are used. */
function componentOf(name: string, io: 'input' | 'output'): string {
  return io === 'input' ? `${name}Input` : name
}

function refOf(name: string, io: 'input' | 'output'): string {
  return `#/components/schemas/${componentOf(name, io)}`
}
