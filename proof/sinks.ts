/** Destinations of the proof: each remembers what it was given, and tells afterwards how often each row took effect. */
import { createServer, type IncomingMessage } from 'node:http'
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { startAzurite } from '../packages/connectors/test-servers/azurite.ts'
import { startMariadb } from '../packages/connectors/test-servers/mariadb.ts'
import { startPostgresql } from '../packages/connectors/test-servers/postgresql.ts'
import { startS3 } from '../packages/connectors/test-servers/s3rver.ts'
import { SERVICE_SINKS } from './services.ts'
import type { Sink } from './sink.ts'
import { startSftpServer } from '../packages/server/src/cli/demo/sftp-server.ts'

const count = (keys: Iterable<string>): Map<string, number> => {
  const effects = new Map<string, number>()
  for (const key of keys) effects.set(key, (effects.get(key) ?? 0) + 1)
  return effects
}

async function keysOfFolder(folder: string): Promise<Map<string, number>> {
  const names = (await readdir(folder, { recursive: true })).filter(isDelivered)
  return keysOfTexts(await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8'))))
}

const isDelivered = (name: string): boolean => name.endsWith('.csv') && !/(^|\/)\./.test(name)

function keysOfTexts(texts: readonly string[]): Map<string, number> {
  return count(
    texts.flatMap((text) =>
      text
        .trimEnd()
        .split('\n')
        .slice(1)
        .map((line) => line.split(',')[0] ?? ''),
    ),
  )
}

async function leftoversOf(folder: string): Promise<string[]> {
  return (await readdir(folder, { recursive: true })).filter((name) => /(^|\/)\.patchbay-/.test(name))
}

async function empty(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
}

async function folderSink(root: string): Promise<Sink> {
  const folder = join(root, 'folder-sink')
  await empty(folder)
  return {
    connector: 'local-folder',
    settings: { path: folder },
    secrets: {},
    destination: { folder: 'out' },
    mode: 'append',
    tables: 3,
    uncertainMax: 0,
    readEffects: () => keysOfFolder(folder),
    readLeftovers: () => leftoversOf(folder),
    reset: () => empty(folder),
    stop: () => Promise.resolve(),
  }
}

async function sftpSink(root: string): Promise<Sink> {
  const folder = join(root, 'sftp-sink')
  await empty(join(folder, 'out'))
  const server = await startSftpServer(folder, 'proof-password')
  return {
    connector: 'sftp',
    settings: { host: '127.0.0.1', port: server.port, user: server.user, signIn: 'password', baseFolder: '/out' },
    secrets: { password: server.password },
    destination: { folder: 'people' },
    mode: 'append',
    tables: 3,
    uncertainMax: 0,
    readEffects: () => keysOfFolder(folder),
    readLeftovers: () => leftoversOf(folder),
    reset: () => empty(join(folder, 'out')),
    stop: () => server.close(),
  }
}

async function s3Sink(): Promise<Sink> {
  const server = await startS3()
  return {
    connector: 'amazon-s3',
    settings: {
      ...{ service: 'compatible', endpoint: server.url, region: 'us-east-1', bucket: server.bucket },
      accessKeyId: server.accessKeyId,
    },
    secrets: { secretAccessKey: server.secretAccessKey },
    destination: { folder: 'people' },
    mode: 'append',
    tables: 3,
    uncertainMax: 0,
    readEffects: async () =>
      keysOfTexts(
        await Promise.all(
          server
            .keys()
            .filter(isDelivered)
            .map((key) => readFile(server.pathOf(key), 'utf8')),
        ),
      ),
    // Uploads without parts hold nothing; a lifecycle rule clears them away.
    readLeftovers: () =>
      Promise.resolve([...server.keys().filter((key) => /(^|\/)\.patchbay-/.test(key)), ...server.uploads()]),
    reset: () => Promise.resolve(server.empty()),
    stop: () => server.stop(),
  }
}

async function azureSink(): Promise<Sink> {
  const first = await startAzurite()
  const names = async (): Promise<readonly string[]> => (await first.names()).filter(isDelivered)
  return {
    connector: 'azure-blob',
    settings: { signIn: 'key', account: first.account, container: first.container, endpoint: first.url },
    secrets: { accountKey: first.key },
    destination: { folder: 'people' },
    mode: 'append',
    tables: 3,
    uncertainMax: 0,
    async readEffects() {
      const bodies = await Promise.all((await names()).map((name) => first.read(name)))
      return keysOfTexts(bodies.map((body) => body.toString()))
    },
    readLeftovers: async () => (await first.names()).filter((name) => /(^|\/)\.patchbay-/.test(name)),
    async reset() {
      for (const name of await first.names()) await first.ask('DELETE', name)
    },
    stop: () => first.stop(),
  }
}

async function postgresqlSink(): Promise<Sink> {
  const server = await startPostgresql()
  const query = async (text: string): Promise<readonly Record<string, unknown>[]> => {
    const client = new pg.Client({ connectionString: server.url })
    await client.connect()
    try {
      return (await client.query<Record<string, unknown>>(text)).rows
    } finally {
      await client.end()
    }
  }
  return {
    connector: 'postgresql',
    settings: { host: server.host, port: server.port, database: server.database, user: server.user, tls: 'none' },
    secrets: { password: server.password },
    destination: { table: 'people' },
    mode: 'append',
    tables: 1,
    uncertainMax: 0,
    async readEffects() {
      const [found] = await query(`SELECT to_regclass('public.people') IS NOT NULL AS there`)
      if (found?.['there'] !== true) return new Map()
      return count((await query('SELECT id FROM people')).map((row) => String(row['id'])))
    },
    async readLeftovers() {
      const rows = await query(`SELECT relname FROM pg_class WHERE relkind = 'r' AND relname LIKE '%staging%'`)
      return rows.map((row) => String(row['relname']))
    },
    reset: async () => void (await query('DROP SCHEMA public CASCADE; CREATE SCHEMA public')),
    stop: () => server.stop(),
  }
}

async function mysqlSink(): Promise<Sink> {
  const server = await startMariadb()
  const tables = async (): Promise<readonly string[]> => {
    const rows = await server.query(
      'SELECT TABLE_NAME AS name FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()',
    )
    return rows.map((row) => String(row['name']))
  }
  return {
    connector: 'mysql',
    settings: { host: server.host, port: server.port, database: server.database, user: server.user, tls: 'none' },
    secrets: { password: server.password },
    destination: { table: 'people' },
    mode: 'append',
    tables: 1,
    uncertainMax: 0,
    async readEffects() {
      if (!(await tables()).includes('people')) return new Map()
      return count((await server.query('SELECT id FROM people')).map((row) => String(row['id'])))
    },
    readLeftovers: async () => (await tables()).filter((name) => name.includes('staging')),
    async reset() {
      for (const name of await tables()) await server.query(`DROP TABLE \`${name}\``)
    },
    stop: () => server.stop(),
  }
}

/** `keyed` drops a batch whose id it has seen and gives the same answer again; `blind` takes everything as it comes. */
async function webhookSink(repeat: 'keyed' | 'blind'): Promise<Sink> {
  let effects = new Map<string, number>()
  let answers = new Map<string, string>()
  const take = (request: IncomingMessage, body: string): string => {
    const id = String(request.headers['idempotency-key'] ?? request.headers['webhook-id'])
    const known = repeat === 'keyed' ? answers.get(id) : undefined
    if (known !== undefined) return known
    const { changes = [] } = JSON.parse(body) as { changes?: { key: string }[] }
    for (const { key } of changes) effects.set(key, (effects.get(key) ?? 0) + 1)
    const answer = JSON.stringify({ answers: changes.map(({ key }) => ({ key, status: 'accepted' })) })
    answers.set(id, answer)
    return answer
  }
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (text: string) => (body += text))
    // A request that is cut short takes no effect: it never ends.
    request.on('end', () => response.writeHead(200, { 'content-type': 'application/json' }).end(take(request, body)))
    request.on('error', () => undefined)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The sink has no port')
  return {
    connector: 'webhook',
    settings: { url: `http://127.0.0.1:${address.port}/` },
    secrets: { signingSecret: `whsec_${Buffer.alloc(32, 7).toString('base64')}` },
    destination: { repeat },
    mode: 'upsert',
    tables: 1,
    uncertainMax: repeat === 'blind' ? 1000 : 0,
    readEffects: () => Promise.resolve(effects),
    readLeftovers: () => Promise.resolve([]),
    reset() {
      effects = new Map()
      answers = new Map()
      return Promise.resolve()
    },
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}

export const SINKS: Readonly<Record<string, (root: string) => Promise<Sink>>> = {
  'local-folder': folderSink,
  sftp: sftpSink,
  'amazon-s3': s3Sink,
  'azure-blob': azureSink,
  postgresql: postgresqlSink,
  mysql: mysqlSink,
  'webhook (keyed)': () => webhookSink('keyed'),
  'webhook (blind)': () => webhookSink('blind'),
  ...SERVICE_SINKS,
}
