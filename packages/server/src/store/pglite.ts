/**
 * The embedded control store. Three things differ from PGlite as it comes, each measured:
 *
 * - It is made durable. PGlite runs with fsync off, and its file layer drops every flush: a power cut then loses what was
 *   acknowledged, or more. Here fsync is on and reaches the disk, once for each commit (0.36 ms instead of 0.17 ms).
 * - It is made small. V8 compiles PGlite's WebAssembly twice, and the second, optimising pass takes up to 700 MB for a while
 *   and gains nothing here: the whole process with an open store is 140 MB without it, at the same speed.
 * - Its first start (about three seconds) happens beside the final folder and is moved there when it is whole.
 *
 * It is one connection: transactions queue up behind each other, so they must be short, and must use their own handle only.
 */
import { closeSync, existsSync, fdatasyncSync, fsyncSync, openSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { PGlite } from '@electric-sql/pglite'
import { Problem } from '../domain/problem.ts'
import type { QueueDatabase } from './session.ts'

const PARAMETERS = [
  ...PGlite.defaultStartParams.filter((parameter) => parameter !== '-F'),
  ...['-c', 'wal_sync_method=fsync'], // PGlite's file layer has no fdatasync
  ...['-c', 'shared_buffers=8MB'],
  ...['-c', 'wal_buffers=512kB'],
  ...['-c', 'max_connections=4'],
  ...['-c', 'max_wal_size=64MB'],
  ...['-c', 'TimeZone=UTC'],
]

export async function openPglite(folder: string): Promise<PGlite> {
  // While the program runs, V8 does not draw the conclusions that it draws at its start, so each is named.
  for (const flag of ['--liftoff', '--liftoff-only', '--no-wasm-tier-up', '--no-wasm-dynamic-tiering'])
    setFlagsFromString(flag)
  if (!existsSync(folder)) await initialise(folder)
  let database: PGlite
  try {
    database = await PGlite.create(folder, { startParams: PARAMETERS })
  } catch (error) {
    throw new Problem('not-ready', `The control store in ${folder} could not be opened`, {
      cure: 'If it was made by another version of Patchbay, use that one; else restore the folder from a backup',
      cause: error,
    })
  }
  flushToDisk(database, folder)
  return database
}

async function initialise(folder: string): Promise<void> {
  const unfinished = `${folder}.new`
  rmSync(unfinished, { recursive: true, force: true })
  const database = await PGlite.create(unfinished)
  await database.close()
  flushTree(unfinished)
  renameSync(unfinished, folder)
  flushFolder(join(folder, '..'))
}

interface FileStream {
  readonly path: string
  /** The host's file descriptor; a folder has none. */
  readonly nfd?: number
}

/** Gives PGlite's file layer the flush that it lacks. Where its insides look different after an update, nothing is promised silently. */
function flushToDisk(database: PGlite, folder: string): void {
  const root = '/pglite/data'
  const { stream_ops: operations } = database.Module.FS.lookupPath(root, {}).node as unknown as {
    readonly stream_ops?: { write?: unknown; fsync?: (stream: FileStream) => void }
  }
  if (operations?.write === undefined) throw new Error('PGlite has changed: its file layer is not where it was')
  operations.fsync = (stream) => {
    if (stream.nfd !== undefined) fdatasyncSync(stream.nfd)
    else flushFolder(join(folder, stream.path.slice(root.length)))
  }
}

function flushTree(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) flushTree(path)
    else flush(path)
  }
  flushFolder(folder)
}

function flush(path: string): void {
  const file = openSync(path, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

/** Windows cannot flush a folder, and does not need to. */
function flushFolder(path: string): void {
  try {
    flush(path)
  } catch (error) {
    if (!['EISDIR', 'EPERM', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  }
}

/**
 * What pg-boss runs its statements through. Its scripts bring a BEGIN and a COMMIT of their own; they run as one of PGlite's
 * transactions instead, or one that fails would leave the only connection in it for whoever comes next.
 */
export function queueDatabaseOf(database: PGlite): QueueDatabase {
  return {
    executeSql: async (text, values = []) => {
      if (values.length > 0) return { rows: (await database.query<Record<string, unknown>>(text, [...values])).rows }
      const script = /^\s*BEGIN;([\s\S]*)COMMIT;\s*$/.exec(text)?.[1]
      const results =
        script === undefined ? await database.exec(text) : await database.transaction((tx) => tx.exec(script))
      return { rows: results.flatMap(({ rows }) => rows as Record<string, unknown>[]) }
    },
  }
}
