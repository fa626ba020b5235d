import { z } from 'zod'
import { endpoint } from './endpoint.ts'
import { countSchema, idSchema, pageOf, pageQuery, timeSchema } from './scalars.ts'

export const NOTIFICATION_KINDS = [
  'run-failed',
  'run-held',
  'rejects',
  'connection-unhealthy',
  'connection-expiring',
  'secret-missing',
] as const

export const notificationSchema = z
  .strictObject({
    id: idSchema('notification'),
    kind: z.enum(NOTIFICATION_KINDS),
    phase: z.enum(['raised', 'recovered']),
    cause: z.string().meta({ description: 'The same from the first notice to the recovery' }),
    title: z.string(),
    detail: z.string(),
    exportId: idSchema('export').nullable(),
    connectionId: idSchema('connection').nullable(),
    runId: idSchema('run').nullable(),
    at: timeSchema,
    isRead: z.boolean(),
  })
  .meta({ id: 'Notification' })
export type Notification = z.infer<typeof notificationSchema>

const waysSchema = z
  .array(z.enum(['product', 'mail', 'webhook']))
  .max(3)
  .refine((ways) => new Set(ways).size === ways.length, 'Each way once')
const kindsSchema = z.strictObject(
  Object.fromEntries(NOTIFICATION_KINDS.map((kind) => [kind, waysSchema])) as Record<
    (typeof NOTIFICATION_KINDS)[number],
    typeof waysSchema
  >,
)

const settingsSchema = z
  .strictObject({
    ways: kindsSchema.meta({ description: 'For each kind, the ways by which you are told' }),
    mailTo: z.string().nullable(),
    webhookUrl: z.string().nullable(),
    troubles: z
      .array(z.strictObject({ way: z.enum(['mail', 'webhook']), error: z.string(), attempts: countSchema }))
      .meta({ description: 'The latest that did not arrive' }),
  })
  .meta({ id: 'NotificationSettings' })

export const notifications = {
  list: endpoint({
    method: 'GET',
    path: '/notifications',
    summary: 'Lists what you are told of, the newest first: of all to Administrators, of their own exports to others',
    permission: 'notification.read',
    query: z.strictObject({ ...pageQuery, unread: z.enum(['yes', 'no']).default('no') }),
    response: pageOf(notificationSchema).extend({ unread: countSchema }),
  }),
  read: endpoint({
    method: 'POST',
    path: '/notifications/read',
    summary: 'Marks notifications as read, for you alone',
    permission: 'notification.read',
    body: z.strictObject({ notifications: z.union([z.literal('all'), z.array(idSchema('notification')).max(500)]) }),
  }),
  settings: endpoint({
    method: 'GET',
    path: '/notifications/settings',
    summary: 'Shows by which ways you are told of what',
    permission: 'notification.read',
    response: settingsSchema,
  }),
  set: endpoint({
    method: 'PUT',
    path: '/notifications/settings',
    summary: 'Says by which ways you are told of what. Another webhook address gets another signing key, shown once',
    permission: 'notification.read',
    body: z.strictObject({
      ways: kindsSchema.exactOptional(),
      mailTo: z.email().max(200).nullable().exactOptional(),
      webhookUrl: z
        .string()
        .max(1000)
        .regex(/^https?:\/\/[^\s@?#]+$/, 'A web address without user name and query')
        .nullable()
        .exactOptional(),
    }),
    response: settingsSchema.extend({
      signingKey: z.string().nullable().meta({ description: 'By Standard Webhooks; never shown again' }),
    }),
  }),
}
