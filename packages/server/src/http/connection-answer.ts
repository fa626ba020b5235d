/** Connections as the API says them: whole to Administrators, by name and connector to everybody else. */
import type { Connection as ConnectionAnswer, contract, InputOf } from '@patchbay/contract'
import { userIdOf, type Identity } from '../access/identity.ts'
import type { Registry } from '../connector-host/registry.ts'
import type { Connection } from '../domain/connection.ts'
import { Problem } from '../domain/problem.ts'
import { pageConnections, type ConnectionFilter } from '../store/connection-list.ts'
import { cursorOf, pageRequest, pick } from './paging.ts'
import type { HttpPorts } from './ports.ts'

type Query = InputOf<typeof contract.connections.list>['query']

export async function listConnections({ db, registry }: HttpPorts, query: Query, identity: Identity) {
  const isWhole = identity.role === 'Administrator'
  if (!isWhole) refuseTelling(query)
  const filter: ConnectionFilter = {
    ...pick(query, ['search', 'health', 'sharing']),
    ...connectorsOf(registry, query),
    ...(query.used === undefined ? {} : { isUsed: query.used === 'yes' }),
    ...(isWhole ? {} : { reader: { userId: userIdOf(identity) } }),
  }
  const page = await pageConnections(db, filter, pageRequest(query))
  const next = cursorOf(query.sort, page.next)
  return isWhole
    ? { items: page.items.map((connection) => answerConnection(registry, connection)), next }
    : { items: page.items.map(({ id, name, connectorId }) => ({ id, name, connector: connectorId })), next }
}

/** What a list is ordered and filtered by tells as much as what stands in it. */
function refuseTelling(query: Query): void {
  const hidden = (['health', 'sharing', 'used'] as const).find((name) => query[name] !== undefined)
  const isPlain = ['name', 'connector', 'direction', 'category'].includes(query.sort.replace(/^-/, ''))
  const wrong = hidden ?? (isPlain ? undefined : 'sort')
  if (wrong === undefined) return
  throw new Problem('not-allowed', `query.${wrong}: Only Administrators see this of a connection`, {
    path: `query.${wrong}`,
    cure: 'Order and filter by name, connector, direction or category',
  })
}

function connectorsOf(
  { connectors }: Registry,
  { connector, direction, category }: Query,
): Pick<ConnectionFilter, 'connectorIds'> {
  if (direction === undefined && category === undefined)
    return connector === undefined ? {} : { connectorIds: [connector] }
  const ids = connectors
    .filter((one) => connector === undefined || one.id === connector)
    .filter((one) => direction === undefined || one.direction === direction || one.direction === 'both')
    .filter((one) => category === undefined || one.category === category)
    .map(({ id }) => id)
  return { connectorIds: ids }
}

export function answerConnection(registry: Registry, connection: Connection) {
  const { policy, sharing } = connection
  const connector = registry.findConnector(connection.connectorId)
  return {
    ...connection,
    // Of a connector that this version of the program does not have, nothing more is known than that it took data.
    direction: connector?.direction ?? ('export' as const),
    category: connector?.category ?? ('files' as const),
    sharing: sharing.with === 'named' ? { ...sharing, users: [...sharing.users] } : sharing,
    settings: { ...connection.settings },
    secretsSet: [...connection.secretsSet],
    vaultSecrets: [...connection.vaultSecrets],
    policy: {
      ...policy,
      fields: typeof policy.fields === 'string' ? policy.fields : { only: [...policy.fields.only] },
      hashed: [...policy.hashed],
    },
    failing: connection.failing as ConnectionAnswer['failing'],
    expiresAt: connection.expiresAt?.toISOString() ?? null,
    checkedAt: connection.checkedAt?.toISOString() ?? null,
    createdAt: connection.createdAt.toISOString(),
  }
}
