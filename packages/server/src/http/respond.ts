/** What a handler gives back, as the answer that goes out. */
import type { Endpoint } from '@patchbay/contract'
import type { Context } from 'hono'
import { withNamesOfActors } from '../access/actor.ts'
import type { Call } from './handler.ts'
import type { HttpPorts } from './ports.ts'
import type { AppEnv } from './who-asks.ts'

/** The parts of a call by which cookies come in and go out. */
export function cookieJar(context: Context<AppEnv>, cookies: string[]): Pick<Call, 'request' | 'setCookies'> {
  const bindings = context.env as AppEnv['Bindings'] | undefined
  return {
    request: {
      headers: context.req.raw.headers,
      address: bindings?.address ?? '',
      isOperator: bindings?.door === 'operator',
    },
    setCookies: (more) => void cookies.push(...more),
  }
}

export async function respond(
  ports: HttpPorts,
  endpoint: Endpoint,
  given: unknown,
  cookies: readonly string[],
): Promise<Response> {
  const status = endpoint.status ?? (endpoint.response === undefined ? 204 : 200)
  const headers = new Headers(cookies.map((cookie) => ['set-cookie', cookie]))
  if (endpoint.response === undefined) return new Response(null, { status, headers })
  if (endpoint.response === 'stream')
    return new Response(given as ReadableStream<Uint8Array>, { status, headers: streamHeaders(endpoint) })
  // Closed as well: an answer cannot hold a field that the contract does not name, such as a secret.
  const checked = endpoint.response.safeParse(given)
  if (!checked.success) throw new AnswerOffSchema(endpoint, checked.error)
  headers.set('content-type', 'application/json')
  const { revision } = checked.data as { readonly revision?: unknown }
  if (endpoint.revision !== undefined && typeof revision === 'number') headers.set('etag', `"${revision}"`)
  return new Response(await withNamesOfActors(ports.db, JSON.stringify(checked.data)), { status, headers })
}

function streamHeaders({ media, path }: Endpoint): Readonly<Record<string, string>> {
  // A proxy that holds events back until there are many would make them useless.
  if (media === 'text/event-stream') return { 'content-type': media, 'x-accel-buffering': 'no' }
  const name = path.slice(path.lastIndexOf('/') + 1)
  return {
    'content-type': media === 'text/csv' ? 'text/csv; charset=utf-8' : (media ?? 'application/octet-stream'),
    ...(media === undefined ? {} : { 'content-disposition': `attachment; filename="${name}"` }),
  }
}

class AnswerOffSchema extends Error {
  override readonly name = 'AnswerOffSchema'
  constructor(endpoint: Endpoint, error: { readonly issues: readonly { readonly path: readonly PropertyKey[] }[] }) {
    super(
      `${endpoint.method} ${endpoint.path} would answer off its schema at ${error.issues[0]?.path.map(String).join('.')}`,
    )
  }
}
