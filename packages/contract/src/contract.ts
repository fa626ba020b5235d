import { audit } from './audit.ts'
import { connections } from './connections.ts'
import { connectors } from './connectors.ts'
import { API_ROOT, type Contract, type Endpoint } from './endpoint.ts'
import { events } from './events.ts'
import { exports } from './exports.ts'
import { keys } from './keys.ts'
import { invitations, me, owner, session, users } from './users.ts'
import { persons } from './persons.ts'
import { notifications } from './notifications.ts'
import { runs } from './runs.ts'
import { segments } from './segments.ts'
import { serviceSignIns } from './service-sign-ins.ts'
import { system } from './system.ts'
import { tables, uploads } from './tables.ts'

/** Every endpoint of the API. What is not here does not exist, and what is here has a permission. */
export const contract = {
  session,
  me,
  owner,
  users,
  invitations,
  tables,
  uploads,
  segments,
  connectors,
  connections,
  serviceSignIns,
  exports,
  runs,
  events,
  persons,
  notifications,
  keys,
  audit,
  system,
} satisfies Contract

export type PatchbayContract = typeof contract

export interface NamedEndpoint {
  /** `resource.name`, as `tables.list`. */
  readonly id: string
  /** With `API_ROOT`. */
  readonly path: string
  readonly endpoint: Endpoint
}

export function listEndpoints(of: Contract = contract): readonly NamedEndpoint[] {
  return Object.entries(of).flatMap(([resource, endpoints]) =>
    Object.entries(endpoints).map(([name, endpoint]) => ({
      id: `${resource}.${name}`,
      path: `${API_ROOT}${endpoint.path}`,
      endpoint,
    })),
  )
}
