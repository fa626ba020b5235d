/** Brings an SSH connection up on a socket that is connected already: first the host key, then the sign-in, then SFTP. */
import { createHash } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { ConnectionRefused } from '@patchbay/connector-sdk'
import ssh2, { type ConnectConfig } from 'ssh2'
import { connectFailure } from './failures.ts'
import { Session, type SessionLimits } from './session.ts'
import { signInSteps, type Proof } from './sign-in.ts'

const KEEP_ALIVE_MS = 15_000

/** Nothing with SHA-1, CBC or groups below 2048 bits. AES-128-GCM first: by far the fastest here. */
const ALGORITHMS: NonNullable<ConnectConfig['algorithms']> = {
  kex: [
    'curve25519-sha256',
    'curve25519-sha256@libssh.org',
    'ecdh-sha2-nistp256',
    'ecdh-sha2-nistp384',
    'ecdh-sha2-nistp521',
    'diffie-hellman-group-exchange-sha256',
    'diffie-hellman-group16-sha512',
    'diffie-hellman-group18-sha512',
    'diffie-hellman-group14-sha256',
  ],
  // The order stays as it is: the server shows its key of the first kind that it has, and that one is pinned.
  serverHostKey: [
    'ssh-ed25519',
    'ecdsa-sha2-nistp256',
    'ecdsa-sha2-nistp384',
    'ecdsa-sha2-nistp521',
    'rsa-sha2-512',
    'rsa-sha2-256',
  ],
  cipher: [
    'aes128-gcm@openssh.com',
    'aes256-gcm@openssh.com',
    'aes128-ctr',
    'aes192-ctr',
    'aes256-ctr',
    'chacha20-poly1305@openssh.com',
  ],
  hmac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com', 'hmac-sha2-256', 'hmac-sha2-512'],
  compress: ['none'],
}

/** Nobody has trusted this server yet. Carries what it showed, for a person to compare. */
export class HostKeyUnknown extends ConnectionRefused {
  readonly fingerprint: string
  constructor(place: string, fingerprint: string) {
    super(
      `${place} shows a key that nobody has confirmed yet: ${fingerprint}. Compare it with what the server's operator ` +
        'says (ssh-keygen -lf prints it), and confirm it',
      { field: 'hostKey', step: 'trusted' },
    )
    this.fingerprint = fingerprint
  }
}

export interface Account {
  readonly host: string
  readonly port: number
  readonly user: string
  /** The fingerprint as OpenSSH prints it, `SHA256:…`; undefined while nobody has trusted one. */
  readonly pin: string | undefined
  /** Asked for once the host key was found to be the pinned one, and not before. */
  readonly proof: () => Proof
}

export interface Connecting {
  /** The far end is the one that was pinned; gives the fingerprint. */
  readonly trusted: Promise<string>
  readonly ready: Promise<Session>
}

export function connectSession(
  socket: Duplex,
  account: Account,
  signal: AbortSignal,
  limits: SessionLimits,
): Connecting {
  const { host, port, user, pin, proof } = account
  const place = `${host}:${port}`
  const client = new ssh2.Client()
  const trusted = Promise.withResolvers<string>()
  const ready = Promise.withResolvers<Session>()
  let shown = ''

  // The first reason counts; what ssh2 reports afterwards is only its echo.
  const fail = (error: Error): void => {
    signal.removeEventListener('abort', giveUp)
    trusted.reject(error)
    ready.reject(error)
    socket.destroy()
  }
  const giveUp = (): void => fail(signal.reason as Error)
  const refuse = (message: string, field: string, step: 'trusted' | 'signed-in', cause?: Error): void =>
    fail(new ConnectionRefused(message, { field, step, cause }))
  // Whoever waits for only one of the two must not be struck by the other.
  trusted.promise.catch(() => undefined)
  ready.promise.catch(() => undefined)

  client.on('error', (error) => fail(connectFailure(error, place)))
  client.on('close', () => fail(connectFailure(new Error('the connection was closed'), place)))
  client.on('handshake', () => trusted.resolve(shown))
  client.on('change password', () => refuse(`${place} wants its password changed first`, 'password', 'signed-in'))
  client.on('ready', () =>
    client.sftp((error, sftp) => {
      signal.removeEventListener('abort', giveUp)
      if (error === undefined) ready.resolve(new Session({ client, socket, sftp, place, signal, limits }))
      else refuse(`${place} lets ${user} sign in, but not use SFTP`, 'user', 'signed-in', error)
    }),
  )
  if (signal.aborted) {
    giveUp()
    return { trusted: trusted.promise, ready: ready.promise }
  }
  signal.addEventListener('abort', giveUp, { once: true })
  client.connect({
    sock: socket,
    username: user,
    authHandler: signInSteps({ place, user, proof, refuse: fail }),
    algorithms: ALGORITHMS,
    readyTimeout: limits.connectMs,
    keepaliveInterval: KEEP_ALIVE_MS,
    // Answers are watched by `Session`: a full line delays them by more than any count would allow for.
    keepaliveCountMax: Number.MAX_SAFE_INTEGER,
    hostVerifier: (key: Buffer): boolean => {
      shown = fingerprintOf(key)
      if (shown === pin) return true
      if (pin === undefined) fail(new HostKeyUnknown(place, shown))
      else refuse(changedKey(place, pin, shown), 'hostKey', 'trusted')
      return false
    },
  })
  client.setNoDelay(true)
  return { trusted: trusted.promise, ready: ready.promise }
}

function fingerprintOf(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`
}

function changedKey(place: string, pin: string, shown: string): string {
  return (
    `${place} is not the server that was trusted: it shows the key ${shown}, and confirmed was ${pin}. Nothing was ` +
    "sent to it. Only if the server's operator vouches for the new key, trust it in place of the old one"
  )
}
