/** Health of connections: what the last check found, the checks before it, and when the next is due. */
import { sql } from 'kysely'
import type { Connection } from '../domain/connection.ts'
import type { ConnectionId } from '../domain/ids.ts'
import { causeOf } from '../domain/notification.ts'
import { passCause, raiseCause } from './notification.ts'
import type { Db, Tx } from './schema.ts'

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000
/** A connection in use is looked at so often; at different moments, so that not all are looked at at once. */
const EVERY_MS = 60 * MINUTE_MS
/** One that has just failed is looked at sooner: most of what fails once has passed by then, and nobody is told of it. */
const AGAIN_MS = 5 * MINUTE_MS
const FAILURES_TOLD = 2

export type CheckStartedBy = 'person' | 'saved' | 'run' | 'clock'

export interface CheckResult {
  readonly at: Date
  readonly startedBy: CheckStartedBy
  readonly ok: boolean
  /** Of the step that failed. */
  readonly step: string | null
  readonly field: string | null
  readonly message: string | null
}

/**
 * Takes one connection whose check is due, and puts its next check off, so that of several servers one looks. Undefined when
 * none is due. One that no export uses is looked at when it was saved, and then left alone.
 */
export async function claimDueCheck(
  tx: Tx,
  now: Date,
  random: number,
): Promise<{ readonly id: ConnectionId; readonly startedBy: CheckStartedBy } | 'unused' | undefined> {
  const row = await tx
    .selectFrom('connection')
    .select(['id', 'used_by', 'checked_at', 'updated_at'])
    .where('check_due_at', '<=', now)
    .orderBy('check_due_at')
    .limit(1)
    .forNoKeyUpdate()
    .skipLocked()
    .executeTakeFirst()
  if (row === undefined) return undefined
  const next = new Date(now.getTime() + Math.round(EVERY_MS * (0.9 + 0.2 * random)))
  await tx.updateTable('connection').set({ check_due_at: next }).where('id', '=', row.id).execute()
  const isNew = row.checked_at === null || row.checked_at < row.updated_at
  if (!isNew && row.used_by === 0) return 'unused'
  return { id: row.id as ConnectionId, startedBy: isNew ? 'saved' : 'clock' }
}

/**
 * Writes down what a check found. Nothing, where the connection was changed since: then it says nothing of what it is now.
 * A connection in use that fails twice in a row is told of, and also that it works again.
 */
export async function recordCheck(
  tx: Tx,
  checked: Pick<Connection, 'id' | 'revision'>,
  result: CheckResult,
  randomBytes: (size: number) => Uint8Array,
): Promise<void> {
  const before = await tx
    .selectFrom('connection')
    .select(['name', 'connector_id', 'failures', 'used_by'])
    .where('id', '=', checked.id)
    .where('revision', '=', checked.revision)
    .forNoKeyUpdate()
    .executeTakeFirst()
  if (before === undefined) return
  const failures = result.ok ? 0 : before.failures + 1
  await tx
    .updateTable('connection')
    .set({
      health: result.ok ? 'healthy' : 'failing',
      checked_at: result.at,
      failing_step: result.step,
      failing_field: result.field,
      failing_message: result.message,
      failures,
      ...(failures === 1 ? { check_due_at: new Date(result.at.getTime() + AGAIN_MS) } : {}),
    })
    .where('id', '=', checked.id)
    .execute()
  const { at, startedBy, ok, step, field, message } = result
  await tx
    .insertInto('connection_check')
    .values({ connection_id: checked.id, at, started_by: startedBy, ok, step, field, message })
    .execute()
  const news = {
    kind: 'connection-unhealthy',
    cause: causeOf('connection-unhealthy', checked.id),
    title: ok ? `The connection "${before.name}" works again` : `The connection "${before.name}" does not work`,
    // The message names hosts and users, which Administrators alone see: they find it at the connection.
    detail: ok
      ? `${before.used_by} exports use it`
      : `The check failed at the step "${step ?? ''}". ${before.used_by} exports use it`,
    exportId: null,
    connectionId: checked.id,
    runId: null,
    owner: null,
  } as const
  if (ok) await passCause(tx, news, at, randomBytes)
  else if (failures >= FAILURES_TOLD && before.used_by > 0) await raiseCause(tx, news, at, randomBytes)
}

/** The newest first. */
export async function listChecks(db: Db, id: ConnectionId, limit: number): Promise<readonly CheckResult[]> {
  const rows = await db
    .selectFrom('connection_check')
    .selectAll()
    .where('connection_id', '=', id)
    .orderBy('at', 'desc')
    .limit(limit)
    .execute()
  return rows.map(({ at, started_by, ok, step, field, message }) => ({
    at,
    startedBy: started_by,
    ok,
    step,
    field,
    message,
  }))
}

export async function forgetChecks(db: Db, before: Date): Promise<void> {
  await db.deleteFrom('connection_check').where('at', '<', before).execute()
}

/** When a secret ends, as whoever entered it said; null where it does not, or nobody knows. */
export async function writeSecretExpiry(
  tx: Tx,
  id: ConnectionId,
  field: string,
  expiresAt: Date | null,
): Promise<void> {
  await tx.deleteFrom('secret_expiry').where('connection_id', '=', id).where('field', '=', field).execute()
  if (expiresAt === null) return
  await tx.insertInto('secret_expiry').values({ connection_id: id, field, expires_at: expiresAt }).execute()
}

export interface Risk {
  readonly id: ConnectionId
  readonly name: string
  readonly connectorId: string
  readonly why: 'failing' | 'expiring' | 'ended'
  readonly expiresAt: Date | null
  readonly exports: readonly { readonly id: string; readonly name: string }[]
}

/** Connections that do not work, or will not for long; those that end first come first, after those that fail already. */
export async function listRisks(db: Db, now: Date, days: number, limit: number): Promise<readonly Risk[]> {
  const until = new Date(now.getTime() + days * DAY_MS)
  const { rows } = await sql<{
    id: string
    name: string
    connector_id: string
    health: string
    expires_at: Date | null
    exports: readonly { id: string; name: string }[] | null
  }>`
    WITH ending AS (
      SELECT connection_id, min(expires_at) AS expires_at FROM (
        SELECT connection_id, expires_at FROM secret_expiry WHERE expires_at <= ${until}
        UNION ALL SELECT connection_id, expires_at FROM oauth_grant WHERE expires_at <= ${until}
      ) AS each_one GROUP BY connection_id
    )
    SELECT connection.id, connection.name, connection.connector_id, connection.health, ending.expires_at,
           (SELECT jsonb_agg(jsonb_build_object('id', export.id, 'name', export.name) ORDER BY export.name)
              FROM export WHERE export.connection_id = connection.id) AS exports
      FROM connection LEFT JOIN ending ON ending.connection_id = connection.id
     WHERE connection.id IN (SELECT connection_id FROM ending
                             UNION SELECT connection_id FROM connection_sort WHERE sort = 'health' AND key = '0')
     ORDER BY ending.expires_at IS NOT NULL, ending.expires_at, connection.name, connection.id
     LIMIT ${limit}`.execute(db)
  return rows.map((row) => ({
    id: row.id as ConnectionId,
    name: row.name,
    connectorId: row.connector_id,
    why: row.expires_at === null ? 'failing' : row.expires_at <= now ? 'ended' : 'expiring',
    expiresAt: row.expires_at,
    exports: row.exports ?? [],
  }))
}

/** Tells of what ends soon, and that it does not any more. */
export async function tellExpiring(
  tx: Tx,
  now: Date,
  days: number,
  randomBytes: (size: number) => Uint8Array,
): Promise<void> {
  const newsOf = (id: string, title: string, detail: string) =>
    ({
      kind: 'connection-expiring',
      cause: causeOf('connection-expiring', id),
      title,
      detail,
      exportId: null,
      connectionId: id,
      runId: null,
      owner: null,
    }) as const
  const risks = await listRisks(tx, now, days, 10_000)
  const ending = new Set<string>()
  for (const { id, name, expiresAt, exports } of risks) {
    if (expiresAt === null) continue
    ending.add(id)
    const day = expiresAt.toISOString().slice(0, 10)
    const detail = `${exports.length} exports use it, and stop then`
    await raiseCause(
      tx,
      newsOf(id, `What the connection "${name}" signs in with ends on ${day}`, detail),
      now,
      randomBytes,
    )
  }
  const open = await tx
    .selectFrom('notification_cause')
    .select('key')
    .where('kind', '=', 'connection-expiring')
    .execute()
  for (const { key } of open) {
    const id = key.slice(key.indexOf(':') + 1)
    if (ending.has(id)) continue
    const row = await tx.selectFrom('connection').select('name').where('id', '=', id).executeTakeFirst()
    const title = `What the connection "${row?.name ?? id}" signs in with was renewed`
    await passCause(tx, newsOf(id, title, 'It does not end soon any more'), now, randomBytes)
  }
}
