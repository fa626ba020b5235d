import { createWriteStream } from 'node:fs'
import { lstat, mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Folder } from '../context.ts'
import { DestinationInvalid } from '../errors.ts'
import type { OutgoingFile } from '../files.ts'
import { pathParts } from '../remote-path.ts'

/** A folder of this machine for tests: does what `Folder` says, and does not guard against links as the host's does. */
export class TestFolder implements Folder {
  readonly #base: string
  readonly #signal: AbortSignal
  constructor(base: string, signal: AbortSignal) {
    this.#base = base
    this.#signal = signal
  }
  async sizeOf(name: string): Promise<number | undefined> {
    const found = await lstat(this.#path(name)).catch(gone)
    if (found !== undefined && !found.isFile()) throw new DestinationInvalid('folder', `${name} is not a plain file`)
    return found?.size
  }
  async write(name: string, file: OutgoingFile): Promise<number> {
    await rm(this.#path(name), { force: true })
    await pipeline(file.read(64 * 1024), createWriteStream(this.#path(name)), { signal: this.#signal })
    return (await lstat(this.#path(name))).size
  }
  async rename(from: string, to: string): Promise<void> {
    await rename(this.#path(from), this.#path(to))
  }
  async remove(name: string): Promise<void> {
    await rm(this.#path(name), { force: true })
  }
  async makeFolder(name: string): Promise<void> {
    await mkdir(this.#path(name), { recursive: true })
  }
  async list(name: string): Promise<readonly string[]> {
    const path = name === '' ? this.#base : this.#path(name)
    const entries = (await readdir(path, { withFileTypes: true }).catch(gone)) ?? []
    return entries.filter((entry) => entry.isFile()).map((entry) => entry.name)
  }
  close(): Promise<void> {
    return Promise.resolve()
  }
  #path(name: string): string {
    this.#signal.throwIfAborted()
    return join(this.#base, ...pathParts(name))
  }
}

function gone(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
  throw error
}
