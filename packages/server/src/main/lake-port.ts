/** What the API asks of the lake. Each question gets a data engine of its own, over exactly the files that it needs. */
import { existsSync } from 'node:fs'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { PinnedTable } from '../domain/table.ts'
import type { LakePort } from '../http/ports.ts'
import type { DuckDb } from '../lake/duckdb.ts'
import { startDuckDb } from '../lake/duckdb-process.ts'
import { readRunRows, readSample } from '../lake/read-run.ts'
import { countMembers, readMembers } from '../lake/read-segment.ts'
import { profileTableField, readTableRows } from '../lake/read-table.ts'

export interface LakeFolders {
  /** The lake's root: `tables`, `ledgers`, `runs`. */
  readonly lake: string
  readonly uploads: string
  /** Spilled data of short questions. */
  readonly spill: string
}

export interface EngineLimits {
  readonly memoryLimitMb: number
  readonly threads: number
}

export function makeLakePort(folders: LakeFolders, limits: EngineLimits): LakePort {
  const ask = async <T>(read: readonly string[], signal: AbortSignal, use: (db: DuckDb) => Promise<T>): Promise<T> => {
    const spill = await mkdtemp(join(folders.spill, 'question-'))
    try {
      const db = await startDuckDb({ read, write: [spill], ...limits, signal })
      try {
        return await use(db)
      } finally {
        await db.close()
      }
    } finally {
      await rm(spill, { recursive: true, force: true })
    }
  }
  const places = (tables: readonly PinnedTable[]): readonly string[] =>
    tables.map(({ id }) => join(folders.lake, 'tables', id))

  return {
    async receive(uploadId, bytes) {
      const file = await open(join(folders.uploads, uploadId), 'wx', 0o600)
      let sizeBytes = 0
      try {
        for await (const piece of bytes) {
          await file.writeFile(piece)
          sizeBytes += piece.byteLength
        }
        await file.sync()
      } finally {
        await file.close()
      }
      return sizeBytes
    },
    discardUpload: (uploadId) => rm(join(folders.uploads, uploadId), { force: true }),
    readRows: (table, page, signal) => ask(places([table]), signal, (db) => readTableRows(db, folders.lake, table, page)),
    profileField: (table, field, signal) =>
      ask(places([table]), signal, (db) => profileTableField(db, folders.lake, table, field)),
    countMembers: (selection, signal) =>
      ask(places([selection.table, ...selection.related]), signal, (db) => countMembers(db, folders.lake, selection)),
    async readRunRows(runId, source, which, { after, limit }, signal) {
      const folder = join(folders.lake, 'runs', runId)
      if (!existsSync(folder)) return []
      return ask([folder], signal, (db) => readRunRows(db, folder, source, which, after, limit))
    },
    readSample: (runId, source) => readSample(join(folders.lake, 'runs', runId), source),
    readMembers: (selection, limit, signal) =>
      ask(places([selection.table, ...selection.related]), signal, (db) => readMembers(db, folders.lake, selection, limit)),
  }
}
