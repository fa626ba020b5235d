/** Notifications on their way to a mailbox or a web address, and what each reader wants. */
import { sql } from 'kysely'
import { DEFAULT_WAYS, type Notification, type NotificationWays } from '../domain/notification.ts'
import { toJson } from './json.ts'
import { notificationOf } from './notification.ts'
import type { Db, Tx } from './schema.ts'

const MINUTE_MS = 60_000
/** After each failure it waits so long; after the last it is given up. */
const RETRY_MS = [1, 5, 30, 120, 720].map((minutes) => minutes * MINUTE_MS)

export interface NotificationSettings {
  readonly ways: NotificationWays
  readonly mailTo: string | null
  readonly webhookUrl: string | null
  /** Sealed. */
  readonly webhookSecret: string | null
}

export async function readNotificationSettings(db: Db, reader: string): Promise<NotificationSettings> {
  const row = await db.selectFrom('notification_setting').selectAll().where('reader', '=', reader).executeTakeFirst()
  if (row === undefined) return { ways: DEFAULT_WAYS, mailTo: null, webhookUrl: null, webhookSecret: null }
  // A kind that came with a later version is shown until somebody decides about it.
  const ways = { ...DEFAULT_WAYS, ...row.ways }
  return { ways, mailTo: row.mail_to, webhookUrl: row.webhook_url, webhookSecret: row.webhook_secret }
}

export async function writeNotificationSettings(
  tx: Tx,
  reader: string,
  settings: NotificationSettings,
  now: Date,
): Promise<void> {
  const row = {
    ways: toJson(settings.ways),
    mail_to: settings.mailTo,
    webhook_url: settings.webhookUrl,
    webhook_secret: settings.webhookSecret,
    updated_at: now,
  }
  await tx
    .insertInto('notification_setting')
    .values({ reader, ...row })
    .onConflict((conflict) => conflict.column('reader').doUpdateSet(row))
    .execute()
}

export interface DueDelivery {
  readonly notification: Notification
  readonly reader: string
  readonly way: 'mail' | 'webhook'
  readonly settings: NotificationSettings
}

/** Takes one that is due and counts the try; if nobody comes back to say how it went, it is due again. */
export async function claimDelivery(tx: Tx, now: Date): Promise<DueDelivery | undefined> {
  const row = await tx
    .selectFrom('notification_delivery')
    .select(['notification_id', 'reader', 'way', 'attempts'])
    .where('due_at', '<=', now)
    .orderBy('due_at')
    .limit(1)
    .forUpdate()
    .skipLocked()
    .executeTakeFirst()
  if (row === undefined) return undefined
  const waits = RETRY_MS[row.attempts]
  await tx
    .updateTable('notification_delivery')
    .set({
      attempts: row.attempts + 1,
      ...(waits === undefined
        ? { due_at: null, ended: 'given-up' as const }
        : { due_at: new Date(now.getTime() + waits) }),
    })
    .where('notification_id', '=', row.notification_id)
    .where('reader', '=', row.reader)
    .where('way', '=', row.way)
    .execute()
  const found = await tx
    .selectFrom('notification')
    .selectAll()
    .where('id', '=', row.notification_id)
    .executeTakeFirstOrThrow()
  const settings = await readNotificationSettings(tx, row.reader)
  return { notification: notificationOf(found), reader: row.reader, way: row.way, settings }
}

export async function endDelivery(
  db: Db,
  { notification, reader, way }: Pick<DueDelivery, 'notification' | 'reader' | 'way'>,
  end: { readonly ended: 'sent' | 'not-theirs' } | { readonly error: string },
): Promise<void> {
  await db
    .updateTable('notification_delivery')
    .set('ended' in end ? { due_at: null, ended: end.ended, error: null } : { error: end.error })
    .where('notification_id', '=', notification.id)
    .where('reader', '=', reader)
    .where('way', '=', way)
    .execute()
}

/** Deliveries that did not arrive, for whoever set the way up. */
export async function listTroubles(
  db: Db,
  reader: string,
): Promise<readonly { readonly way: 'mail' | 'webhook'; readonly error: string; readonly attempts: number }[]> {
  const rows = await db
    .selectFrom('notification_delivery')
    .select(['way', 'error', 'attempts'])
    .where('reader', '=', reader)
    .where('error', 'is not', null)
    .where(sql<boolean>`ended IS DISTINCT FROM 'sent'`)
    .orderBy('notification_id', 'desc')
    .limit(20)
    .execute()
  return rows.map((row) => ({ way: row.way, error: row.error ?? '', attempts: row.attempts }))
}
