import type { Context } from 'hono'
import { identify, NotSignedIn } from '../access/api-key.ts'
import { OPERATOR, type Identity } from '../access/identity.ts'
import { Problem } from '../domain/problem.ts'
import type { HttpPorts } from './ports.ts'
import type { Rate } from './rate-limit.ts'

/** Given by whoever carries the request in, never by the request: `operator` is the Unix socket and this very process. */
export interface Bindings {
  readonly door?: 'operator' | 'network'
  /** Of the network's other end, for limits. */
  readonly address?: string
}
export interface Variables {
  requestId: string
  /** For metrics and logs; the pattern, not the address. */
  endpoint: string
  /** How many requests whoever asks has left; undefined until it is known who that is. */
  rate: Rate | undefined
}
export interface AppEnv {
  Bindings: Bindings
  Variables: Variables
}

export async function whoAsks(ports: HttpPorts, context: Context<AppEnv>, now: Date): Promise<Identity> {
  // The bindings are undefined where a request is handed in without any: that is the network too.
  const bindings = context.env as Bindings | undefined
  if (bindings?.door === 'operator') return OPERATOR
  const authorization = context.req.header('authorization')
  if (authorization !== undefined) return identify(authorization, ports.db, now)
  const user = await ports.signIn.identify(context.req.raw.headers)
  if (user === undefined) throw new NotSignedIn()
  refuseForeign(ports, context)
  return user
}

const HARMLESS = ['GET', 'HEAD', 'OPTIONS']

/**
 * A browser sends the cookie along whichever page makes the request, so a change must come from our own pages. Browsers say
 * where a request comes from (Fetch Metadata, or Origin for older ones) and no page can make them say something else; what
 * is no browser says neither, and has the cookie because somebody gave it.
 */
export function refuseForeign(ports: Pick<HttpPorts, 'publicUrl'>, context: Context<AppEnv>): void {
  if (HARMLESS.includes(context.req.method)) return
  const site = context.req.header('sec-fetch-site')
  const origin = context.req.header('origin')
  const isOwn =
    site === undefined
      ? origin === undefined || origin === ports.publicUrl || isAt(origin, context.req.header('host'))
      : site === 'same-origin'
  if (isOwn) return
  throw new Problem('not-allowed', 'This was asked by a page of another site', {
    cure: 'Open Patchbay by its own address, and do it there',
  })
}

function isAt(origin: string, host: string | undefined): boolean {
  return host !== undefined && URL.canParse(origin) && new URL(origin).host === host.toLowerCase()
}
