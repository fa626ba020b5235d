/** The engine's ports, each made of the part that it belongs to. */
import { setTimeout as sleep } from 'node:timers/promises'
import { DestinationInvalid } from '@patchbay/connector-sdk'
import { openDestination, repeatOf } from '../connector-host/open-destination.ts'
import type { ConnectorHost } from '../connector-host/host.ts'
import type { Registry } from '../connector-host/registry.ts'
import { endpointIdentity } from '../domain/endpoint-identity.ts'
import { endpointOf, shownSecrets } from '../domain/field-values.ts'
import { Problem } from '../domain/problem.ts'
import { targetsOf } from '../domain/targets.ts'
import { Canceled, type Clock, type DestinationPort, type LakePort } from '../engine/ports.ts'
import type { FindConnector } from '../jobs/plan-basis.ts'
import { startDuckDb } from '../lake/duckdb-process.ts'
import { openLakeSession } from '../lake/session.ts'
import { findConnection } from '../store/connection.ts'
import { connectionAccess, type AccessParts } from './connection-access.ts'
import type { EngineLimits } from './lake-port.ts'

export function makeClock(now: () => Date): Clock {
  return {
    now,
    async sleep(milliseconds, signal) {
      await sleep(milliseconds, undefined, { signal }).catch(() => signal.throwIfAborted())
    },
  }
}

export function makeEngineLake(root: string, limits: EngineLimits): LakePort {
  return {
    open: (plan, signal) => openLakeSession({ root, startDuckDb, ...limits }, plan, signal),
  }
}

/** The connection is read anew for each run, and its secrets when they are used. */
export function makeDestinations(parts: AccessParts, host: ConnectorHost): DestinationPort {
  const { db, registry } = parts
  return {
    async open(plan, { delivered }, signal) {
      const connection = await findConnection(db, plan.connectionId)
      if (connection === undefined) throw new Canceled('The connection was removed')
      const connector = registry.findConnector(plan.connectorId)
      if (connector === undefined)
        throw new Problem('not-ready', `This program has no connector "${plan.connectorId}" any more`, {
          cure: 'Use the version of Patchbay that has it',
        })
      return openDestination(host, {
        connector,
        connection: connectionAccess(parts, connection),
        destinationType: plan.destinationType,
        destination: plan.destination,
        mode: plan.mode,
        run: { runId: plan.runId, delivered },
        signal,
      })
    },
  }
}

export function connectorFacts(registry: Registry): FindConnector {
  return (connectorId) => {
    const connector = registry.findConnector(connectorId)
    if (connector === undefined) return undefined
    return {
      delivers: (type) =>
        Object.hasOwn(connector.destinations, type) ? connector.destinations[type]?.delivers : undefined,
      targets: (type) =>
        targetsOf(Object.hasOwn(connector.destinations, type) ? connector.destinations[type] : undefined),
      repeat: (type, destination) => {
        try {
          return repeatOf(connector, type, destination)
        } catch (error) {
          if (!(error instanceof DestinationInvalid)) throw error
          const cure = 'Edit the export and choose it anew'
          throw new Problem('invalid', error.message, { path: `destination.${error.field}`, cure, cause: error })
        }
      },
      secretsMissing: ({ settings, secretsSet }) =>
        shownSecrets(connector.settings, settings)
          .filter((field) => connector.settings[field]?.optional !== true && !secretsSet.includes(field))
          .map((field) => connector.settings[field]?.label ?? field),
      endpointIdentity: (settings) => endpointIdentity(connector.id, endpointOf(connector.settings, settings)),
    }
  }
}
