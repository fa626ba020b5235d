/** What the HTTP application needs of the parts that it may not import. Named by use; put together in `main`. */
import type { System } from '@patchbay/contract'
import type { SignIn } from '../access/sign-in.ts'
import type { ConnectionAccess } from '../connector-host/context.ts'
import type { ConnectorHost } from '../connector-host/host.ts'
import type { Registry } from '../connector-host/registry.ts'
import type { Connection } from '../domain/connection.ts'
import type { ConnectionId, ExportId, RunId, TableId } from '../domain/ids.ts'
import type { LedgerRef } from '../domain/plan.ts'
import type { Rule } from '../domain/segment.ts'
import type { FieldType, PinnedTable, TableField } from '../domain/table.ts'
import type { AuditHead } from '../store/audit.ts'
import type { By } from '../store/by.ts'
import type { Db, Tx } from '../store/schema.ts'
import type { NewVersion } from '../store/table.ts'

export interface HttpPorts {
  readonly version: string
  /** Where the pages of the web application were built, if they were. */
  readonly pagesFolder: string | undefined
  readonly db: Db
  readonly clock: { now(): Date }
  readonly randomBytes: (size: number) => Uint8Array
  readonly watch: WatchPort
  readonly lake: LakePort
  readonly registry: Registry
  readonly host: ConnectorHost
  readonly secrets: SecretPort
  readonly serviceSignIn: ServiceSignInPort
  readonly signIn: SignIn
  /** Where browsers reach the server, where that is known. */
  readonly publicUrl: string | undefined
  /** Host and port at which the server listens, by its settings. */
  readonly networkAddress: string
  readonly notifications: NotificationPort
  readonly uploadBytesMax: number
  /** Of one identity. */
  readonly requestsPerMinute: number
  readonly system: SystemPort
  readonly jobs: JobPort
  /** The server is about to stop: what is followed ends, and whoever follows comes back. */
  readonly stopping: AbortSignal
}

/** Everything that makes a run, or stops one: written in the caller's transaction, and done by a worker afterwards. */
export interface JobPort {
  startRun(
    tx: Tx,
    run: { readonly exportId: ExportId; readonly purpose: 'deliver' | 'preview' },
    by: By,
  ): Promise<RunId>
  cancelRun(tx: Tx, id: RunId, by: By): Promise<void>
  approveRun(tx: Tx, id: RunId, outboxDigest: string, by: By): Promise<void>
  retryRun(tx: Tx, id: RunId, include: 'rejected' | 'rejected-and-uncertain', by: By): Promise<RunId>
  /** Exports that run after a refresh of this table are started. */
  tableRefreshed(tx: Tx, id: TableId, by: By): Promise<void>
  /** Called after the commit of something that may have queued a run. */
  wake(): void
}

export interface NotificationPort {
  /** Whether this server knows a mail server. */
  readonly canMail: boolean
  /** Seals the key that a reader's webhook is signed with, for that reader and that address. */
  sealKey(place: { readonly reader: string; readonly url: string }, key: string): string
}

/** Logs and metrics: ids, counts and codes. */
export interface WatchPort {
  answered(answer: {
    readonly requestId: string
    readonly endpoint: string
    readonly status: number
    readonly millis: number
  }): void
  bug(where: { readonly requestId: string; readonly endpoint: string }, error: unknown): void
  /** What `/metrics` shows. */
  metrics(): Promise<{ readonly contentType: string; readonly text: string }>
}

export interface UploadedFile {
  readonly uploadId: string
  /** For messages, and for its ending. Never a path. */
  readonly name: string
}

export interface ReadOptions {
  readonly format?: 'csv' | 'parquet' | 'json-lines'
  readonly delimiter?: string
  readonly quote?: '"' | "'" | ''
  readonly encoding?: string
  readonly header?: boolean
  readonly dateOrder?: 'day-first' | 'month-first'
}

export interface BadLine {
  readonly file: string
  readonly line: number
  readonly field: string | null
  readonly reason: string
}

export type Cell = string | number | boolean | null

export interface LakePort {
  /** Writes the bytes of an upload, durable before it returns; gives their number. */
  receive(uploadId: string, bytes: AsyncIterable<Uint8Array>): Promise<number>
  discardUpload(uploadId: string): Promise<void>
  inspect(
    files: readonly UploadedFile[],
    read: ReadOptions,
    signal: AbortSignal,
  ): Promise<{
    readonly format: 'csv' | 'parquet' | 'json-lines'
    readonly delimiter: string | null
    readonly header: boolean | null
    readonly encoding: string | null
    readonly fields: readonly {
      readonly name: string
      readonly type: FieldType
      readonly isKeyCandidate: boolean | null
    }[]
    readonly suggestedKey: string | null
    readonly notes: readonly string[]
    /** In the part that was looked at. */
    readonly badLines: readonly BadLine[]
    readonly sample: readonly (readonly Cell[])[]
  }>
  /** All of the files or nothing: the version's folder stands whole before it returns. */
  importVersion(
    target: { readonly tableId: TableId; readonly version: number; readonly key: string },
    files: readonly UploadedFile[],
    how: {
      readonly read: ReadOptions
      readonly types: Readonly<Record<string, FieldType>>
      readonly badLinesMax: number
      /** The fields of the version before: labels, tags and types stay. Null for a table's first. */
      readonly previous: readonly TableField[] | null
      readonly allowSchemaChange: boolean
    },
    signal: AbortSignal,
  ): Promise<{
    readonly made: NewVersion
    readonly badLines: readonly BadLine[]
    readonly notes: readonly string[]
    readonly change: {
      readonly added: readonly string[]
      readonly removed: readonly string[]
      readonly retyped: readonly { readonly field: string; readonly from: FieldType; readonly to: FieldType }[]
    }
  }>
  discardVersion(tableId: TableId, version: number): Promise<void>
  /** By the key's order. */
  readRows(
    table: PinnedTable,
    page: { readonly offset: number; readonly limit: number },
    signal: AbortSignal,
  ): Promise<readonly (readonly Cell[])[]>
  profileField(
    table: PinnedTable,
    field: string,
    signal: AbortSignal,
  ): Promise<{
    readonly rows: number
    readonly empty: number
    readonly distinct: number
    readonly smallest: Cell
    readonly largest: Cell
    readonly common: readonly { readonly value: Cell; readonly rows: number }[]
  }>
  countMembers(selection: Selection, signal: AbortSignal): Promise<number>
  readMembers(selection: Selection, limit: number, signal: AbortSignal): Promise<readonly (readonly Cell[])[]>
  /** Of one source of the run, the rows after the one `at` which the last page ended; 0 for the first page. */
  readRunRows(
    runId: RunId,
    source: string,
    which: 'rejected' | 'uncertain' | 'merged' | 'suppressed',
    page: { readonly after: number; readonly limit: number },
    signal: AbortSignal,
  ): Promise<
    readonly {
      readonly at: number
      readonly key: string
      readonly change: string | null
      readonly reason: string
      readonly message: string | null
      readonly standsFor: string | null
    }[]
  >
  /** How often each reason stands among these rows, the commonest first. */
  groupRunRows(
    runId: RunId,
    source: string,
    which: 'rejected' | 'uncertain' | 'merged' | 'suppressed',
    limit: number,
    signal: AbortSignal,
  ): Promise<readonly { readonly reason: string; readonly message: string | null; readonly rows: number }[]>
  /** Keys of rows in which this field is this text, whatever its case. */
  findKeys(
    table: PinnedTable,
    field: string,
    value: string,
    limit: number,
    signal: AbortSignal,
  ): Promise<readonly string[]>
  /** For each ledger, the rows of it that have one of these keys, or one of these identifiers. */
  findInLedgers(
    ledgers: readonly LedgerRef[],
    wanted: { readonly keys: readonly string[]; readonly values: readonly string[] },
    signal: AbortSignal,
  ): Promise<
    readonly (readonly {
      readonly key: string
      readonly state: 'accepted' | 'uncertain'
      readonly since: string | null
    }[])[]
  >
  /** The first rows of one source as they would be sent; undefined where the run has none. */
  readSample(runId: RunId, source: string): Promise<readonly unknown[] | undefined>
}

/** A rule with its segments resolved, and the tables that it speaks of. */
export interface Selection {
  readonly table: PinnedTable
  readonly where: Rule
  readonly related: readonly PinnedTable[]
  readonly now: Date
}

export interface SecretPort {
  /** Seals a secret for one field of one connection, and for where and as whom it is to be used. */
  seal(
    place: { readonly connectionId: ConnectionId; readonly field: string; readonly endpointIdentity: string },
    text: string,
  ): string
  /** The stored connection, with the way to open its secrets at the moment of use. */
  accessOf(connection: Connection): ConnectionAccess
  /** The newest of a key vault; `field` is for the words of a failure. */
  readFromVault(vaultId: ConnectionId, name: string, field: string): Promise<string>
}

/** Signing a connection in to its service as somebody. `asker` is the session or the key that asks. */
export interface ServiceSignInPort {
  start(
    connection: string,
    asker: string,
    by: By,
  ): Promise<{ readonly id: string; readonly address: string; readonly expiresAt: Date }>
  /** What a browser brings from the service; nothing of it is believed before whoever started it finishes. */
  callback(query: URLSearchParams, now: Date): Promise<'kept' | 'unknown'>
  finish(
    connection: string,
    given: { readonly attempt: string; readonly takeAccount?: string },
    asker: string,
    by: By,
    signal: AbortSignal,
  ): Promise<void>
}

export interface KeyRotationPort {
  /** Gives where the old key file is kept. */
  rotate(by: By): Promise<{ readonly oldKeyFile: string }>
  /** The old key opens nothing from here on. */
  settle(by: By): Promise<void>
  status(): Promise<{
    /** Secrets that are sealed under an earlier data key. */
    readonly waiting: number
    /** Of these, the ones that do not open: they were moved or changed in the database. */
    readonly unopened: number
    readonly isRunning: boolean
    readonly isUnsettled: boolean
  }>
}

export interface SystemPort {
  readonly keyRotation: KeyRotationPort
  describe(signal: AbortSignal): Promise<System>
  /** A sealed copy of everything but the key. */
  backup(signal: AbortSignal): Promise<ReadableStream<Uint8Array>>
  isReady(): Promise<boolean>
  /** False where there is nothing to confirm. */
  confirmRestore(by: By): Promise<boolean>
  /** The head of the audit log as it was kept outside the store. */
  readAuditAnchor(): AuditHead | null
}
