import { createHmac, timingSafeEqual } from 'node:crypto'

const WINDOW_SECONDS = 5 * 60

/**
 * Whether a request comes from your Patchbay, unchanged and just now. `body` is the text as it arrived: a body that was
 * parsed and written again is another one. Also remember each `webhook-id` for at least five minutes, and answer a
 * repeated one as you answered it the first time.
 */
export function verifyWebhook(
  headers: Readonly<Record<string, string | undefined>>,
  body: string,
  signingSecret: string,
  now = new Date(),
): boolean {
  const id = headers['webhook-id'] ?? ''
  const timestamp = headers['webhook-timestamp'] ?? ''
  if (!/^\d{1,15}$/.test(timestamp)) return false
  if (Math.abs(now.getTime() / 1000 - Number(timestamp)) > WINDOW_SECONDS) return false

  const key = Buffer.from(signingSecret.replace(/^whsec_/, ''), 'base64')
  const wanted = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest()
  // Several signatures, separated by spaces, while a secret is being changed.
  return (headers['webhook-signature'] ?? '').split(' ').some((entry) => {
    const [version, base64 = ''] = entry.split(',')
    const given = Buffer.from(base64, 'base64')
    return version === 'v1' && given.length === wanted.length && timingSafeEqual(given, wanted)
  })
}
