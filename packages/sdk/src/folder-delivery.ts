/**
 * Delivers the files of one run into a folder: each file is written under a hidden temporary name, and `commit` renames
 * all of them into place. A reader of the folder therefore never sees half a file; while `commit` runs it can see some
 * files of this run beside some of the last one, and the description (`model.json`), written last, says when all stand.
 *
 * Everything is told from the folder itself, so a process that died at any point is carried on by calling `commit` of a
 * new `folderDelivery` for the same run:
 *   temporary file there                         → not yet renamed: rename it
 *   temporary file gone, final file of its size  → renamed by this run: nothing to do
 *   neither                                      → lost: the run has to write it again
 * The second line cannot mean a stranger's file. `put` made the temporary file, only `commit` of this run takes it away,
 * and before its first rename `commit` looks at every final name and stops if one is taken by anything that is not in
 * `run.delivered`. Its limit: whoever removes our temporary file *and* puts a file of exactly that size under the final
 * name deceives us. Sizes, not contents, tell files apart, because a folder's far end rarely offers a hash.
 */
import { createHash } from 'node:crypto'
import type { Folder } from './context.ts'
import { DestinationInvalid, Unavailable } from './errors.ts'
import type { DeliveredFile, FileDelivery, FileReceipt, Manifest, OutgoingFile } from './files.ts'
import { inTurns } from './in-turns.ts'
import { pathParts } from './remote-path.ts'

const RESERVED = '.patchbay-'

/**
 * `base` is the folder below the root of `folder` ('' for the root itself). `commit` closes `folder` when it succeeds,
 * `abandon` closes it always.
 */
export function folderDelivery(
  folder: Folder,
  base: string,
  run: { readonly runId: string; readonly delivered: readonly DeliveredFile[] },
): FileDelivery {
  if (!/^[0-9A-Za-z_-]{1,64}$/.test(run.runId)) throw new TypeError('A run id is 1 to 64 characters of [0-9A-Za-z_-]')
  const root = base === '' ? [] : pathParts(base)
  return new FilesIntoFolder(folder, root, run.runId, run.delivered)
}

/** Where one file of the run stands: see the table at the top. */
interface Standing {
  readonly file: DeliveredFile | OutgoingFile
  readonly temporary: string
  readonly final: string
  readonly isRenamed: boolean
}

class FilesIntoFolder implements FileDelivery {
  readonly #folder: Folder
  readonly #root: readonly string[]
  readonly #runId: string
  readonly #delivered: readonly DeliveredFile[]
  /** Folders that this instance has made sure of; a failed one is forgotten, so that it is tried again. */
  readonly #madeFolders = new Map<string, Promise<void>>()

  constructor(folder: Folder, root: readonly string[], runId: string, delivered: readonly DeliveredFile[]) {
    this.#folder = folder
    this.#root = root
    this.#runId = runId
    this.#delivered = delivered
  }

  async put(file: OutgoingFile): Promise<FileReceipt> {
    const final = this.#finalPath(file.name)
    const standing = await this.#folder.sizeOf(final)
    // Refused before the bytes are sent. A file of our own size may be ours (a run put again); `commit` judges it.
    if (standing !== undefined && standing !== file.sizeBytes && !this.#isOwn(file.name, standing)) throw foreign(final)
    await this.#makeFolders([file.name])
    return { sizeBytes: await this.#write(file) }
  }

  async commit({ files, model, superseded }: Manifest): Promise<void> {
    const names = [...files.map(({ name }) => name), model.name]
    if (new Set(names).size < names.length) throw new DestinationInvalid('folder', 'Two files of the run have one name')

    // Nothing is changed before every file has been looked at.
    const standings = await inTurns(files, (file) => this.#look(file))
    const waiting = standings.filter(({ isRenamed }) => !isRenamed)
    const description = await this.#lookAtModel(model, waiting.length === 0)

    await this.#makeFolders(names)
    if (!description.isRenamed && (await this.#folder.sizeOf(description.temporary)) !== model.sizeBytes)
      await this.#write(model)
    await inTurns(waiting, ({ temporary, final }) => this.#folder.rename(temporary, final))
    if (!description.isRenamed) await this.#folder.rename(description.temporary, description.final)
    await inTurns(
      superseded.filter(({ name }) => !names.includes(name)),
      (file) => this.#removeOwn(file),
    )
    await this.#folder.close()
  }

  async abandon(): Promise<void> {
    try {
      const leftOver = (await this.#folder.list(this.#root.join('/'))).filter((name) => this.#isTemporary(name))
      await inTurns(leftOver, (name) => this.#folder.remove([...this.#root, name].join('/')))
    } finally {
      await this.#folder.close()
    }
  }

  async #write(file: OutgoingFile): Promise<number> {
    const written = await this.#folder.write(this.#temporaryPath(file.name), file)
    if (written !== file.sizeBytes)
      throw new Unavailable('maybe', `${file.name}: ${written} bytes stand at the far end instead of ${file.sizeBytes}`)
    return written
  }

  async #look(file: DeliveredFile): Promise<Standing> {
    const [temporary, final] = [this.#temporaryPath(file.name), this.#finalPath(file.name)]
    const [waits, stands] = await Promise.all([this.#folder.sizeOf(temporary), this.#folder.sizeOf(final)])
    if (waits === undefined && stands === file.sizeBytes) return { file, temporary, final, isRenamed: true }
    if (waits !== file.sizeBytes)
      throw new Unavailable('maybe', `${file.name}: what was written is no longer there, or was changed. Run again`)
    if (stands !== undefined && !this.#isOwn(file.name, stands)) throw foreign(final)
    return { file, temporary, final, isRenamed: false }
  }

  /**
   * The description has no `put`: `commit` itself writes its temporary file, before the first rename. So a missing one
   * means "not written yet", and "renamed" only after all the others were. Where one of an earlier run may stand, it is
   * written again in any case, because the two may be of one size.
   */
  async #lookAtModel(model: OutgoingFile, areOthersRenamed: boolean): Promise<Standing> {
    const [temporary, final] = [this.#temporaryPath(model.name), this.#finalPath(model.name)]
    const [waits, stands] = await Promise.all([this.#folder.sizeOf(temporary), this.#folder.sizeOf(final)])
    const isOwn = stands !== undefined && this.#isOwn(model.name, stands)
    const isRenamed = areOthersRenamed && waits === undefined && stands === model.sizeBytes && !isOwn
    if (!isRenamed && !isOwn && stands !== undefined) throw foreign(final)
    return { file: model, temporary, final, isRenamed }
  }

  /** Only what still is as we wrote it: a file that somebody has changed or replaced is theirs by now, and stays. */
  async #removeOwn({ name, sizeBytes }: DeliveredFile): Promise<void> {
    if (!this.#isOwn(name, sizeBytes)) return
    const path = this.#finalPath(name)
    const stands = await this.#folder.sizeOf(path).catch((error: unknown) => {
      if (error instanceof DestinationInvalid) return undefined
      throw error
    })
    if (stands === sizeBytes) await this.#folder.remove(path)
  }

  #isOwn(name: string, sizeBytes: number): boolean {
    return this.#delivered.some((file) => file.name === name && file.sizeBytes === sizeBytes)
  }

  async #makeFolders(names: readonly string[]): Promise<void> {
    const paths = new Set(names.map((name) => [...this.#root, ...pathParts(name).slice(0, -1)].join('/')))
    paths.add(this.#root.join('/'))
    paths.delete('')
    await inTurns([...paths], (path) => this.#makeFolder(path))
  }

  #makeFolder(path: string): Promise<void> {
    const made = this.#madeFolders.get(path) ?? this.#folder.makeFolder(path)
    this.#madeFolders.set(path, made)
    made.catch(() => this.#madeFolders.delete(path))
    return made
  }

  #finalPath(name: string): string {
    const parts = pathParts(name)
    if (parts.some((part) => part.startsWith(RESERVED)))
      throw new DestinationInvalid('folder', `${name}: names that start with ${RESERVED} are for unfinished files`)
    return [...this.#root, ...parts].join('/')
  }

  /** All temporary files of a run stand directly in the base, so that `abandon` finds them after a crash too. */
  #temporaryPath(name: string): string {
    const hash = createHash('sha256').update(name).digest('hex').slice(0, 24)
    return [...this.#root, `${RESERVED}${this.#runId}-${hash}.part`].join('/')
  }

  #isTemporary(name: string): boolean {
    const start = `${RESERVED}${this.#runId}-`
    return name.startsWith(start) && /^[0-9a-f]{24}\.part$/.test(name.slice(start.length))
  }
}

function foreign(path: string): DestinationInvalid {
  return new DestinationInvalid(
    'folder',
    `${path} already stands there, and it is not as this export wrote it. Patchbay overwrites no files of others: ` +
      'move that file away, or choose another folder',
  )
}
