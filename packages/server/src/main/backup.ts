/**
 * A backup: one tar stream, sealed with a key that is made from the key file. It holds the control store as JSON lines, so
 * that it can be put back into PGlite and PostgreSQL alike, and every file of the lake that the store speaks of. The key
 * file is not in it: whoever finds a backup finds nothing, and whoever loses the key file cannot use it.
 *
 * The store is read in one transaction, into a file first: an embedded store has one connection, and a slow reader of the
 * stream must not hold it. Files of the lake never change, so they can be read afterwards.
 */
import { createReadStream } from 'node:fs'
import { mkdtemp, open, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { sql } from 'kysely'
import { pack, type Pack } from 'tar-stream'
import { keepSet, type KeepSet } from '../store/keep-set.ts'
import type { Store } from '../store/open-store.ts'
import type { Tx } from '../store/schema.ts'
import { encryptStream } from '../vault/encrypt-stream.ts'
import type { Vault } from '../vault/vault.ts'
import { filesBelow } from './files-below.ts'
import { VERSION } from './version.ts'

export const BACKUP_FORMAT = 'patchbay-backup-1'
export const BACKUP_PURPOSE = 'backup'

/** In the order in which they can be put back. Uploads and remembered answers live for a day and stay behind, and so do sessions and one-time links: people sign in again. */
export const STORE_TABLES = [
  'user_',
  'sign_in',
  'table_',
  'table_version',
  'erased',
  'segment',
  'connection',
  'connection_user',
  'secret',
  'secret_expiry',
  'removed_connection',
  'notification_setting',
  'oauth_grant',
  'data_key',
  'export',
  'schedule',
  'ledger',
  'delivered_file',
  'run',
  'run_journal',
  'api_key',
  'audit',
  'setting',
] as const

export interface BackupParts {
  readonly store: Store
  readonly vault: Vault
  readonly lakeFolder: string
  readonly clock: { now(): Date }
  readonly randomBytes: (size: number) => Uint8Array
  readonly signal: AbortSignal
}

const ROWS_AT_ONCE = 500
/** Finished runs keep their lists of rejected rows for as long as this in a backup. */
const RUN_DAYS = 90

export async function backupStream(parts: BackupParts): Promise<ReadableStream<Uint8Array>> {
  const bytes = writeBackup(parts)
  // The first piece comes when the store is read: what goes wrong until then is an answer, and not a stream that breaks off.
  let next = await bytes.next()
  return new ReadableStream({
    async pull(controller) {
      if (next.done === true) {
        controller.close()
        return
      }
      controller.enqueue(next.value)
      next = await bytes.next()
    },
    async cancel() {
      await bytes.return()
    },
  })
}

/** Where the reader goes away in the middle, the writer is stopped before its files are taken away. */
async function* writeBackup(parts: BackupParts): AsyncGenerator<Uint8Array, void, undefined> {
  const folder = await mkdtemp(join(parts.store.dataFolder, 'backup-'))
  const archive = pack()
  // It is told by the reading of the archive, or nobody reads it any more.
  archive.on('error', () => undefined)
  let written = Promise.resolve()
  try {
    const kept = await dumpStore(parts, folder)
    written = writeArchive(parts, archive, folder, kept)
    written.catch((error: unknown) => archive.destroy(error instanceof Error ? error : new Error('broken off')))
    const keyFor = (salt: Uint8Array): Uint8Array => parts.vault.deriveKey(BACKUP_PURPOSE, salt)
    yield* encryptStream(archive as AsyncIterable<Uint8Array>, keyFor, parts.randomBytes)
    await written
  } finally {
    archive.destroy()
    await written.catch(() => undefined)
    await rm(folder, { recursive: true, force: true })
  }
}

async function dumpStore({ store, clock }: BackupParts, folder: string): Promise<KeepSet> {
  return store.db
    .transaction()
    .setIsolationLevel('repeatable read')
    .execute(async (tx) => {
      for (const table of STORE_TABLES) await dumpTable(tx, table, join(folder, `${table}.jsonl`))
      return keepSet(tx, new Date(clock.now().getTime() - RUN_DAYS * 86_400_000))
    })
}

async function dumpTable(tx: Tx, table: string, path: string): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await sql`DECLARE dump NO SCROLL CURSOR FOR SELECT to_jsonb(one)::text AS row FROM ${sql.table(table)} AS one`.execute(
      tx,
    )
    for (;;) {
      const { rows } = await sql<{ row: string }>`FETCH ${sql.lit(ROWS_AT_ONCE)} FROM dump`.execute(tx)
      if (rows.length === 0) break
      await file.writeFile(rows.map(({ row }) => `${row}\n`).join(''))
    }
    await sql`CLOSE dump`.execute(tx)
  } finally {
    await file.close()
  }
}

async function writeArchive(parts: BackupParts, archive: Pack, folder: string, kept: KeepSet): Promise<void> {
  const createdAt = parts.clock.now().toISOString()
  const manifest = JSON.stringify({ format: BACKUP_FORMAT, version: VERSION, createdAt, tables: STORE_TABLES })
  await addBytes(archive, 'manifest.json', Buffer.from(manifest))
  for (const table of STORE_TABLES)
    await addFile(archive, `store/${table}.jsonl`, join(folder, `${table}.jsonl`), parts.signal)
  for (const path of await lakeFiles(parts.lakeFolder, kept))
    await addFile(archive, `lake/${path}`, join(parts.lakeFolder, path), parts.signal)
  // By this a restore knows that it has seen the end of what was meant, and not only of the file.
  await addBytes(archive, 'end', Buffer.from(BACKUP_FORMAT))
  archive.finalize()
}

async function lakeFiles(root: string, kept: KeepSet): Promise<readonly string[]> {
  const files: string[] = []
  for (const [table, versions] of kept.tableVersions)
    for (const version of versions) files.push(...(await filesBelow(root, `tables/${table}/${version}`)))
  files.push(...kept.ledgers)
  // Spooled parts are made anew by a run that goes on.
  for (const run of kept.runs)
    files.push(
      ...(await filesBelow(root, `runs/${run}`)).filter((path) => !/\/(?:spool|spill|unfinished)\//.test(path)),
    )
  return files
}

async function addFile(archive: Pack, name: string, path: string, signal: AbortSignal): Promise<void> {
  const { size } = await stat(path)
  await pipeline(createReadStream(path), archive.entry({ name, size }), { signal })
}

async function addBytes(archive: Pack, name: string, bytes: Buffer): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    archive.entry({ name, size: bytes.byteLength }, bytes, (error) => (error ? reject(error) : resolve()))
  })
}
