/**
 * The typed client: a function for each endpoint of the contract, over any way to carry a request (a socket, or the
 * program itself). It knows no address and no key; the transport does.
 */
import { contract, type PatchbayContract } from './contract.ts'
import { API_ROOT, type AnswerOf, type CallOf, type Contract, type Endpoint } from './endpoint.ts'
import { problemSchema, type ProblemAnswer, type ProblemCode } from './problem.ts'

export type Transport = (request: Request) => Promise<Response>

type Call<E extends Endpoint> =
  Record<never, never> extends CallOf<E>
    ? (call?: CallOf<E>) => Promise<AnswerOf<E>>
    : (call: CallOf<E>) => Promise<AnswerOf<E>>
export type ClientOf<C extends Contract> = {
  readonly [R in keyof C]: { readonly [N in keyof C[R]]: Call<C[R][N]> }
}
export type Client = ClientOf<PatchbayContract>

/** What the server answered instead of a result: the problem, as it was said. */
export class ApiProblem extends Error {
  readonly status: number
  readonly code: ProblemCode
  readonly path: string
  readonly cure: string
  readonly requestId: string
  /** Of a stale edit: what is there now, and what was sent. */
  readonly versions: ProblemAnswer['versions']
  /** Of a removal that confirmed another list: what it would touch now. */
  readonly dependents: ProblemAnswer['dependents']
  constructor({ status, code, path, detail, cure, requestId, versions, dependents }: ProblemAnswer) {
    super(detail)
    this.name = 'ApiProblem'
    this.status = status
    this.code = code
    this.path = path
    this.cure = cure
    this.requestId = requestId
    this.versions = versions
    this.dependents = dependents
  }
}

/** The answer was none of this API: another program listens there, or another version. */
export class NotPatchbay extends Error {
  override readonly name = 'NotPatchbay'
}

export function makeClient(transport: Transport, origin = 'http://patchbay'): Client {
  const resources = Object.entries(contract).map(([resource, endpoints]) => [
    resource,
    Object.fromEntries(
      Object.entries(endpoints as Readonly<Record<string, Endpoint>>).map(([name, endpoint]) => [
        name,
        (call: AnyCall = {}) => send(transport, origin, endpoint, call),
      ]),
    ),
  ])
  return Object.fromEntries(resources) as Client
}

/** All that a call can have, with the types of one endpoint erased. */
interface AnyCall {
  readonly params?: Readonly<Record<string, string>>
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>
  readonly body?: unknown
  readonly sizeBytes?: number
  readonly revision?: number
  readonly idempotencyKey?: string
  readonly signal?: AbortSignal
}

async function send(transport: Transport, origin: string, endpoint: Endpoint, call: AnyCall): Promise<unknown> {
  const response = await transport(makeRequest(origin, endpoint, call))
  if (!response.ok) throw await problemOf(response)
  if (endpoint.response === 'stream') return response.body ?? new ReadableStream()
  if (endpoint.response === undefined) return undefined
  const parsed = endpoint.response.safeParse(await readJson(response))
  if (!parsed.success) throw new NotPatchbay(`${endpoint.method} ${endpoint.path} was answered in an unknown shape`)
  return parsed.data
}

function makeRequest(origin: string, endpoint: Endpoint, call: AnyCall): Request {
  const path = endpoint.path.replaceAll(/\{([a-z]+)\}/g, (_, name: string) =>
    encodeURIComponent(String(call.params?.[name])),
  )
  const url = new URL(`${API_ROOT}${path}`, origin)
  for (const [name, value] of Object.entries(call.query ?? {}))
    if (value !== undefined) url.searchParams.set(name, String(value))

  const headers = new Headers({ accept: 'application/json' })
  if (endpoint.revision === 'required')
    headers.set('if-match', call.revision === undefined ? '*' : `"${call.revision}"`)
  if (call.idempotencyKey !== undefined) headers.set('idempotency-key', call.idempotencyKey)
  const init: RequestInit & { duplex?: 'half' } = { method: endpoint.method, headers }
  if (call.signal !== undefined) init.signal = call.signal
  if (endpoint.body === 'stream') {
    headers.set('content-type', 'application/octet-stream')
    if (call.sizeBytes !== undefined) headers.set('content-length', String(call.sizeBytes))
    init.body = call.body as ReadableStream<Uint8Array>
    init.duplex = 'half'
  } else if (endpoint.body !== undefined) {
    headers.set('content-type', 'application/json')
    init.body = JSON.stringify(call.body)
  }
  return new Request(url, init)
}

async function problemOf(response: Response): Promise<Error> {
  const problem = problemSchema.safeParse(await readJson(response).catch(() => undefined))
  return problem.success
    ? new ApiProblem(problem.data)
    : new NotPatchbay(`The answer has the status ${response.status} and is not one of Patchbay's`)
}

async function readJson(response: Response): Promise<unknown> {
  const text = await response.text()
  try {
    return JSON.parse(text) as unknown
  } catch (error) {
    throw new NotPatchbay('The answer is not JSON', { cause: error })
  }
}
