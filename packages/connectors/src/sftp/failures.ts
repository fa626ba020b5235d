/** Says in words what went wrong, and by its class who has to act. */
import { ConnectionRefused, ConnectorError, DestinationInvalid, Unavailable } from '@patchbay/connector-sdk'

/** Of SFTP version 3, which is all that servers and `ssh2` speak. */
export const Status = { endOfFile: 1, noSuchFile: 2, permissionDenied: 3, failure: 4, unsupported: 8 } as const

/** The status with which the server answered a request; undefined for every other kind of failure. */
export function statusOf(error: unknown): number | undefined {
  if (error instanceof ConnectorError || !(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'number' ? error.code : undefined
}

/** The server did not do something with a path of the folder. */
export function folderFailure(error: unknown, verb: string, path: string): unknown {
  const status = statusOf(error)
  if (status === undefined) return error
  switch (status) {
    case Status.permissionDenied:
      return new DestinationInvalid('folder', `The account may not ${verb} ${path}: ask for that right on the server`, {
        cause: error,
      })
    case Status.noSuchFile:
      return new DestinationInvalid('folder', `The server cannot ${verb} ${path}: its folder is not there`, {
        cause: error,
      })
    default:
      return new Unavailable('maybe', `The server could not ${verb} ${path}, and says only: ${wordsOf(error)}`, {
        cause: error,
      })
  }
}

/** A write broke: mostly the disk or the account's quota is full, and then servers say no more than "Failure". */
export function writeFailure(
  error: unknown,
  path: string,
  bytesLeft: number | undefined,
  bytesNeeded: number,
): unknown {
  const status = statusOf(error)
  if (status === undefined || status === Status.permissionDenied || status === Status.noSuchFile)
    return folderFailure(error, 'write', path)
  const why =
    bytesLeft !== undefined && bytesLeft < bytesNeeded
      ? `its disk is full (${bytesLeft} bytes are free, ${bytesNeeded} are needed)`
      : `most often its disk or the account's quota is full (it says only: ${wordsOf(error)})`
  return new Unavailable('maybe', `The server could not write ${path}: ${why}`, { cause: error })
}

/** The connection did not come about. Nothing of a file has been sent by then. */
export function connectFailure(error: Error, place: string): Error {
  if (error instanceof ConnectorError) return error
  const level = 'level' in error ? error.level : undefined
  if (level === 'handshake' && error.message.includes('no matching'))
    return new ConnectionRefused(
      `${place} offers only outdated encryption (${error.message}): ask its operator for current algorithms`,
      { cause: error, step: 'trusted' },
    )
  if (level === 'client-timeout')
    return new Unavailable('no', `${place} accepts connections, but does not go on to speak SSH`, {
      cause: error,
      step: 'reached',
    })
  const hint = error.message.includes('before handshake')
    ? ' (is this the port of SSH? or has it too many guests?)'
    : ''
  return new Unavailable('no', `${place} broke off the connection: ${wordsOf(error)}${hint}`, { cause: error })
}

/** The words of the far end: one short line, without anything that a screen or a log would act on. */
function wordsOf(error: unknown): string {
  const words = error instanceof Error ? error.message : String(error)
  return words.replaceAll(/[\p{Cc}\p{Cf}\s]+/gu, ' ').slice(0, 200)
}
