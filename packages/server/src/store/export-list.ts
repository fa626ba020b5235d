/** The list of exports: columns of the export, its connection, its schedule and its last run, ordered by one index (`export_sort`). */
import { sql } from 'kysely'
import type { ConnectionId, ExportId, RunId } from '../domain/ids.ts'
import type { RunStatus, StartedBy } from '../domain/run.ts'
import type { Schedule } from '../domain/schedule.ts'
import { pageOf, paged, patternOf, type Page, type PageRequest } from './page.ts'
import type { Db } from './schema.ts'

export type ExportSort =
  | 'name'
  | 'connector'
  | 'connection'
  | 'kind'
  | 'status'
  | 'lastRun'
  | 'delivered'
  | 'rejected'
  | 'nextRun'
  | 'created'
  | 'updated'
  | 'updatedBy'

export interface ExportFilter {
  /** Anywhere in the name of the export or of its connection, or in the connector's id. */
  readonly search?: string
  readonly connectionId?: ConnectionId
  readonly connectorId?: string
  readonly kind?: 'segment' | 'data-out'
  /** Of the last run; `never` where there was none. */
  readonly status?: RunStatus | 'never'
  readonly schedule?: 'on' | 'off' | 'none' | 'paused'
  readonly isAttached?: boolean
}

export interface LastRun {
  readonly id: RunId
  readonly status: RunStatus
  readonly startedBy: StartedBy
  readonly actor: string
  readonly createdAt: Date
  readonly finishedAt: Date | null
  readonly delivered: number
  readonly rejected: number
}

export interface ListedExport {
  readonly id: ExportId
  readonly name: string
  readonly kind: 'segment' | 'data-out'
  readonly connectionId: ConnectionId | null
  readonly connectionName: string | null
  readonly connectorId: string
  readonly destinationType: string
  readonly mode: 'append' | 'upsert' | 'mirror' | 'replace'
  readonly schedule: Schedule | null
  readonly nextAt: Date | null
  readonly pausedReason: string | null
  readonly lastRun: LastRun | null
  readonly createdAt: Date
  readonly createdBy: string
  readonly updatedAt: Date
  readonly updatedBy: string
  readonly revision: number
}

export async function pageExports(
  db: Db,
  filter: ExportFilter,
  page: PageRequest<ExportSort>,
): Promise<Page<ListedExport>> {
  let query = db
    .selectFrom('export_sort')
    .innerJoin('export', 'export.id', 'export_sort.export_id')
    .leftJoin('connection', 'connection.id', 'export.connection_id')
    .leftJoin('schedule', 'schedule.export_id', 'export_sort.export_id')
    .leftJoin('export_last_run as last', 'last.export_id', 'export_sort.export_id')
    .where('export_sort.sort', '=', page.sort)
    .select([
      'export.id',
      'export.name',
      'export.connection_id',
      'connection.name as connection_name',
      'export.connector_id',
      'export.destination_type',
      'export.mode',
      'export.created_at',
      'export.created_by',
      'export.updated_at',
      'export.updated_by',
      'export.revision',
      'schedule.spec',
      'schedule.is_on',
      'schedule.next_at',
      'schedule.paused_reason',
      'last.run_id',
      'last.status',
      'last.started_by',
      'last.actor',
      'last.created_at as run_created_at',
      'last.finished_at',
      'last.delivered',
      'last.rejected',
    ])
    .select(sql<'segment' | 'data-out'>`export.source ->> 'kind'`.as('kind'))

  if (filter.search !== undefined) {
    const pattern = patternOf(filter.search)
    query = query.where(
      sql<boolean>`(lower(export.name) LIKE ${pattern} OR lower(connection.name) LIKE ${pattern} OR export.connector_id LIKE ${pattern})`,
    )
  }
  if (filter.connectionId !== undefined) query = query.where('export.connection_id', '=', filter.connectionId)
  if (filter.connectorId !== undefined) query = query.where('export.connector_id', '=', filter.connectorId)
  if (filter.kind !== undefined) query = query.where(sql<boolean>`export.source ->> 'kind' = ${filter.kind}`)
  if (filter.status === 'never') query = query.where('last.run_id', 'is', null)
  else if (filter.status !== undefined) query = query.where('last.status', '=', filter.status)
  if (filter.schedule === 'none') query = query.where('schedule.export_id', 'is', null)
  else if (filter.schedule === 'paused') query = query.where('schedule.paused_reason', 'is not', null)
  else if (filter.schedule !== undefined) query = query.where('schedule.is_on', '=', filter.schedule === 'on')
  if (filter.isAttached !== undefined)
    query = query.where('export.connection_id', filter.isAttached ? 'is not' : 'is', null)

  const order = { key: sql`export_sort.key`, id: sql`export_sort.export_id`, type: 'text' } as const
  return pageOf(await paged(query, order, page).execute(), page, listedOf, ({ id }) => id)
}

interface Row {
  readonly id: string
  readonly name: string
  readonly kind: 'segment' | 'data-out'
  readonly connection_id: string | null
  readonly connection_name: string | null
  readonly connector_id: string
  readonly destination_type: string
  readonly mode: ListedExport['mode']
  readonly spec: Schedule | null
  readonly is_on: boolean | null
  readonly next_at: Date | null
  readonly paused_reason: string | null
  readonly run_id: string | null
  readonly status: RunStatus | null
  readonly started_by: StartedBy | null
  readonly actor: string | null
  readonly run_created_at: Date | null
  readonly finished_at: Date | null
  readonly delivered: number | null
  readonly rejected: number | null
  readonly created_at: Date
  readonly created_by: string
  readonly updated_at: Date
  readonly updated_by: string
  readonly revision: number
}

function listedOf(row: Row): ListedExport {
  return {
    id: row.id as ExportId,
    name: row.name,
    kind: row.kind,
    connectionId: row.connection_id as ConnectionId | null,
    connectionName: row.connection_name,
    connectorId: row.connector_id,
    destinationType: row.destination_type,
    mode: row.mode,
    schedule: row.spec === null ? null : { ...row.spec, on: row.is_on ?? false },
    nextAt: row.next_at,
    pausedReason: row.paused_reason,
    lastRun: lastRunOf(row),
    createdAt: row.created_at,
    createdBy: row.created_by,
    updatedAt: row.updated_at,
    updatedBy: row.updated_by,
    revision: row.revision,
  }
}

function lastRunOf(row: Row): LastRun | null {
  const { run_id, status, started_by, run_created_at } = row
  if (run_id === null || status === null || started_by === null || run_created_at === null) return null
  return {
    id: run_id as RunId,
    status,
    startedBy: started_by,
    actor: row.actor ?? '',
    createdAt: run_created_at,
    finishedAt: row.finished_at,
    delivered: row.delivered ?? 0,
    rejected: row.rejected ?? 0,
  }
}

/** Of one export, what its list row says beside the export itself. */
export async function readExportUse(
  db: Db,
  id: ExportId,
): Promise<{ readonly connectionName: string | null; readonly lastRun: LastRun | null }> {
  const row = await db
    .selectFrom('export')
    .leftJoin('connection', 'connection.id', 'export.connection_id')
    .leftJoin('export_last_run as last', 'last.export_id', 'export.id')
    .select([
      'connection.name as connection_name',
      'last.run_id',
      'last.status',
      'last.started_by',
      'last.actor',
      'last.created_at as run_created_at',
      'last.finished_at',
      'last.delivered',
      'last.rejected',
    ])
    .where('export.id', '=', id)
    .executeTakeFirst()
  if (row === undefined) return { connectionName: null, lastRun: null }
  return { connectionName: row.connection_name, lastRun: lastRunOf(row as Row) }
}
