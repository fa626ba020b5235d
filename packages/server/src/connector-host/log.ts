import type { Context } from '@patchbay/connector-sdk'
import type { Redactor } from './redact.ts'

/** A pino logger fits. */
export interface HostLog {
  info(fields: Readonly<Record<string, string | number | boolean>>, message: string): void
}

/** What connectors may log beside their message. Ids, counts and codes: a key that is not here is dropped. */
const KEYS = new Set([
  'attempt',
  'batch',
  'bytes',
  'code',
  'count',
  'durationMs',
  'files',
  'part',
  'parts',
  'rejected',
  'rows',
  'status',
  'step',
  'tables',
])

export function makeLog(
  log: HostLog,
  names: { readonly connector: string; readonly connection: string },
  redactor: Redactor,
): Context['log'] {
  return (message, data = {}) => {
    const fields: Record<string, string | number | boolean> = { ...names }
    for (const [key, value] of Object.entries(data))
      if (KEYS.has(key)) fields[key] = typeof value === 'string' ? redactor.redact(value) : value
    log.info(fields, redactor.redact(message))
  }
}
