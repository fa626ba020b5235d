import type { ConnectionAccess } from '../connector-host/context.ts'
import type { ConnectorHost } from '../connector-host/host.ts'
import { readSecretOfVault } from '../connector-host/secret-store.ts'
import type { Registry } from '../connector-host/registry.ts'
import type { Connection } from '../domain/connection.ts'
import { endpointIdentity } from '../domain/endpoint-identity.ts'
import { endpointOf } from '../domain/field-values.ts'
import type { ConnectionId } from '../domain/ids.ts'
import { Problem } from '../domain/problem.ts'
import { readConnection } from '../store/connection.ts'
import type { Db } from '../store/schema.ts'
import { readSecret } from '../store/secret.ts'
import type { Vault } from '../vault/vault.ts'
import { makeGrantPort } from './grants.ts'

export interface AccessParts {
  readonly db: Db
  readonly vault: Vault
  readonly registry: Registry
  readonly host: ConnectorHost
  readonly now: () => Date
}

/** A stored connection with the way to its secrets. Each is opened when it is used, for exactly the endpoint of this moment. */
export function connectionAccess(parts: AccessParts, connection: Connection): ConnectionAccess {
  const { db, vault, registry, now } = parts
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
      const stored = await readSecret(db, connection.id, field)
      if (stored === undefined) return undefined
      if ('sealed' in stored)
        return vault.open(stored.sealed, { connectionId: connection.id, field, endpointIdentity: identity })
      return readFromVault(parts, stored.vaultId, stored.vaultSecret, field)
    },
    grants: makeGrantPort(db, vault, { connectionId: connection.id, endpointIdentity: identity }, now),
  }
}

/** In memory only: the next use asks the vault again. */
export async function readFromVault(
  parts: AccessParts,
  vaultId: ConnectionId,
  name: string,
  field: string,
): Promise<string> {
  const stored = await readConnection(parts.db, vaultId)
  const connector = parts.registry.findConnector(stored.connectorId)
  const access = connectionAccess(parts, stored)
  if (connector === undefined) throw new Error('connectionAccess knows every connector')
  return readSecretOfVault(parts.host, connector, access, name, field)
}
