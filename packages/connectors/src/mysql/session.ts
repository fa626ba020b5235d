/**
 * One session with the server, over the one socket that `ctx.connect` gave. The driver opens none of its own, and no file:
 * what LOAD DATA LOCAL asks for is answered with the rows of the very statement that asks, and everything else is refused.
 */
import { randomUUID } from 'node:crypto'
import { Readable, type Duplex } from 'node:stream'
import { ConnectionRefused, SettingsInvalid, type Context } from '@patchbay/connector-sdk'
import { createConnection, type Connection, type ConnectionOptions } from 'mysql2'
import { ConnectionLost, isServerError, translate } from './errors.ts'
import type { settings } from './settings.ts'

export type MysqlContext = Context<typeof settings>

/** From the socket to the first answer after sign-in. */
const SIGN_IN_TIMEOUT_MS = 20_000
/** How long a goodbye may take before the socket is cut. */
const CLOSE_TIMEOUT_MS = 3000

export interface Done {
  /** Rows touched; of an UPDATE those that were found, also where nothing changed in them. */
  readonly count: number
  readonly warnings: number
}

export interface Session {
  readonly version: string
  readonly isMariaDb: boolean
  query<R extends object>(sql: string, values?: readonly unknown[]): Promise<readonly R[]>
  run(sql: string, values?: readonly unknown[]): Promise<Done>
  /** Feeds a `LOAD DATA LOCAL INFILE`, no faster than the server takes it. `sql` is given the name that it has to ask for. */
  load(sql: (quotedName: string) => string, pieces: AsyncIterable<Uint8Array>): Promise<Done>
  /** Ends at once; what was not committed is rolled back by the server. */
  cut(): void
  /** Says goodbye where the session is idle, and cuts it otherwise. Never throws. */
  close(): Promise<void>
}

/** Dials, unless a connected socket is given, and signs in. Throws what a connector may throw. */
export async function openSession(ctx: MysqlContext, connected?: Duplex): Promise<Session> {
  ctx.signal.throwIfAborted()
  const { settings } = ctx
  const password = settings.password.reveal()
  if (password === '') throw new ConnectionRefused('The password is empty', { field: 'password', step: 'signed-in' })
  refuseAddress(settings)
  const socket = connected ?? (await ctx.connect({ host: settings.host, port: settings.port }))
  const options: ConnectionOptions = {
    stream: socket,
    host: settings.host,
    port: settings.port,
    user: settings.user,
    password,
    database: settings.database,
    charset: 'utf8mb4',
    timezone: 'Z',
    connectTimeout: SIGN_IN_TIMEOUT_MS,
    // Of an UPDATE the rows that were found are counted, not only those that changed.
    flags: ['FOUND_ROWS', '-MULTI_STATEMENTS', '-CONNECT_ATTRS'],
    // Readers of rows are not made as code at run time.
    disableEval: true,
    dateStrings: true,
    supportBigNumbers: true,
    bigNumberStrings: true,
    ...(settings.tls === 'verify' ? { ssl: tlsOptions(settings) } : {}),
  }
  const connection = createConnection(options)
  let lost: ConnectionLost | undefined
  connection.on('error', (cause) => {
    lost ??= new ConnectionLost({ cause })
  })
  const cut = (): void => {
    lost ??= new ConnectionLost()
    connection.destroy()
    socket.destroy()
  }
  ctx.signal.addEventListener('abort', cut, { once: true })
  const forget = (): void => ctx.signal.removeEventListener('abort', cut)
  socket.once('close', forget)
  try {
    await new Promise<void>((resolve, reject) => {
      connection.connect((error) => (error === null ? resolve() : reject(error)))
      socket.once('close', () => reject(lost ?? new ConnectionLost()))
    })
  } catch (error) {
    cut()
    ctx.signal.throwIfAborted()
    throw translate(isServerError(error) ? error : new ConnectionLost({ cause: error }), { step: 'connect' })
  }

  let busy = 0
  /** The driver answers a broken connection in many words; they all mean the same. */
  const ask = async (sql: string, values: readonly unknown[], rows?: () => Readable): Promise<unknown> => {
    busy++
    try {
      return await answerOf(connection, socket, { sql, values, rows })
    } catch (error) {
      if (isServerError(error) || error instanceof ConnectionRefused || error instanceof SpoolUnread) throw error
      throw lost ?? new ConnectionLost({ cause: error })
    } finally {
      busy--
    }
  }
  const session: Omit<Session, 'version' | 'isMariaDb'> = {
    query: async (sql: string, values: readonly unknown[] = []) => (await ask(sql, values)) as never[],
    run: async (sql: string, values: readonly unknown[] = []) => doneOf(await ask(sql, values)),
    load: async (sql: (quotedName: string) => string, pieces: AsyncIterable<Uint8Array>) => {
      const name = randomUUID()
      const rows = (): Readable => Readable.from(pieces, { objectMode: true, highWaterMark: 2 })
      return doneOf(await ask(sql(`'${name}'`), [name], rows))
    },
    cut,
    close: async () => {
      forget()
      if (busy > 0 || lost !== undefined) return cut()
      const { promise: ended, resolve } = Promise.withResolvers<void>()
      const timer = setTimeout(resolve, CLOSE_TIMEOUT_MS)
      connection.end(() => resolve())
      await ended
      clearTimeout(timer)
      socket.destroy()
    },
  }
  try {
    const [row] = await session.query<{ version: string }>('SELECT VERSION() AS version')
    const version = row?.version ?? ''
    return { ...session, version, isMariaDb: /mariadb/i.test(version) }
  } catch (error) {
    cut()
    throw translate(error, { step: 'connect' })
  }
}

interface Statement {
  readonly sql: string
  readonly values: readonly unknown[]
  /** For LOAD DATA LOCAL, whose one value is the name that the server may ask for. */
  readonly rows: (() => Readable) | undefined
}

/** A file of the spool could not be read: no fault of the server's. */
class SpoolUnread extends Error {}

function answerOf(connection: Connection, socket: Duplex, { sql, values, rows }: Statement): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => reject(error instanceof Error ? error : new Error('No error was given'))
    let stream: Readable | undefined
    const broken = (): void => {
      stream?.destroy()
      fail(new ConnectionLost())
    }
    socket.once('close', broken)
    let isAsked = false
    const infileStreamFactory = (name: string): Readable => {
      if (rows === undefined || isAsked || name !== values[0]) {
        fail(refusedFile())
        stream = Readable.from([])
        return stream
      }
      isAsked = true
      stream = rows()
      stream.once('error', (cause) => fail(new SpoolUnread('The rows to send could not be read', { cause })))
      return stream
    }
    connection.query(
      { sql, values: rows === undefined ? [...values] : [], infileStreamFactory },
      (error: Error | null, result: unknown) => {
        socket.removeListener('close', broken)
        if (error === null) resolve(result)
        else fail(error)
      },
    )
  })
}

function refusedFile(): ConnectionRefused {
  return new ConnectionRefused(
    'The server asked for a file of this machine. It got none: no server of yours does that, so find out who answers there',
    { field: 'host', step: 'trusted' },
  )
}

function doneOf(result: unknown): Done {
  const header = result as { readonly affectedRows?: unknown; readonly warningStatus?: unknown }
  return { count: Number(header.affectedRows ?? 0), warnings: Number(header.warningStatus ?? 0) }
}

function tlsOptions({ ca }: MysqlContext['settings']): NonNullable<ConnectionOptions['ssl']> {
  // An authority of one's own takes the place of the machine's: a certificate by any other does not hold.
  const own = ca === undefined || ca.trim() === '' ? {} : { ca }
  return { rejectUnauthorized: true, verifyIdentity: true, minVersion: 'TLSv1.2', ...own }
}

/** The driver compares a certificate with `localhost` where the host is an address, so that is refused before anything is sent. */
function refuseAddress({ host, tls }: MysqlContext['settings']): void {
  if (tls === 'verify' && (/^[\d.]+$/.test(host) || host.includes(':')))
    throw new SettingsInvalid(
      'host',
      "With TLS, write the name that the server's certificate bears, and not its address",
    )
}
