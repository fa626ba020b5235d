import {
  BatchRejected,
  ConnectionRefused,
  type ConnectorError,
  DestinationInvalid,
  RateLimited,
  SettingsInvalid,
  Unavailable,
} from '@patchbay/connector-sdk'
import type { Redactor } from './redact.ts'

/** A connector threw something that its contract does not know: a bug in it, shown as one. */
export class ConnectorFault extends Error {
  override readonly name = 'ConnectorFault'
}

const DEPTH_MAX = 4

/**
 * A new error that says the same without secrets and personal data. New, because drivers hang request, row and query on
 * their errors as properties, and every logger prints those. What is not a `ConnectorError` becomes a `ConnectorFault`.
 */
export function cleanError(thrown: unknown, redactor: Redactor): ConnectorError | ConnectorFault {
  const message = redactor.redact(messageOf(thrown))
  const options = { cause: cleanCause(thrown, redactor, 1) }
  const clean = rebuild(thrown, message, options)
  // Its own stack, without the first lines, which repeat the message.
  clean.stack = `${clean.name}: ${message}${framesOf(thrown)}`
  return clean
}

function rebuild(thrown: unknown, message: string, options: ErrorOptions): ConnectorError | ConnectorFault {
  if (thrown instanceof ConnectionRefused)
    return new ConnectionRefused(message, { ...options, field: thrown.field, step: thrown.step })
  if (thrown instanceof SettingsInvalid) return new SettingsInvalid(thrown.field, message, options)
  if (thrown instanceof DestinationInvalid) return new DestinationInvalid(thrown.field, message, options)
  if (thrown instanceof RateLimited) return new RateLimited(thrown.afterSeconds, message, options)
  if (thrown instanceof Unavailable)
    return new Unavailable(thrown.sent, message, { ...options, afterSeconds: thrown.afterSeconds, step: thrown.step })
  if (thrown instanceof BatchRejected) return new BatchRejected(message, options)
  const name = thrown instanceof Error ? thrown.name : typeof thrown
  return new ConnectorFault(`${name}: ${message}`, options)
}

function cleanCause(thrown: unknown, redactor: Redactor, depth: number): Error | undefined {
  if (!(thrown instanceof Error) || thrown.cause === undefined || depth > DEPTH_MAX) return undefined
  const { cause } = thrown
  const name = cause instanceof Error ? cause.name : typeof cause
  const clean = new Error(`${name}: ${redactor.redact(messageOf(cause))}`, {
    cause: cleanCause(cause, redactor, depth + 1),
  })
  clean.stack = `${clean.message}${framesOf(cause)}`
  return clean
}

function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message
  return typeof thrown === 'string' ? thrown : `something that is no error was thrown (${typeof thrown})`
}

/** Where it happened: file names and lines, which hold no data. */
function framesOf(thrown: unknown): string {
  const stack = thrown instanceof Error ? (thrown.stack ?? '') : ''
  const frames = stack.split('\n').filter((line) => /^ {4}at [^@]{1,300}$/.test(line))
  return frames.length === 0 ? '' : `\n${frames.join('\n')}`
}
