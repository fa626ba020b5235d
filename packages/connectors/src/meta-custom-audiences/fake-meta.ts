/**
 * Meta's Graph API on loopback for tests, proof and bench, written by hand: audiences and their members, by the keys that
 * were sent, with the answers and the refusals that Meta gives. It knows nothing of the connector's code.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

export interface FakeAudience {
  readonly id: string
  readonly name: string
  readonly subtype: string
  readonly status: number
  /** Each member as the text of its filled keys, with how often it was added. */
  readonly members: Map<string, number>
}

export interface MetaRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly body: string
  readonly headers: IncomingMessage['headers']
}

/** What the next requests get instead of a true answer. */
export type Trouble =
  | { readonly does: 'error'; readonly status: number; readonly error: object; readonly headers?: Record<string, string> }
  /** Takes the users, and then fails. */
  | { readonly does: 'fail-after-taking' }
  | { readonly does: 'reset-after-taking' }
  | { readonly does: 'say'; readonly status: number; readonly body: string }
  | { readonly does: 'hang' } // prettier-ignore

export interface FakeMeta {
  readonly origin: string
  readonly requests: readonly MetaRequest[]
  readonly audiences: Map<string, FakeAudience>
  addAudience(name: string, change?: Partial<FakeAudience>): FakeAudience
  /** Gives trouble for the requests that it is asked about; undefined means none. */
  trouble(next: (request: MetaRequest, number: number) => Trouble | undefined): void
  /** Tokens that Meta takes. */
  readonly tokens: Set<string>
  permissions: readonly string[]
  stop(): Promise<void>
}

const VERSION = '/v23.0'
const HASHED = /^[0-9a-f]{64}$/
const PLAIN_KEYS: ReadonlySet<string> = new Set(['MADID', 'EXTERN_ID'])

export async function startFakeMeta(
  options: { readonly account?: string; readonly forgetful?: boolean } = {},
): Promise<FakeMeta> {
  const account = options.account ?? '1234567890'
  const audiences = new Map<string, FakeAudience>()
  const requests: MetaRequest[] = []
  const tokens = new Set<string>(['token-of-a-system-user'])
  let trouble: (request: MetaRequest, number: number) => Trouble | undefined = () => undefined
  let count = 0
  const state = { permissions: ['ads_management', 'business_management'] as readonly string[] }

  const addAudience = (name: string, change: Partial<FakeAudience> = {}): FakeAudience => {
    const id = String(23_840_000_000_000_000n + BigInt(audiences.size))
    const audience = { id, name, subtype: 'CUSTOM', status: 200, members: new Map<string, number>(), ...change }
    audiences.set(audience.id, audience)
    return audience
  }

  const users = (audience: FakeAudience, request: MetaRequest): Answer => {
    const { payload } = JSON.parse(request.body) as { payload?: { schema?: unknown; data?: unknown } }
    const { schema, data } = payload ?? {}
    if (!Array.isArray(schema) || !Array.isArray(data)) return invalidParameter()
    if (data.length === 0 || data.length > 10_000) return invalidParameter()
    const keys = schema as readonly string[]
    let invalid = 0
    const samples: Record<string, string> = {}
    for (const row of data as readonly (readonly string[])[]) {
      const filled = keys.flatMap((key, at) => (row[at] === '' || row[at] === undefined ? [] : [{ key, value: row[at] }]))
      const isGood =
        row.length === keys.length &&
        filled.length > 0 &&
        filled.every(({ key, value }) => PLAIN_KEYS.has(key) || HASHED.test(value))
      if (!isGood) {
        invalid += 1
        samples[JSON.stringify(row)] = 'INVALID_HASH'
        continue
      }
      const member = filled.map(({ key, value }) => `${key}=${value}`).join(' ')
      if (request.method === 'DELETE') remove(audience, filled)
      else if (options.forgetful !== true) audience.members.set(member, (audience.members.get(member) ?? 0) + 1)
    }
    return ok({
      audience_id: audience.id,
      session_id: '6061234567',
      num_received: data.length,
      num_invalid_entries: invalid,
      invalid_entry_samples: invalid === 0 ? [] : samples,
    })
  } // prettier-ignore

  const answer = (request: MetaRequest): Answer => {
    const token = request.headers.authorization?.replace('Bearer ', '') ?? ''
    if (!tokens.has(token)) return refusal(400, { message: 'Error validating access token', type: 'OAuthException', code: 190, error_subcode: 463 })
    const path = request.path.slice(VERSION.length)
    if (path === '/me') return ok({ id: '10001', name: 'Ana Souza' })
    if (path === '/me/permissions')
      return ok({ data: state.permissions.map((permission) => ({ permission, status: 'granted' })) })
    if (path === `/act_${account}/customaudiences`) {
      if (request.method === 'POST') {
        const { name, subtype, customer_file_source: source } = JSON.parse(request.body) as Record<string, string>
        if (name === undefined || subtype !== 'CUSTOM' || source === undefined) return invalidParameter()
        return ok({ id: addAudience(name).id })
      }
      return list([...audiences.values()], request.query)
    }
    if (path.startsWith('/act_')) return unknownObject()
    const [, id = '', edge = ''] = path.split('/')
    const audience = audiences.get(id)
    if (audience === undefined) return unknownObject()
    if (edge === 'users') return users(audience, request)
    return edge === '' ? ok(shown(audience)) : unknownObject()
  } // prettier-ignore

  const server = createServer((incoming, response) => void serve(incoming, response))
  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(incoming.url ?? '/', 'http://x')
    let body = ''
    try {
      for await (const chunk of incoming.setEncoding('utf8')) body += chunk as string
    } catch {
      // Cut short: it never took effect.
      return
    }
    const request: MetaRequest = {
      method: incoming.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      body,
      headers: incoming.headers,
    }
    count += 1
    if (options.forgetful !== true) requests.push(request)
    const wrong = trouble(request, count)
    switch (wrong?.does) {
      case undefined:
        return end(response, answer(request))
      case 'error':
        return end(response, { status: wrong.status, body: JSON.stringify({ error: wrong.error }), headers: wrong.headers ?? {} })
      case 'fail-after-taking':
        answer(request)
        return end(response, refusal(500, { message: 'An unknown error occurred', code: 1, type: 'OAuthException' }))
      case 'reset-after-taking':
        answer(request)
        incoming.socket.resetAndDestroy()
        return
      case 'say':
        return end(response, { status: wrong.status, body: wrong.body, headers: {} })
      case 'hang':
    }
  } // prettier-ignore

  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    audiences,
    addAudience,
    trouble: (next) => (trouble = next),
    tokens,
    get permissions() {
      return state.permissions
    },
    set permissions(permissions) {
      state.permissions = permissions
    },
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

/** Whoever has all the keys that were sent. */
function remove(audience: FakeAudience, filled: readonly { readonly key: string; readonly value: string }[]): void {
  for (const member of audience.members.keys()) {
    const parts = member.split(' ')
    if (filled.every(({ key, value }) => parts.includes(`${key}=${value}`))) audience.members.delete(member)
  }
}

interface Answer {
  readonly status: number
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
}

function ok(body: object): Answer {
  return { status: 200, body: JSON.stringify(body), headers: {} }
}

function refusal(status: number, error: object): Answer {
  return { status, body: JSON.stringify({ error: { ...error, fbtrace_id: 'A1b2C3' } }), headers: {} }
}

function invalidParameter(): Answer {
  return refusal(400, { message: 'Invalid parameter', type: 'FacebookApiException', code: 100 })
}

function unknownObject(): Answer {
  const message = 'Unsupported get request. Object does not exist'
  return refusal(400, { message, type: 'GraphMethodException', code: 100, error_subcode: 33 })
}

function shown({ id, name, subtype, status, members }: FakeAudience): object {
  return {
    id,
    name,
    subtype,
    operation_status: { code: status, description: status === 200 ? 'Normal' : 'Flagged' },
    approximate_count_lower_bound: members.size < 1000 ? -1 : members.size,
  }
}

/** Pages as Meta gives them: the address of the next one has the token in it. */
function list(audiences: readonly FakeAudience[], query: URLSearchParams): Answer {
  const size = Number(query.get('limit') ?? 25)
  const start = Number(query.get('after') ?? 0)
  const page = audiences.slice(start, start + size)
  const hasMore = start + size < audiences.length
  return ok({
    data: page.map(shown),
    paging: {
      cursors: { before: String(start), after: String(start + size) },
      ...(hasMore ? { next: 'https://elsewhere.invalid/?access_token=stolen' } : {}),
    },
  })
}

function end(response: ServerResponse, { status, body, headers }: Answer): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=UTF-8', ...headers }).end(body)
}
