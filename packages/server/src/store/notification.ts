/**
 * Causes and the notifications that come of them: one when a cause appears, and one when it has passed, however often it is
 * met in between. Written in the transaction of what happened, so that neither can be without the other.
 */
import { sql } from 'kysely'
import { newId } from '../domain/ids.ts'
import type { News, Notification } from '../domain/notification.ts'
import { paged, pageOf, type Page, type PageRequest } from './page.ts'
import type { Db, Tx } from './schema.ts'

type Random = (size: number) => Uint8Array

/** True when it is new, and people are told. */
export async function raiseCause(tx: Tx, news: News, now: Date, randomBytes: Random): Promise<boolean> {
  const { rows } = await sql<{ times: number }>`
    INSERT INTO notification_cause (key, kind, opened_at, last_at) VALUES (${news.cause}, ${news.kind}, ${now}, ${now})
    ON CONFLICT (key) DO UPDATE SET times = notification_cause.times + 1, last_at = EXCLUDED.last_at
    RETURNING times`.execute(tx)
  if (rows[0]?.times !== 1) return false
  await tell(tx, news, 'raised', now, randomBytes)
  return true
}

/** True when the cause stood: those who were told of it are told that it has passed. */
export async function passCause(tx: Tx, news: News, now: Date, randomBytes: Random): Promise<boolean> {
  const gone = await tx
    .deleteFrom('notification_cause')
    .where('key', '=', news.cause)
    .returning('key')
    .executeTakeFirst()
  if (gone === undefined) return false
  await tell(tx, news, 'recovered', now, randomBytes)
  return true
}

/** What a cause is about was removed: there is nothing left that could recover. */
export async function forgetCauses(tx: Tx, subject: string): Promise<void> {
  await sql`DELETE FROM notification_cause WHERE split_part(key, ':', 2) = ${subject}`.execute(tx)
}

async function tell(tx: Tx, news: News, phase: Notification['phase'], now: Date, randomBytes: Random): Promise<void> {
  const id = newId('notification', randomBytes)
  const { exportId, connectionId, runId, ...rest } = news
  await tx
    .insertInto('notification')
    .values({ id, ...rest, phase, export_id: exportId, connection_id: connectionId, run_id: runId, at: now })
    .execute()
  // Whether they may be told is asked when it is sent: rights may change until then.
  await sql`
    INSERT INTO notification_delivery (notification_id, reader, way, due_at)
    SELECT ${id}, reader, way, ${now}
      FROM notification_setting, jsonb_array_elements_text(ways -> ${news.kind}::text) AS way
     WHERE (way = 'mail' AND mail_to IS NOT NULL) OR (way = 'webhook' AND webhook_url IS NOT NULL)
    ON CONFLICT DO NOTHING`.execute(tx)
}

/** Whose list it is. Administrators see all, and others what is about exports of their own. */
export interface NotificationReader {
  readonly reader: string
  readonly isAdministrator: boolean
}

export interface ListedNotification extends Notification {
  readonly isRead: boolean
}

export async function pageNotifications(
  db: Db,
  { reader, isAdministrator }: NotificationReader,
  filter: { readonly unread: boolean },
  page: PageRequest<'at'>,
): Promise<Page<ListedNotification>> {
  let query = db
    .selectFrom('notification')
    .leftJoin('notification_read as mark', (join) =>
      join.onRef('mark.notification_id', '=', 'notification.id').on('mark.reader', '=', reader),
    )
    .selectAll('notification')
    .select('mark.reader as read_by')
    .where(wanted(reader))
  if (!isAdministrator) query = query.where('notification.owner', '=', reader)
  if (filter.unread) query = query.where('mark.reader', 'is', null)
  const order = { key: sql`notification.at`, id: sql`notification.id`, type: 'timestamptz' } as const
  return pageOf(
    await paged(query, order, page).execute(),
    page,
    (row) => ({ ...notificationOf(row), isRead: row.read_by !== null }),
    ({ id }) => id,
  )
}

/** Kinds that the reader wants to see in the product. */
function wanted(reader: string) {
  return sql<boolean>`coalesce(
    (SELECT ways -> notification.kind @> '["product"]'::jsonb FROM notification_setting WHERE reader = ${reader}), true)`
}

export async function countUnread(db: Db, { reader, isAdministrator }: NotificationReader): Promise<number> {
  let query = db
    .selectFrom('notification')
    .select((select) => select.fn.countAll<number>().as('count'))
    .where(wanted(reader))
    .where((where) =>
      where.not(
        where.exists(
          where
            .selectFrom('notification_read')
            .select('reader')
            .whereRef('notification_id', '=', 'notification.id')
            .where('reader', '=', reader),
        ),
      ),
    )
  if (!isAdministrator) query = query.where('owner', '=', reader)
  return Number((await query.executeTakeFirstOrThrow()).count)
}

/** Of those that the reader may see; others are passed over in silence. */
export async function markRead(
  db: Db,
  { reader, isAdministrator }: NotificationReader,
  ids: readonly string[] | 'all',
): Promise<void> {
  const own = isAdministrator ? sql`true` : sql`owner = ${reader}`
  const which = ids === 'all' ? sql`true` : sql`id = ANY (${[...ids]}::text[])`
  await sql`
    INSERT INTO notification_read (notification_id, reader)
    SELECT id, ${reader} FROM notification WHERE ${own} AND ${which}
    ON CONFLICT DO NOTHING`.execute(db)
}

export async function forgetNotifications(db: Db, before: Date): Promise<void> {
  await db.deleteFrom('notification').where('at', '<', before).execute()
}

export function notificationOf(row: {
  readonly id: string
  readonly kind: Notification['kind']
  readonly phase: Notification['phase']
  readonly cause: string
  readonly title: string
  readonly detail: string
  readonly export_id: string | null
  readonly connection_id: string | null
  readonly run_id: string | null
  readonly owner: string | null
  readonly at: Date
}): Notification {
  const { export_id, connection_id, run_id, id, kind, phase, cause, title, detail, owner, at } = row
  const about = { exportId: export_id, connectionId: connection_id, runId: run_id }
  return { id, kind, phase, cause, title, detail, owner, at, ...about }
}
