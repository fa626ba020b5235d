/**
 * Delivers the files of one run into an object store, which has no renaming but lets the pieces of an object be sent ahead
 * and be put together in one step. `put` sends the pieces, of which no reader sees anything; `commit` publishes one object
 * after the other, each in one step and with the mark of the run on it, and the description (`model.json`) last.
 *
 * All is told from the store itself, so a process that died at any point is carried on by calling `commit` of a new
 * `objectDelivery` for the same run:
 *   the object stands, with this run's mark and its digest → published by this run: nothing to do
 *   its pieces are all there                               → not yet published: publish it
 *   neither                                                → lost: the run has to write it again
 * An object that stands under a name is this export's own when an earlier run delivered it under that name with that size
 * and, where it bears a mark, that digest. Every other one is somebody else's, and is neither overwritten nor removed:
 * publishing names the object that it takes the place of, so one that comes in between is not lost either, as far as the
 * store knows conditions.
 */
import { DestinationInvalid, Unavailable } from './errors.ts'
import type { DeliveredFile, FileDelivery, FileReceipt, Manifest, OutgoingFile } from './files.ts'
import { inTurns } from './in-turns.ts'
import { pathParts } from './remote-path.ts'

const RESERVED = '.patchbay-'

/** What stands under a name. */
export interface StandingObject {
  readonly sizeBytes: number
  /** Changes with every writing, so that the store can be told which object is meant. */
  readonly tag: string
  /** As the run left it; undefined where there is none, or where it was lost on the way. */
  readonly mark: ObjectMark | undefined
}

export interface ObjectMark {
  readonly runId: string
  readonly sha256: string
}

/** What an object takes the place of: that very object, or `nothing`. */
export type InPlaceOf = StandingObject | 'nothing'

/** The few things an object store must be able to do; `objectDelivery` makes a whole delivery of them. */
export interface ObjectStore {
  look(name: string): Promise<StandingObject | undefined>
  /**
   * Sends all bytes in pieces that nobody sees, and gives the number that the store acknowledged. What the same run sent
   * before under the name is used again or taken away.
   */
  stage(name: string, file: OutgoingFile, runId: string): Promise<number>
  /** The bytes that the run has sent ahead under the name, by whatever process; undefined where they are not all known to be there. */
  staged(name: string, file: DeliveredFile, runId: string): Promise<number | undefined>
  /** Shows what was staged, with its mark, in one step. Throws `DestinationInvalid` where something else has come to stand there. */
  publish(name: string, file: DeliveredFile, runId: string, inPlaceOf: InPlaceOf): Promise<void>
  /** Writes a small object whole, in one step, with its mark. */
  write(name: string, file: OutgoingFile, runId: string, inPlaceOf: InPlaceOf): Promise<void>
  /** Removes this object; one that is gone already is no error. */
  remove(name: string, standing: StandingObject): Promise<void>
  /** Takes away what the run has staged and not published, by whatever process. */
  discard(runId: string): Promise<void>
}

/** `base` is the folder below the root of `store` ('' for the root itself). */
export function objectDelivery(
  store: ObjectStore,
  base: string,
  run: { readonly runId: string; readonly delivered: readonly DeliveredFile[] },
): FileDelivery {
  if (!/^[0-9A-Za-z_-]{1,64}$/.test(run.runId)) throw new TypeError('A run id is 1 to 64 characters of [0-9A-Za-z_-]')
  const root = base === '' ? [] : pathParts(base)
  const { runId, delivered } = run

  const nameOf = (name: string): string => {
    const parts = pathParts(name)
    if (parts.some((part) => part.startsWith(RESERVED)))
      throw new DestinationInvalid('folder', `${name}: names that start with ${RESERVED} are for unfinished files`)
    return [...root, ...parts].join('/')
  }
  const isOwn = (name: string, { sizeBytes, mark }: StandingObject): boolean =>
    mark?.runId === runId ||
    delivered.some(
      (file) =>
        file.name === name && file.sizeBytes === sizeBytes && (mark === undefined || mark.sha256 === file.sha256),
    )
  const isPublished = (file: DeliveredFile, standing: StandingObject | undefined): boolean =>
    standing?.mark?.runId === runId && standing.mark.sha256 === file.sha256 && standing.sizeBytes === file.sizeBytes

  /** Refuses what is not this export's own. */
  const placeOf = (name: string, standing: StandingObject | undefined): InPlaceOf => {
    if (standing !== undefined && !isOwn(name, standing)) throw foreignObject(nameOf(name))
    return standing ?? 'nothing'
  }
  const look = async (file: DeliveredFile): Promise<Waiting | undefined> => {
    const standing = await store.look(nameOf(file.name))
    if (isPublished(file, standing)) return undefined
    const bytes = file.sizeBytes === 0 ? 0 : await store.staged(nameOf(file.name), file, runId)
    if (bytes !== file.sizeBytes)
      throw new Unavailable('maybe', `${file.name}: what was sent is no longer there, or not all of it. Run again`)
    return { file, inPlaceOf: placeOf(file.name, standing) }
  }
  const publish = async ({ file, inPlaceOf }: Waiting): Promise<void> => {
    if (file.sizeBytes === 0) return store.write(nameOf(file.name), emptyFile(file), runId, inPlaceOf)
    await store.publish(nameOf(file.name), file, runId, inPlaceOf)
  }
  const removeOwn = async (file: DeliveredFile): Promise<void> => {
    const standing = await store.look(nameOf(file.name))
    // Only what still is as we wrote it: an object that somebody has replaced is theirs by now, and stays.
    if (standing?.sizeBytes === file.sizeBytes && isOwn(file.name, standing))
      await store.remove(nameOf(file.name), standing)
  }

  return {
    async put(file): Promise<FileReceipt> {
      // Refused before the bytes are sent; `commit` looks again.
      placeOf(file.name, await store.look(nameOf(file.name)))
      return { sizeBytes: file.sizeBytes === 0 ? 0 : await store.stage(nameOf(file.name), file, runId) }
    },

    async commit({ files, model, superseded }: Manifest): Promise<void> {
      const names = [...files.map(({ name }) => name), model.name]
      if (new Set(names).size < names.length)
        throw new DestinationInvalid('folder', 'Two files of the run have one name')
      // Nothing is changed before every file has been looked at.
      const waiting = (await inTurns(files, look)).filter((one) => one !== undefined)
      const description = await store.look(nameOf(model.name))
      const inPlaceOf = placeOf(model.name, description)
      await inTurns(waiting, publish)
      if (!isPublished(model, description)) await store.write(nameOf(model.name), model, runId, inPlaceOf)
      await inTurns(
        superseded.filter(({ name }) => !names.includes(name)),
        removeOwn,
      )
    },

    abandon: () => store.discard(runId),
  }
}

interface Waiting {
  readonly file: DeliveredFile
  readonly inPlaceOf: InPlaceOf
}

/** For a store that finds something else in the way at the moment of publishing. */
export function foreignObject(path: string): DestinationInvalid {
  return new DestinationInvalid(
    'folder',
    `${path} already stands there, and it is not as this export wrote it. Patchbay overwrites no files of others: ` +
      'move that file away, or choose another folder',
  )
}

function emptyFile({ name, rows, sha256 }: DeliveredFile): OutgoingFile {
  return { name, rows, sha256, sizeBytes: 0, async *read() {} }
}
