/**
 * Signs a request by Standard Webhooks 1.0.0 (https://www.standardwebhooks.com), symmetric scheme `v1`: HMAC-SHA256 over
 * `{webhook-id}.{webhook-timestamp}.{body}`, so that a receiver can use any of its libraries.
 */
import { createHmac } from 'node:crypto'
import { SettingsInvalid } from '@patchbay/connector-sdk'

const SECRET_BYTES_MIN = 24
const SECRET_BYTES_MAX = 64

/** The bytes of a secret in the form of the standard: `whsec_` and base64. */
export function readSigningKey(secret: string): Buffer {
  const base64 = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret.trim())?.[1] ?? ''
  const key = Buffer.from(base64, 'base64')
  if (key.length < SECRET_BYTES_MIN || key.length > SECRET_BYTES_MAX)
    throw new SettingsInvalid(
      'signingSecret',
      `The signing secret must be whsec_ and then ${SECRET_BYTES_MIN} to ${SECRET_BYTES_MAX} random bytes in base64; ` +
        'this makes one: echo "whsec_$(openssl rand -base64 32)"',
    )
  return key
}

/** The three headers of the standard. `id` stays the same when a batch is sent again; the time does not. */
export function signedHeaders(key: Buffer, id: string, now: Date, body: Uint8Array): Record<string, string> {
  const timestamp = String(Math.floor(now.getTime() / 1000))
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64')
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` }
}
