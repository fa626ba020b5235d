import { findActor } from '../access/actor.ts'
import { postSigned } from '../connector-host/post-signed.ts'
import type { ConnectorHost } from '../connector-host/host.ts'
import { endpointIdentity } from '../domain/endpoint-identity.ts'
import type { ConnectionId } from '../domain/ids.ts'
import type { DueDelivery } from '../store/notification-delivery.ts'
import type { Db } from '../store/schema.ts'
import type { SecretPlace, Vault } from '../vault/vault.ts'

/** Where a reader's signing key is for: a row that is edited in the store does not open any more. */
export function keyPlace({ reader, url }: { readonly reader: string; readonly url: string }): SecretPlace {
  return {
    connectionId: `notifications of ${reader}` as ConnectionId,
    field: 'signingKey',
    endpointIdentity: endpointIdentity('notifications', { url }),
  }
}

/** Administrators, and whom the export belongs to: as they are now. */
export async function mayKnow(db: Db, { notification, reader }: DueDelivery, now: Date): Promise<boolean> {
  const actor = await findActor(db, reader, now)
  return typeof actor !== 'string' && (actor.role === 'Administrator' || notification.owner === reader)
}

export async function sendNotification(
  parts: { readonly vault: Vault; readonly host: ConnectorHost },
  { notification, reader, way, settings }: DueDelivery,
  signal: AbortSignal,
): Promise<void> {
  if (way === 'mail') throw new Error('This server has no way to send mail: the operator sets PATCHBAY_SMTP_URL')
  const { webhookUrl: url, webhookSecret } = settings
  if (url === null || webhookSecret === null) throw new Error('The webhook was taken away')
  const secret = await parts.vault.open(webhookSecret, keyPlace({ reader, url }))
  const { id, owner: _owner, at, ...told } = notification
  const body = JSON.stringify({
    type: `${told.kind}.${told.phase}`,
    timestamp: at.toISOString(),
    data: { id, ...told },
  })
  await postSigned(parts.host, { url, secret, id, body }, signal)
}
