/** Exports as the API says them. */
import type { Identity } from '../access/identity.ts'
import { reachExports } from '../access/reach.ts'
import { readExportUse, type LastRun, type ListedExport } from '../store/export-list.ts'
import type { ScheduledExport } from '../store/export.ts'
import type { Db } from '../store/schema.ts'

export async function answerExport(db: Db, found: ScheduledExport, identity: Identity) {
  const [mayEdit = false] = await reachExports(db, identity, [found])
  return exportOf(found, await readExportUse(db, found.id), mayEdit)
}

/** Of a page, with what whoever asks may do with each. */
export async function listedExportsOf(db: Db, found: readonly ListedExport[], identity: Identity) {
  const mayEdit = await reachExports(db, identity, found)
  return found.map((item, index) => listedExportOf(item, mayEdit[index] === true))
}

function listedExportOf(found: ListedExport, mayEdit: boolean) {
  const { schedule, lastRun } = found
  return {
    ...found,
    schedule: schedule === null ? null : scheduleOf(schedule),
    nextAt: found.nextAt?.toISOString() ?? null,
    lastRun: lastRunOf(lastRun),
    yourPermissions: mayEdit ? ('edit' as const) : ('view' as const),
    createdAt: found.createdAt.toISOString(),
    updatedAt: found.updatedAt.toISOString(),
  }
}

function lastRunOf(run: LastRun | null) {
  if (run === null) return null
  return { ...run, createdAt: run.createdAt.toISOString(), finishedAt: run.finishedAt?.toISOString() ?? null }
}

function exportOf(
  found: ScheduledExport,
  use: { readonly connectionName: string | null; readonly lastRun: LastRun | null },
  mayEdit: boolean,
) {
  const { source, schedule } = found
  return {
    id: found.id,
    name: found.name,
    connectionId: found.connectionId,
    connectorId: found.connectorId,
    connectionName: use.connectionName,
    kind: source.kind,
    lastRun: lastRunOf(use.lastRun),
    yourPermissions: mayEdit ? ('edit' as const) : ('view' as const),
    destinationType: found.destinationType,
    destination: { ...found.destination },
    mode: found.mode,
    source:
      source.kind === 'segment'
        ? { ...source, segments: [...source.segments], fields: source.fields.map(mappedOf) }
        : {
            ...source,
            tables: source.tables.map(({ fields, ...table }) => ({
              ...table,
              ...(fields === undefined ? {} : { fields: fields.map(mappedOf) }),
            })),
          },
    merge: found.merge,
    format: found.format,
    guard: found.guard,
    schedule: schedule === null ? null : scheduleOf(schedule),
    createdAt: found.createdAt.toISOString(),
    createdBy: found.createdBy,
    updatedAt: found.updatedAt.toISOString(),
    updatedBy: found.updatedBy,
    nextAt: found.nextAt?.toISOString() ?? null,
    pausedReason: found.pausedReason,
    revision: found.revision,
  }
}

type Mapped = Extract<ScheduledExport['source'], { readonly kind: 'segment' }>['fields'][number]

function mappedOf(field: Mapped) {
  return { ...field, transforms: [...field.transforms] }
}

export function scheduleOf(schedule: NonNullable<ScheduledExport['schedule']>) {
  const { every, blackout, ...rest } = schedule
  return {
    ...rest,
    every: every.type === 'weekly' ? { ...every, days: [...every.days] } : every,
    blackout: blackout.map((pause) => ({ ...pause, days: [...pause.days] })),
  }
}
