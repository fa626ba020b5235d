/** One signed request of our own to an address that a person named: through the one door, like everything else. */
import { createHmac } from 'node:crypto'
import { ConnectionRefused } from '@patchbay/connector-sdk'
import { cleanError } from './clean-error.ts'
import { makeFetch } from './fetch.ts'
import { systemTicks, type ConnectorHost } from './host.ts'
import { Pacer } from './pacer.ts'
import { makeRedactor } from './redact.ts'
import type { SignIn } from './sign-in.ts'

const TOTAL_MS = 30_000

const UNSIGNED: SignIn = {
  headers: () => ({}),
  maySign: () => false,
  renew: () => Promise.resolve(false),
}

/** By Standard Webhooks 1.0.0, scheme `v1`. Throws a clean error unless the receiver answers with 2xx. */
export async function postSigned(
  host: ConnectorHost,
  message: { readonly url: string; readonly secret: string; readonly id: string; readonly body: string },
  signal: AbortSignal,
): Promise<void> {
  const { url, secret, id, body } = message
  const timestamp = String(Math.floor(host.now().getTime() / 1000))
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64')
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')
  const { fetch, close } = makeFetch({
    rules: host.rules,
    signIn: UNSIGNED,
    pacer: new Pacer({ requestsPerSecond: undefined, requestsInFlight: 1 }, systemTicks),
    requestsInFlight: 1,
    signal,
    now: host.now,
    idleMs: Math.min(host.timeouts.idleMs, TOTAL_MS),
    totalMs: Math.min(host.timeouts.requestMs, TOTAL_MS),
  })
  try {
    const { status } = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'webhook-id': id,
        'webhook-timestamp': timestamp,
        'webhook-signature': `v1,${signature}`,
      },
      body,
    })
    if (status < 200 || status > 299) throw new ConnectionRefused(`The receiver answered with ${status}`)
  } catch (error) {
    if (signal.aborted) throw error
    throw cleanError(error, makeRedactor([secret]))
  } finally {
    await close()
  }
}
