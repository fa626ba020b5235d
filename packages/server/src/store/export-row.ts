import type { Export } from '../domain/export.ts'
import type { ConnectionId, ExportId } from '../domain/ids.ts'
import type { Db } from './schema.ts'

/** An export with what the schedule makes of it. */
export interface ScheduledExport extends Export {
  readonly updatedAt: Date
  readonly updatedBy: string
  /** Null while it does not start by the clock. */
  readonly nextAt: Date | null
  /** Why the schedule was stopped by itself, after too many failures in a row; null while it was not. */
  readonly pausedReason: string | null
}

export function selectExports(db: Db) {
  return db
    .selectFrom('export')
    .leftJoin('schedule', 'schedule.export_id', 'export.id')
    .selectAll('export')
    .select(['schedule.spec', 'schedule.is_on', 'schedule.next_at', 'schedule.paused_reason'])
}

export type ExportRow = Awaited<ReturnType<ReturnType<typeof selectExports>['executeTakeFirstOrThrow']>>

export function exportOf(row: ExportRow): ScheduledExport {
  return {
    id: row.id as ExportId,
    name: row.name,
    connectionId: row.connection_id as ConnectionId | null,
    connectorId: row.connector_id,
    destinationType: row.destination_type,
    destination: row.destination,
    mode: row.mode,
    source: row.source,
    merge: row.merge,
    format: row.format,
    guard: row.guard,
    schedule: row.spec === null ? null : { ...row.spec, on: row.is_on ?? false },
    createdAt: row.created_at,
    createdBy: row.created_by,
    revision: row.revision,
    updatedAt: row.updated_at,
    updatedBy: row.updated_by,
    nextAt: row.next_at,
    pausedReason: row.paused_reason,
  }
}
