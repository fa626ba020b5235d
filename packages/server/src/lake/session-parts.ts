/** `LakeSession.writePart` and `writeModel`: finished files on the spool. No row passes through JavaScript. */
import { createReadStream, createWriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { constants, createGzip } from 'node:zlib'
import type { DeliveredFile } from '@patchbay/connector-sdk'
import type { FileFormat } from '../domain/export.ts'
import { fileStems, MODEL_FILE_NAME, partFileName } from '../domain/file-names.ts'
import type { Plan } from '../domain/plan.ts'
import {
  CHANGE_COLUMN,
  copyLines,
  copyParquet,
  csvLines,
  jsonLines,
  fileRanges,
  parquetRows,
  partOfOutbox,
  partOfSelection,
  type PartRows,
} from './plan-sql/rows-sql.ts'
import { columnName, sendableRows, type SelectedSource } from './plan-sql/select-sql.ts'
import { csvHeaderCell } from './plan-sql/cell-sql.ts'
import { hasChangeColumn } from './session-check.ts'
import { finishedFile, finishFile, isThere, writeText } from './session-files.ts'
import { describeModel } from './session-model.ts'
import { copied, count, readPieces, selectContext, type Lake } from './session-select.ts'
import type { PartFormat, PartOf, SourceDiff, SpoolFile } from './session-types.ts'
import { quoteText } from './sql-text.ts'

/** A part is worth a file of its own from here on. Table files hold as many rows. */
const PART_ROWS = 983_040

/** Between a file's pieces on the way through gzip. */
const PIPE_BYTES = 1 << 18

export function countParts(source: SelectedSource, diff: SourceDiff, partsMax: number): number {
  const due = diff.added + diff.changed + diff.removed
  return Math.max(1, Math.min(partsMax, source.table.files.length, Math.ceil(due / PART_ROWS)))
}

interface BegunPart {
  readonly file: Promise<SpoolFile>
  /** Resolves when DuckDB is free for the next part; the file is packed, summed and flushed after it. */
  readonly written: Promise<void>
}

/**
 * Parts in the making and finished ones. While a part that was asked for is packed and flushed, the rows of the one after
 * it are written already, and no further: the spool holds one part more than is wanted, not the whole export.
 */
export class Parts {
  readonly #lake: Lake
  readonly #begun = new Map<string, BegunPart>()
  readonly #weights = new Map<string, Promise<readonly number[]>>()
  #isClosed = false

  constructor(lake: Lake) {
    this.#lake = lake
  }

  async write(source: SelectedSource, diff: SourceDiff, part: PartOf, format: PartFormat): Promise<SpoolFile> {
    const { file, written } = this.#begin(source, diff, part, format)
    if (part.number < part.of) {
      const next = { ...part, number: part.number + 1 }
      written.then(
        () => this.#isClosed || this.#begin(source, diff, next, format),
        () => undefined,
      )
    }
    return file
  }

  /** Waits for what is still being written; its failure concerns nobody any more. */
  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.allSettled([...this.#begun.values()].map(({ file }) => file))
  }

  #begin(source: SelectedSource, diff: SourceDiff, part: PartOf, format: PartFormat): BegunPart {
    const name = this.#nameOf(source, part, format)
    const known = this.#begun.get(name)
    if (known !== undefined) return known
    const written = Promise.withResolvers<void>()
    const file = this.#make(source, diff, part, format, name, written.resolve)
    const begun = { file, written: written.promise }
    this.#begun.set(name, begun)
    file.then(
      () => written.resolve(),
      () => {
        written.reject(new Error('The part before failed'))
        // It may be asked for again.
        this.#begun.delete(name)
      },
    )
    written.promise.catch(() => undefined)
    return begun
  }

  #nameOf(source: SelectedSource, part: PartOf, format: PartFormat): string {
    const { plan } = this.#lake
    const stem = fileStems(plan.sources.map(({ name }) => name)).get(source.name)
    if (stem === undefined) throw new TypeError('a source that is not of this plan')
    const { version: tableVersion } = source.table
    return partFileName(
      { stem, tableVersion, mode: plan.mode, now: plan.now, part: part.number, layout: part.layout },
      format,
    )
  }

  async #make(
    source: SelectedSource,
    diff: SourceDiff,
    part: PartOf,
    format: PartFormat,
    name: string,
    onWritten: () => void,
  ): Promise<SpoolFile> {
    const { db, files } = this.#lake
    const path = join(files.spool, name)
    const finished = await finishedFile(path, name)
    if (finished !== undefined) return finished
    const temporary = files.temporary('part')
    try {
      const rows = await copied(db, copyStatement(source, await this.#rows(source, diff, part), format, temporary))
      onWritten()
      const packed = isPacked(format) ? await gzip(temporary, files.temporary('gz')) : temporary
      return await finishFile(files, { temporary: packed, rows }, { path, name })
    } finally {
      await rm(temporary, { force: true })
    }
  }

  async #rows(source: SelectedSource, diff: SourceDiff, part: PartOf): Promise<PartRows> {
    const { files, plan } = this.#lake
    const numbers = filesOfPart(await this.#weightsOf(source, diff), part)
    if (diff.outboxPath !== null) {
      const withRemoved = plan.mode === 'mirror' && part.number === 1
      const options = { files: numbers, withRemoved, withChange: hasChangeColumn(plan.mode) }
      const pieces = await readPieces(this.#lake.db, files.absolute(diff.outboxPath))
      return partOfOutbox(source, files.root, pieces, options)
    }
    const { selection } = files.source(source.name)
    if (await isThere(selection)) return partOfSelection(source, files.root, selection, numbers)
    const rows = sendableRows(source, await selectContext(this.#lake, source), numbers)
    const columns = source.columns.map((_, at) => columnName(at))
    return { sql: `SELECT ${columns.join(', ')} FROM (${rows})`, withChange: false }
  }

  /** Rows of each of the table's files, as far as they are due. */
  #weightsOf(source: SelectedSource, diff: SourceDiff): Promise<readonly number[]> {
    const known = this.#weights.get(source.name)
    if (known !== undefined) return known
    const weights = this.#readWeights(source, diff)
    this.#weights.set(source.name, weights)
    weights.catch(() => this.#weights.delete(source.name))
    return weights
  }

  async #readWeights(source: SelectedSource, diff: SourceDiff): Promise<readonly number[]> {
    const { db, files } = this.#lake
    const weights: number[] = source.table.files.map(() => 0)
    if (weights.length < 2) return weights
    if (diff.outboxPath !== null) {
      for (const piece of await readPieces(db, files.absolute(diff.outboxPath))) {
        for (const range of await db.rows(fileRanges(piece))) {
          const file = count(range['file'])
          if (file >= 0) weights[file] = count(range['rows'])
        }
      }
      return weights
    }
    const paths = source.table.files.map((file) => files.absolute(file))
    const list = paths.map((path) => quoteText(path)).join(', ')
    for (const row of await db.rows(`SELECT file_name, num_rows FROM parquet_file_metadata([${list}])`)) {
      weights[paths.indexOf(String(row['file_name']))] = count(row['num_rows'])
    }
    return weights
  }
}

/** The part's share of the files: neighbours, so that every file is in exactly one part, and about as many rows in each. */
export function filesOfPart(weights: readonly number[], { number, of }: PartOf): readonly number[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const files: number[] = []
  let before = 0
  for (const [file, weight] of weights.entries()) {
    const middle = total === 0 ? (file + 0.5) / weights.length : (before + weight / 2) / total
    if (Math.min(of - 1, Math.floor(middle * of)) === number - 1) files.push(file)
    before += weight
  }
  return files
}

function copyStatement(source: SelectedSource, rows: PartRows, format: PartFormat, path: string): string {
  if (format === 'csv-for-load') {
    return copyLines(csvLines(source, rows, { delimiter: ',', neutralise: false }), path, null)
  }
  switch (format.type) {
    case 'csv': {
      const lines = csvLines(source, rows, { delimiter: format.delimiter, neutralise: format.neutraliseFormulas })
      return copyLines(lines, path, format.header ? header(source, rows, format) : null)
    }
    case 'json-lines':
      return copyLines(jsonLines(source, rows), path, null)
    case 'parquet':
      return copyParquet(parquetRows(source, rows), path)
  }
}

function header(source: SelectedSource, { withChange }: PartRows, format: FileFormat): string {
  const names = source.columns.map(({ to }) => csvHeaderCell(to, format.delimiter, format.neutraliseFormulas))
  return (withChange ? [CHANGE_COLUMN, ...names] : names).join(format.delimiter)
}

function isPacked(format: PartFormat): boolean {
  return format !== 'csv-for-load' && format.gzip && format.type !== 'parquet'
}

/** Twice as fast as DuckDB's own, and beside it: zlib works in a thread of its own. */
async function gzip(from: string, to: string): Promise<string> {
  try {
    await pipeline(
      createReadStream(from, { highWaterMark: PIPE_BYTES }),
      createGzip({ level: constants.Z_BEST_SPEED, chunkSize: PIPE_BYTES }),
      createWriteStream(to, { highWaterMark: PIPE_BYTES }),
    )
    return to
  } catch (error) {
    await rm(to, { force: true })
    throw error
  }
}

export async function writeModel(
  lake: Lake,
  plan: Plan,
  parts: readonly { readonly source: string; readonly file: DeliveredFile }[],
): Promise<SpoolFile> {
  const { files } = lake
  const path = join(files.spool, MODEL_FILE_NAME)
  const temporary = files.temporary('json')
  await writeText(files, temporary, `${JSON.stringify(describeModel(plan, parts), null, 2)}\n`)
  return finishFile(files, { temporary, rows: 0 }, { path, name: MODEL_FILE_NAME })
}
