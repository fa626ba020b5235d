/**
 * The embedded control store. Three things differ from PGlite as it comes, each measured:
 *
 * - It is made durable (`pglite-disk.ts`). PGlite runs with fsync off, and its file layer drops every flush: a power cut
 *   then loses what was acknowledged, or more.
 * - It is made small. V8 compiles PGlite's WebAssembly twice, and the second, optimising pass takes up to 700 MB for a while
 *   and gains next to nothing here: a process with an open store peaks at 190 MB without it.
 * - Its first start (about three seconds) happens beside the final folder and is moved there when it is whole.
 *
 * It is one connection: transactions queue up behind each other, so they must be short, and must use their own handle only.
 */
import { existsSync, renameSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { PGlite } from '@electric-sql/pglite'
import type { PGliteDialectConfig } from 'kysely'
import { Problem } from '../domain/problem.ts'
import { attachDisk, flushFolder, flushTree } from './pglite-disk.ts'
import { startUpkeep } from './pglite-upkeep.ts'
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

export interface EmbeddedStore {
  readonly forKysely: PGliteDialectConfig['pglite']
  readonly queueDatabase: QueueDatabase
  close(): Promise<void>
}

export async function openPglite(folder: string): Promise<EmbeddedStore> {
  // While the program runs, V8 does not draw the conclusions that it draws at its start, so each is named.
  const flags = ['--liftoff', '--liftoff-only', '--no-wasm-tier-up', '--no-wasm-dynamic-tiering']
  for (const flag of flags) setFlagsFromString(flag)
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
  const disk = attachDisk(database, folder)
  // What upkeep could not do now, it does later; what is broken shows at the next write.
  const stopUpkeep = startUpkeep(database, () => undefined)
  const durable = {
    get closed() {
      return database.closed
    },
    get ready() {
      return database.ready
    },
    waitReady: database.waitReady,
    close: () => database.close(),
    query: async <T>(...statement: Parameters<PGlite['query']>) => {
      const result = await database.query<T>(...statement)
      await disk.flushed()
      return result
    },
    transaction: async <T>(work: Parameters<typeof database.transaction<T>>[0]) => {
      const result = await database.transaction(work)
      await disk.flushed()
      return result
    },
  }
  return {
    forKysely: durable as PGliteDialectConfig['pglite'],
    queueDatabase: queueDatabaseOf(database, () => disk.flushed()),
    close: async () => {
      await stopUpkeep()
      if (!database.closed) await database.close()
      disk.close()
    },
  }
}

async function initialise(folder: string): Promise<void> {
  const unfinished = `${folder}.new`
  rmSync(unfinished, { recursive: true, force: true })
  const database = await PGlite.create(unfinished)
  await database.close()
  flushTree(unfinished)
  renameSync(unfinished, folder)
  flushFolder(dirname(folder))
}

/**
 * What pg-boss runs its statements through. Its scripts bring a BEGIN and a COMMIT of their own; they run as one of PGlite's
 * transactions instead, or one that fails would leave the only connection in it for whoever comes next.
 */
function queueDatabaseOf(database: PGlite, flushed: () => Promise<void>): QueueDatabase {
  const run = async (text: string, values: readonly unknown[]): Promise<Record<string, unknown>[]> => {
    if (values.length > 0) return (await database.query<Record<string, unknown>>(text, [...values])).rows
    const script = /^\s*BEGIN;([\s\S]*)COMMIT;\s*$/.exec(text)?.[1]
    const results =
      script === undefined ? await database.exec(text) : await database.transaction((tx) => tx.exec(script))
    return results.flatMap(({ rows }) => rows as Record<string, unknown>[])
  }
  return {
    executeSql: async (text, values = []) => {
      const rows = await run(text, values)
      await flushed()
      return { rows }
    },
  }
}
