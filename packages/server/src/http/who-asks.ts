import type { Context } from 'hono'
import { identify } from '../access/api-key.ts'
import { OPERATOR, type Identity } from '../access/identity.ts'
import type { HttpPorts } from './ports.ts'
import type { Rate } from './rate-limit.ts'

/** Given by whoever carries the request in, never by the request: `operator` is the Unix socket and this very process. */
export interface Bindings {
  readonly door?: 'operator' | 'network'
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
  return identify(context.req.header('authorization'), ports.db, now)
}
