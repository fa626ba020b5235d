import {
  ConnectionRefused,
  ConnectorError,
  DestinationInvalid,
  RateLimited,
  SettingsInvalid,
  Unavailable,
} from '@patchbay/connector-sdk'
import { Problem } from '../domain/problem.ts'
import { Canceled, type Permission } from './ports.ts'

/** How the delivery of a run ended, where it did not simply finish. */
export type Ending =
  | { readonly type: 'canceled'; readonly reason: string }
  | { readonly type: 'failed'; readonly reason: string; readonly retryable: boolean }

export function endingOfRefusal(permission: Extract<Permission, { go: false }>): Ending {
  return permission.because === 'not-allowed'
    ? { type: 'failed', reason: permission.reason, retryable: false }
    : { type: 'canceled', reason: permission.reason }
}

/**
 * Who must act on an error, in words that may be stored and shown: ids and conditions only.
 * A connector's own messages are redacted by the connector host before they get here.
 */
export function endingOfError(error: unknown, connectorId: string): Ending {
  if (error instanceof Canceled) return { type: 'canceled', reason: error.message }
  if (error instanceof Problem) {
    return { type: 'failed', reason: `${error.message}. ${error.cure}`, retryable: error.code === 'unavailable' }
  }
  if (error instanceof ConnectionRefused) {
    return failed(`The connection was refused: ${error.message}. An Administrator must mend it`)
  }
  if (error instanceof SettingsInvalid) {
    return failed(`The connection's setting "${error.field}" is wrong: ${error.message}. An Administrator must mend it`)
  }
  if (error instanceof DestinationInvalid) {
    return failed(`The destination's "${error.field}" cannot take this: ${error.message}`)
  }
  if (error instanceof RateLimited) {
    return { type: 'failed', reason: 'The service asked for a pause longer than this run may wait', retryable: true }
  }
  if (error instanceof Unavailable) return { type: 'failed', reason: error.message, retryable: true }
  if (error instanceof ConnectorError) return failed(error.message)
  // The message of an unknown error may hold anything, so only its kind is kept; the log has the stack.
  const kind = error instanceof Error ? error.name : typeof error
  return failed(
    `This is a bug (${kind}), in the connector "${connectorId}" or in Patchbay. Please report it with the run's id`,
  )
}

function failed(reason: string): Ending {
  return { type: 'failed', reason, retryable: false }
}
