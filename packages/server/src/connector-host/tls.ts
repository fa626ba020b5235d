/** TLS over a socket of the one door. Certificates are always verified; there is no switch, and no variable has an effect. */
import type { Socket } from 'node:net'
import { connect, getCACertificates, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { ConnectionRefused, Unavailable } from '@patchbay/connector-sdk'
import { openSocket, type EgressRules, type Target } from './egress.ts'
import { parseHost } from './host-name.ts'

const HANDSHAKE_TIMEOUT_MS = 10_000

export async function openSecureSocket(target: Target, rules: EgressRules): Promise<TLSSocket> {
  const socket = await openSocket(target, rules)
  try {
    return await secure(socket, target, rules)
  } catch (error) {
    socket.destroy()
    throw error
  }
}

async function secure(socket: Socket, { host, port, signal }: Target, rules: EgressRules): Promise<TLSSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>()
  const timeoutMs = rules.connectTimeoutMs ?? HANDSHAKE_TIMEOUT_MS
  const place = `${host}:${port}`
  const options: ConnectionOptions = {
    socket,
    // The name in the certificate is compared with `host`; a name is also sent, an address must not be.
    host,
    ...(parseHost(host).kind === 'name' ? { servername: host } : {}),
    ALPNProtocols: ['http/1.1'],
    minVersion: 'TLSv1.2',
    // The default, spelled out: so NODE_TLS_REJECT_UNAUTHORIZED has no effect on it.
    rejectUnauthorized: true,
    ...(rules.authorities === undefined ? {} : { ca: [...getCACertificates('default'), ...rules.authorities] }),
  }
  const secured = connect(options)
  const timer = setTimeout(() => {
    reject(
      new Unavailable('no', `${place}: the TLS handshake did not end in ${timeoutMs / 1000} s`, { step: 'trusted' }),
    )
  }, timeoutMs)
  const stop = (): void => reject(signal?.reason as Error)
  signal?.addEventListener('abort', stop, { once: true })
  secured.once('secureConnect', () => resolve(secured))
  secured.on('error', (error) => reject(untrusted(place, error)))
  try {
    signal?.throwIfAborted()
    return await promise
  } catch (error) {
    secured.destroy()
    throw error
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', stop)
  }
}

/** Broken off by the network, and worth another try; everything else that ends a handshake is a matter of trust. */
const BROKEN = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ECONNABORTED', 'ENETUNREACH', 'EHOSTUNREACH'])

const REASONS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate comes from an authority that is not trusted here',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate comes from an authority that is not trusted here',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate comes from an authority that is not trusted here',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
}

function untrusted(place: string, error: Error): ConnectionRefused | Unavailable {
  const code = 'code' in error ? String(error.code) : 'no code'
  if (BROKEN.has(code))
    return new Unavailable('no', `${place} broke off the TLS handshake (${code})`, { step: 'trusted', cause: error })
  const why = REASONS[code] ?? (code.startsWith('ERR_SSL_') ? `it does not speak TLS as we do (${code})` : code)
  return new ConnectionRefused(`${place} cannot be trusted: ${why}`, { step: 'trusted', cause: error })
}
