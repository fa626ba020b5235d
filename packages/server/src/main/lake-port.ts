/** What the API asks of the lake. Each question gets a data engine of its own, over exactly the files that it needs. */
import { existsSync } from 'node:fs'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { PinnedTable } from '../domain/table.ts'
import type { LakePort, ReadOptions, UploadedFile } from '../http/ports.ts'
import type { DuckDb } from '../lake/duckdb.ts'
import { startDuckDb } from '../lake/duckdb-process.ts'
import { findInLedger, findKeys, placesOf } from '../lake/find-person.ts'
import { importTable } from '../lake/import-table.ts'
import type { ImportSource } from '../lake/import-source.ts'
import { detectFormat, inspectFile } from '../lake/inspect-file.ts'
import { groupRunRows, readRunRows, readSample } from '../lake/read-run.ts'
import { countMembers, readMembers } from '../lake/read-segment.ts'
import { cellOf, profileTableField, readTableRows } from '../lake/read-table.ts'

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
  const withFolder = async <T>(use: (folder: string) => Promise<T>): Promise<T> => {
    const folder = await mkdtemp(join(folders.spill, 'question-'))
    try {
      return await use(folder)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }
  const ask = <T>(read: readonly string[], signal: AbortSignal, use: (db: DuckDb) => Promise<T>): Promise<T> =>
    withFolder(async (spill) => {
      const db = await startDuckDb({ read, write: [spill], ...limits, signal })
      try {
        return await use(db)
      } finally {
        await db.close()
      }
    })
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
    async inspect(files, read, signal) {
      const source = await sourceOf(folders.uploads, files, read)
      return withFolder(async (workFolder) => {
        const found = await inspectFile({ source, workFolder, memoryLimitMb: limits.memoryLimitMb, signal })
        const { fields, suggestedKey, notes, badLines, encoding, dialect } = found
        return {
          format: source.format,
          delimiter: dialect?.delimiter ?? null,
          header: dialect?.hasHeader ?? null,
          encoding,
          fields,
          suggestedKey,
          notes,
          badLines,
          sample: found.sample.map((row) => row.map(cellOf)),
        }
      })
    },
    async importVersion(target, files, how, signal) {
      const found = await importTable({
        root: folders.lake,
        tableId: target.tableId,
        version: target.version,
        key: target.key,
        source: await sourceOf(folders.uploads, files, how.read),
        types: how.types,
        badLinesMax: how.badLinesMax,
        allowSchemaChange: how.allowSchemaChange,
        ...(how.previous === null ? {} : { previous: how.previous }),
        ...limits,
        signal,
      })
      const { fields, files: parts, rows, badLines, badLinesNamed, notes, change } = found
      return { made: { fields, files: parts, rows, badLines }, badLines: badLinesNamed, notes, change }
    },
    discardVersion: (tableId, version) =>
      rm(join(folders.lake, 'tables', tableId, String(version)), { recursive: true, force: true }),
    discardUpload: (uploadId) => rm(join(folders.uploads, uploadId), { force: true }),
    readRows: (table, page, signal) =>
      ask(places([table]), signal, (db) => readTableRows(db, folders.lake, table, page)),
    profileField: (table, field, signal) =>
      ask(places([table]), signal, (db) => profileTableField(db, folders.lake, table, field)),
    countMembers: (selection, signal) =>
      ask(places([selection.table, ...selection.related]), signal, (db) => countMembers(db, folders.lake, selection)),
    async readRunRows(runId, source, which, { after, limit }, signal) {
      const folder = join(folders.lake, 'runs', runId)
      if (!existsSync(folder)) return []
      return ask([folder], signal, (db) => readRunRows(db, folder, source, which, after, limit))
    },
    async groupRunRows(runId, source, which, limit, signal) {
      const folder = join(folders.lake, 'runs', runId)
      if (!existsSync(folder)) return []
      return ask([folder], signal, (db) => groupRunRows(db, folder, source, which, limit))
    },
    findKeys: (table, field, value, limit, signal) =>
      ask(places([table]), signal, (db) => findKeys(db, folders.lake, table, field, value, limit)),
    async findInLedgers(refs, wanted, signal) {
      if (refs.length === 0) return []
      return ask([join(folders.lake, 'ledgers'), ...placesOf(folders.lake, refs)], signal, async (db) => {
        const found = []
        for (const ref of refs) found.push(await findInLedger(db, folders.lake, ref, wanted))
        return found
      })
    },
    readSample: (runId, source) => readSample(join(folders.lake, 'runs', runId), source),
    readMembers: (selection, limit, signal) =>
      ask(places([selection.table, ...selection.related]), signal, (db) =>
        readMembers(db, folders.lake, selection, limit),
      ),
  }
}

async function sourceOf(
  uploads: string,
  uploaded: readonly UploadedFile[],
  { format, encoding, dateOrder, delimiter, quote, header }: ReadOptions,
): Promise<ImportSource> {
  const files = uploaded.map(({ uploadId, name }) => ({ path: join(uploads, uploadId), name }))
  const csv = {
    ...(delimiter === undefined ? {} : { delimiter }),
    ...(quote === undefined ? {} : { quote }),
    ...(header === undefined ? {} : { header }),
  }
  return {
    format: format ?? (await detectFormat(files)),
    files,
    ...(encoding === undefined ? {} : { encoding }),
    ...(dateOrder === undefined ? {} : { dateOrder }),
    ...(Object.keys(csv).length === 0 ? {} : { csv }),
  }
}
