/**
 * One endpoint is one entry: method, path, schemas, permission. The server's routes, the typed client, the OpenAPI
 * description and the tests that go through every endpoint are all made from these entries, so none of them can lag behind.
 */
import type { z } from 'zod'
import type { ProblemCode } from './problem.ts'
import type { Permission } from './roles.ts'

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

export interface Endpoint {
  readonly method: Method
  /** Below `API_ROOT`, with parameters in braces: `/tables/{table}`. */
  readonly path: `/${string}`
  readonly summary: string
  readonly permission: Permission
  readonly params?: z.ZodObject
  readonly query?: z.ZodObject
  /** A JSON body, or the bytes themselves (`stream`). Absent: there is none, and one that is sent is refused. */
  readonly body?: z.ZodObject | 'stream'
  /** The JSON answer, or bytes (`stream`). Absent: 204 and nothing. */
  readonly response?: z.ZodType | 'stream'
  /** What the bytes of a `stream` are; any bytes where absent. */
  readonly media?: 'text/event-stream' | 'text/csv' | 'application/x-ndjson'
  readonly status?: 200 | 201 | 202 | 204
  /**
   * `given`: the answer carries its `revision` as ETag. `required`: a change must say with `If-Match` what it was made
   * from (`*` for "whatever is there"), and a stale one is refused with a conflict.
   */
  readonly revision?: 'given' | 'required'
  /** Starts or makes something: the same `Idempotency-Key` again gives the first answer again and does nothing. */
  readonly idempotent?: true
  /** What can go wrong beside what can always go wrong (invalid, not-signed-in, not-allowed, bug). */
  readonly errors?: readonly ProblemCode[]
}

export const API_ROOT = '/api/v1'

/** Keeps the literal types of an entry where it is written. */
export function endpoint<const E extends Endpoint>(entry: E): E {
  return entry
}

/** Resources, each with its endpoints; the name of an endpoint is `resource.name`. */
export type Contract = Readonly<Record<string, Readonly<Record<string, Endpoint>>>>

type Parsed<S, Otherwise> = S extends z.ZodType ? z.output<S> : Otherwise
type Unparsed<S, Otherwise> = S extends z.ZodType ? z.input<S> : Otherwise

/** What a handler is given, after parsing. */
export type InputOf<E extends Endpoint> = {
  readonly params: Parsed<E['params'], Record<never, never>>
  readonly query: Parsed<E['query'], Record<never, never>>
  readonly body: E['body'] extends 'stream' ? ReadableStream<Uint8Array> : Parsed<E['body'], undefined>
}

/** What a handler gives back, before it is checked against the schema. */
export type OutputOf<E extends Endpoint> = E['response'] extends 'stream'
  ? ReadableStream<Uint8Array>
  : Unparsed<E['response'], undefined>

/** What a client gets. */
export type AnswerOf<E extends Endpoint> = E['response'] extends 'stream'
  ? ReadableStream<Uint8Array>
  : Parsed<E['response'], undefined>

/** What a client gives: only the parts that the endpoint has. */
export type CallOf<E extends Endpoint> = (E['params'] extends z.ZodType
  ? { readonly params: z.input<E['params']> }
  : object) &
  (E['query'] extends z.ZodType ? { readonly query?: z.input<E['query']> } : object) &
  (E['body'] extends 'stream'
    ? { readonly body: ReadableStream<Uint8Array>; readonly sizeBytes?: number }
    : E['body'] extends z.ZodType
      ? { readonly body: z.input<E['body']> }
      : object) &
  (E['revision'] extends 'given' | 'required' ? { readonly revision?: number } : object) &
  (E['idempotent'] extends true ? { readonly idempotencyKey?: string } : object) & { readonly signal?: AbortSignal }

export function namesOf(path: string): readonly string[] {
  return [...path.matchAll(/\{([a-z]+)\}/g)].map(([, name = '']) => name)
}
