/** What was chosen for an export, checked against what its connector declares and what there is in the store. */
import type { Registry } from '../connector-host/registry.ts'
import type { Connection } from '../domain/connection.ts'
import { parseFieldValues } from '../domain/field-values.ts'
import { planSources } from '../domain/make-plan.ts'
import { Problem } from '../domain/problem.ts'
import { checkSchedule } from '../domain/schedule-text.ts'
import { targetsOf } from '../domain/targets.ts'
import type { ExportDraft } from '../store/export.ts'
import type { Tx } from '../store/schema.ts'
import { listSegments } from '../store/segment.ts'
import { listTables, pinTable } from '../store/table.ts'
import type { Destination } from './connector-types.ts'
import type { HttpPorts } from './ports.ts'

/** The one destination of a connector that has only one need not be named. */
export function destinationTypeOf(registry: Registry, connectorId: string, given: string | undefined): string {
  const types = Object.keys(registry.findConnector(connectorId)?.destinations ?? {})
  const [only] = types
  if (given !== undefined) return given
  if (only !== undefined && types.length === 1) return only
  throw new Problem('invalid', 'destinationType: It is not said what is written to', {
    path: 'destinationType',
    cure: `Choose one of ${types.join(', ')}`,
  })
}

/**
 * `connection` is null where there is none to hold the draft against (detached, or nothing but the schedule changes):
 * then only what stands in the draft itself is checked.
 */
export async function checkExport(
  ports: HttpPorts,
  tx: Tx,
  draft: ExportDraft & { readonly connectorId?: string },
  connection: Connection | null,
  now: Date,
): Promise<ExportDraft> {
  if (draft.schedule !== null) checkSchedule(draft.schedule, now)
  const connectorId = connection?.connectorId ?? draft.connectorId
  const checked: ExportDraft = {
    name: draft.name,
    destinationType: draft.destinationType,
    destination: connectorId === undefined ? draft.destination : checkDestination(ports.registry, connectorId, draft),
    mode: draft.mode,
    source: draft.source,
    merge: draft.merge,
    format: draft.format,
    guard: draft.guard,
    schedule: draft.schedule,
  }
  if (connection !== null) await checkPlan(ports, tx, checked, connection, now)
  return checked
}

/** Whatever a run would not find, or the policy would not let leave, is said now and not in the night. */
async function checkPlan(
  { registry }: HttpPorts,
  tx: Tx,
  draft: ExportDraft,
  connection: Connection,
  now: Date,
): Promise<void> {
  const destination = findDestination(registry, connection.connectorId, draft.destinationType)
  const [delivers, targets] = [destination.delivers, targetsOf(destination)]
  const tables = await Promise.all(
    (await listTables(tx)).map(async (table) => ({ isProfile: table.isProfile, pinned: await pinTable(tx, table) })),
  )
  const segments = await listSegments(tx)
  try {
    planSources({ export: draft, connection, delivers, targets, tables, segments, ledgers: new Map(), now })
  } catch (error) {
    // What a draft names and does not exist is a mistake in the draft: the address of the request is right.
    if (!(error instanceof Problem) || error.code !== 'not-found') throw error
    throw new Problem('invalid', error.message, { path: error.path, cure: error.cure, cause: error })
  }
}

function checkDestination(registry: Registry, connectorId: string, draft: ExportDraft): ExportDraft['destination'] {
  const destination = findDestination(registry, connectorId, draft.destinationType)
  if (!destination.modes.includes(draft.mode))
    throw new Problem('invalid', `mode: ${destination.name} does not offer ${draft.mode}`, {
      path: 'mode',
      cure: `Choose one of ${destination.modes.join(', ')}`,
    })
  const { values, problems } = parseFieldValues(destination.fields, draft.destination)
  const [first] = problems
  if (first === undefined) return values
  const path = first.field === '' ? 'destination' : `destination.${first.field}`
  throw new Problem('invalid', `${path}: ${first.message}`, {
    path,
    cure: `See what it asks for: patchbay connector show ${connectorId}`,
  })
}

export function findDestination(registry: Registry, connectorId: string, type: string): Destination {
  const destinations = registry.findConnector(connectorId)?.destinations ?? {}
  const found = Object.hasOwn(destinations, type) ? destinations[type] : undefined
  if (found !== undefined) return found
  throw new Problem('invalid', `destinationType: The connector ${connectorId} has no destination "${type}"`, {
    path: 'destinationType',
    cure: `Choose one of ${Object.keys(destinations).join(', ')}`,
  })
}
