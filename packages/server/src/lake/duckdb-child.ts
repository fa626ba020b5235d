/**
 * The program of the DuckDB child: one instance in memory, told what to do over stdin, answering over stdout. It knows
 * no rule, no table and no path but those in its settings, and it ends itself when nobody holds the other end.
 */
import duckdb from '@duckdb/node-bindings'
import type { Connection, DataChunk, Database, LogicalType, Result } from '@duckdb/node-bindings'
import type { DuckDbValue } from './duckdb.ts'
import { encodeFrame, frameReader, STREAM_WINDOW } from './duckdb-frames.ts'
import type { ChildSettings, Reply, Request } from './duckdb-frames.ts'
import { readVector } from './duckdb-values.ts'

/** Above this, the next frames hold fewer rows: cells may be 10 MB each. */
const FRAME_BYTES_GOAL = 8_000_000
const VECTOR_ROWS = 2048

interface OpenStream {
  credits: number
  isStopped: boolean
  wake: () => void
  connection: Connection | undefined
}

let database: Database | undefined
let connection: Connection | undefined
/** Statements of `run` and `rows` go one after the other over one connection. */
let queue: Promise<void> = Promise.resolve()
const streams = new Map<number, OpenStream>()

const read = frameReader<Request>()
process.stdin.on('data', (data: Buffer) => {
  for (const request of read(data)) take(request)
})
// The parent closed its end or is dead. A statement may be running in another thread, which a tidy exit would wait for.
process.stdin.on('end', die)
process.stdin.on('error', die)
process.stdout.on('error', die)

function die(): void {
  process.kill(process.pid, 'SIGKILL')
}

function take(request: Request): void {
  switch (request.kind) {
    case 'open':
      queue = answer(request.id, async () => open(request.settings))
      return
    case 'run':
    case 'rows': {
      const { id, kind, sql } = request
      queue = queue.then(async () => answer(id, async () => execute(id, kind, sql)))
      return
    }
    case 'stream': {
      const state: OpenStream = {
        credits: STREAM_WINDOW,
        isStopped: false,
        wake: () => undefined,
        connection: undefined,
      }
      streams.set(request.id, state)
      // Over a connection of its own, once the statements before it are done.
      void queue.then(async () => answer(request.id, async () => stream(request.id, request.sql, state)))
      return
    }
    case 'more':
    case 'stop': {
      const open = streams.get(request.id)
      if (open === undefined) return
      if (request.kind === 'more') open.credits += 1
      else {
        open.isStopped = true
        if (open.connection !== undefined) duckdb.interrupt(open.connection)
      }
      open.wake()
    }
  }
}

/** Never rejects: what goes wrong is the reply. */
async function answer(id: number, work: () => Promise<string | undefined>): Promise<void> {
  try {
    const note = await work()
    await send(note === undefined ? { id, kind: 'done' } : { id, kind: 'done', note })
  } catch (error) {
    await send({ id, kind: 'failed', raw: error instanceof Error ? error.message : String(error) })
  }
}

async function send(reply: Reply): Promise<number> {
  const frame = encodeFrame(reply)
  if (!process.stdout.write(frame)) await new Promise<void>((resolve) => process.stdout.once('drain', () => resolve()))
  return frame.byteLength
}

async function open(settings: ChildSettings): Promise<string> {
  const config = duckdb.create_config()
  const options = {
    threads: String(settings.threads),
    memory_limit: `${settings.memoryLimitMb}MiB`,
    temp_directory: settings.spillFolder,
    preserve_insertion_order: 'false',
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    allow_community_extensions: 'false',
  }
  for (const [name, value] of Object.entries(options)) duckdb.set_config(config, name, value)
  database = await duckdb.open(':memory:', config)
  connection = await duckdb.connect(database)
  const list = (paths: readonly string[]): string =>
    `[${paths.map((path) => `'${path.replaceAll("'", "''")}'`).join(', ')}]`
  await duckdb.query(
    connection,
    `SET GLOBAL TimeZone = 'UTC';
     SET allowed_directories = ${list(settings.allowedFolders)};
     SET allowed_paths = ${list(settings.allowedFiles)};
     SET enable_external_access = false;
     SET lock_configuration = true`,
  )
  return duckdb.library_version()
}

async function execute(id: number, kind: 'run' | 'rows', sql: string): Promise<undefined> {
  if (connection === undefined) throw new Error('Invalid Input Error: not open')
  const result = await duckdb.query(connection, sql)
  if (kind === 'run') return
  await send({ id, kind: 'names', names: namesOf(result) })
  await sendChunks(id, result, async () => true)
}

async function stream(id: number, sql: string, given: OpenStream): Promise<undefined> {
  const state = given
  if (database === undefined) throw new Error('Invalid Input Error: not open')
  const own = await duckdb.connect(database)
  state.connection = own
  try {
    if (state.isStopped) return
    const prepared = await duckdb.prepare(own, sql)
    const result = await duckdb.execute_prepared_streaming(prepared)
    duckdb.destroy_prepare_sync(prepared)
    await sendChunks(id, result, async () => mayGoOn(state))
  } catch (error) {
    // What is stopped in the middle fails as interrupted: nobody waits for it any more.
    if (!state.isStopped) throw error
  } finally {
    streams.delete(id)
    duckdb.disconnect_sync(own)
  }
}

async function mayGoOn(given: OpenStream): Promise<boolean> {
  const state = given
  while (state.credits === 0 && !state.isStopped) {
    await new Promise<void>((resolve) => {
      state.wake = resolve
    })
  }
  state.credits -= 1
  return !state.isStopped
}

async function sendChunks(id: number, result: Result, mayGo: () => Promise<boolean>): Promise<void> {
  const types = Array.from({ length: duckdb.column_count(result) }, (_, i) => duckdb.column_logical_type(result, i))
  let rowsPerFrame = VECTOR_ROWS
  for (;;) {
    const chunk = await duckdb.fetch_chunk(result)
    if (chunk === null) return
    const size = duckdb.data_chunk_get_size(chunk)
    if (size === 0) return
    for (let from = 0, to = 0; from < size; from = to) {
      if (!(await mayGo())) return
      to = Math.min(size, from + rowsPerFrame)
      const bytes = await send({ id, kind: 'chunk', rows: to - from, columns: columnsOf(chunk, types, from, to) })
      if (bytes > FRAME_BYTES_GOAL && rowsPerFrame > 1) rowsPerFrame = Math.max(1, rowsPerFrame >> 2)
    }
  }
}

function columnsOf(chunk: DataChunk, types: readonly LogicalType[], from: number, to: number): DuckDbValue[][] {
  return types.map((type, index) => readVector(duckdb.data_chunk_get_vector(chunk, index), type, from, to))
}

function namesOf(result: Result): string[] {
  return Array.from({ length: duckdb.column_count(result) }, (_, index) => duckdb.column_name(result, index))
}
