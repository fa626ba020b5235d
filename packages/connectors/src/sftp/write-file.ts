/**
 * Writes one file as fast as the line allows: many pieces are on their way at once, and the next is read from the spool
 * while they are. (`createWriteStream` of ssh2 waits for each answer, and is four times slower on loopback already.)
 */
import type { OutgoingFile } from '@patchbay/connector-sdk'
import { Status, statusOf, writeFailure } from './failures.ts'
import type { Session } from './session.ts'

/** What OpenSSH takes in one request, and 16 of these on the way: measured best, and 4 MB of memory a file. */
const PIECE_BYTES = 255 * 1024
const BYTES_ON_THE_WAY = 16 * PIECE_BYTES

/** `path` must not exist. Leaves nothing there when the server could not take it all. */
export async function writeFile(
  session: Session,
  path: string,
  file: OutgoingFile,
  signal: AbortSignal,
): Promise<void> {
  // `wx`: made new, so a link that somebody has put there in the meantime is not followed.
  const handle = await session
    .request<Buffer>((sftp, done) => sftp.open(path, 'wx', done))
    .catch(async (error) => {
      throw await explained(session, error, path, file.sizeBytes)
    })
  try {
    await sendPieces(session, handle, file, signal)
    if (session.has('fsync@openssh.com'))
      await session.request((sftp, done) => sftp.ext_openssh_fsync(handle, done)).catch(unlessUnsupported)
    await session.request((sftp, done) => sftp.close(handle, done))
  } catch (error) {
    const shown = await explained(session, error, path, file.sizeBytes)
    if (!session.isOver && !signal.aborted) await removeHalf(session, handle, path)
    throw shown
  }
}

async function sendPieces(session: Session, handle: Buffer, file: OutgoingFile, signal: AbortSignal): Promise<void> {
  const pieceBytes = Math.min(PIECE_BYTES, session.writeBytesMax)
  const piecesMax = Math.floor(BYTES_ON_THE_WAY / pieceBytes)
  /** Oldest first. They never reject, so that a failure cannot strike while the spool is being read. */
  const onTheWay: Promise<{ readonly error: unknown } | undefined>[] = []
  const settleOldest = async (): Promise<void> => {
    const failure = await onTheWay.shift()
    if (failure !== undefined) throw failure.error
  }
  let position = 0
  for await (const piece of file.read(pieceBytes)) {
    signal.throwIfAborted()
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
    const at = position
    position += bytes.length
    const written = session.request((sftp, done) => sftp.write(handle, bytes, 0, bytes.length, at, done))
    onTheWay.push(
      written.then(
        () => undefined,
        (error: unknown) => ({ error }),
      ),
    )
    if (onTheWay.length >= piecesMax) await settleOldest()
  }
  while (onTheWay.length > 0) await settleOldest()
}

/** Half a file helps nobody and fills a disk that may be full: away with it, as far as the server lets us. */
async function removeHalf(session: Session, handle: Buffer, path: string): Promise<void> {
  await session.request((sftp, done) => sftp.close(handle, done)).catch(() => undefined)
  await session.request((sftp, done) => sftp.unlink(path, done)).catch(() => undefined)
}

async function explained(session: Session, error: unknown, path: string, sizeBytes: number): Promise<unknown> {
  if (statusOf(error) === undefined) return error
  return writeFailure(error, path, await bytesFree(session, path), sizeBytes)
}

/** Undefined where the server does not tell. */
async function bytesFree(session: Session, path: string): Promise<number | undefined> {
  if (!session.has('statvfs@openssh.com', '2')) return undefined
  const folder = path.slice(0, path.lastIndexOf('/')) || '/'
  const info = await session
    .request<unknown>((sftp, done) => sftp.ext_openssh_statvfs(folder, done))
    .catch(() => undefined)
  if (typeof info !== 'object' || info === null || !('f_bavail' in info) || !('f_frsize' in info)) return undefined
  return Number(info.f_bavail) * Number(info.f_frsize)
}

/** Some servers announce the extension and refuse it for their kind of storage: then this is all they can do. */
function unlessUnsupported(error: unknown): void {
  if (statusOf(error) !== Status.unsupported) throw error
}
