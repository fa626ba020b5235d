/**
 * Starts the DuckDB child and speaks to it. Two walls stand around it: the operating system's sandbox where there is one
 * (decided once per process, by the first start), and DuckDB's own locks in any case. Without the sandbox, `read` folders
 * are protected against reading elsewhere but not against writing: DuckDB's locks know no such difference.
 *
 * The child dies with the parent (closed stdin, bubblewrap's --die-with-parent), on `close`, and on the signal, each time
 * by SIGKILL: a statement in the middle of its work listens to nothing else, and nothing in the child is worth saving.
 */
import { spawn } from 'node:child_process'
import type { ChildProcessByStdio } from 'node:child_process'
import { realpathSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { DuckDb, DuckDbChunk, DuckDbOptions, DuckDbValue, StartDuckDb } from './duckdb.ts'
import { DuckDbError, duckDbError } from './duckdb-error.ts'
import { encodeFrame, frameReader } from './duckdb-frames.ts'
import type { ChildSettings, Reply, Request } from './duckdb-frames.ts'
import { findBubblewrap, sandboxArguments } from './duckdb-sandbox.ts'

type ChildProcess = ChildProcessByStdio<Writable, Readable, Readable>
/** What a request's replies are given to. `end` is called exactly once, last. */
interface Listener {
  readonly take: (reply: Reply & { kind: 'names' | 'chunk' }) => void
  readonly end: (error: Error | undefined, note: string | undefined) => void
}

export interface Walls {
  readonly sandbox: 'bubblewrap' | 'none'
  /** Why there is no sandbox; empty where there is one. */
  readonly reason: string
  readonly duckdbVersion: string
}

interface Started {
  readonly db: DuckDb
  readonly version: string
}

/** Undefined until a child was started in this process. */
let sandboxVerdict: { readonly works: boolean; readonly reason: string } | undefined

export const startDuckDb: StartDuckDb = async (options) => (await startChild(options)).db

/** Which walls stand around the data engine on this machine, found out by starting one. */
export async function describeWalls(): Promise<Walls> {
  const { db, version } = await startChild({
    read: [],
    write: [tmpdir()],
    memoryLimitMb: 64,
    threads: 1,
    signal: new AbortController().signal,
  })
  await db.close()
  const works = sandboxVerdict?.works ?? false
  return { sandbox: works ? 'bubblewrap' : 'none', reason: sandboxVerdict?.reason ?? '', duckdbVersion: version }
}

async function startChild(options: DuckDbOptions): Promise<Started> {
  options.signal.throwIfAborted()
  const bubblewrap = findBubblewrap()
  if (bubblewrap === undefined) {
    sandboxVerdict = { works: false, reason: 'bubblewrap (bwrap) is not installed' }
  }
  if (bubblewrap !== undefined && sandboxVerdict?.works !== false) {
    try {
      const started = await startWithin(bubblewrap, options)
      sandboxVerdict = { works: true, reason: '' }
      return started
    } catch (error) {
      // Once the sandbox has worked here, it is never done without: then this is another failure.
      const isWall = error instanceof DuckDbError && error.kind === 'ended' && sandboxVerdict === undefined
      if (!isWall || options.signal.aborted) throw error
      sandboxVerdict = { works: false, reason: `bubblewrap does not work here: ${error.rawMessage()}` }
    }
  }
  return startWithin(undefined, options)
}

/** Under the given bubblewrap, or with DuckDB's own locks alone. Others call `startDuckDb`, which decides. */
export async function startWithin(bubblewrap: string | undefined, options: DuckDbOptions): Promise<Started> {
  const settings = childSettings(options)
  const [program = process.execPath, ...rest] = childCommand()
  const child =
    bubblewrap === undefined
      ? spawnChild(program, rest)
      : spawnChild(bubblewrap, sandboxArguments(options, [program, ...rest]))
  return talkTo(child, settings, options.signal)
}

function childCommand(): string[] {
  const program = join(dirname(fileURLToPath(import.meta.url)), 'duckdb-child.ts')
  return [process.execPath, '--no-warnings', '--max-old-space-size=768', program]
}

function spawnChild(command: string, args: readonly string[]): ChildProcess {
  // On Windows a process without SystemRoot does not start; elsewhere the environment is empty.
  return spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], env: {}, cwd: '/', windowsHide: true })
}

function childSettings(options: DuckDbOptions): ChildSettings {
  const [spillFolder] = options.write
  if (spillFolder === undefined) throw new TypeError('a write folder is needed for spilled data')
  const allowedFolders: string[] = []
  const allowedFiles: string[] = []
  for (const path of [...options.write, ...options.read]) {
    const found = statSync(path, { throwIfNoEntry: false })
    if (found === undefined && options.write.includes(path)) throw new TypeError('a write folder does not exist')
    const names = found === undefined ? [path] : [...new Set([path, realpathSync(path)])]
    ;(found?.isFile() === true ? allowedFiles : allowedFolders).push(...names)
  }
  return { allowedFolders, allowedFiles, spillFolder, memoryLimitMb: options.memoryLimitMb, threads: options.threads }
}

async function talkTo(child: ChildProcess, settings: ChildSettings, signal: AbortSignal): Promise<Started> {
  const line = openLine(child, signal)
  try {
    const version = await new Promise<string>((resolve, reject) => {
      line.ask((id) => ({ id, kind: 'open', settings }), {
        take: () => undefined,
        end: (error, note) => (error === undefined ? resolve(note ?? '') : reject(error)),
      })
    })
    return { db: duckDbOver(line), version }
  } catch (error) {
    await line.close()
    throw error
  }
}

interface Line {
  readonly ask: (request: (id: number) => Request, listener: Listener) => number
  readonly tell: (request: Request) => void
  readonly close: () => Promise<void>
}

/** One child's requests and replies, by number. When the child ends, whatever still waits is told so. */
function openLine(child: ChildProcess, signal: AbortSignal): Line {
  const listeners = new Map<number, Listener>()
  const read = frameReader<Reply>()
  let lastId = 0
  let lastWords = ''
  let over: Error | undefined

  const kill = (): void => void child.kill('SIGKILL')
  const finish = (error: Error): void => {
    over ??= error
    for (const listener of listeners.values()) listener.end(over, undefined)
    listeners.clear()
  }
  const onAbort = (): void => {
    kill()
    finish(signal.reason instanceof Error ? signal.reason : new DuckDbError('interrupted', 'aborted'))
  }
  signal.addEventListener('abort', onAbort, { once: true })
  // 'close' comes when nobody holds the pipes any more: so bubblewrap's child is gone too, not only bubblewrap.
  const closed = new Promise<void>((resolve) => {
    const onEnd = (words: string): void => {
      signal.removeEventListener('abort', onAbort)
      finish(new DuckDbError('ended', words))
      resolve()
    }
    child.once('close', (code, killedBy) => onEnd(lastWords.trim() || `ended with ${killedBy ?? code ?? 'nothing'}`))
    // It did not start, or cannot be killed; then nothing closes.
    child.once('error', (error) => onEnd(error.message))
  })
  // A write to a dead child fails here, and its end is told by 'close'.
  child.stdin.on('error', () => undefined)
  child.stderr.setEncoding('utf8')
  child.stderr.on('data', (text: string) => {
    lastWords = (lastWords + text).slice(-2000)
  })
  child.stdout.on('data', (data: Buffer) => {
    for (const reply of read(data)) {
      const listener = listeners.get(reply.id)
      if (reply.kind === 'done' || reply.kind === 'failed') {
        listeners.delete(reply.id)
        listener?.end(
          reply.kind === 'failed' ? duckDbError(reply.raw) : undefined,
          reply.kind === 'done' ? reply.note : undefined,
        )
      } else listener?.take(reply)
    }
  })

  return {
    ask(request, listener) {
      lastId += 1
      if (over !== undefined) listener.end(over, undefined)
      else {
        listeners.set(lastId, listener)
        child.stdin.write(encodeFrame(request(lastId)))
      }
      return lastId
    },
    tell(request) {
      if (over === undefined) child.stdin.write(encodeFrame(request))
    },
    async close() {
      finish(new DuckDbError('ended', 'closed'))
      kill()
      await closed
    },
  }
}

function duckDbOver(line: Line): DuckDb {
  const ask = async (kind: 'run' | 'rows', sql: string, take: Listener['take']): Promise<void> => {
    await new Promise<void>((resolve, reject) => {
      line.ask((id) => ({ id, kind, sql }), {
        take,
        end: (error) => (error === undefined ? resolve() : reject(withCaller(error))),
      })
    })
  }
  return {
    async run(sql) {
      await ask('run', sql, () => undefined)
    },
    async rows(sql) {
      let names: readonly string[] = []
      const rows: Record<string, DuckDbValue>[] = []
      await ask('rows', sql, (reply) => {
        if (reply.kind === 'names') names = reply.names
        else for (let row = 0; row < reply.rows; row += 1) rows.push(rowOf(names, reply.columns, row))
      })
      return rows
    },
    stream: (sql) => streamOver(line, sql),
    close: line.close,
  }
}

/** By way of `fromEntries`, since a column may be called `__proto__`. */
function rowOf(
  names: readonly string[],
  columns: readonly (readonly DuckDbValue[])[],
  row: number,
): Record<string, DuckDbValue> {
  return Object.fromEntries(names.map((name, column) => [name, columns[column]?.[row] ?? null]))
}

async function* streamOver(line: Line, sql: string): AsyncGenerator<DuckDbChunk, void, undefined> {
  const waiting: DuckDbChunk[] = []
  let ended: { readonly error: Error | undefined } | undefined
  let wake = (): void => undefined
  const id = line.ask((number) => ({ id: number, kind: 'stream', sql }), {
    take: (reply) => {
      if (reply.kind === 'chunk') waiting.push({ rows: reply.rows, columns: reply.columns })
      wake()
    },
    end: (error) => {
      ended = { error }
      wake()
    },
  })
  try {
    for (;;) {
      const chunk = waiting.shift()
      if (chunk !== undefined) {
        yield chunk
        line.tell({ id, kind: 'more' })
        continue
      }
      if (ended?.error !== undefined) throw withCaller(ended.error)
      if (ended !== undefined) return
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  } finally {
    if (ended === undefined) line.tell({ id, kind: 'stop' })
  }
}

/** An error made in the reading of a reply says nothing of who asked: this stack does. */
function withCaller(error: Error): Error {
  if (!(error instanceof DuckDbError)) return error
  return new DuckDbError(error.kind, error.rawMessage())
}
