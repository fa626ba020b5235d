/**
 * `ctx.folder`: a folder of this machine, below a root that the operator listed. A symbolic link that somebody puts into it
 * must not lead out, also not between the look and the deed, so each deed holds the folder it happens in open and goes
 * through that handle (`/proc/self/fd`, which is what `openat` would be). Elsewhere than on Linux the real path is used,
 * and a local user who may write there could win that race: list roots that only Patchbay may write to.
 */
import { constants, existsSync } from 'node:fs'
import { link, lstat, mkdir, open, readdir, realpath, rename, unlink, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import {
  ConnectionRefused,
  ConnectorError,
  DestinationInvalid,
  pathParts,
  Unavailable,
  type Folder,
  type OutgoingFile,
} from '@patchbay/connector-sdk'
import { isInside, placeInRoots, type FileRoots } from './file-roots.ts'

/** A finished file of this machine's spool. The engine's files carry their path, by which they are linked instead of copied. */
export interface LocalFile extends OutgoingFile {
  readonly path: string
}

export interface FolderOptions {
  readonly roots: FileRoots
  /** Only files from below it are linked; the path on an `OutgoingFile` is nothing to be trusted by itself. */
  readonly spoolFolder?: string | undefined
  readonly signal: AbortSignal
}

/** Exported data is personal: the owner and the group of the folder may read it, others may not. */
const FILE_MODE = 0o640
const FOLDER_MODE = 0o750
const PIECE_BYTES = 1024 * 1024
const HAS_HANDLE_PATHS = existsSync('/proc/self/fd')

/** The folder has to be there: one that is missing is more often a mistyped path than one to make. */
export async function openFolder(path: string, options: FolderOptions): Promise<Folder> {
  const { root, parts } = placeInRoots(path, options.roots)
  const folder = new LocalFolder(root, parts, options)
  await folder.look(path)
  return folder
}

/** A folder that is held open, and the path that leads into exactly it. */
interface Held {
  readonly handle: FileHandle
  readonly path: string
}

class LocalFolder implements Folder {
  readonly #root: string
  readonly #base: readonly string[]
  readonly #options: FolderOptions

  constructor(root: string, base: readonly string[], options: FolderOptions) {
    this.#root = root
    this.#base = base
    this.#options = options
  }

  /** Throws where the folder cannot be used, with the path as it was written. */
  async look(path: string): Promise<void> {
    this.#options.signal.throwIfAborted()
    const held = await this.#hold([...this.#base]).catch((error: unknown) => {
      if (error instanceof ConnectorError) throw error
      const why = codeOf(error) === 'ENOENT' ? 'does not exist' : `cannot be opened (${codeOf(error)})`
      throw new ConnectionRefused(`The folder ${path} ${why}`, { step: 'resolved', cause: error })
    })
    await held.handle.close()
  }

  sizeOf(name: string): Promise<number | undefined> {
    return this.#inFolderOf(name, async ({ path }, file) => {
      const found = await lstat(join(path, file)).catch(missing)
      if (found !== undefined && !found.isFile())
        throw new DestinationInvalid('folder', `${name} already stands there, and it is not a plain file`)
      return found?.size
    }).catch(missing)
  }

  write(name: string, file: OutgoingFile): Promise<number> {
    return this.#inFolderOf(name, async (held, last) => {
      const target = join(held.path, last)
      // Unlinked and made anew, never opened: what stands there may be a link, a pipe or another name of a file.
      await unlink(target).catch(missing)
      const spooled = await this.#spoolPath(file)
      if (spooled === undefined || !(await linked(spooled, target))) await this.#copy(file, target)
      const handle = await open(target, constants.O_RDONLY | constants.O_NOFOLLOW)
      try {
        await handle.chmod(FILE_MODE)
        await handle.sync()
        await held.handle.sync()
        return (await handle.stat()).size
      } finally {
        await handle.close()
      }
    })
  }

  rename(from: string, to: string): Promise<void> {
    return this.#inFolderOf(from, (fromHeld, fromLast) =>
      this.#inFolderOf(to, async (toHeld, toLast) => {
        const [source, target] = [join(fromHeld.path, fromLast), join(toHeld.path, toLast)]
        const [moved, standing] = await Promise.all([lstat(source), lstat(target).catch(missing)])
        // Two names of one file, as after a file was linked twice: POSIX then renames nothing and reports success.
        if (standing !== undefined && standing.ino === moved.ino && standing.dev === moved.dev) await unlink(source)
        else await rename(source, target)
        await toHeld.handle.sync()
        await fromHeld.handle.sync()
      }),
    )
  }

  remove(name: string): Promise<void> {
    return this.#inFolderOf(name, async ({ handle, path }, last) => {
      await unlink(join(path, last))
      await handle.sync()
    }).catch(missing)
  }

  /** Part by part, each looked at before the next is made in it: `mkdir -p` would follow a link out of the root. */
  makeFolder(name: string): Promise<void> {
    return this.#guarded(name, async () => {
      let held = await this.#hold([])
      try {
        const parts = this.#partsOf(name)
        for (const [index, part] of parts.entries()) {
          const isMade = await mkdir(join(held.path, part), FOLDER_MODE).then(
            () => true,
            (error: unknown) => existing(error),
          )
          if (isMade) await held.handle.sync()
          const next = await this.#hold(parts.slice(0, index + 1))
          await held.handle.close()
          held = next
        }
      } finally {
        await held.handle.close()
      }
    })
  }

  async list(name: string): Promise<readonly string[]> {
    const entries = await this.#guarded(name, async () => {
      const { handle, path } = await this.#hold(this.#partsOf(name))
      try {
        return await readdir(path, { withFileTypes: true })
      } finally {
        await handle.close()
      }
    }).catch(missing)
    return (entries ?? []).filter((entry) => entry.isFile()).map((entry) => entry.name)
  }

  /** Nothing stays open between two deeds. */
  close(): Promise<void> {
    return Promise.resolve()
  }

  #partsOf(name: string): readonly string[] {
    return name === '' ? this.#base : [...this.#base, ...pathParts(name)]
  }

  #inFolderOf<T>(name: string, deed: (held: Held, last: string) => Promise<T>): Promise<T> {
    return this.#guarded(name, async () => {
      const parts = [...this.#base, ...pathParts(name)]
      const held = await this.#hold(parts.slice(0, -1))
      try {
        return await deed(held, parts.at(-1) ?? '')
      } finally {
        await held.handle.close()
      }
    })
  }

  async #hold(parts: readonly string[]): Promise<Held> {
    const written = join(this.#root, ...parts)
    const handle = await open(written, constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      const real = await realpath(HAS_HANDLE_PATHS ? `/proc/self/fd/${handle.fd}` : written)
      if (!isInside(this.#root, real))
        throw new ConnectionRefused(`${written} leads out of the folder that the operator listed`, { step: 'trusted' })
      return { handle, path: HAS_HANDLE_PATHS ? `/proc/self/fd/${handle.fd}` : real }
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  async #guarded<T>(name: string, work: () => Promise<T>): Promise<T> {
    this.#options.signal.throwIfAborted()
    try {
      return await work()
    } catch (error) {
      throw told(error, name, this.#options.signal)
    }
  }

  async #spoolPath(file: OutgoingFile & { readonly path?: unknown }): Promise<string | undefined> {
    const { spoolFolder } = this.#options
    if (spoolFolder === undefined || typeof file.path !== 'string') return undefined
    const [spool, path] = await Promise.all([realpath(spoolFolder), realpath(file.path)])
    return isInside(spool, path) ? path : undefined
  }

  async #copy(file: OutgoingFile, target: string): Promise<void> {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
    const handle = await open(target, flags, FILE_MODE)
    try {
      for await (const piece of file.read(PIECE_BYTES)) {
        this.#options.signal.throwIfAborted()
        await writeWhole(handle, piece)
      }
    } finally {
      await handle.close()
    }
  }
}

async function writeWhole(handle: FileHandle, piece: Uint8Array): Promise<void> {
  for (let at = 0; at < piece.length;) at += (await handle.write(piece, at)).bytesWritten
}

/** Another name for the same bytes, where the file system can: nothing is copied. */
async function linked(path: string, target: string): Promise<boolean> {
  try {
    await link(path, target)
    return true
  } catch (error) {
    if (['EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EACCES'].includes(codeOf(error))) return false
    throw error
  }
}

/** For what may be gone already. */
function missing(error: unknown): undefined {
  const original = error instanceof Missing ? error.cause : error
  if (codeOf(original) === 'ENOENT') return undefined
  throw error
}

function existing(error: unknown): false {
  if (codeOf(error) === 'EEXIST') return false
  throw error
}

/** Thrown for a file or folder that is not there; `missing` knows it. */
class Missing extends DestinationInvalid {}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

/** Says who acts next. The codes are of the operating system. */
function told(error: unknown, name: string, signal: AbortSignal): unknown {
  const code = codeOf(error)
  if (error instanceof ConnectorError || signal.aborted || code === '') return error
  const shown = name === '' ? 'The folder' : name
  switch (code) {
    case 'ENOENT':
      return new Missing('folder', `${shown} does not exist`, { cause: error })
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new ConnectionRefused(`${shown}: Patchbay has no right to write there (${code})`, {
        step: 'may-write',
        cause: error,
      })
    case 'ENOTDIR':
    case 'EISDIR':
    case 'ENOTEMPTY':
    case 'EEXIST':
    case 'ELOOP':
    case 'ENAMETOOLONG':
      return new DestinationInvalid('folder', `${shown} cannot be written: something else stands there (${code})`, {
        cause: error,
      })
    default:
      // Disk full, quota, broken disk, too many open files: it may pass, and nothing half-written has a final name.
      return new Unavailable('maybe', `${shown} could not be written (${code})`, { step: 'may-write', cause: error })
  }
}
