import type { Connection } from '../domain/connection.ts'
import { destinationDigest } from '../domain/endpoint-identity.ts'
import type { PlanBasis, PlannedExport } from '../domain/make-plan.ts'
import type { Plan } from '../domain/plan.ts'
import { Problem } from '../domain/problem.ts'
import type { Targets } from '../domain/targets.ts'
import { listErased } from '../store/person.ts'
import type { Db } from '../store/schema.ts'
import { listSegments } from '../store/segment.ts'
import { pinTables } from '../store/table.ts'

/** What planning must know of a connector; `main` takes it from the registry. */
export interface ConnectorFacts {
  /** Undefined for a destination that the connector does not have. */
  delivers(destinationType: string): PlanBasis['delivers'] | undefined
  targets(destinationType: string): Targets
  /** What sending a batch twice does; undefined where the destination takes no rows. */
  repeat(destinationType: string, destination: PlannedExport['destination']): Plan['repeat'] | undefined
  endpointIdentity(settings: Connection['settings']): string
  /** Labels of the secrets that these settings cannot do without and that are not among those which are stored. */
  secretsMissing(connection: Pick<Connection, 'settings' | 'secretsSet'>): readonly string[]
}
export type FindConnector = (connectorId: string) => ConnectorFacts | undefined

/** The place of a `Problem` about a secret that is missing. */
export const SECRET_PATH = 'connection.secrets'

/** Everything but the ledgers, read as it is now. */
export async function readBasis(
  db: Db,
  findConnector: FindConnector,
  planned: PlannedExport,
  connection: Connection,
  now: Date,
): Promise<{ readonly basis: PlanBasis; readonly repeat: Plan['repeat']; readonly destinationDigest: string }> {
  const connector = findConnector(connection.connectorId)
  if (connector === undefined) {
    throw new Problem('not-ready', `There is no connector "${connection.connectorId}" in this version of Patchbay`, {
      path: 'connectionId',
      cure: 'Use a version that has it, or another connection',
    })
  }
  const [missing] = connector.secretsMissing(connection)
  if (missing !== undefined) {
    throw new Problem('not-ready', `The connection "${connection.name}" lacks its secret: ${missing}`, {
      path: SECRET_PATH,
      cure: 'An Administrator must enter it',
    })
  }
  const delivers = connector.delivers(planned.destinationType)
  if (delivers === undefined) {
    throw new Problem('invalid', `${connection.connectorId} has no destination "${planned.destinationType}"`, {
      path: 'destinationType',
      cure: 'Choose one that the connector has',
    })
  }
  const identity = connector.endpointIdentity(connection.settings)
  return {
    basis: {
      export: planned,
      connection,
      delivers,
      targets: connector.targets(planned.destinationType),
      tables: await pinTables(db),
      segments: await listSegments(db),
      erased: await listErased(db),
      ledgers: new Map(),
      now,
    },
    // Of files and tables, only `append` adds the same rows twice.
    repeat: connector.repeat(planned.destinationType, planned.destination) ?? {
      kind: planned.mode === 'append' ? 'blind' : 'harmless',
    },
    destinationDigest: destinationDigest(identity, planned.destinationType, planned.destination),
  }
}
