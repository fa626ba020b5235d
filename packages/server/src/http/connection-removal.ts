/** Removing a connection in two steps (look, then confirm what was looked at), and taking the removal back. */
import type { contract } from '@patchbay/contract'
import { authorizeExport, reachConnection } from '../access/reach.ts'
import { destinationDigest, endpointIdentity } from '../domain/endpoint-identity.ts'
import { endpointOf, shownSecrets } from '../domain/field-values.ts'
import type { ConnectionId } from '../domain/ids.ts'
import { Problem } from '../domain/problem.ts'
import { readConnection } from '../store/connection.ts'
import {
  dependentsToken,
  listDependents,
  listRemovedConnections,
  lockForRemoval,
  removeConnection,
  restoreConnection,
  RESTORABLE_DAYS,
  type Dependent,
} from '../store/connection-removal.ts'
import { readExport } from '../store/export.ts'
import { hasLedger, readLedgers } from '../store/ledger.ts'
import { answerConnection } from './connection-answer.ts'
import { connectorFor } from './connection-draft.ts'
import { refuseUsedVault } from './connection-vaults.ts'
import type { Handlers } from './handler.ts'
import type { HttpPorts } from './ports.ts'
import { StaleRemoval } from './problem-of.ts'

type Endpoints = Pick<typeof contract.connections, 'dependents' | 'remove' | 'removed' | 'restore' | 'attaching'>

export function makeRemovalHandlers(ports: HttpPorts): Handlers<Endpoints> {
  const { db, registry } = ports
  return {
    async dependents({ params }) {
      const { id } = await readConnection(db, params.connection)
      return dependentsOf(id, await listDependents(db, id))
    },

    async remove({ params, body }, { by, change, now }) {
      return change(async (tx) => {
        const connection = await readConnection(tx, params.connection)
        const { id } = connection
        await refuseUsedVault(tx, connection)
        await lockForRemoval(tx, id)
        const dependents = await listDependents(tx, id)
        refuseStale(id, dependents, body.confirmed)
        refuseForeign(dependents, body.removeExports)
        const runs = dependents.flatMap((dependent) => dependent.runs)
        for (const run of runs) await ports.jobs.cancelRun(tx, run, by)
        const { detached, removed } = await removeConnection(tx, id, { remove: new Set(body.removeExports) }, by)
        return {
          detached: detached.map(named),
          removed: removed.map(named),
          canceled: runs,
          restorableUntil: new Date(now.getTime() + RESTORABLE_DAYS * 86_400_000).toISOString(),
        }
      })
    },

    async removed(_, { now }) {
      const items = (await listRemovedConnections(db, now)).map((removed) => ({
        ...removed,
        removedAt: removed.removedAt.toISOString(),
        restorableUntil: removed.restorableUntil.toISOString(),
        detached: removed.detached.map(named),
      }))
      return { items }
    },

    async restore({ params, body }, { by, change }) {
      return change(async (tx) => {
        const { connection, attached } = await restoreConnection(tx, params.connection, body.name, by)
        const { settings } = connectorFor(registry, connection.connectorId, 'connectorId')
        const secretsNeeded = shownSecrets(settings, connection.settings).filter(
          (field) => settings[field]?.optional !== true,
        )
        return {
          connection: answerConnection(registry, connection),
          attached: attached.map(named),
          secretsNeeded: [...secretsNeeded],
        }
      })
    },

    async attaching({ params }, { identity }) {
      const target = await readExport(db, params.export)
      await authorizeExport(db, identity, target)
      const connection = await reachConnection(db, identity, params.connection)
      if (connection.connectorId !== target.connectorId)
        throw new Problem('invalid', `"${connection.name}" is a ${connection.connectorId} connection`, {
          path: 'path.connection',
          cure: `Choose a ${target.connectorId} connection`,
        })
      const { settings } = connectorFor(registry, connection.connectorId, 'connectorId')
      const identityOf = endpointIdentity(connection.connectorId, endpointOf(settings, connection.settings))
      const digest = destinationDigest(identityOf, target.destinationType, target.destination)
      const ledgers = await readLedgers(db, { exportId: target.id, destinationDigest: digest })
      const rowsKnown = [...ledgers.values()].reduce((sum, { rows }) => sum + rows, 0)
      const place = ledgers.size > 0 ? 'same' : (await hasLedger(db, target.id)) ? 'another' : 'new'
      return { place, rowsKnown, says: wordsOf(place, rowsKnown) }
    },
  }
}

function wordsOf(place: 'new' | 'same' | 'another', rows: number): string {
  switch (place) {
    case 'new':
      return 'This export has delivered nothing yet: its first run sends every row.'
    case 'same':
      return `It goes to the same place as before, where ${rows} rows of this export are known: the next run sends only what has changed since.`
    case 'another':
      return 'It goes to another place than before: the next run sends every row as new. What was delivered to the old place stays there, and is not removed any more.'
  }
}

function refuseStale(id: ConnectionId, dependents: readonly Dependent[], confirmed: string): void {
  if (confirmed === dependentsToken(id, dependents)) return
  const problem = new Problem('conflict', 'confirmed: What uses this connection is not what was confirmed', {
    path: 'confirmed',
    cure: 'Look at the list as it is now, and confirm that',
  })
  throw new StaleRemoval(problem, dependentsOf(id, dependents))
}

function refuseForeign(dependents: readonly Dependent[], chosen: readonly string[]): void {
  const known = new Set<string>(dependents.map(({ id }) => id))
  const index = chosen.findIndex((id) => !known.has(id))
  if (index < 0) return
  const path = `removeExports[${index}]`
  throw new Problem('invalid', `${path}: This export is not on the connection`, {
    path,
    cure: 'Name only exports of the list that was confirmed',
  })
}

function dependentsOf(id: ConnectionId, dependents: readonly Dependent[]) {
  return {
    exports: dependents.map(({ runs, ...dependent }) => ({ ...dependent, isRunning: runs.length > 0 })),
    runsGoingOn: dependents.reduce((sum, { runs }) => sum + runs.length, 0),
    token: dependentsToken(id, dependents),
  }
}

function named<I extends string>({ id, name }: { readonly id: I; readonly name: string }) {
  return { id, name }
}
