/** A real MariaDB of Debian's packages: its own temporary folder, a free port on loopback, the shipped configuration. */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createConnection } from 'mysql2/promise'
import { startGuarded, unprivilegedOwner } from './guarded-server.ts'

export interface MariadbServer {
  readonly host: '127.0.0.1'
  readonly port: number
  /** May do everything. */
  readonly user: string
  readonly password: string
  readonly database: string
  /** The authority's certificate as PEM text, of a server that speaks TLS as `localhost`. */
  readonly ca: string | undefined
  log(): string
  /** Runs one statement as the user above. */
  query(sql: string, values?: readonly unknown[]): Promise<readonly Record<string, unknown>[]>
  /** `crash` ends it as a power cut would; the port and the data stay. */
  restart(how?: 'crash'): Promise<void>
  stop(): Promise<void>
}

export interface MariadbOptions {
  /** Options of the server, as `{ 'max-connections': '10' }`. */
  readonly settings?: Readonly<Record<string, string>>
  readonly tls?: boolean
  /** A folder for the data, such as a small disk; emptied by nobody. */
  readonly dataFolder?: string
}

export async function startMariadb({
  settings = {},
  tls = false,
  dataFolder,
}: MariadbOptions = {}): Promise<MariadbServer> {
  const owner = unprivilegedOwner('mysql')
  const password = randomBytes(12).toString('hex')
  const [user, database] = ['admin', 'patchbay']
  let ca: string | undefined
  const server = await startGuarded({
    name: 'mariadb',
    owner,
    prepare(folder) {
      const run = (program: string, args: readonly string[]): void => {
        execFileSync(program, args, { ...owner, cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
      }
      const data = dataFolder ?? join(folder, 'data')
      if (dataFolder === undefined) mkdirSync(data)
      if (owner !== undefined) chownSync(data, owner.uid, owner.gid)
      run('mariadb-install-db', [
        ...['--no-defaults', `--datadir=${data}`, '--auth-root-authentication-method=normal', '--skip-test-db'],
      ])
      const first = [
        `CREATE DATABASE IF NOT EXISTS ${database} CHARACTER SET utf8mb4`,
        `CREATE OR REPLACE USER '${user}'@'%' IDENTIFIED BY '${password}'`,
        `GRANT ALL PRIVILEGES ON *.* TO '${user}'@'%' WITH GRANT OPTION`,
        `DROP USER IF EXISTS 'root'@'localhost'`,
      ]
      const path = join(folder, 'first.sql')
      writeFileSync(path, first.map((line) => `${line};\n`).join(''), { mode: 0o600 })
      if (owner !== undefined) chownSync(path, owner.uid, owner.gid)
      if (tls) ca = makeCertificate(folder, run)
    },
    command: (folder, port) => [
      '/usr/sbin/mariadbd',
      ...[
        '--no-defaults',
        `--datadir=${dataFolder ?? join(folder, 'data')}`,
        `--init-file=${join(folder, 'first.sql')}`,
      ],
      ...['--bind-address=127.0.0.1', `--port=${port}`, `--socket=${join(folder, 'socket')}`],
      ...[`--pid-file=${join(folder, 'pid')}`, `--tmpdir=${folder}`, '--skip-name-resolve'],
      ...(tls ? [`--ssl-cert=${join(folder, 'server.crt')}`, `--ssl-key=${join(folder, 'server.key')}`] : []),
      ...Object.entries(settings).map(([name, value]) => `--${name}=${value}`),
    ],
  })
  return {
    ...{ host: '127.0.0.1', port: server.port, user, password, database, ca },
    log: () => server.log(),
    async query(sql, values = []) {
      const connection = await createConnection({
        ...{
          host: '127.0.0.1',
          port: server.port,
          user,
          password,
          database,
          supportBigNumbers: true,
          dateStrings: true,
        },
      })
      try {
        const [rows] = await connection.query(sql, [...values])
        return Array.isArray(rows) ? (rows as Record<string, unknown>[]) : []
      } finally {
        await connection.end()
      }
    },
    restart: (how) => server.restart(how),
    stop: () => server.stop(),
  }
}

/** An authority and a server certificate of its for `localhost`. */
function makeCertificate(folder: string, run: (program: string, args: readonly string[]) => void): string {
  const at = (name: string): string => join(folder, name)
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  run('openssl', [
    ...['req', '-x509', ...key, '-days', '2', '-subj', '/CN=Patchbay test authority'],
    ...['-keyout', at('ca.key'), '-out', at('ca.crt')],
  ])
  run('openssl', ['req', ...key, '-subj', '/CN=localhost', '-keyout', at('server.key'), '-out', at('server.csr')])
  writeFileSync(at('server.ext'), 'subjectAltName=DNS:localhost\n')
  run('openssl', [
    ...['x509', '-req', '-in', at('server.csr'), '-CA', at('ca.crt'), '-CAkey', at('ca.key'), '-CAcreateserial'],
    ...['-days', '2', '-extfile', at('server.ext'), '-out', at('server.crt')],
  ])
  return readFileSync(at('ca.crt'), 'utf8')
}
