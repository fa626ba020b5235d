/** Verify: the connector's own steps, and every way in which they can go wrong as one more step, for the person at the pane. */
import { ConnectorError, type CheckStep, type Connector } from '@patchbay/connector-sdk'
import { shownSecrets } from '../domain/field-values.ts'
import { cleanError } from './clean-error.ts'
import { makeContext, type ConnectionAccess, type HostedContext } from './context.ts'
import type { ConnectorHost } from './host.ts'
import { makeRedactor } from './redact.ts'

type Failing = CheckStep & { readonly ok: false }
type Step = CheckStep['step']

const ORDER: readonly Step[] = ['resolved', 'reached', 'trusted', 'signed-in', 'may-write']

/** The first step that is not ok is the last. Throws only the signal's reason. */
export async function* checkConnection(
  host: ConnectorHost,
  connector: Connector,
  connection: ConnectionAccess,
  signal: AbortSignal,
): AsyncGenerator<CheckStep> {
  const timeout = AbortSignal.timeout(host.timeouts.checkMs)
  const limit = AbortSignal.any([signal, timeout])
  let hosted: HostedContext | undefined
  let last: Step | undefined
  try {
    hosted = await makeContext(host, connector, connection, limit, 'administrators')
    const { context, redactor } = hosted
    for await (const step of untilAborted(connector.check(context), limit)) {
      last = step.step
      yield shown(step, redactor.redact)
      if (!step.ok) return
    }
  } catch (error) {
    if (signal.aborted) throw signal.reason
    const redact = hosted?.redactor ?? makeRedactor([])
    if (timeout.aborted) yield timedOut(host.timeouts.checkMs, after(last))
    else if (hosted === undefined && !(error instanceof ConnectorError))
      yield withoutSecrets(redact.redact(wordsOf(error)))
    else yield failing(cleanError(error, redact), last, connector, connection)
  } finally {
    await hosted?.close()
  }
}

/** The connector may not look at the signal; Verify still ends with it. */
async function* untilAborted<T>(items: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = items[Symbol.asyncIterator]()
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  aborted.catch(() => undefined)
  const giveUp = (): void => reject(signal.reason as Error)
  signal.addEventListener('abort', giveUp, { once: true })
  try {
    for (;;) {
      signal.throwIfAborted()
      const next = await Promise.race([iterator.next(), aborted])
      if (next.done === true) return
      yield next.value
    }
  } finally {
    signal.removeEventListener('abort', giveUp)
    // Not awaited where it hangs: a generator that waits for something else would never return.
    if (!signal.aborted) await iterator.return?.()
  }
}

function shown(step: CheckStep, redact: (text: string) => string): CheckStep {
  if (!step.ok) return { ...step, message: redact(step.message) }
  return step.detail === undefined ? step : { ...step, detail: redact(step.detail) }
}

function failing(error: Error, last: Step | undefined, connector: Connector, connection: ConnectionAccess): Failing {
  if (!(error instanceof ConnectorError))
    return {
      step: after(last),
      ok: false,
      message: `This is a bug in the connector "${connector.name}", and not in what you entered: ${error.message}`,
    }
  const at = 'step' in error ? (error.step as Step | undefined) : undefined
  const step = at ?? after(last)
  const named = 'field' in error && typeof error.field === 'string' ? error.field : undefined
  const field = named ?? likelyField(step, connector, connection)
  return { step, ok: false, message: error.message, ...(field === undefined ? {} : { field }) }
}

/** The host knows where a request ended but not by which field: mostly there is only one that it can be. */
function likelyField(step: Step, { settings: fields }: Connector, { settings }: ConnectionAccess): string | undefined {
  const candidates =
    step === 'signed-in'
      ? shownSecrets(fields, settings)
      : Object.keys(fields).filter((name) => fields[name]?.endpoint === true && fields[name]?.kind === 'text')
  return step === 'may-write' || (step === 'signed-in' && candidates.length > 1) ? undefined : candidates[0]
}

function timedOut(milliseconds: number, step: Step): Failing {
  return { step, ok: false, message: `No answer within ${milliseconds / 1000} s` }
}

/** The vault could not give the secrets: nothing has been tried at the far end. */
function withoutSecrets(message: string): Failing {
  return { step: 'signed-in', ok: false, message: `The stored secrets cannot be read: ${message}` }
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown reason'
}

function after(last: Step | undefined): Step {
  return last === undefined ? 'resolved' : (ORDER[ORDER.indexOf(last) + 1] ?? 'may-write')
}
