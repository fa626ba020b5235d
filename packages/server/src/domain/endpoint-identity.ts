import { createHash } from 'node:crypto'
import { canonicalJson } from './canonical-json.ts'

type Values = Readonly<Record<string, string | number | boolean>>

/**
 * Hash of where, and as whom, a connection connects: `endpoint` holds the fields that the connector declares as such
 * (`endpointOf`). A secret is sealed for one such identity, and a ledger belongs to one.
 */
export function endpointIdentity(connectorId: string, endpoint: Values): string {
  return createHash('sha256')
    .update(canonicalJson([connectorId, endpoint]))
    .digest('hex')
}

/**
 * Hash of the place at the far end that one export writes to. It survives a new connection to the same endpoint, and changes
 * with the list, the folder or the table.
 */
export function destinationDigest(identity: string, destinationType: string, destination: Values): string {
  return createHash('sha256')
    .update(canonicalJson([identity, destinationType, destination]))
    .digest('hex')
}
