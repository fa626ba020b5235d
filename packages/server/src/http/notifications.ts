import type { contract } from '@patchbay/contract'
import { actorOf, type Identity } from '../access/identity.ts'
import { NOTIFICATION_KINDS } from '../domain/notification.ts'
import { Problem } from '../domain/problem.ts'
import { countUnread, markRead, pageNotifications, type NotificationReader } from '../store/notification.ts'
import {
  listTroubles,
  readNotificationSettings,
  writeNotificationSettings,
  type NotificationSettings,
} from '../store/notification-delivery.ts'
import type { Handlers } from './handler.ts'
import { cursorOf, pageRequest } from './paging.ts'
import type { HttpPorts } from './ports.ts'

const KEY_BYTES = 32

export function makeNotificationHandlers(ports: HttpPorts): Handlers<typeof contract.notifications> {
  const { db } = ports
  return {
    async list({ query }, { identity }) {
      const reader = readerOf(identity)
      const page = await pageNotifications(
        db,
        reader,
        { unread: query.unread === 'yes' },
        pageRequest({ ...query, sort: '-at' }),
      )
      const items = page.items.map(({ owner: _owner, at, ...item }) => ({
        ...item,
        id: item.id as never,
        exportId: item.exportId as never,
        connectionId: item.connectionId as never,
        runId: item.runId as never,
        at: at.toISOString(),
      }))
      return { items, next: cursorOf('-at', page.next), unread: await countUnread(db, reader) }
    },

    async read({ body }, { identity }) {
      await markRead(db, readerOf(identity), body.notifications)
    },

    async settings(_, { identity }) {
      const { reader } = readerOf(identity)
      return answerOf(await readNotificationSettings(db, reader), await listTroubles(db, reader))
    },

    async set({ body }, { identity, change, now }) {
      const { reader } = readerOf(identity)
      if (typeof body.mailTo === 'string' && !ports.notifications.canMail)
        throw new Problem('not-ready', 'mailTo: This server has no way to send mail', {
          path: 'mailTo',
          cure: 'The operator sets PATCHBAY_SMTP_URL, or leave it out',
        })
      return change(async (tx) => {
        const before = await readNotificationSettings(tx, reader)
        const { webhookUrl = before.webhookUrl, mailTo = before.mailTo, ways = before.ways } = body
        // A key is for one address: another one gets another, so that nobody can pass off what was signed for the first.
        const isMoved = webhookUrl !== before.webhookUrl
        const signingKey =
          webhookUrl === null || !isMoved
            ? null
            : `whsec_${Buffer.from(ports.randomBytes(KEY_BYTES)).toString('base64')}`
        const sealed =
          signingKey === null || webhookUrl === null
            ? null
            : ports.notifications.sealKey({ reader, url: webhookUrl }, signingKey)
        const settings = { ways, mailTo, webhookUrl, webhookSecret: isMoved ? sealed : before.webhookSecret }
        await writeNotificationSettings(tx, reader, settings, now)
        return { ...answerOf(settings, await listTroubles(tx, reader)), signingKey }
      })
    },
  }
}

function readerOf(identity: Identity): NotificationReader {
  return { reader: actorOf(identity), isAdministrator: identity.role === 'Administrator' }
}

function answerOf(
  { ways, mailTo, webhookUrl }: NotificationSettings,
  troubles: Awaited<ReturnType<typeof listTroubles>>,
) {
  const each = Object.fromEntries(NOTIFICATION_KINDS.map((kind) => [kind, [...ways[kind]]]))
  return {
    ways: each as Record<(typeof NOTIFICATION_KINDS)[number], ('product' | 'mail' | 'webhook')[]>,
    mailTo,
    webhookUrl,
    troubles: [...troubles],
  }
}
