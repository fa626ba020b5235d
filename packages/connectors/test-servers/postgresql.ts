/**
 * A real PostgreSQL of Debian's packages for tests, benches and proofs: its own temporary folder, a free port on
 * loopback, the shipped configuration (fsync on) unless asked otherwise. It leaves no process and no folder behind,
 * even where the process that started it is killed: a small shell holds the server and ends it when its input closes.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  appendFileSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'

export interface PostgresqlOptions {
  /** Lines of postgresql.conf, as `{ max_connections: '10' }`. */
  readonly settings?: Readonly<Record<string, string>>
  /** Speaks TLS with a certificate for `localhost` and 127.0.0.1 by an authority made for this server (`ca`). */
  readonly tls?: boolean
}

export interface PostgresqlServer {
  readonly host: '127.0.0.1'
  readonly port: number
  /** A superuser. */
  readonly user: string
  readonly password: string
  readonly database: string
  readonly url: string
  /** The server's log so far. */
  log(): string
  /** The authority's certificate as PEM text; only where `tls` was asked for. */
  readonly ca: string | undefined
  /** Folder with `psql` and the other programs. */
  readonly programs: string
  /** Runs statements as the superuser, for setting up and looking; `database` is the default one unless named. */
  query(sql: string, values?: readonly unknown[], database?: string): Promise<Record<string, unknown>[]>
  /** `fast` ends sessions and shuts down clean; `immediate` is a crash. The port and the data stay. */
  restart(how?: 'fast' | 'immediate'): Promise<void>
  stop(): Promise<void>
}

const DEBIAN = '/usr/lib/postgresql'

/** The folder of the newest installed version, or undefined where there is none. */
function findPostgresql(): string | undefined {
  if (!existsSync(DEBIAN)) return undefined
  return readdirSync(DEBIAN)
    .toSorted((a, b) => Number(b) - Number(a))
    .map((version) => join(DEBIAN, version, 'bin'))
    .find((folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres')))
}

export async function startPostgresql(options: PostgresqlOptions = {}): Promise<PostgresqlServer> {
  const programs = findPostgresql()
  if (programs === undefined) throw new Error(`No PostgreSQL server below ${DEBIAN}`)
  const owner = unprivilegedOwner()
  const folder = mkdtempSync(join(tmpdir(), 'patchbay-postgresql-'))
  if (owner !== undefined) chownSync(folder, owner.uid, owner.gid)
  const data = join(folder, 'data')
  const password = randomBytes(12).toString('hex')
  const user = 'admin'
  const database = 'patchbay'
  let guard: ChildProcess | undefined

  try {
    const write = (name: string, text: string): string => {
      const path = join(folder, name)
      writeFileSync(path, text, { mode: 0o600 })
      if (owner !== undefined) chownSync(path, owner.uid, owner.gid)
      return path
    }
    const run = (program: string, args: readonly string[]): string =>
      execFileSync(program, args, { ...owner, cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })

    const passwordFile = write('password', password)
    run(join(programs, 'initdb'), [
      ...['--pgdata', data, '--username', user, '--pwfile', passwordFile, '--auth', 'scram-sha-256'],
      // No locale: messages are English, and text sorts by its bytes on every machine.
      ...['--encoding', 'UTF8', '--no-locale', '--no-sync'],
    ])
    const ca = options.tls === true ? makeCertificate(folder, run) : undefined
    const settings = {
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
      ...(ca === undefined
        ? {}
        : { ssl: 'on', ssl_cert_file: join(folder, 'server.crt'), ssl_key_file: join(folder, 'server.key') }),
      ...options.settings,
    }
    const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'`)
    appendFileSync(join(data, 'postgresql.conf'), `\n${lines.join('\n')}\n`)
    const port = await freePort()
    const url = `postgresql://${user}:${password}@127.0.0.1:${port}/${database}`

    const start = async (): Promise<void> => {
      guard = spawn('/bin/sh', ['-c', GUARD, 'sh', join(programs, 'postgres'), data, folder, String(port)], {
        ...owner,
        cwd: folder,
        stdio: ['pipe', 'ignore', 'ignore'],
      })
      const before = server.log().length
      await ready({ host: '127.0.0.1', port, user, password, database: 'postgres' }, guard, () =>
        server.log().slice(before),
      )
    }
    const end = async (word: string): Promise<void> => {
      const ending = guard
      guard = undefined
      if (ending === undefined) return
      const exited = ending.exitCode === null ? once(ending, 'exit') : undefined
      ending.stdin?.end(`${word}\n`)
      await exited
    }
    const server: PostgresqlServer = {
      ...{ host: '127.0.0.1' as const, port, user, password, database, url, ca, programs },
      log: () => (existsSync(join(folder, 'log')) ? readFileSync(join(folder, 'log'), 'utf8') : ''),
      query: async (sql, values = [], other = database) => {
        const client = new Client({ host: '127.0.0.1', port, user, password, database: other, ssl: false })
        await client.connect()
        try {
          return (await client.query<Record<string, unknown>>(sql, [...values])).rows
        } finally {
          await client.end()
        }
      },
      restart: async (how = 'fast') => {
        await end(how === 'fast' ? 'restart' : 'crash')
        await start()
      },
      stop: async () => {
        await end('stop')
        rmSync(folder, { recursive: true, force: true })
      },
    }
    await start()
    await server.query(`CREATE DATABASE ${database}`, [], 'postgres')
    return server
  } catch (error) {
    guard?.stdin?.end('stop\n')
    if (guard === undefined) rmSync(folder, { recursive: true, force: true })
    throw error
  }
}

/**
 * Starts the server and waits for one line of input: `restart` and `crash` keep the folder; `stop`, and the end of
 * input that comes with the death of the process that started us, remove it.
 */
const GUARD = `
"$1" -D "$2" -p "$4" >>"$3/log" 2>&1 </dev/null &
server=$!
trap '' INT TERM HUP
read word
case "$word" in crash) kill -QUIT $server ;; *) kill -INT $server ;; esac
wait $server
case "$word" in restart|crash) ;; *) rm -rf "$3" ;; esac
`

/** The server refuses to run as root; as any other user it runs as that user. */
function unprivilegedOwner(): { readonly uid: number; readonly gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
  const entry = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody')
  if (entry === undefined) throw new Error('Neither a user postgres nor a user nobody to run PostgreSQL as')
  return { uid: Number(entry[2]), gid: Number(entry[3]) }
}

/** Free at the moment of asking: another process may take it first, and then the start fails and says so. */
async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  await once(probe, 'close')
  if (address === null || typeof address === 'string') throw new Error('No free port')
  return address.port
}

/** Waits until the server lets the superuser in, at most 60 s: a crashed one replays its log first. */
async function ready(
  config: { host: string; port: number; user: string; password: string; database: string },
  guard: ChildProcess,
  log: () => string,
): Promise<void> {
  for (let tries = 0; tries < 1200; tries++) {
    if (guard.exitCode !== null) break
    const client = new Client({ ...config, ssl: false })
    client.on('error', () => undefined)
    try {
      await client.connect()
      await client.end()
      return
    } catch {
      if (/could not bind|FATAL: +(?! |the database system is)/.test(log())) break
      await sleep(50)
    }
  }
  throw new Error(`PostgreSQL did not start:\n${log().split('\n').slice(-20).join('\n')}`)
}

/** An authority and a server certificate of its, by the openssl that Debian's PostgreSQL brings along. */
function makeCertificate(folder: string, run: (program: string, args: readonly string[]) => string): string {
  const at = (name: string): string => join(folder, name)
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  run('openssl', [
    ...['req', '-x509', ...key, '-days', '2', '-subj', '/CN=Patchbay test authority'],
    ...['-keyout', at('ca.key'), '-out', at('ca.crt')],
  ])
  run('openssl', ['req', ...key, '-subj', '/CN=localhost', '-keyout', at('server.key'), '-out', at('server.csr')])
  writeFileSync(at('server.ext'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n')
  run('openssl', [
    ...['x509', '-req', '-in', at('server.csr'), '-CA', at('ca.crt'), '-CAkey', at('ca.key'), '-CAcreateserial'],
    ...['-days', '2', '-extfile', at('server.ext'), '-out', at('server.crt')],
  ])
  return readFileSync(at('ca.crt'), 'utf8')
}
