/**
 * The HTTP application: every endpoint of the contract with its handler, and around each the same straight line:
 * who asks, may they, is what they sent right, do it, is the answer what was promised.
 */
import { createHash } from 'node:crypto'
import { listEndpoints, makeOpenApi, PERMISSIONS, type Endpoint, type NamedEndpoint } from '@patchbay/contract'
import { Hono, type Context } from 'hono'
import { authorize } from '../access/authorize.ts'
import { actorOf, type Identity } from '../access/identity.ts'
import { canonicalJson } from '../domain/canonical-json.ts'
import { claimIdempotency, storeAnswer } from '../store/idempotency.ts'
import type { By } from '../store/by.ts'
import type { Tx } from '../store/schema.ts'
import { makeHandlers } from './all-handlers.ts'
import type { Call, Handler } from './handler.ts'
import { openDoors } from './open-doors.ts'
import type { HttpPorts } from './ports.ts'
import { HttpProblem, invalid, problemResponse, problemSaid } from './problem-of.ts'
import { whoAsks, type AppEnv } from './who-asks.ts'
import { readJsonBody, refuseBody } from './request-body.ts'

const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
}

export function makeApp(ports: HttpPorts): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.use(async (context, next) => {
    const started = ports.clock.now().getTime()
    context.set('requestId', Buffer.from(ports.randomBytes(12)).toString('base64url'))
    context.set('endpoint', 'none')
    await next()
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) context.res.headers.set(name, value)
    context.res.headers.set('x-request-id', context.get('requestId'))
    const millis = ports.clock.now().getTime() - started
    ports.watch.answered({
      requestId: context.get('requestId'),
      endpoint: context.get('endpoint'),
      status: context.res.status,
      millis,
    })
  })
  app.onError((error, context) => answerError(ports, error, context))
  app.notFound((context) =>
    problemResponse(
      { code: 'not-found', path: '', detail: 'There is nothing at this address', cure: 'See /api/openapi.json' },
      context.get('requestId'),
    ),
  )

  openDoors(app, ports)
  const openApi = JSON.stringify(makeOpenApi(ports.version))
  app.get('/api/openapi.json', (context) => context.body(openApi, 200, { 'content-type': 'application/json' }))

  const handlers = makeHandlers(ports) as unknown as Readonly<
    Record<string, Readonly<Record<string, Handler<Endpoint>>>>
  >
  const endpoints = listEndpoints()
  for (const named of endpoints) mount(app, ports, named, handlers)
  for (const path of new Set(endpoints.map((named) => named.path))) refuseOtherMethods(app, path, endpoints)
  return app
}

/** Refuses to start where an endpoint has no handler, or a permission that no table knows. */
function mount(
  app: Hono<AppEnv>,
  ports: HttpPorts,
  { id, path, endpoint }: NamedEndpoint,
  handlers: Readonly<Record<string, Readonly<Record<string, Handler<Endpoint>>>>>,
): void {
  const [resource = '', name = ''] = id.split('.')
  const handler = handlers[resource]?.[name]
  if (handler === undefined) throw new Error(`The endpoint ${id} has no handler`)
  if (!PERMISSIONS.includes(endpoint.permission))
    throw new Error(`The endpoint ${id} names no permission that is known`)
  app.on(endpoint.method, honoPath(path), (context) => {
    context.set('endpoint', id)
    return answer(ports, { id, endpoint, handler }, context)
  })
}

function refuseOtherMethods(app: Hono<AppEnv>, path: string, endpoints: readonly NamedEndpoint[]): void {
  const methods = endpoints.filter((named) => named.path === path).map(({ endpoint }) => endpoint.method)
  app.all(honoPath(path), (context) =>
    problemResponse(
      {
        code: 'method-not-allowed',
        path: '',
        detail: `${context.req.method} does nothing here`,
        cure: `Use ${methods.join(' or ')}`,
      },
      context.get('requestId'),
      { allow: methods.join(', ') },
    ),
  )
}

interface Mounted {
  readonly id: string
  readonly endpoint: Endpoint
  readonly handler: Handler<Endpoint>
}

async function answer(ports: HttpPorts, mounted: Mounted, context: Context<AppEnv>): Promise<Response> {
  const { endpoint, handler } = mounted
  const now = ports.clock.now()
  const identity = await whoAsks(ports, context, now)
  authorize(identity, endpoint.permission)
  const input = await readInput(endpoint, context)
  const given = await handler(input as never, makeCall(ports, mounted, context, identity, now, input))
  return respond(endpoint, given)
}

interface Input {
  readonly params: unknown
  readonly query: unknown
  readonly body: unknown
}

async function readInput(endpoint: Endpoint, context: Context<AppEnv>): Promise<Input> {
  const params = endpoint.params?.safeParse(context.req.param())
  if (params?.success === false) throw invalid(params.error, 'path')
  const query = parseQuery(endpoint, new URL(context.req.url).searchParams)
  if (endpoint.body === 'stream') {
    const body = context.req.raw.body ?? new Blob([]).stream()
    return { params: params?.data ?? {}, query, body }
  }
  if (endpoint.body === undefined) {
    await refuseBody(context.req.raw)
    return { params: params?.data ?? {}, query, body: undefined }
  }
  const body = endpoint.body.safeParse(await readJsonBody(context.req.raw))
  if (!body.success) throw invalid(body.error, '')
  return { params: params?.data ?? {}, query, body: body.data }
}

function parseQuery(endpoint: Endpoint, given: URLSearchParams): unknown {
  const names = [...given.keys()]
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  const unknown = endpoint.query === undefined ? names[0] : undefined
  const wrong = twice ?? unknown
  if (wrong !== undefined)
    throw new HttpProblem(
      'invalid',
      `query.${wrong}: ${twice === undefined ? 'There is no such field' : 'It is given twice'}`,
      {
        path: `query.${wrong}`,
        cure: twice === undefined ? 'Leave it out' : 'Give it once',
      },
    )
  const query = endpoint.query?.safeParse(Object.fromEntries(given))
  if (query?.success === false) throw invalid(query.error, 'query')
  return query?.data ?? {}
}

function makeCall(
  ports: HttpPorts,
  { id, endpoint }: Mounted,
  context: Context<AppEnv>,
  identity: Identity,
  now: Date,
  input: Input,
): Call {
  const by: By = { actor: actorOf(identity), now, randomBytes: ports.randomBytes }
  const key = endpoint.idempotent === true ? readIdempotencyKey(context) : undefined
  const scope = `${identity.kind}:${identity.name}:${id}`
  const change = async <T>(work: (tx: Tx) => Promise<T>): Promise<T> => {
    const changed = await ports.db.transaction().execute(async (tx) => {
      if (key === undefined) return work(tx)
      const earlier = await claimIdempotency(tx, { scope, key, digest: digestOf(input), now })
      if (earlier !== undefined) return earlier as T
      const made = await work(tx)
      await storeAnswer(tx, scope, key, made)
      return made
    })
    ports.jobs.wake()
    return changed
  }
  const revision = endpoint.revision === 'required' ? readRevision(context) : undefined
  return { identity, now, signal: context.req.raw.signal, revision, by, change }
}

/** Without the secrets in it: a hash of a short password is as good as the password. */
function digestOf({ params, query, body }: Input): string {
  const { secrets, ...open } = (body ?? {}) as { readonly secrets?: object }
  const text = canonicalJson([params, query, open, Object.keys(secrets ?? {})])
  return createHash('sha256').update(text).digest('hex')
}

function readIdempotencyKey(context: Context<AppEnv>): string | undefined {
  const key = context.req.header('idempotency-key')
  if (key === undefined || /^[\x21-\x7e]{1,200}$/.test(key)) return key
  throw new HttpProblem('invalid', 'This idempotency key cannot be used', {
    path: 'headers.Idempotency-Key',
    cure: 'Send 1 to 200 letters, digits and signs, without spaces',
  })
}

function readRevision(context: Context<AppEnv>): number | undefined {
  const text = context.req.header('if-match')
  if (text?.trim() === '*') return undefined
  const [, digits] = /^\s*(?:W\/)?"?(\d{1,9})"?\s*$/.exec(text ?? '') ?? []
  if (digits !== undefined) return Number(digits)
  throw new HttpProblem('invalid', 'A change must say which revision it was made from', {
    path: 'headers.If-Match',
    cure: 'Send the ETag that was read, as If-Match: "3", or * to change whatever is there',
  })
}

function respond(endpoint: Endpoint, given: unknown): Response {
  const status = endpoint.status ?? (endpoint.response === undefined ? 204 : 200)
  if (endpoint.response === undefined) return new Response(null, { status })
  if (endpoint.response === 'stream')
    return new Response(given as ReadableStream<Uint8Array>, {
      status,
      headers: { 'content-type': 'application/octet-stream' },
    })
  // Closed as well: an answer cannot hold a field that the contract does not name, such as a secret.
  const checked = endpoint.response.safeParse(given)
  if (!checked.success) throw new AnswerOffSchema(endpoint, checked.error)
  const headers = new Headers({ 'content-type': 'application/json' })
  const { revision } = checked.data as { readonly revision?: unknown }
  if (endpoint.revision !== undefined && typeof revision === 'number') headers.set('etag', `"${revision}"`)
  return new Response(JSON.stringify(checked.data), { status, headers })
}

class AnswerOffSchema extends Error {
  override readonly name = 'AnswerOffSchema'
  constructor(endpoint: Endpoint, error: { readonly issues: readonly { readonly path: readonly PropertyKey[] }[] }) {
    super(
      `${endpoint.method} ${endpoint.path} would answer off its schema at ${error.issues[0]?.path.map(String).join('.')}`,
    )
  }
}

function answerError(ports: HttpPorts, error: unknown, context: Context<AppEnv>): Response {
  const requestId = context.get('requestId')
  const said = problemSaid(error)
  if (said !== undefined)
    return problemResponse(said, requestId, said.code === 'not-signed-in' ? { 'www-authenticate': 'Bearer' } : {})
  ports.watch.bug({ requestId, endpoint: context.get('endpoint') }, error)
  return problemResponse(
    {
      code: 'bug',
      path: '',
      detail: 'Patchbay could not do this, because of a mistake in Patchbay itself',
      cure: `Look into the log for the request ${requestId}, and report what it says`,
    },
    requestId,
  )
}

function honoPath(path: string): string {
  return path.replaceAll(/\{([a-z]+)\}/g, ':$1')
}
