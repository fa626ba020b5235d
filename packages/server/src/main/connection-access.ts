import type { ConnectionAccess } from '../connector-host/context.ts'
import type { Registry } from '../connector-host/registry.ts'
import type { Connection } from '../domain/connection.ts'
import { endpointIdentity } from '../domain/endpoint-identity.ts'
import { endpointOf } from '../domain/field-values.ts'
import { Problem } from '../domain/problem.ts'
import type { Db } from '../store/schema.ts'
import { readSecret } from '../store/secret.ts'
import type { Vault } from '../vault/vault.ts'
import { makeGrantPort } from './grants.ts'

export interface AccessParts {
  readonly db: Db
  readonly vault: Vault
  readonly registry: Registry
  readonly now: () => Date
}

/** A stored connection with the way to its secrets. Each is opened when it is used, for exactly the endpoint of this moment. */
export function connectionAccess({ db, vault, registry, now }: AccessParts, connection: Connection): ConnectionAccess {
  const connector = registry.findConnector(connection.connectorId)
  if (connector === undefined)
    throw new Problem('not-ready', `This program has no connector "${connection.connectorId}" any more`, {
      cure: 'Use the version of Patchbay that has it, or remove the connection',
    })
  const identity = endpointIdentity(connector.id, endpointOf(connector.settings, connection.settings))
  return {
    connectionId: connection.id,
    settings: connection.settings,
    async readSecret(field) {
      const sealed = await readSecret(db, connection.id, field)
      return sealed === undefined
        ? undefined
        : vault.open(sealed, { connectionId: connection.id, field, endpointIdentity: identity })
    },
    grants: makeGrantPort(db, vault, { connectionId: connection.id, endpointIdentity: identity }, now),
  }
}
