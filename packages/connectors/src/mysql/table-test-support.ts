import type { CheckStep, Mode, OutgoingFile, TableDelivery, TableOutcome, TableShape } from '@patchbay/connector-sdk'
import { makeContext, secretOf } from '../../test-servers/context.ts'
import type { MariadbServer } from '../../test-servers/mariadb.ts'
import { checkConnection } from './check-connection.ts'
import { openTable } from './delivery.ts'
import type { MysqlContext } from './session.ts'

export interface Change {
  readonly host?: string
  readonly port?: number
  readonly user?: string
  readonly password?: string
  readonly database?: string
  readonly tls?: 'verify' | 'none'
  readonly ca?: string
}

export function contextOf(server: MariadbServer, change: Change = {}, signal?: AbortSignal): MysqlContext {
  const { host, port, user, database, password } = server
  const settings = {
    host,
    port,
    user,
    database,
    tls: 'none',
    ...change,
    password: secretOf(change.password ?? password),
  }
  return makeContext({ settings, ...(signal !== undefined && { signal }) }) as unknown as MysqlContext
}

export function verify(ctx: MysqlContext): Promise<CheckStep[]> {
  return Array.fromAsync(checkConnection(ctx))
}

export const PEOPLE: TableShape = {
  columns: [
    { name: 'id', type: 'text', nullable: false },
    { name: 'name', type: 'text', nullable: true },
    { name: 'age', type: 'integer', nullable: true },
    { name: 'spend', type: 'decimal', nullable: true },
    { name: 'vip', type: 'boolean', nullable: true },
    { name: 'born', type: 'date', nullable: true },
    { name: 'seen', type: 'timestamp', nullable: true },
  ],
  key: ['id'],
  withChange: false,
}
export const CHANGES: TableShape = { ...PEOPLE, withChange: true }

type Cell = string | number | boolean | null

/** Lines as the engine writes them: an empty cell for NULL, `""` for empty text. */
export function linesOf(...rows: readonly (readonly Cell[])[]): string {
  const cell = (value: Cell): string => {
    if (value === null) return ''
    const text = String(value)
    return text === '' || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
  }
  return rows.map((row) => `${row.map(cell).join(',')}\n`).join('')
}

export function linesFile(text: string): OutgoingFile {
  const bytes = Buffer.from(text)
  return {
    ...{ name: 'part-0.csv', rows: text.split('\n').length - 1, sizeBytes: bytes.length, sha256: '' },
    async *read(pieceBytes) {
      for (let at = 0; at < bytes.length; at += pieceBytes)
        yield await Promise.resolve(bytes.subarray(at, at + pieceBytes))
    },
  }
}

/** A file that is made while it is read, of `count` lines. */
export function longFile(
  count: number,
  line: (index: number) => string,
  between = async (): Promise<void> => {},
): OutgoingFile {
  return {
    ...{ name: 'part-0.csv', rows: count, sizeBytes: 0, sha256: '' },
    async *read() {
      for (let start = 0; start < count; start += 2000) {
        let text = ''
        for (let index = start; index < Math.min(count, start + 2000); index++) text += line(index)
        await between()
        yield Buffer.from(text)
      }
    },
  }
}

let runs = 0
export const newRunId = (): string => `run_${runs++}`

export function open(ctx: MysqlContext, table: string, mode: Mode): TableDelivery {
  return openTable(ctx, table, mode)
}

/** A whole run with one file. */
export async function deliver(
  ctx: MysqlContext,
  table: string,
  mode: Mode,
  file: OutgoingFile,
  shape: TableShape = mode === 'append' || mode === 'replace' ? PEOPLE : CHANGES,
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
