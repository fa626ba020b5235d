/**
 * A folder on an SFTP server. Every name is below the connection's base folder, also where the server's own symbolic
 * links are followed: before anything is changed in a folder, the server is asked where that folder really is. (Between
 * this question and the act, whoever may write on the server could still change a link; SFTP has no way to prevent it.)
 */
import {
  DestinationInvalid,
  pathParts,
  SettingsInvalid,
  Unavailable,
  type Folder,
  type OutgoingFile,
} from '@patchbay/connector-sdk'
import type { Attributes, FileEntryWithStats } from 'ssh2'
import { folderFailure, Status, statusOf } from './failures.ts'
import type { Session } from './session.ts'
import { writeFile } from './write-file.ts'

const KIND_MASK = 0o170_000
const PLAIN_FILE = 0o100_000
const FOLDER = 0o040_000

interface Place {
  readonly session: Session
  /** Where the base folder really is, without a slash at its end ('' for the server's root). */
  readonly root: string
  /** Folders below it that were found not to lead out. */
  readonly safe: Set<string>
}

export class SftpFolder implements Folder {
  readonly #connect: () => Promise<Session>
  readonly #base: string
  readonly #signal: AbortSignal
  #place: Promise<Place> | undefined

  /** `connect` is called when the folder is first used, and again after a connection broke. */
  constructor(connect: () => Promise<Session>, base: string | undefined, signal: AbortSignal) {
    this.#connect = connect
    this.#base = base === undefined || base === '' ? '.' : base
    this.#signal = signal
  }

  async sizeOf(name: string): Promise<number | undefined> {
    const { session, root } = await this.#reach()
    const found = await lstat(session, `${root}/${name}`)
    if (found === undefined) return undefined
    if (!isKind(found, PLAIN_FILE))
      throw new DestinationInvalid('folder', `${name} already stands there and is no plain file: move it away`)
    return found.size
  }

  async write(name: string, file: OutgoingFile): Promise<number> {
    this.#signal.throwIfAborted()
    const place = await this.#reach()
    await this.#checkInside(place, parentOf(name))
    const path = `${place.root}/${name}`
    await unlink(place.session, path)
    await writeFile(place.session, path, file, this.#signal)
    const written = await lstat(place.session, path)
    if (written === undefined) throw new Unavailable('maybe', `${name} was written, and is not there now`)
    return written.size
  }

  async rename(from: string, to: string): Promise<void> {
    this.#signal.throwIfAborted()
    const place = await this.#reach()
    await this.#checkInside(place, parentOf(from))
    await this.#checkInside(place, parentOf(to))
    const { session, root } = place
    const [source, target] = [`${root}/${from}`, `${root}/${to}`]
    try {
      if (session.has('posix-rename@openssh.com')) {
        await session.request((sftp, done) => sftp.ext_openssh_rename(source, target, done))
      } else {
        // SFTP's own rename refuses to overwrite. A reader can find nothing for a moment, and after a crash just here
        // the temporary file still stands, so that the commit can be repeated.
        await unlink(session, target)
        await session.request((sftp, done) => sftp.rename(source, target, done))
      }
    } catch (error) {
      throw folderFailure(error, 'rename a file to', target)
    }
  }

  async remove(name: string): Promise<void> {
    const place = await this.#reach()
    await this.#checkInside(place, parentOf(name))
    await unlink(place.session, `${place.root}/${name}`)
  }

  async makeFolder(name: string): Promise<void> {
    this.#signal.throwIfAborted()
    const place = await this.#reach()
    let made = ''
    for (const part of pathParts(name)) {
      made = made === '' ? part : `${made}/${part}`
      await this.#makeOne(place, made)
    }
  }

  async list(name: string): Promise<readonly string[]> {
    const place = await this.#reach()
    const path = name === '' ? place.root || '/' : `${place.root}/${name}`
    if ((await stat(place.session, path)) === undefined) return []
    await this.#checkInside(place, name)
    const entries = await place.session
      .request<FileEntryWithStats[]>((sftp, done) => sftp.readdir(path, done))
      .catch((error: unknown) => {
        throw folderFailure(error, 'list', path)
      })
    return entries.filter(({ attrs }) => isKind(attrs, PLAIN_FILE)).map(({ filename }) => filename)
  }

  async close(): Promise<void> {
    const place = this.#place
    this.#place = undefined
    const reached = await place?.catch(() => undefined)
    await reached?.session.close()
  }

  /** The living connection, or a new one; of several that find it broken, the first makes a new one for all. */
  async #reach(): Promise<Place> {
    for (;;) {
      const opening = (this.#place ??= this.#open())
      const place = await opening.catch((error: unknown) => {
        this.#forget(opening)
        throw error
      })
      if (!place.session.isOver) return place
      this.#forget(opening)
    }
  }

  #forget(opening: Promise<Place>): void {
    if (this.#place === opening) this.#place = undefined
  }

  async #open(): Promise<Place> {
    const session = await this.#connect()
    try {
      const real = await session.request<string>((sftp, done) => sftp.realpath(this.#base, done))
      const found = await stat(session, real)
      if (found === undefined || !isKind(found, FOLDER)) throw noBase(this.#base)
      return { session, root: real.replace(/\/+$/, ''), safe: new Set() }
    } catch (error) {
      await session.close()
      throw statusOf(error) === undefined ? error : noBase(this.#base, error)
    }
  }

  async #makeOne(place: Place, name: string): Promise<void> {
    const { session, root } = place
    const path = `${root}/${name}`
    const found = await stat(session, path)
    if (found === undefined) {
      try {
        await session.request((sftp, done) => sftp.mkdir(path, done))
      } catch (error) {
        // Made by somebody else at the same moment is as good.
        if ((await stat(session, path)) === undefined) throw folderFailure(error, 'make the folder', path)
      }
    } else if (!isKind(found, FOLDER)) {
      throw new DestinationInvalid('folder', `${name} already stands there and is no folder`)
    }
    await this.#checkInside(place, name)
  }

  async #checkInside({ session, root, safe }: Place, folder: string): Promise<void> {
    if (folder === '' || safe.has(folder)) return
    const path = `${root}/${folder}`
    const real = await session
      .request<string>((sftp, done) => sftp.realpath(path, done))
      .catch((error: unknown) => {
        throw folderFailure(error, 'find', path)
      })
    if (real !== root && !real.startsWith(`${root}/`))
      throw new DestinationInvalid('folder', `${folder} leads out of the connection's base folder, to ${real}`)
    safe.add(folder)
  }
}

function parentOf(name: string): string {
  return pathParts(name).slice(0, -1).join('/')
}

function isKind(attributes: Attributes, kind: number): boolean {
  const type = attributes.mode & KIND_MASK
  // Some servers do not say what it is; what they list under a name of ours can then only be taken as asked for.
  return type === kind || type === 0
}

/** Without following a link at the end of the path. */
function lstat(session: Session, path: string): Promise<Attributes | undefined> {
  return session.request<Attributes>((sftp, done) => sftp.lstat(path, done)).catch(asMissing('look at', path))
}

function stat(session: Session, path: string): Promise<Attributes | undefined> {
  return session.request<Attributes>((sftp, done) => sftp.stat(path, done)).catch(asMissing('look at', path))
}

function asMissing(verb: string, path: string): (error: unknown) => undefined {
  return (error) => {
    if (statusOf(error) === Status.noSuchFile) return undefined
    throw folderFailure(error, verb, path)
  }
}

async function unlink(session: Session, path: string): Promise<void> {
  try {
    await session.request((sftp, done) => sftp.unlink(path, done))
  } catch (error) {
    // Servers differ in what they say of a file that is not there.
    if (statusOf(error) === undefined || (await lstat(session, path)) !== undefined)
      throw folderFailure(error, 'remove', path)
  }
}

function noBase(base: string, cause?: unknown): SettingsInvalid {
  const name = base === '.' ? "the account's own folder" : base
  return new SettingsInvalid('baseFolder', `There is no folder ${name} on the server that this account may see`, {
    cause,
  })
}
