import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Kysely, PGliteDialect, PostgresDialect, sql } from 'kysely'
import { anchorPath, holdsAnchor, readAnchor, writeAnchor } from './audit-anchor.ts'
import { readAuditHead } from './audit.ts'
import { lockFolder, type FolderLock } from './folder-lock.ts'
import { migrate } from './migrate.ts'
import { openPglite } from './pglite.ts'
import { checkServer, openPool, openSession, queueDatabaseOf } from './postgresql.ts'
import type { Db, Schema } from './schema.ts'
import type { QueueDatabase, Session } from './session.ts'

export type { QueueDatabase, Session } from './session.ts'

export interface Store {
  readonly db: Db
  readonly dialect: 'pglite' | 'postgresql'
  readonly dataFolder: string
  /** Names this process among the workers of one store; its sessions carry it, so that a hung one can be ended. */
  readonly workerId: string
  readonly queueDatabase: QueueDatabase
  /** A connection of its own; only where several processes share the store. */
  readonly openSession: (() => Promise<Session>) | null
  /**
   * The store does not hold what the anchor beside it names: it was put back from a backup, or lost its end. Nothing is sent
   * until a person confirms (`confirmRestore`), since the ledgers may not know what was sent since.
   */
  isRestored(): Promise<boolean>
  /** Writes the audit log's head to its file outside, if it has moved. */
  anchorAudit(): Promise<void>
  /** Takes the store as it is for the truth from now on. */
  confirmRestore(): Promise<void>
  close(): Promise<void>
}

export interface StorePlace {
  /** Holds the embedded store, and in either case the files beside the store. */
  readonly dataFolder: string
  /** A PostgreSQL to use instead of the embedded store. */
  readonly databaseUrl?: string
}

/** Opens the control store, brings it to this version, and says clearly why not where it cannot. Close it, whatever happens. */
export async function openStore(place: StorePlace): Promise<Store> {
  const workerId = `patchbay-${randomBytes(6).toString('hex')}`
  const opened =
    place.databaseUrl === undefined
      ? await openEmbedded(place.dataFolder)
      : await openServer(place.databaseUrl, place.dataFolder, workerId)
  try {
    await migrate(opened.db)
  } catch (error) {
    await opened.close()
    throw error
  }
  return { ...opened, ...anchored(opened.db, place.dataFolder, opened.close), dataFolder: place.dataFolder, workerId }
}

type Opened = Pick<Store, 'db' | 'dialect' | 'queueDatabase' | 'openSession' | 'close'>

async function openEmbedded(dataFolder: string): Promise<Opened> {
  const lock: FolderLock = await lockFolder(dataFolder)
  try {
    const embedded = await openPglite(join(dataFolder, 'control'))
    return {
      db: new Kysely<Schema>({ dialect: new PGliteDialect({ pglite: embedded.forKysely }) }),
      dialect: 'pglite',
      queueDatabase: embedded.queueDatabase,
      openSession: null,
      close: async () => {
        try {
          await embedded.close()
        } finally {
          lock.free()
        }
      },
    }
  } catch (error) {
    lock.free()
    throw error
  }
}

async function openServer(databaseUrl: string, dataFolder: string, workerId: string): Promise<Opened> {
  mkdirSync(dataFolder, { recursive: true, mode: 0o700 })
  const pool = openPool(databaseUrl, workerId)
  try {
    await checkServer(pool)
  } catch (error) {
    await pool.end()
    throw error
  }
  return {
    db: new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) }),
    dialect: 'postgresql',
    queueDatabase: queueDatabaseOf(pool),
    openSession: () => openSession(databaseUrl, workerId),
    close: () => pool.end(),
  }
}

function anchored(
  db: Db,
  dataFolder: string,
  close: () => Promise<void>,
): Pick<Store, 'isRestored' | 'anchorAudit' | 'confirmRestore' | 'close'> {
  const path = anchorPath(dataFolder)
  let closing: Promise<void> | undefined
  const isRestored = async (): Promise<boolean> => {
    const anchor = readAnchor(path)
    return anchor !== null && !(await holdsAnchor(db, anchor))
  }
  const anchorAudit = async (): Promise<void> => {
    const head = await readAuditHead(db)
    const anchor = readAnchor(path)
    if (anchor?.hash === head.hash || (anchor !== null && !(await holdsAnchor(db, anchor)))) return
    writeAnchor(path, head)
  }
  return {
    isRestored,
    anchorAudit,
    confirmRestore: async () => writeAnchor(path, await readAuditHead(db)),
    // A second call waits for the first.
    close: () =>
      (closing ??= anchorAudit()
        .catch(() => undefined)
        .then(close)),
  }
}

export interface StoreDescription {
  readonly dialect: Store['dialect']
  readonly version: string
  /** What an acknowledged change survives. */
  readonly promise: string
  readonly isRestored: boolean
}

/** For `patchbay doctor`: settings as they are, not as they were meant. */
export async function describeStore(store: Store): Promise<StoreDescription> {
  const { rows } = await sql<{ version: string; fsync: string; commit: string }>`
    SELECT current_setting('server_version') AS version, current_setting('fsync') AS fsync,
           current_setting('synchronous_commit') AS commit`.execute(store.db)
  const { version = '', fsync = '', commit = '' } = rows[0] ?? {}
  const where = store.dialect === 'pglite' ? 'embedded, in one process' : 'PostgreSQL, shared by any number of workers'
  const isDurable = fsync === 'on' && commit !== 'off'
  return {
    dialect: store.dialect,
    version,
    promise: isDurable
      ? `${where}: what was acknowledged survives the death of the process and a power cut, as far as the disk keeps what it was told to flush`
      : `${where}: what was acknowledged survives the death of the process; a power cut may lose it (fsync ${fsync}, synchronous_commit ${commit})`,
    isRestored: await store.isRestored(),
  }
}
