/**
 * One SSH connection that is signed in, with its SFTP channel. `ssh2` waits for ever for a silent server, and forgets
 * requests that are made after the end; so every request goes through `request`, which ends with an answer, with the end
 * of the connection, or at the limits below.
 */
import type { Duplex } from 'node:stream'
import { Unavailable } from '@patchbay/connector-sdk'
import type { Client, SFTPWrapper } from 'ssh2'
import { statusOf } from './failures.ts'

export interface SessionLimits {
  /** From the socket to an established sign-in. */
  readonly connectMs: number
  /** Requests are open, and nothing at all comes from the server, not even an answer to the keep-alive. */
  readonly silentMs: number
  /** Requests are open, and none of them is answered. Flushing a large file to a slow disk takes its time. */
  readonly answerMs: number
  /** Nobody asks for anything: the connection is closed, and made again when it is needed. */
  readonly idleMs: number
}

export const LIMITS: SessionLimits = { connectMs: 30_000, silentMs: 60_000, answerMs: 300_000, idleMs: 120_000 }

/** What a server may take in one write where it does not say; RFC drafts ask for 32 KB and some servers mean it. */
const CAREFUL_WRITE_BYTES = 31 * 1024

interface Parts {
  readonly client: Client
  readonly socket: Duplex
  readonly sftp: SFTPWrapper
  readonly place: string
  readonly signal: AbortSignal
  readonly limits: SessionLimits
}

export class Session {
  /** Largest write in one request. */
  readonly writeBytesMax: number
  readonly #parts: Parts
  readonly #extensions: ReadonlyMap<string, unknown>
  readonly #open = new Set<(error: Error) => void>()
  readonly #closed = Promise.withResolvers<void>()
  readonly #onAbort: () => void
  #silence: NodeJS.Timeout | undefined
  #answer: NodeJS.Timeout | undefined
  #idle: NodeJS.Timeout | undefined
  #end: Error | undefined

  constructor(parts: Parts) {
    this.#parts = parts
    const { client, socket, sftp, place, signal } = parts
    const { extensions, writeBytesMax } = unpublished(sftp)
    this.#extensions = extensions
    this.writeBytesMax = writeBytesMax
    const broken = (cause?: Error): void =>
      this.#breakOff(new Unavailable('maybe', `${place} broke off the connection`, { cause }))
    client.on('error', broken)
    client.on('end', () => broken())
    client.on('close', () => {
      broken()
      this.#closed.resolve()
    })
    sftp.on('error', broken)
    sftp.on('end', () => broken())
    sftp.on('close', () => broken())
    // ssh2 writes three pieces for each packet of 32 KB. Held back until it is done, they go out in one call to the system.
    socket.prependListener('data', () => socket.cork())
    socket.on('data', () => {
      socket.uncork()
      this.#silence?.refresh()
    })
    // Ends what is under way, but not the session: what was written half must still be removed.
    this.#onAbort = (): void => this.#failOpen(signal.reason as Error)
    signal.addEventListener('abort', this.#onAbort)
    this.#watchIdle()
  }

  get isOver(): boolean {
    return this.#end !== undefined
  }

  has(extension: string, version = '1'): boolean {
    return this.#extensions.get(extension) === version
  }

  /** Fails with the server's own error (it has a status) or with a `ConnectorError`, and in no other way. */
  async request<T = void>(
    send: (sftp: SFTPWrapper, done: (error: Error | null | undefined, value?: T) => void) => void,
  ): Promise<T> {
    if (this.#end !== undefined) throw this.#end
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    this.#open.add(reject)
    this.#watchAnswers()
    const { sftp, socket } = this.#parts
    try {
      socket.cork()
      send(sftp, (error, value) => {
        this.#answer?.refresh()
        if (error) reject(statusOf(error) === undefined ? (this.#end ?? this.#lost(error)) : error)
        else resolve(value as T)
      })
      socket.uncork()
      return await promise
    } finally {
      this.#open.delete(reject)
      if (this.#open.size === 0) this.#watchIdle()
    }
  }

  async close(): Promise<void> {
    this.#finish(this.#lost())
    this.#parts.client.end()
    // A server that does not answer the goodbye is not waited for.
    const timer = setTimeout(() => this.#parts.socket.destroy(), 1000)
    await this.#closed.promise
    clearTimeout(timer)
  }

  #watchAnswers(): void {
    clearTimeout(this.#idle)
    const { silentMs, answerMs } = this.#parts.limits
    this.#silence ??= setTimeout(() => this.#hung(`sent nothing for ${silentMs / 1000} s`), silentMs)
    this.#answer ??= setTimeout(() => this.#hung(`answered nothing for ${answerMs / 1000} s`), answerMs)
  }

  #watchIdle(): void {
    clearTimeout(this.#silence)
    clearTimeout(this.#answer)
    clearTimeout(this.#idle)
    this.#silence = undefined
    this.#answer = undefined
    if (this.#end === undefined) this.#idle = setTimeout(() => void this.close(), this.#parts.limits.idleMs)
  }

  #hung(what: string): void {
    this.#breakOff(new Unavailable('maybe', `${this.#parts.place} ${what}: the connection was given up`))
  }

  #lost(cause?: Error): Unavailable {
    return new Unavailable('maybe', `The connection to ${this.#parts.place} is over`, { cause })
  }

  #breakOff(error: Error): void {
    this.#finish(error)
    this.#parts.socket.destroy()
  }

  #finish(error: Error): void {
    this.#end ??= error
    this.#parts.signal.removeEventListener('abort', this.#onAbort)
    this.#failOpen(this.#end)
    this.#watchIdle()
  }

  #failOpen(error: Error): void {
    for (const reject of this.#open) reject(error)
  }
}

/** `ssh2` asks the server for these and keeps them to itself; where a later version hides them, the careful values hold. */
function unpublished(sftp: SFTPWrapper): {
  readonly extensions: ReadonlyMap<string, unknown>
  readonly writeBytesMax: number
} {
  const extensions = '_extensions' in sftp ? sftp._extensions : undefined
  const writeBytesMax = '_maxWriteLen' in sftp ? sftp._maxWriteLen : undefined
  return {
    extensions: new Map(typeof extensions === 'object' && extensions !== null ? Object.entries(extensions) : []),
    writeBytesMax: typeof writeBytesMax === 'number' ? Math.max(1024, writeBytesMax) : CAREFUL_WRITE_BYTES,
  }
}
