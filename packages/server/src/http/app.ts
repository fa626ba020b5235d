/**
 * The HTTP application: every endpoint of the contract with its handler, and around each the same straight line:
 * who asks, may they, is what they sent right, do it, is the answer what was promised.
 */
import { createHash } from 'node:crypto'
import { listEndpoints, makeOpenApi, PERMISSIONS, type Endpoint, type NamedEndpoint } from '@patchbay/contract'
import { Hono, type Context } from 'hono'
import { NotSignedIn } from '../access/api-key.ts'
import { authorize } from '../access/authorize.ts'
import { actorOf, ANYONE, type Identity } from '../access/identity.ts'
import { canonicalJson } from '../domain/canonical-json.ts'
import { Problem } from '../domain/problem.ts'
import { claimIdempotency, storeAnswer } from '../store/idempotency.ts'
import type { By } from '../store/by.ts'
import type { Tx } from '../store/schema.ts'
import { makeHandlers } from './all-handlers.ts'
import type { Call, Handler } from './handler.ts'
import { makeDocsPage } from './docs-page.ts'
import { openDoors } from './open-doors.ts'
import type { HttpPorts } from './ports.ts'
import { HttpProblem, invalid, problemResponse, problemSaid, StaleEdit } from './problem-of.ts'
import { refuseForeign, whoAsks, type AppEnv } from './who-asks.ts'
import { makeRateLimiter, type Rate, type RateLimiter } from './rate-limit.ts'
import { readJsonBody, refuseBody } from './request-body.ts'
import { cookieJar, respond } from './respond.ts'
import { makeWitness, type Witness } from './witness.ts'

/** The strictest there are; an answer that needs others, as a page does, brings its own. */
const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  // A service's sign-in opens in a window of its own, and nothing else has a hold on ours.
  'cross-origin-opener-policy': 'same-origin-allow-popups',
  'cache-control': 'no-store',
}

export function makeApp(ports: HttpPorts): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.use(async (context, next) => {
    const started = ports.clock.now().getTime()
    context.set('requestId', Buffer.from(ports.randomBytes(12)).toString('base64url'))
    context.set('endpoint', 'none')
    context.set('rate', undefined)
    await next()
    for (const [name, value] of Object.entries(SECURITY_HEADERS))
      if (!context.res.headers.has(name)) context.res.headers.set(name, value)
    context.res.headers.set('x-request-id', context.get('requestId'))
    for (const [name, value] of Object.entries(rateHeaders(context.get('rate')))) context.res.headers.set(name, value)
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
  const docs = makeDocsPage(JSON.parse(openApi) as object)
  app.get('/api/docs', (context) => context.html(docs))
  app.get('/api/openapi.json', (context) => context.body(openApi, 200, { 'content-type': 'application/json' }))

  const handlers = makeHandlers(ports) as unknown as Readonly<
    Record<string, Readonly<Record<string, Handler<Endpoint>>>>
  >
  const endpoints = listEndpoints()
  const doors: Doors = {
    limiter: makeRateLimiter(ports.requestsPerMinute, () => ports.clock.now().getTime()),
    witness: makeWitness(ports.db, () => ports.clock.now()),
  }
  for (const named of endpoints) mount(app, ports, named, handlers, endpoints, doors)
  for (const path of new Set(endpoints.map((named) => named.path))) refuseOtherMethods(app, path, endpoints)
  return app
}

/** Refuses to start where an endpoint has no handler, or a permission that no table knows. */
function mount(
  app: Hono<AppEnv>,
  ports: HttpPorts,
  { id, path, endpoint }: NamedEndpoint,
  handlers: Readonly<Record<string, Readonly<Record<string, Handler<Endpoint>>>>>,
  endpoints: readonly NamedEndpoint[],
  doors: Doors,
): void {
  const [resource = '', name = ''] = id.split('.')
  const handler = handlers[resource]?.[name]
  if (handler === undefined) throw new Error(`The endpoint ${id} has no handler`)
  if (!PERMISSIONS.includes(endpoint.permission))
    throw new Error(`The endpoint ${id} names no permission that is known`)
  const show = showOf({ id, path, endpoint }, endpoints, handlers)
  app.on(endpoint.method, honoPath(path), (context) => {
    context.set('endpoint', id)
    return answer(ports, { id, endpoint, handler, ...(show === undefined ? {} : { show }) }, context, doors)
  })
}

/** The endpoint that shows what this one changes. */
function showOf(
  { id, endpoint }: NamedEndpoint,
  endpoints: readonly NamedEndpoint[],
  handlers: Readonly<Record<string, Readonly<Record<string, Handler<Endpoint>>>>>,
): Mounted['show'] {
  if (endpoint.revision !== 'required') return undefined
  const [resource = ''] = id.split('.', 1)
  const shown = endpoints.find((other) => other.id === `${resource}.show`)
  const handler = handlers[resource]?.['show']
  if (shown === undefined || handler === undefined)
    throw new Error(`What ${id} changes cannot be shown, so a stale change could not be compared with it`)
  return { endpoint: shown.endpoint, handler }
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
  /** Shows what a change of this endpoint is made to; where changes name a revision. */
  readonly show?: { readonly endpoint: Endpoint; readonly handler: Handler<Endpoint> }
}

/** What all endpoints share beside the ports. */
interface Doors {
  readonly limiter: RateLimiter
  readonly witness: Witness
}

async function answer(
  ports: HttpPorts,
  mounted: Mounted,
  context: Context<AppEnv>,
  { limiter, witness }: Doors,
): Promise<Response> {
  const { endpoint, handler } = mounted
  const now = ports.clock.now()
  const isOpen = endpoint.permission === 'anyone'
  if (isOpen) refuseForeign(ports, context)
  const identity = isOpen ? ANYONE : await whoAsks(ports, context, now)
  // Signing in has limits of its own.
  if (identity.kind === 'api-key' || identity.kind === 'user') takeOne(limiter, identity, context)
  const seen = { identity, id: mounted.id, endpoint, params: context.req.param() }
  try {
    authorize(identity, endpoint.permission)
    const input = await readInput(endpoint, context)
    const cookies: string[] = []
    const call = { ...makeCall(ports, mounted, context, identity, now, input), ...cookieJar(context, cookies) }
    const given = await handler(input as never, call).catch(async (error: unknown) => {
      throw await withVersions(error, mounted, input, call)
    })
    await witness.shown(seen)
    return await respond(ports, endpoint, given, cookies)
  } catch (error) {
    if (error instanceof Problem && error.code === 'not-allowed') await witness.refused(seen)
    throw error
  }
}

function takeOne(limiter: RateLimiter, identity: Identity, context: Context<AppEnv>): void {
  const rate = limiter.take(actorOf(identity))
  context.set('rate', rate)
  if (rate.isAllowed) return
  throw new HttpProblem('too-many', `More than ${rate.limit} requests came within a minute`, {
    cure: `Wait for ${rate.resetSeconds} s. The operator sets PATCHBAY_REQUESTS_PER_MINUTE`,
  })
}

function rateHeaders(rate: Rate | undefined): Readonly<Record<string, string>> {
  if (rate === undefined) return {}
  return {
    'ratelimit-limit': String(rate.limit),
    'ratelimit-remaining': String(rate.remaining),
    'ratelimit-reset': String(rate.resetSeconds),
    ...(rate.isAllowed ? {} : { 'retry-after': String(rate.resetSeconds) }),
  }
}

/** A stale change is refused with what is there now and what was sent, so that a person can choose. */
async function withVersions(error: unknown, { show }: Mounted, input: Input, call: Call): Promise<unknown> {
  const isStale = error instanceof Problem && error.code === 'conflict' && error.path === 'revision'
  if (!isStale || show === undefined || call.revision === undefined) return error
  authorize(call.identity, show.endpoint.permission)
  const current = await show.handler({ params: input.params, query: {}, body: undefined } as never, call)
  const { secrets: _secrets, ...yours } = input.body as Record<string, unknown>
  return new StaleEdit(error, { current: current as Record<string, unknown>, yours, yourRevision: call.revision })
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
): Omit<Call, 'request' | 'setCookies'> {
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
  const again = async (): Promise<Identity | undefined> => {
    try {
      const found = await whoAsks(ports, context, ports.clock.now())
      authorize(found, endpoint.permission)
      return found
    } catch (error) {
      if (error instanceof Problem || error instanceof NotSignedIn) return undefined
      throw error
    }
  }
  const lastEventId = context.req.header('last-event-id')
  return { identity, now, signal: context.req.raw.signal, revision, lastEventId, again, by, change }
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

function answerError(ports: HttpPorts, error: unknown, context: Context<AppEnv>): Response {
  const requestId = context.get('requestId')
  const said = problemSaid(error)
  if (said !== undefined) return problemResponse(said, requestId, saidHeaders(error, said.code))
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

function saidHeaders(error: unknown, code: string): Readonly<Record<string, string>> {
  if (code === 'not-signed-in') return { 'www-authenticate': 'Bearer' }
  const seconds = error instanceof HttpProblem ? error.retryAfterSeconds : undefined
  return seconds === undefined ? {} : { 'retry-after': String(seconds) }
}

function honoPath(path: string): string {
  return path.replaceAll(/\{([a-z]+)\}/g, ':$1')
}
