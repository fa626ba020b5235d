import { Client, Pool, types, type ClientConfig } from 'pg'
import { Problem } from '../domain/problem.ts'
import type { QueueDatabase, Session } from './session.ts'

const INT8 = 20
/** Longer than any transaction of ours takes. A stopped process that holds a row lock loses it after this time at the latest. */
const IDLE_IN_TRANSACTION_MS = 10_000
const CONNECT_MS = 10_000

/** 64-bit counts and sizes as numbers, as PGlite gives them: ours stay far below 2^53. */
const typeParsers: NonNullable<ClientConfig['types']> = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
    oid === INT8 && format !== 'binary' ? Number : types.getTypeParser(oid, format)) as typeof types.getTypeParser,
}

export function openPool(databaseUrl: string, applicationName: string): Pool {
  const pool = new Pool({
    connectionString: databaseUrl,
    application_name: applicationName,
    max: 10,
    connectionTimeoutMillis: CONNECT_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
    keepAlive: true,
    types: typeParsers,
  })
  // A connection may end by itself, in use or not (the server restarts, or ends the sessions of a worker that it takes for
  // hung). The statement on it fails, and the next one gets a new connection; unheard, the event would end the process.
  pool.on('error', () => undefined)
  pool.on('connect', (client) => client.on('error', () => undefined))
  return pool
}

/** A connection of its own, for what belongs to a session: advisory locks and notifications. */
export async function openSession(databaseUrl: string, applicationName: string): Promise<Session> {
  const client = new Client({
    connectionString: databaseUrl,
    application_name: applicationName,
    connectionTimeoutMillis: CONNECT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: 1000,
    types: typeParsers,
  })
  let isOpen = true
  const endings: (() => void)[] = []
  const ended = (): void => {
    if (!isOpen) return
    isOpen = false
    for (const ending of endings) ending()
  }
  client.on('error', ended)
  client.on('end', ended)
  await client.connect()
  // So that the server notices at once when this process is gone, even in the middle of a statement. Linux servers only.
  await client.query('SET client_connection_check_interval = 200').catch(() => undefined)
  return {
    query: async <R extends object>(text: string, values: readonly unknown[]) =>
      (await client.query<R>(text, [...values])).rows,
    onEnd: (ending) => (isOpen ? void endings.push(ending) : ending()),
    close: async () => {
      isOpen = false
      await client.end().catch(() => undefined)
    },
  }
}

/** What pg-boss runs its statements through: this pool, so that there is one place that knows how to connect. */
export function queueDatabaseOf(pool: Pool): QueueDatabase {
  return {
    executeSql: async (text, values = []) => {
      const result: unknown = await pool.query<Record<string, unknown>>(text, [...values])
      // Several statements at once give an array of results.
      const results = (Array.isArray(result) ? result : [result]) as { readonly rows: Record<string, unknown>[] }[]
      return { rows: results.flatMap(({ rows }) => rows) }
    },
  }
}

export async function checkServer(pool: Pool): Promise<void> {
  let version: number
  try {
    const { rows } = await pool.query<{ version: number }>(
      `SELECT current_setting('server_version_num')::int AS version`,
    )
    version = rows[0]?.version ?? 0
  } catch (error) {
    throw new Problem('unavailable', `The database of DATABASE_URL does not answer: ${reasonOf(error)}`, {
      cure: 'Check that it runs and that its address, user and password are right',
      cause: error,
    })
  }
  if (version < 140_000) {
    throw new Problem('not-ready', `PostgreSQL ${Math.floor(version / 10_000)} is too old`, {
      cure: 'Use PostgreSQL 14 or later',
    })
  }
}

/** The driver's message without the address: a DATABASE_URL may hold a password. */
function reasonOf(error: unknown): string {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined
  return code ?? (error instanceof Error ? error.name : 'unknown reason')
}
