/** What a connector's tests give the conformance kit, and what its checks share. */
import type { Account } from '../account.ts'
import type { Connector, Destination, Mode } from '../connector.ts'
import type { Context, MaybePromise } from '../context.ts'
import { ConnectionRefused, ConnectorError, RateLimited, Unavailable } from '../errors.ts'
import type { Fields, Values } from '../fields.ts'
import type { Value } from '../rows.ts'
import type { TableShape } from '../tables.ts'
import { makeTestContext, type TestContext } from './test-context.ts'

type PlainValues = Readonly<Record<string, string | number | boolean>>

/** A far end that works (a fake service written by hand, or a real server on loopback), and the way to reach it. */
export interface Trial {
  readonly settings: PlainValues
  readonly secrets?: Readonly<Record<string, string>>
  /** For `oauth2` and `client-credentials`: what the far end takes for signed in, and who consented. */
  readonly accessToken?: string
  readonly account?: Account
  /** By the destination's key. One that is left out is not tried. */
  readonly destinations: Readonly<Record<string, DestinationTrial>>
  readonly stop: () => MaybePromise<void>
}

export interface DestinationTrial {
  readonly values: PlainValues
  /** The first that the destination offers, unless given. */
  readonly mode?: Mode
  /** Rows: the fields of a row that the far end accepts. */
  readonly row?: (index: number) => Readonly<Record<string, Value>>
  /** Files: the names that stand at the far end, below the destination's folder, unfinished ones and all. */
  readonly standing?: () => MaybePromise<readonly string[]>
  readonly read?: (name: string) => MaybePromise<string>
  /** Files: puts a file there that Patchbay did not write. */
  readonly plant?: (name: string, text: string) => MaybePromise<void>
  /** Table: lines that fit the shape. */
  readonly shape?: TableShape
  readonly lines?: readonly string[]
}

/** One finding of the kit. `on` is `definition`, `check`, or the key of a destination. */
export interface CheckResult {
  readonly on: string
  readonly name: string
  readonly outcome: 'passed' | 'failed' | 'skipped'
  /** Why it failed or was skipped. */
  readonly message?: string
}

/** A named check. Throws what is wrong; gives the reason where it cannot be made. */
export interface Check<T> {
  readonly name: string
  readonly run: (tried: T) => Promise<string | undefined | void>
}

/** One connector on trial: opens contexts, and remembers everything that came out of them. */
export class Bench {
  readonly connector: Connector
  readonly trial: Trial
  /** Texts of errors, steps and log lines: none of them may hold a secret. */
  readonly outputs: string[] = []

  constructor(connector: Connector, trial: Trial) {
    this.connector = connector
    this.trial = trial
  }

  context(signal?: AbortSignal, change: (context: Context) => Partial<Context> = () => ({})): TestContext {
    const { settings, secrets = {}, accessToken, account } = this.trial
    const made = makeTestContext(this.connector, {
      settings,
      secrets,
      ...(accessToken === undefined ? {} : { accessToken }),
      ...(account === undefined ? {} : { account }),
      ...(signal === undefined ? {} : { signal }),
    })
    const log: Context['log'] = (message, data) => {
      this.outputs.push(`${message} ${JSON.stringify(data)}`)
      made.context.log(message, data)
    }
    return { ...made, context: { ...made.context, log, ...change(made.context) } }
  }

  /** The error of a promise that has to fail, remembered. */
  async failure(work: Promise<unknown>): Promise<unknown> {
    const outcome = await work.then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    )
    if (!('error' in outcome)) return undefined
    this.note(outcome.error)
    return outcome.error
  }

  note(error: unknown): void {
    this.outputs.push(textOf(error))
  }
}

export interface TriedDestination<D extends Destination = Destination> {
  readonly bench: Bench
  readonly key: string
  readonly destination: D
  readonly trial: DestinationTrial
  readonly mode: Mode
  readonly values: Values<Fields>
}

/** What the host may throw into a connector at any call. The connector passes it on, or makes it no less grave. */
export const FAULTS: readonly { readonly name: string; readonly make: () => ConnectorError }[] = [
  { name: 'a refused sign-in', make: () => new ConnectionRefused('Refused (401)', { step: 'signed-in' }) },
  { name: 'a pause of 7 s', make: () => new RateLimited(7) },
  { name: 'an unreachable service', make: () => new Unavailable('no', 'Not reached', { step: 'reached' }) },
  { name: 'a broken answer', make: () => new Unavailable('maybe', 'Broken off', { afterSeconds: 3 }) },
]

/** Throws unless what came out says all that went in. */
export function expectSameFault(fault: ConnectorError, came: unknown, name: string): void {
  if (!(came instanceof ConnectorError)) throw new Error(`${name} came out as ${kindOf(came)}`)
  if (came.code !== fault.code) throw new Error(`${name} came out as ${came.code}`)
  if (fault instanceof Unavailable && came instanceof Unavailable && fault.sent === 'maybe' && came.sent === 'no')
    throw new Error(`${name}, which may have been taken, came out as not sent`)
  if (fault instanceof RateLimited && came instanceof RateLimited && came.afterSeconds !== fault.afterSeconds)
    throw new Error(`${name} lost the seconds to wait`)
}

/** Waits for a promise that has to end soon after the signal. */
export async function endsSoon(work: Promise<unknown>, abort: () => void): Promise<void> {
  const LIMIT_MS = 1000
  const settled = work.then(
    () => 'ended',
    () => 'ended',
  )
  await new Promise((resolve) => setTimeout(resolve, 20))
  abort()
  const { promise: late, resolve } = Promise.withResolvers<string>()
  const timer = setTimeout(() => resolve('late'), LIMIT_MS)
  const outcome = await Promise.race([settled, late])
  clearTimeout(timer)
  if (outcome === 'late') throw new Error('it still goes on a second after the signal')
}

/** A promise that only the signal ends, as a far end that never answers. */
export function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const giveUp = (): void => reject(signal.reason as Error)
    if (signal.aborted) giveUp()
    else signal.addEventListener('abort', giveUp, { once: true })
  })
}

export function kindOf(value: unknown): string {
  if (value instanceof Error) return `${value.name}: ${value.message}`
  return value === undefined ? 'no error at all' : `a thrown ${typeof value}`
}

function textOf(error: unknown, depth = 0): string {
  if (!(error instanceof Error) || depth > 5) return JSON.stringify(error) ?? ''
  return `${error.stack ?? error.message} ${JSON.stringify(error)} ${error.cause === undefined ? '' : textOf(error.cause, depth + 1)}`
}
