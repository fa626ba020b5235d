/**
 * One process in a data folder at a time. The lock is a write transaction of SQLite on `<data>/lock.sqlite`: it is the
 * kernel's, so it is free the moment its process is gone, however that died; a file with a process id in it would not be.
 * It does not hold between two machines that share the folder over a network file system: PostgreSQL is for those.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Problem } from '../domain/problem.ts'

export interface FolderLock {
  free(): void
}

export async function lockFolder(dataFolder: string): Promise<FolderLock> {
  mkdirSync(dataFolder, { recursive: true, mode: 0o700 })
  const { DatabaseSync } = await quietly(() => import('node:sqlite'))
  const database = new DatabaseSync(join(dataFolder, 'lock.sqlite'), { timeout: 0 })
  try {
    // Off keeps the journal in memory: nothing is ever written, and nothing has to be cleaned up after a crash.
    database.exec('PRAGMA journal_mode = OFF; BEGIN EXCLUSIVE')
  } catch (error) {
    database.close()
    if (!(error instanceof Error) || !error.message.includes('locked')) throw error
    throw new Problem('not-ready', `A Patchbay server is using the folder ${dataFolder}`, {
      path: 'PATCHBAY_DATA',
      cure: 'Stop it first, or give the command to that server; for several processes at once set DATABASE_URL to a PostgreSQL',
      cause: error,
    })
  }
  return { free: () => database.close() }
}

/** Node says once that its SQLite is experimental: of no use to whoever runs this, and wrong on a command's output. */
async function quietly<T>(load: () => Promise<T>): Promise<T> {
  const emitWarning = process.emitWarning.bind(process)
  process.emitWarning = () => undefined
  try {
    return await load()
  } finally {
    process.emitWarning = emitWarning
  }
}
