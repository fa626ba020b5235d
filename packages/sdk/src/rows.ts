/** Identifies one row of one export for ever: the engine makes it, a connector only hands it back. */
export type RowKey = string & { readonly __rowKey: unique symbol }

/** What JSON can say of one cell. Dates and times are ISO 8601 text; decimals are numbers. */
export type Value = string | number | boolean | null

export type ChangeType = 'added' | 'changed' | 'removed'

/** One row to deliver. For `removed`, `fields` holds the identifiers only. */
export interface Change {
  readonly change: ChangeType
  readonly key: RowKey
  readonly fields: Readonly<Record<string, Value>>
}

/**
 * The rows of one request. A batch that is sent again has the same `id` and the same rows in the same order.
 */
export interface Batch {
  /** Stable over resends and process restarts: use it as the idempotency key. At most 64 characters of [0-9a-z_-]. */
  readonly id: string
  readonly size: number
  readonly keys: readonly RowKey[]
  /** Each change as JSON text `{"change":…,"key":…,"fields":{…}}`, made by the data engine: four times faster than objects. */
  readonly json: readonly string[]
  /** The same, parsed on first use. */
  readonly changes: readonly Change[]
}

export type RejectReason =
  | 'invalid-field'
  | 'missing-identifier'
  | 'not-allowed'
  | 'not-found'
  | 'duplicate'
  | 'too-large'
  | 'unanswered'
  | 'other'

/** What became of one row. Rows are answered by key, never by position; a row without an answer is rejected as `unanswered`. */
export type RowAnswer =
  | { readonly key: RowKey; readonly status: 'accepted' }
  | { readonly key: RowKey; readonly status: 'rejected'; readonly reason: RejectReason; readonly message: string }
  | { readonly key: RowKey; readonly status: 'retry'; readonly message: string; readonly afterSeconds?: number }

/**
 * The service took a batch and works on it. `job` finds it again, also from another process after a restart: an id of the
 * service's own, at most 500 characters. It is kept in the journal, so it holds no secret and nothing of a row.
 */
export interface AcceptedJob {
  readonly job: string
}
