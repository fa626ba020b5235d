/**
 * Puts a backup back into an empty data folder (and an empty database). All or nothing: the store is filled in one
 * transaction after every file of the lake stands. It then counts as restored, and nothing is sent before somebody confirms
 * it: what was delivered after the backup was made is not known here.
 */
import { randomBytes } from 'node:crypto'
import { createReadStream, createWriteStream, existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { sql } from 'kysely'
import { extract } from 'tar-stream'
import { Problem } from '../domain/problem.ts'
import type { Settings } from '../settings.ts'
import { anchorPath, writeAnchor } from '../store/audit-anchor.ts'
import { readAuditHead } from '../store/audit.ts'
import { openStore, type Store } from '../store/open-store.ts'
import type { Tx } from '../store/schema.ts'
import { decryptStream } from '../vault/encrypt-stream.ts'
import { openVault, type StoredDataKey, type Vault } from '../vault/vault.ts'
import { BACKUP_FORMAT, BACKUP_PURPOSE, STORE_TABLES } from './backup.ts'
import { filesBelow } from './files-below.ts'

export interface Restored {
  readonly createdAt: string
  readonly rows: number
  readonly files: number
}

/** Names come out of a file that somebody gives: only those that a backup writes are taken, and none that leads elsewhere. */
const ENTRY =
  /^(?:manifest\.json|end|store\/[a-z_]+\.jsonl|lake\/(?:tables|ledgers|runs)(?:\/[A-Za-z0-9_-][A-Za-z0-9_.-]*)+)$/
const LAKE_PARTS = ['tables', 'ledgers', 'runs'] as const
const ROWS_AT_ONCE = 500

export async function restoreBackup(settings: Settings, file: string): Promise<Restored> {
  const vault = await openKey(settings)
  const store = await openStore({
    dataFolder: settings.dataFolder,
    ...(settings.databaseUrl === undefined ? {} : { databaseUrl: settings.databaseUrl }),
  })
  try {
    const lakeFolder = join(settings.dataFolder, 'lake')
    await refuseUsed(store, lakeFolder)
    const staging = await mkdtemp(join(settings.dataFolder, 'restore-'))
    try {
      await unpack(vault, file, staging)
      const { createdAt } = await readManifest(staging)
      const files = await moveLake(staging, lakeFolder)
      const rows = await fillStore(store, staging, settings.dataFolder)
      return { createdAt, rows, files }
    } finally {
      await rm(staging, { recursive: true, force: true })
    }
  } finally {
    await store.close()
  }
}

/** Only the key of the file is needed: the data keys come with the backup. A key is never made up for a restore. */
async function openKey(settings: Settings): Promise<Vault> {
  if (!existsSync(settings.keyFile))
    throw new Problem('not-ready', `There is no key file ${settings.keyFile}`, {
      path: 'PATCHBAY_KEY_FILE',
      cure: 'Put the key file of the Patchbay that made the backup there, or name it in PATCHBAY_KEY_FILE',
    })
  const keys: StoredDataKey[] = []
  const never = (): Promise<never> => Promise.reject(new Error('Nothing is rotated for a restore'))
  return openVault({
    keyFile: settings.keyFile,
    dataKeys: {
      list: () => Promise.resolve(keys),
      addFirst: (key) => Promise.resolve(void keys.push({ ...key, wrappedNext: null, state: 'active' })),
      beginRotation: never,
      settleRotation: never,
    },
    randomBytes,
  })
}

async function refuseUsed(store: Store, lakeFolder: string): Promise<void> {
  const counts = await Promise.all(
    STORE_TABLES.filter((table) => table !== 'setting').map(async (table) => {
      const { rows } = await sql<{ one: number }>`SELECT 1 AS one FROM ${sql.table(table)} LIMIT 1`.execute(store.db)
      return rows.length
    }),
  )
  const files = await Promise.all(LAKE_PARTS.map((part) => filesBelow(lakeFolder, part)))
  if (counts.every((count) => count === 0) && files.every((list) => list.length === 0)) return
  throw new Problem('conflict', 'This data folder, or its database, is not empty', {
    path: 'PATCHBAY_DATA',
    cure: 'Name an empty folder (and an empty database): a backup is never mixed with what is there',
  })
}

async function unpack(vault: Vault, file: string, staging: string): Promise<void> {
  const keyFor = (salt: Uint8Array): Uint8Array => vault.deriveKey(BACKUP_PURPOSE, salt)
  const archive = extract()
  const feeding = pipeline(Readable.from(decryptStream(createReadStream(file), keyFor)), archive)
  // Told below, by the archive that breaks off with it.
  feeding.catch(() => undefined)
  try {
    for await (const entry of archive) {
      const { name, type } = entry.header
      if (type !== 'file' || !ENTRY.test(name) || name.includes('..')) throw damaged(`it holds "${name.slice(0, 100)}"`)
      const path = join(staging, name)
      await mkdir(dirname(path), { recursive: true })
      await pipeline(entry, createWriteStream(path, { flags: 'wx', mode: 0o600, flush: true }))
    }
    await feeding
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'EACCES'))
      throw new Problem('invalid', `${file} cannot be read (${error.code})`, {
        path: 'file',
        cure: 'Name the backup',
        cause: error,
      })
    throw error
  }
}

async function readManifest(staging: string): Promise<{ readonly createdAt: string }> {
  const read = (name: string): Promise<string> => readFile(join(staging, name), 'utf8').catch(() => '')
  const [text, end] = await Promise.all([read('manifest.json'), read('end')])
  if (end !== BACKUP_FORMAT) throw damaged('its end is missing')
  const manifest = JSON.parse(text) as { readonly format?: unknown; readonly createdAt?: unknown }
  if (manifest.format !== BACKUP_FORMAT || typeof manifest.createdAt !== 'string')
    throw damaged('it is of another format')
  return { createdAt: manifest.createdAt }
}

async function moveLake(staging: string, lakeFolder: string): Promise<number> {
  let files = 0
  await mkdir(lakeFolder, { recursive: true, mode: 0o700 })
  for (const part of LAKE_PARTS) {
    const found = await filesBelow(join(staging, 'lake'), part)
    if (found.length === 0) continue
    files += found.length
    await rm(join(lakeFolder, part), { recursive: true, force: true })
    await rename(join(staging, 'lake', part), join(lakeFolder, part))
  }
  return files
}

async function fillStore(store: Store, staging: string, dataFolder: string): Promise<number> {
  const anchor = anchorPath(dataFolder)
  try {
    return await store.db.transaction().execute(async (tx) => {
      let rows = 0
      await tx.deleteFrom('setting').execute()
      for (const table of STORE_TABLES) rows += await fillTable(tx, table, join(staging, 'store', `${table}.jsonl`))
      // The store counts each export as it comes, on top of the count that came with the connection.
      await sql`UPDATE connection SET used_by =
        (SELECT count(*) FROM export WHERE export.connection_id = connection.id)`.execute(tx)
      // A head that the log does not hold: it is what says that the store is older than the world it was in.
      const { seq } = await readAuditHead(tx)
      writeAnchor(anchor, { seq: seq + 1, hash: randomBytes(32).toString('hex') })
      return rows
    })
  } catch (error) {
    await rm(anchor, { force: true })
    throw error
  }
}

async function fillTable(tx: Tx, table: string, path: string): Promise<number> {
  if (!existsSync(path)) throw damaged(`it lacks the table ${table}`)
  let count = 0
  let waiting: string[] = []
  const write = async (): Promise<void> => {
    if (waiting.length === 0) return
    await sql`
      INSERT INTO ${sql.table(table)}
      SELECT one.* FROM jsonb_array_elements(${`[${waiting.join(',')}]`}::jsonb) AS row,
             jsonb_populate_record(NULL::${sql.table(table)}, row) AS one`.execute(tx)
    count += waiting.length
    waiting = []
  }
  for await (const line of linesOf(path)) {
    waiting.push(line)
    if (waiting.length >= ROWS_AT_ONCE) await write()
  }
  await write()
  return count
}

/** By `\n` alone: readline would also cut at the line separators that JSON allows within a text. */
async function* linesOf(path: string): AsyncGenerator<string> {
  let rest = ''
  for await (const piece of createReadStream(path, 'utf8')) {
    const lines = (rest + String(piece)).split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
  if (rest !== '') yield rest
}

function damaged(how: string): Problem {
  return new Problem('invalid', `The file is no whole backup of Patchbay: ${how}`, {
    path: 'file',
    cure: 'Use another copy, or the version of Patchbay that made it',
  })
}
