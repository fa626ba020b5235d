/** What the tests of this connector need: a context over plain sockets, files of lines, and a proxy that breaks on cue. */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type {
  CheckStep,
  Column,
  ColumnType,
  Mode,
  OutgoingFile,
  TableDelivery,
  TableOutcome,
  TableShape,
} from '@patchbay/connector-sdk'
import { makeContext, secretOf } from '../../test-servers/context.ts'
import type { PostgresqlServer } from '../../test-servers/postgresql.ts'
import { openTable } from './delivery.ts'
import { postgresql } from './index.ts'
import type { PostgresqlContext } from './session.ts'

type Settings = PostgresqlContext['settings']

/** A context with the server's own superuser, unless told otherwise. `dialed` holds what went through `connect`. */
export function contextOf(
  server: PostgresqlServer,
  changes: Partial<Omit<Settings, 'password'>> & { readonly password?: string } = {},
  signal: AbortSignal = new AbortController().signal,
): PostgresqlContext & { readonly dialed: Duplex[] } {
  const { password = server.password, ...rest } = changes
  const settings: Settings = {
    ...{ host: server.host, port: server.port, database: server.database, user: server.user },
    ...{ schema: 'public', tls: 'none', password: secretOf(password) },
    ...rest,
  }
  const dialed: Duplex[] = []
  const plain = makeContext({ settings, signal })
  return {
    ...plain,
    ...{ settings, dialed },
    connect: async (address) => {
      const socket = await plain.connect(address)
      dialed.push(socket)
      return socket
    },
  }
}

export async function verify(ctx: PostgresqlContext): Promise<readonly CheckStep[]> {
  const steps: CheckStep[] = []
  for await (const step of postgresql.check(ctx)) steps.push(step)
  return steps
}

export function shapeOf(
  types: Readonly<Record<string, ColumnType>>,
  key: readonly string[] = [],
  withChange = false,
): TableShape {
  const columns: Column[] = Object.entries(types).map(([name, type]) => ({ name, type, nullable: !key.includes(name) }))
  return { columns, key, withChange }
}

type Cell = string | number | boolean | null

/** Lines as the data engine writes them: quotes only where a cell needs them, nothing for NULL, `""` for empty text. */
export function linesOf(rows: readonly (readonly Cell[])[]): string {
  const cell = (value: Cell): string => {
    if (value === null) return ''
    const text = String(value)
    return text === '' || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
  }
  return rows.map((row) => `${row.map(cell).join(',')}\n`).join('')
}

export function fileOf(text: string, rows = text.split('\n').length - 1): OutgoingFile {
  const bytes = Buffer.from(text)
  return {
    ...{ name: 'part-0.csv', rows, sizeBytes: bytes.length, sha256: '' },
    async *read(pieceBytes) {
      for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes)
    },
  }
}

/** A file that is made while it is read, of `count` lines. */
export function longFile(count: number, line: (index: number) => string): OutgoingFile {
  return {
    ...{ name: 'part-0.csv', rows: count, sizeBytes: 0, sha256: '' },
    async *read() {
      for (let start = 0; start < count; start += 2000) {
        let text = ''
        for (let index = start; index < Math.min(count, start + 2000); index++) text += line(index)
        yield Buffer.from(text)
      }
    },
  }
}

let runs = 0
export const newRunId = (): string => `run_${runs++}`

/** A whole run with one file. */
export async function deliver(
  ctx: PostgresqlContext,
  table: string,
  mode: Mode,
  shape: TableShape,
  file: OutgoingFile,
  runId = newRunId(),
): Promise<TableOutcome> {
  const delivery = open(ctx, table, mode)
  try {
    await delivery.begin(shape, runId)
    await delivery.load(file)
    return await delivery.commit()
  } finally {
    await delivery.abandon()
  }
}

export function open(ctx: PostgresqlContext, table: string, mode: Mode, schema = 'public'): TableDelivery {
  return openTable(ctx, { schema, table }, mode)
}

export interface Proxy {
  readonly port: number
  /** Connections so far that passed through. */
  readonly links: Link[]
  close(): Promise<void>
}
export interface Link {
  readonly client: Socket
  readonly server: Socket
}

/**
 * Stands between the driver and the server. `toServer` sees each piece that the driver sends and says whether it goes
 * on; it may cut either side.
 */
export async function startProxy(
  server: PostgresqlServer,
  toServer: (piece: Buffer, link: Link, index: number) => boolean,
): Promise<Proxy> {
  const links: Link[] = []
  const listener = createServer((client) => {
    const link: Link = { client, server: connect(server.port, server.host) }
    const index = links.push(link) - 1
    client.on('data', (piece: Buffer) => {
      if (toServer(piece, link, index)) link.server.write(piece)
    })
    link.server.on('data', (piece) => client.write(piece))
    // A broken client is not passed on to the server: that is the network that a zombie is made of.
    client.on('error', () => undefined).on('end', () => client.end())
    link.server.on('error', () => undefined).on('close', () => client.destroy())
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const address = listener.address()
  if (address === null || typeof address === 'string') throw new Error('No port')
  return {
    port: address.port,
    links,
    close: async () => {
      for (const { client, server: far } of links) {
        client.destroy()
        far.destroy()
      }
      listener.close()
      await once(listener, 'close')
    },
  }
}

/** As the driver sends it: a simple query. */
export const isCommit = (piece: Buffer): boolean => piece.includes('COMMIT\0')
