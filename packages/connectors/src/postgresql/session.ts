/**
 * One session with the server, over the one socket that `ctx.connect` gave. The driver opens none of its own: its
 * stream is that socket, and TLS is laid over it. Whatever breaks is thrown as `ConnectionLost`, what the server
 * answers as the driver's `DatabaseError`; `translate` makes of both what a connector throws.
 */
import { Readable, type Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Client, DatabaseError } from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { ConnectionRefused, type Context } from '@patchbay/connector-sdk'
import { ConnectionLost, translate, trustRefused } from './errors.ts'
import type { settings } from './settings.ts'

export type PostgresqlContext = Context<typeof settings>

/** From the socket to the first answer after sign-in. */
const SIGN_IN_TIMEOUT_MS = 20_000
/** A peer that is gone without a word is noticed after some minutes, by the operating system's own counting. */
const KEEP_ALIVE_DELAY_MS = 30_000
/** How long a goodbye may take before the socket is cut. */
const CLOSE_TIMEOUT_MS = 3000

export interface Answer<R> {
  readonly rows: readonly R[]
  /** Rows touched; 0 for statements that touch none. */
  readonly count: number
  /** As the server names what it did: `COMMIT`, or `ROLLBACK` for a COMMIT of a transaction that had failed. */
  readonly command: string
}

export interface Session {
  query<R extends Record<string, unknown>>(sql: string, values?: readonly unknown[]): Promise<Answer<R>>
  /** Feeds a `COPY … FROM STDIN`, no faster than the server takes it, and gives the number of rows that it counted. */
  copyIn(sql: string, pieces: AsyncIterable<Uint8Array>): Promise<number>
  /** Ends at once; what was not committed is rolled back by the server. */
  cut(): void
  /** Says goodbye where the session is idle, and cuts it otherwise. Never throws. */
  close(): Promise<void>
}

/** Dials, unless a connected socket is given, and signs in. Throws what a connector may throw. */
export async function openSession(ctx: PostgresqlContext, connected?: Duplex): Promise<Session> {
  ctx.signal.throwIfAborted()
  const { settings } = ctx
  const socket = connected ?? (await ctx.connect({ host: settings.host, port: settings.port }))
  const client = new Client({
    host: settings.host,
    port: settings.port,
    user: settings.user,
    database: settings.database,
    // As a function: it is revealed when the server asks for it, and an empty one does not send the driver to look for
    // PGPASSWORD and ~/.pgpass.
    password: () => {
      const password = settings.password.reveal()
      if (password === '') throw new ConnectionRefused('The password is empty', { field: 'password' })
      return password
    },
    ssl: tlsOptions(settings),
    application_name: 'patchbay',
    connectionTimeoutMillis: SIGN_IN_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_DELAY_MS,
    stream: () => asDriverStream(socket),
  })

  let lost: ConnectionLost | undefined
  client.on('error', (cause) => {
    lost ??= new ConnectionLost({ cause })
  })
  const cut = (): void => {
    lost ??= new ConnectionLost()
    client.connection.stream.destroy()
    socket.destroy()
  }
  ctx.signal.addEventListener('abort', cut, { once: true })
  const forget = (): void => ctx.signal.removeEventListener('abort', cut)
  socket.once('close', forget)

  try {
    const signedIn = client.connect()
    if (settings.tls === 'none') refuseClearPassword(client)
    await signedIn
  } catch (error) {
    cut()
    ctx.signal.throwIfAborted()
    const isTelling = error instanceof DatabaseError || error instanceof ConnectionRefused
    throw translate(isTelling ? error : new ConnectionLost({ cause: error }), { step: 'connect' })
  }

  let busy = 0
  /** The driver answers a broken connection in many words; they all mean the same. */
  const run = async <T>(work: () => Promise<T>): Promise<T> => {
    busy++
    try {
      return await work()
    } catch (error) {
      if (error instanceof DatabaseError) throw error
      throw lost ?? error
    } finally {
      busy--
    }
  }
  return {
    query: (sql, values) =>
      run(async () => {
        const { rows, rowCount, command } = await client.query<Record<string, unknown>>(sql, [...(values ?? [])])
        return { rows: rows as never[], count: rowCount ?? 0, command }
      }),
    copyIn: (sql, pieces) =>
      run(async () => {
        const copy = client.query(copyFrom(sql))
        await pipeline(Readable.from(pieces, { objectMode: true, highWaterMark: 2 }), copy)
        return copy.rowCount
      }),
    cut,
    close: async () => {
      forget()
      if (busy > 0 || lost !== undefined) return cut()
      const { promise: late, resolve } = Promise.withResolvers<void>()
      const timer = setTimeout(() => {
        cut()
        resolve()
      }, CLOSE_TIMEOUT_MS)
      await Promise.race([client.end(), late])
      clearTimeout(timer)
    },
  }
}

function tlsOptions(settings: PostgresqlContext['settings']): false | object {
  if (settings.tls === 'none') return false
  // An authority of one's own takes the place of the machine's: a certificate by any other does not hold.
  const ca = settings.ca === undefined || settings.ca.trim() === '' ? {} : { ca: settings.ca }
  return { rejectUnauthorized: true, minVersion: 'TLSv1.2', ...ca }
}

/**
 * The socket as the driver wants it. It calls `connect` on whatever stream it is given; on a connected `net.Socket` that
 * would dial again, past the egress door, so the call only reports what is true already.
 */
function asDriverStream(socket: Duplex): Duplex {
  const reportConnected = (): Duplex => {
    process.nextTick(() => socket.emit('connect'))
    return socket
  }
  const nothing = (): Duplex => socket
  const knows = (name: string): boolean => name in socket
  return Object.assign(
    socket,
    { connect: reportConnected },
    knows('setNoDelay') ? {} : { setNoDelay: nothing },
    knows('setKeepAlive') ? {} : { setKeepAlive: nothing },
  )
}

/** Without TLS, a server (or whoever stands in its place) that asks for the password as it is does not get it. */
function refuseClearPassword({ connection }: Client): void {
  connection.removeAllListeners('authenticationCleartextPassword')
  connection.on('authenticationCleartextPassword', () => {
    connection.emit(
      'error',
      trustRefused('tls', 'The server asks for the password in clear text over an unencrypted connection'),
    )
  })
}
