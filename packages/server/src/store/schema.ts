/**
 * The control store's tables as Kysely sees them. Nothing here is about a single customer, with one exception: the literals
 * of a segment's rule, which a person typed (see `segment`, and the copy of it in `run.plan`). Secrets are sealed texts.
 */
import type { LinkRow, SessionRow, SignInRow, UserRow } from './schema-users.ts'
import type { ColumnType, Generated, JSONColumnType, Kysely, Transaction } from 'kysely'
import type { DataPolicy } from '../domain/connection.ts'
import type { ExportSource, FileFormat, GuardLimits, MergeRule } from '../domain/export.ts'
import type { LedgerRef, Plan } from '../domain/plan.ts'
import type { RunCounts } from '../domain/run.ts'
import type { Schedule } from '../domain/schedule.ts'
import type { Rule } from '../domain/segment.ts'
import type { TableField, TableVersion } from '../domain/table.ts'
import type {
  ConnectionCheckRow,
  ConnectionSortRow,
  ConnectionUserRow,
  ConnectorSeenRow,
  NotificationCauseRow,
  NotificationDeliveryRow,
  NotificationReadRow,
  NotificationRow,
  NotificationSettingRow,
  RemovedConnectionRow,
  SecretExpiryRow,
} from './schema-connection.ts'

/** A handle that may be a transaction or not: enough to read, and to write one statement. */
export type Db = Kysely<Schema>
/** For what takes several statements and must happen whole or not at all. */
export type Tx = Transaction<Schema>

export interface Schema {
  table_: TableRow
  table_version: TableVersionRow
  segment: SegmentRow
  connection: ConnectionRow
  connection_user: ConnectionUserRow
  connection_sort: ConnectionSortRow
  removed_connection: RemovedConnectionRow
  connection_check: ConnectionCheckRow
  secret_expiry: SecretExpiryRow
  notification: NotificationRow
  notification_cause: NotificationCauseRow
  notification_read: NotificationReadRow
  notification_setting: NotificationSettingRow
  notification_delivery: NotificationDeliveryRow
  connector_seen: ConnectorSeenRow
  secret: SecretRow
  oauth_grant: OAuthGrantRow
  oauth_attempt: OAuthAttemptRow
  data_key: DataKeyRow
  export: ExportRow
  schedule: ScheduleRow
  export_sort: ExportSortRow
  export_last_run: ExportLastRunRow
  ledger: LedgerRow
  delivered_file: DeliveredFileRow
  run: RunRow
  run_journal: RunJournalRow
  user_: UserRow
  sign_in: SignInRow
  session: SessionRow
  link: LinkRow
  idempotency: IdempotencyRow
  api_key: ApiKeyRow
  audit: AuditRow
  setting: SettingRow
  erased: ErasedRow
  upload: UploadRow
}

/** Written as JSON text, read as the value. */
type Json<T> = ColumnType<T, string, string>
type JsonOrNull<T> = ColumnType<T | null, string | null, string | null>
type Values = Readonly<Record<string, string | number | boolean>>

interface TableRow {
  id: string
  name: string
  is_profile: boolean
  key: string
  fields: Json<readonly TableField[]>
  current_version: number
  /** Highest number ever given out, so that two imports at once never write into one folder. */
  last_version: number
  created_at: Date
  updated_at: Date
  revision: Generated<number>
}
interface TableVersionRow {
  table_id: string
  version: number
  fields: Json<readonly TableField[]>
  files: Json<TableVersion['files']>
  rows: number
  bad_lines: number
  created_at: Date
}
interface SegmentRow {
  id: string
  name: string
  rule: Json<Rule>
  created_at: Date
  updated_at: Date
  revision: Generated<number>
}
interface ConnectionRow {
  id: string
  name: string
  connector_id: string
  settings: Json<Values>
  policy: Json<DataPolicy>
  sharing: Generated<'administrators' | 'contributors' | 'named'>
  /** Exports on it, counted by a trigger. */
  used_by: Generated<number>
  health: Generated<'unknown' | 'healthy' | 'failing'>
  checked_at: Date | null
  /** When it is to be checked next. */
  check_due_at: ColumnType<Date | null, Date | null | undefined, Date | null>
  failing_step: ColumnType<string | null, undefined, string | null>
  failing_field: ColumnType<string | null, undefined, string | null>
  failing_message: ColumnType<string | null, undefined, string | null>
  /** Checks that failed in a row. */
  failures: Generated<number>
  created_at: Date
  created_by: string
  updated_at: Date
  revision: Generated<number>
}
interface SecretRow {
  connection_id: string
  field: string
  /** Empty where the field names a secret of a key vault. */
  sealed: string
  vault_id: string | null
  vault_secret: string | null
  updated_at: Date
}
/** A connection's sign-in as somebody. */
interface OAuthGrantRow {
  connection_id: string
  /** Grows with each change of the tokens. */
  generation: number
  state: 'signed-in' | 'sign-in-again'
  reason: string | null
  account: Json<{ readonly id: string; readonly name: string; readonly details?: Readonly<Record<string, string>> }>
  client_id: string
  sealed: string
  refresh_at: Date | null
  access_expires_at: Date | null
  expires_at: Date | null
  signed_in_at: Date
  signed_in_by: string
  /** Somebody refreshes it, and loses the right to at this moment. */
  claimed_until: Date | null
  /** A refresh was begun, and nobody knows how it ended. */
  unanswered: Generated<boolean>
  updated_at: Date
}
interface OAuthAttemptRow {
  id: string
  connection_id: string
  state_hash: string
  asker: string
  endpoint_identity: string
  redirect_uri: string
  sealed: string
  step: 'started' | 'answered' | 'exchanging' | 'exchanged' | 'failed'
  reason: string | null
  created_at: Date
  expires_at: Date
}
interface DataKeyRow {
  id: string
  wrapped: string
  /** By the key that is to come, while a rotation goes on. */
  wrapped_next: string | null
  state: 'active' | 'retired'
  created_at: Date
}
interface ExportRow {
  id: string
  name: string
  connection_id: string | null
  connector_id: string
  destination_type: string
  destination: Json<Values>
  mode: 'append' | 'upsert' | 'mirror' | 'replace'
  source: Json<ExportSource>
  merge: Json<MergeRule>
  format: Json<FileFormat>
  guard: Json<GuardLimits>
  created_at: Date
  created_by: string
  updated_at: Date
  updated_by: string
  /** Who removed it while a run went on: it goes when that has ended. */
  leaving_by: ColumnType<string | null, string | null | undefined, string | null>
  revision: Generated<number>
}
/** Kept by the database's own triggers: what the list of exports is ordered by. */
interface ExportSortRow {
  export_id: string
  sort: string
  key: string
}
/** Kept by a trigger: the newest run that delivers. */
interface ExportLastRunRow {
  export_id: string
  run_id: string
  status: RunStatusColumn
  started_by: RunRow['started_by']
  actor: string
  created_at: Date
  finished_at: Date | null
  delivered: number
  rejected: number
}
interface ScheduleRow {
  export_id: string
  spec: Json<Schedule>
  is_on: boolean
  /** Null while off, detached, paused, or without a time of its own (`after-refresh`). */
  next_at: Date | null
  /** Scheduled runs that failed in a row. */
  failures: Generated<number>
  paused_reason: string | null
  /** A table was refreshed while a run was going on: the next run starts when that one ends. */
  refresh_pending: Generated<boolean>
}
interface LedgerRow {
  export_id: string
  /** The place at the far end that accepted these rows: another list, folder or account has a ledger of its own. */
  destination_digest: string
  source: string
  ref: Json<LedgerRef>
  version: number
  run_id: string
  updated_at: Date
}
interface DeliveredFileRow {
  export_id: string
  destination_digest: string
  name: string
  rows: number
  size_bytes: number
  sha256: string
  run_id: string
}

export type RunStatusColumn =
  | 'queued'
  | 'running'
  | 'held'
  | 'successful'
  | 'completed-with-rejects'
  | 'failed-retrying'
  | 'failed'
  | 'canceled'
  | 'skipped'

interface RunRow {
  id: string
  export_id: string
  purpose: 'deliver' | 'preview'
  status: RunStatusColumn
  stage: 'plan' | 'select' | 'diff' | 'guard' | 'deliver' | 'settle' | null
  /** `[{ stage, at }]`, appended as the run goes. */
  stages: ColumnType<readonly { readonly stage: string; readonly at: string }[], never, string>
  started_by: 'person' | 'schedule' | 'refresh' | 'retry'
  actor: string
  counts: JsonOrNull<RunCounts>
  reason: string | null
  plan: JsonOrNull<Plan>
  /** The engine's `RunDiff`; the store may not know the engine's types. */
  diff: JsonOrNull<unknown>
  outbox_digest: string | null
  approved_digest: string | null
  approved_by: string | null
  approved_at: Date | null
  cancel_requested_at: Date | null
  cancel_requested_by: string | null
  slot: Date | null
  late: Generated<boolean>
  /** Grows with each take-over; every write of a run names the one it holds. */
  epoch: Generated<number>
  heartbeat_at: Date | null
  holder: string | null
  /** Failures so far that were worth another try. */
  attempts: Generated<number>
  /** Not to be started before. */
  due_at: Date
  retry_of: string | null
  retry_include: 'rejected' | 'rejected-and-uncertain' | null
  connection_id: string | null
  destination_digest: string | null
  created_at: Date
  started_at: Date | null
  finished_at: Date | null
  /** When the answers were worked into the ledgers; null for a run that never got so far. */
  settled_at: Date | null
}
interface RunJournalRow {
  run_id: string
  source: string
  kind: 'batch' | 'part' | 'commit'
  first_seq: number
  last_seq: number
  state: 'intended' | 'answered'
  accepted: Generated<number>
  rejected: Generated<number>
  uncertain: Generated<number>
  exceptions_path: string | null
  file: JsonOrNull<StoredFile>
  intended_at: Generated<Date>
  answered_at: Date | null
  jobs: ColumnType<Readonly<Record<string, string | null>>, never, never>
}
export interface StoredFile {
  readonly name: string
  readonly rows: number
  readonly sizeBytes: number
  readonly sha256: string
}
interface IdempotencyRow {
  scope: string
  key: string
  request_digest: string
  answer: JsonOrNull<unknown>
  created_at: Date
}
interface ApiKeyRow {
  id: string
  name: string
  role: string
  hash: string
  created_at: Date
  created_by: string
  expires_at: Date | null
  last_used_at: Date | null
}
interface AuditRow {
  seq: number
  at: Date
  actor: string
  action: string
  subject: string
  detail: JSONColumnType<Readonly<Record<string, unknown>>, string, never>
  prev_hash: string
  hash: string
}
/** By the SHA-256 of the row's key, so that the key of who is erased does not stand here. */
interface ErasedRow {
  table_id: string
  key_hash: string
  erased_at: Date
  erased_by: string
}
interface SettingRow {
  key: string
  value: Json<unknown>
  updated_at: Date
}
interface UploadRow {
  id: string
  name: string
  size_bytes: number
  state: 'receiving' | 'complete'
  created_by: string
  created_at: Date
  expires_at: Date
}
