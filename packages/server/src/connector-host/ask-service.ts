/** Questions to a service while somebody makes an export. What goes wrong is said with its cure, to whoever can act on it. */
import {
  ConnectionRefused,
  DestinationInvalid,
  RateLimited,
  SettingsInvalid,
  Unavailable,
} from '@patchbay/connector-sdk'
import { Problem } from '../domain/problem.ts'
import { ConnectorFault } from './clean-error.ts'

/** Somebody waits at a form: an answer that takes longer is of no use to them. */
const ASK_MS = 20_000

/**
 * `mayKnow`: they may know the connection's settings. A Contributor may not, and the words of a failure can hold a host or an
 * account, so they are told who can help instead.
 */
export async function askService<T>(
  signal: AbortSignal,
  mayKnow: boolean,
  ask: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const timeout = AbortSignal.timeout(ASK_MS)
  const { promise: ended, reject } = Promise.withResolvers<never>()
  ended.catch(() => undefined)
  const either = AbortSignal.any([signal, timeout])
  const giveUp = (): void => reject(either.reason as Error)
  either.addEventListener('abort', giveUp, { once: true })
  try {
    either.throwIfAborted()
    // The connector may not look at the signal; the question still ends with it.
    return await Promise.race([ask(either), ended])
  } catch (error) {
    if (signal.aborted) throw canceled()
    if (timeout.aborted) throw slow()
    throw problemFor(error, mayKnow)
  } finally {
    either.removeEventListener('abort', giveUp)
  }
}

function canceled(): Problem {
  return new Problem('not-ready', 'The question was canceled', { cure: 'Ask again' })
}

function slow(): Problem {
  return new Problem('unavailable', `The service did not answer within ${ASK_MS / 1000} s`, { cure: 'Ask again' })
}

function problemFor(error: unknown, mayKnow: boolean): unknown {
  if (error instanceof DestinationInvalid)
    return new Problem('invalid', `destination.${error.field}: ${error.message}`, {
      path: `destination.${error.field}`,
      cure: 'Correct this field of the destination',
      cause: error,
    })
  if (error instanceof RateLimited)
    return new Problem('unavailable', 'The service asked for a pause', {
      cure: error.afterSeconds === undefined ? 'Ask again in a minute' : `Ask again in ${error.afterSeconds} s`,
      cause: error,
    })
  const words = mayKnow && error instanceof Error ? `: ${error.message}` : ''
  const verify = mayKnow
    ? 'Verify the connection: patchbay connection check'
    : 'Ask an Administrator to verify the connection'
  if (error instanceof ConnectionRefused)
    return new Problem('unavailable', `The service refused the connection${words}`, { cure: verify, cause: error })
  if (error instanceof SettingsInvalid)
    return new Problem('unavailable', `The connection is not set up rightly${words}`, { cure: verify, cause: error })
  if (error instanceof Unavailable)
    return new Problem('unavailable', `The service does not answer${words}`, {
      cure: `Ask again; if that does not help: ${verify}`,
      cause: error,
    })
  if (error instanceof ConnectorFault)
    return new Problem('unavailable', `The connector could not ask the service: this is a mistake in it${words}`, {
      cure: 'Report it, and type the value where the field allows it',
      cause: error,
    })
  return error
}
