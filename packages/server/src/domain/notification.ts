/** What people are told of without asking. Ids, names, counts and conditions; never a value of a row, and never a secret. */
export const NOTIFICATION_KINDS = [
  'run-failed',
  'run-held',
  'rejects',
  'connection-unhealthy',
  'connection-expiring',
  'secret-missing',
] as const
export type NotificationKind = (typeof NOTIFICATION_KINDS)[number]

export type NotificationWay = 'product' | 'mail' | 'webhook'
/** For each kind, the ways by which somebody wants to be told. */
export type NotificationWays = Readonly<Record<NotificationKind, readonly NotificationWay[]>>

/** Shown in the product, and by mail to those who have an address; a webhook has to be set up. */
export const DEFAULT_WAYS: NotificationWays = Object.fromEntries(
  NOTIFICATION_KINDS.map((kind) => [kind, ['product', 'mail']]),
) as unknown as NotificationWays

export interface News {
  readonly kind: NotificationKind
  /** What is the matter with what: the same cause is told once, until it has passed. */
  readonly cause: string
  readonly title: string
  readonly detail: string
  readonly exportId: string | null
  readonly connectionId: string | null
  readonly runId: string | null
  /** Whom the export belongs to; Administrators are told as well. */
  readonly owner: string | null
}

export interface Notification extends News {
  readonly id: string
  /** `recovered`: the cause has passed. */
  readonly phase: 'raised' | 'recovered'
  readonly at: Date
}

export function causeOf(kind: NotificationKind, subject: string): string {
  return `${kind}:${subject}`
}
