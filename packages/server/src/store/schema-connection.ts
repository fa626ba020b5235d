/** Tables about connections that stand beside `connection` itself, and about what people are told. See `schema.ts`. */
import type { ColumnType, Generated } from 'kysely'
import type { DataPolicy, Sharing } from '../domain/connection.ts'
import type { NotificationKind, NotificationWays } from '../domain/notification.ts'

/** Written as JSON text, read as the value. */
type Json<T> = ColumnType<T, string, string>
type Values = Readonly<Record<string, string | number | boolean>>

export interface RemovedConnectionRow {
  id: string
  name: string
  connector_id: string
  settings: Json<Values>
  policy: Json<DataPolicy>
  sharing: Json<Sharing>
  created_at: Date
  created_by: string
  revision: number
  /** Ids of the exports that the removal detached. */
  detached: Json<readonly string[]>
  removed_at: Date
  removed_by: string
}
export interface ConnectionCheckRow {
  connection_id: string
  at: Date
  started_by: 'person' | 'saved' | 'run' | 'clock'
  ok: boolean
  step: string | null
  field: string | null
  message: string | null
}
export interface SecretExpiryRow {
  connection_id: string
  field: string
  expires_at: Date
}
export interface NotificationRow {
  id: string
  kind: NotificationKind
  phase: 'raised' | 'recovered'
  cause: string
  title: string
  detail: string
  export_id: string | null
  connection_id: string | null
  run_id: string | null
  /** Whom the export belongs to. */
  owner: string | null
  at: Date
}
export interface NotificationCauseRow {
  key: string
  kind: NotificationKind
  opened_at: Date
  last_at: Date
  times: Generated<number>
}
export interface NotificationReadRow {
  notification_id: string
  reader: string
}
export interface NotificationSettingRow {
  /** As `actorOf` names them. */
  reader: string
  ways: Json<NotificationWays>
  mail_to: string | null
  webhook_url: string | null
  /** Sealed. */
  webhook_secret: string | null
  updated_at: Date
}
export interface NotificationDeliveryRow {
  notification_id: string
  reader: string
  way: 'mail' | 'webhook'
  attempts: Generated<number>
  /** Null when it has ended. */
  due_at: Date | null
  ended: ColumnType<'sent' | 'given-up' | 'not-theirs' | null, undefined, 'sent' | 'given-up' | 'not-theirs' | null>
  error: ColumnType<string | null, undefined, string | null>
}
/** Whom a connection that is shared with named users is shared with. */
export interface ConnectionUserRow {
  connection_id: string
  user_id: string
}
/** Written by triggers alone: for each column of the list of connections, the text that it is sorted by. */
export interface ConnectionSortRow {
  connection_id: string
  sort: string
  key: string
}
export interface ConnectorSeenRow {
  id: string
  direction: string
  category: string
}
