/**
 * Gives PGlite's file layer the flush that it lacks, and makes it cheap: a commit is acknowledged when its log is on the disk,
 * but the disk is waited for outside of PGlite, so that the process goes on meanwhile and commits that come together share
 * one flush. What must never be turned around is kept: no page of data is written before the log that explains it is
 * flushed.
 */
import { closeSync, fdatasync, fdatasyncSync, fsyncSync, openSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { PGlite } from '@electric-sql/pglite'

const ROOT = '/pglite/data'
const LOG = `${ROOT}/pg_wal/`
const flushLater = promisify(fdatasync)

interface FileStream {
  readonly path: string
  /** The host's file descriptor; a folder has none. */
  readonly nfd?: number
}
interface FileOperations {
  write?: (stream: FileStream, ...rest: readonly unknown[]) => unknown
  fsync?: (stream: FileStream) => void
}

export interface Disk {
  /** Resolves when everything that was committed before the call is on the disk. Rejects for good once a flush has failed. */
  flushed(): Promise<void>
  /** After PGlite is closed. */
  close(): void
}

/** Where PGlite's insides look different after an update, it throws: nothing is promised silently. */
export function attachDisk(database: PGlite, folder: string): Disk {
  const { stream_ops: operations } = database.Module.FS.lookupPath(ROOT, {}).node as unknown as {
    readonly stream_ops?: FileOperations
  }
  const write = operations?.write
  if (operations === undefined || write === undefined)
    throw new Error('PGlite has changed: its file layer is not where it was')
  const log = new LogFile()
  operations.fsync = (stream) => {
    if (stream.nfd !== undefined && stream.path.startsWith(LOG)) {
      log.wrote(join(folder, stream.path.slice(ROOT.length)))
      return
    }
    log.flushNow()
    if (stream.nfd !== undefined) fdatasyncSync(stream.nfd)
    else flushFolder(join(folder, stream.path.slice(ROOT.length)))
  }
  operations.write = (stream, ...rest) => {
    if (!stream.path.startsWith(LOG)) log.flushNow()
    return write(stream, ...rest)
  }
  return { flushed: () => log.flushed(), close: () => log.close() }
}

/** The segment of the log that is being written. */
class LogFile {
  #open: { readonly path: string; readonly file: number } | undefined
  /** Written and not flushed, nor being flushed. */
  #isDirty = false
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined
  #failure: Error | undefined

  wrote(path: string): void {
    if (this.#open?.path !== path) {
      this.#closeFile()
      this.#open = { path, file: openSync(path, 'r+') }
    }
    this.#isDirty = true
  }

  flushed(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    // A flush that is under way was begun after everything that is not dirty was written.
    if (!this.#isDirty) return this.#running ?? Promise.resolve()
    this.#next ??= (this.#running ?? Promise.resolve()).then(() => {
      this.#next = undefined
      return this.#start()
    })
    return this.#next
  }

  /** For what may not go on before the log is safe. */
  flushNow(): void {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#open === undefined || (!this.#isDirty && this.#running === undefined)) return
    this.#isDirty = false
    try {
      fdatasyncSync(this.#open.file)
    } catch (error) {
      throw this.#fail(error)
    }
  }

  close(): void {
    if (this.#failure === undefined) this.#closeFile()
  }

  #start(): Promise<void> {
    if (this.#open === undefined || !this.#isDirty) return Promise.resolve()
    this.#isDirty = false
    const running = flushLater(this.#open.file).then(
      () => {
        if (this.#running === running) this.#running = undefined
      },
      (error: unknown) => {
        throw this.#fail(error)
      },
    )
    this.#running = running
    return running
  }

  /** Also when a flush of it is under way: that one is waited for by a second, since the file must stay open for it. */
  #closeFile(): void {
    const open = this.#open
    if (open === undefined) return
    this.flushNow()
    this.#open = undefined
    const close = (): void => closeSync(open.file)
    if (this.#running === undefined) close()
    else this.#running.then(close, close)
  }

  /** The system may have dropped what it could not write, so a later flush that succeeds would prove nothing. */
  #fail(error: unknown): Error {
    this.#failure = new Error('The disk could not keep what the control store wrote to it', { cause: error })
    return this.#failure
  }
}

/** For a whole folder that was just made. */
export function flushTree(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) flushTree(path)
    else flushFile(path)
  }
  flushFolder(folder)
}

function flushFile(path: string): void {
  const file = openSync(path, 'r+')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

/** Windows cannot flush a folder, and does not need to. */
export function flushFolder(path: string): void {
  let folder: number | undefined
  try {
    folder = openSync(path, 'r')
    fsyncSync(folder)
  } catch (error) {
    if (!['EISDIR', 'EPERM', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  } finally {
    if (folder !== undefined) closeSync(folder)
  }
}
