/**
 * The folder of one run, and how a file gets its final name: written to a temporary name in the same folder tree, flushed
 * to disk, renamed. A crash at any moment leaves the file as a whole or not at all.
 */
import { createHash } from 'node:crypto'
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { distinctStem } from '../domain/file-names.ts'
import type { SpoolFile } from './session-types.ts'

const HASH_PIECE_BYTES = 1 << 20

/** Files of one source of a run. */
export interface SourceFiles {
  readonly folder: string
  /** A folder of numbered Parquet files. */
  readonly outbox: string
  readonly setAside: string
  /** Rows that others stand for, with those. */
  readonly merged: string
  /** Keys of a whole whose rule joins other tables. */
  readonly selection: string
  /** What `replace` had delivered before, written down as rows. */
  readonly ledgerBefore: string
  readonly rejects: string
  readonly sample: string
  readonly answers: string
}

export function sourceFilesIn(runFolder: string, source: string): SourceFiles {
  const folder = join(runFolder, distinctStem(source))
  const at = (name: string): string => join(folder, name)
  return {
    folder,
    outbox: at('outbox'),
    setAside: at('set-aside.parquet'),
    merged: at('merged.parquet'),
    selection: at('selection.parquet'),
    ledgerBefore: at('ledger-before.parquet'),
    rejects: at('rejects.parquet'),
    sample: at('sample.json'),
    answers: at('answers'),
  }
}

export class RunFiles {
  readonly root: string
  /** `runs/<run>` */
  readonly folder: string
  readonly spool: string
  /** DuckDB's spilled data. */
  readonly spill: string
  readonly #temporary: string
  #lastTemporary = 0

  private constructor(root: string, runId: string) {
    this.root = root
    this.folder = join(root, 'runs', runId)
    this.spool = join(this.folder, 'spool')
    this.spill = join(this.folder, 'spill')
    this.#temporary = join(this.folder, 'unfinished')
  }

  /** Makes the folders, and clears away what an execution that broke off had not finished. */
  static async open(root: string, runId: string): Promise<RunFiles> {
    const files = new RunFiles(root, runId)
    for (const folder of [files.spill, files.#temporary]) await rm(folder, { recursive: true, force: true })
    for (const folder of [files.spill, files.#temporary, files.spool]) await mkdir(folder, { recursive: true })
    return files
  }

  source(name: string): SourceFiles {
    return sourceFilesIn(this.folder, name)
  }

  /** The list that an earlier run of the same export left. */
  rejectsOf(runId: string, source: string): string {
    return sourceFilesIn(join(this.root, 'runs', runId), source).rejects
  }

  /** As the control store keeps it: relative to the lake's root, with `/`. */
  lakePath(path: string): string {
    return relative(this.root, path).replaceAll('\\', '/')
  }

  absolute(lakePath: string): string {
    return join(this.root, lakePath)
  }

  /** A name of its own for a file in the making. */
  temporary(ending: string): string {
    this.#lastTemporary += 1
    return join(this.#temporary, `${this.#lastTemporary}.${ending}`)
  }

  async close(): Promise<void> {
    for (const folder of [this.spill, this.#temporary]) await rm(folder, { recursive: true, force: true })
  }

  /** Lets `write` make a file and gives it its final name; whatever fails, nothing stands under either name. */
  async publish<T>(final: string, write: (temporary: string) => Promise<T>): Promise<T> {
    const temporary = this.temporary(final.slice(final.lastIndexOf('.') + 1))
    try {
      const result = await write(temporary)
      await flush(temporary)
      await this.rename(temporary, final)
      return result
    } catch (error) {
      await rm(temporary, { force: true })
      throw error
    }
  }

  /** The same for a folder of files, of which `write` gives the paths. */
  async publishFolder(final: string, write: (temporary: string) => Promise<readonly string[]>): Promise<void> {
    const temporary = this.temporary('folder')
    await mkdir(temporary)
    try {
      for (const path of await write(temporary)) await flush(path)
      await flushFolder(temporary)
      await this.rename(temporary, final)
    } catch (error) {
      await rm(temporary, { recursive: true, force: true })
      throw error
    }
  }

  /** Moves a flushed file to its final name, and makes the name itself last. */
  async rename(from: string, to: string): Promise<void> {
    const folder = dirname(to)
    await makeFolder(folder)
    await rename(from, to)
    await flushFolder(folder)
  }
}

export async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false
      throw error
    },
  )
}

async function flush(path: string): Promise<void> {
  const file = await open(path, 'r+')
  try {
    await file.datasync()
  } finally {
    await file.close()
  }
}

async function makeFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true })
  if (first === undefined) return
  for (let made = path; made.length >= first.length; made = dirname(made)) await flushFolder(dirname(made))
}

/** Without it a name may be gone after a power cut. Windows cannot open folders, and keeps names by itself. */
async function flushFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

export interface FileSum {
  readonly sizeBytes: number
  readonly sha256: string
}

/** Reads the file once, for its size and digest, after it was flushed. */
async function sumOf(path: string): Promise<FileSum> {
  const file = await open(path, 'r')
  try {
    const digest = createHash('sha256')
    const piece = Buffer.allocUnsafe(HASH_PIECE_BYTES)
    let sizeBytes = 0
    for (;;) {
      const { bytesRead } = await file.read(piece, 0, piece.length)
      if (bytesRead === 0) break
      digest.update(piece.subarray(0, bytesRead))
      sizeBytes += bytesRead
    }
    return { sizeBytes, sha256: digest.digest('hex') }
  } finally {
    await file.close()
  }
}

/** What is known of a finished file, kept beside it, so that another execution need not make it again. */
interface Label extends FileSum {
  readonly rows: number
}

function labelPath(path: string): string {
  return `${path}.label.json`
}

/** The finished file of an earlier execution, if it is there as it was: a name alone does not say that its bytes are right. */
export async function finishedFile(path: string, name: string): Promise<SpoolFile | undefined> {
  if (!(await isThere(path)) || !(await isThere(labelPath(path)))) return undefined
  const label = JSON.parse(await readFile(labelPath(path), 'utf8')) as Label
  const sum = await sumOf(path)
  if (sum.sha256 !== label.sha256 || sum.sizeBytes !== label.sizeBytes) return undefined
  return spoolFile(path, name, label)
}

/** Flushes and sums a file in the making, labels it and gives it its final name. */
export async function finishFile(
  files: RunFiles,
  made: { readonly temporary: string; readonly rows: number },
  final: { readonly path: string; readonly name: string },
): Promise<SpoolFile> {
  const [sum] = await Promise.all([sumOf(made.temporary), flush(made.temporary)])
  const label: Label = { rows: made.rows, ...sum }
  // The label first: without its file it says nothing, while a file without it would be made again.
  await writeText(files, labelPath(final.path), JSON.stringify(label))
  await files.rename(made.temporary, final.path)
  return spoolFile(final.path, final.name, label)
}

export async function writeText(files: RunFiles, path: string, text: string): Promise<void> {
  await files.publish(path, async (temporary) => {
    const file = await open(temporary, 'w', 0o600)
    try {
      await file.writeFile(text)
    } finally {
      await file.close()
    }
  })
}

function spoolFile(path: string, name: string, { rows, sizeBytes, sha256 }: Label): SpoolFile {
  return { path, name, rows, sizeBytes, sha256, read: (pieceBytes) => readPieces(path, pieceBytes) }
}

/** Each piece is memory of its own, so the reader may keep it while the next is read. */
async function* readPieces(path: string, pieceBytes: number): AsyncGenerator<Uint8Array, void, undefined> {
  const file = await open(path, 'r')
  try {
    for (;;) {
      const piece = Buffer.allocUnsafeSlow(pieceBytes)
      let filled = 0
      while (filled < pieceBytes) {
        const { bytesRead } = await file.read(piece, filled, pieceBytes - filled)
        if (bytesRead === 0) break
        filled += bytesRead
      }
      if (filled > 0) yield filled === pieceBytes ? piece : piece.subarray(0, filled)
      if (filled < pieceBytes) return
    }
  } finally {
    await file.close()
  }
}
