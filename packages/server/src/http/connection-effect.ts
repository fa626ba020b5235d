/** What a change of a connection does to the exports on it, told before it is saved. */
import { findActor } from '../access/actor.ts'
import { isLess, isReached, type Connection, type DataPolicy, type Sharing } from '../domain/connection.ts'
import { planSources, type PlanBasis } from '../domain/make-plan.ts'
import { Problem } from '../domain/problem.ts'
import { targetsOf } from '../domain/targets.ts'
import { listExportsOn, type ScheduledExport } from '../store/export.ts'
import type { Db } from '../store/schema.ts'
import { listSegments } from '../store/segment.ts'
import { pinTables } from '../store/table.ts'
import { findDestination } from './export-draft.ts'
import type { HttpPorts } from './ports.ts'

export async function effectOf(
  ports: HttpPorts,
  connection: Connection,
  change: { readonly sharing?: Sharing; readonly policy?: DataPolicy },
  now: Date,
) {
  const exports = await listExportsOn(ports.db, connection.id)
  return {
    losingEditors:
      change.sharing === undefined ? [] : await losingEditors(ports.db, connection, change.sharing, exports, now),
    breaking: change.policy === undefined ? [] : await breaking(ports, connection, change.policy, exports, now),
  }
}

async function losingEditors(
  db: Db,
  { sharing: before }: Connection,
  after: Sharing,
  exports: readonly ScheduledExport[],
  now: Date,
) {
  if (!isLess(before, after)) return []
  const stopsFor = new Map<string, boolean>()
  for (const owner of new Set(exports.map(({ createdBy }) => createdBy))) {
    const actor = await findActor(db, owner, now)
    const stops =
      typeof actor !== 'string' &&
      actor.role !== 'Administrator' &&
      isReached(before, actor.userId) &&
      !isReached(after, actor.userId)
    stopsFor.set(owner, stops)
  }
  return exports.map(({ id, name, createdBy }) => ({ id, name, createdBy, stops: stopsFor.get(createdBy) ?? false }))
}

/** Only what the policy stops: an export that fails for another reason does so with or without the change. */
async function breaking(
  { db, registry }: HttpPorts,
  connection: Connection,
  policy: DataPolicy,
  exports: readonly ScheduledExport[],
  now: Date,
) {
  const tables = await pinTables(db)
  const segments = await listSegments(db)
  const problemUnder = (planned: ScheduledExport, of: DataPolicy): Problem | undefined => {
    try {
      const destination = findDestination(registry, connection.connectorId, planned.destinationType)
      const basis: PlanBasis = {
        export: planned,
        connection: { ...connection, policy: of },
        delivers: destination.delivers,
        targets: targetsOf(destination),
        tables,
        segments,
        ledgers: new Map(),
        now,
      }
      planSources(basis)
      return undefined
    } catch (error) {
      if (error instanceof Problem) return error
      throw error
    }
  }
  return exports.flatMap((planned) => {
    const after = problemUnder(planned, policy)
    if (after === undefined || problemUnder(planned, connection.policy) !== undefined) return []
    return [{ id: planned.id, name: planned.name, path: after.path, reason: `${after.message}. ${after.cure}` }]
  })
}
