/** What every connection of this process shares: made once, in `main`. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Connector, Destination } from '@patchbay/connector-sdk'
import type { EgressRules } from './egress.ts'
import type { ExchangePoint } from './exchange.ts'
import type { FileRoots } from './file-roots.ts'
import type { HostLog } from './log.ts'
import type { ClientTokens } from './oauth/kept-token.ts'
import type { OperatorClients } from './oauth/client.ts'
import { Pacer, type Limits, type Ticks } from './pacer.ts'

export interface HostOptions {
  readonly rules: EgressRules
  readonly fileRoots: FileRoots
  /** Files below it reach a folder of the same disk by another name instead of a copy. */
  readonly spoolFolder?: string
  readonly log: HostLog
  readonly now?: () => Date
  readonly ticks?: Ticks
  readonly timeouts?: Partial<Timeouts>
  /** Applications that the operator registered, for connectors whose sign-in takes them. */
  readonly oauthClients?: OperatorClients
  /** Only where the proof armed one: it makes two writes of each body. */
  readonly failpoint?: (point: ExchangePoint) => void | Promise<void>
}

export interface Timeouts {
  /** Without a byte in either direction. */
  readonly idleMs: number
  /** One request, from its turn to the end of its answer. */
  readonly requestMs: number
  /** All of Verify. */
  readonly checkMs: number
}

export interface ConnectorHost extends Omit<HostOptions, 'now' | 'ticks' | 'timeouts' | 'oauthClients'> {
  readonly now: () => Date
  readonly oauthClients: OperatorClients
  /** Refreshes of tokens under way, by connection, and tokens of applications: what this process shares. */
  readonly refreshes: Map<string, Promise<void>>
  readonly clientTokens: ClientTokens
  readonly timeouts: Timeouts
  /** The one pacer of a connection: everything that uses it in this process shares its limits. */
  pacerOf(connector: Connector, connectionId: string): { readonly pacer: Pacer; readonly requestsInFlight: number }
}

const TIMEOUTS: Timeouts = { idleMs: 30_000, requestMs: 300_000, checkMs: 60_000 }
/** For lookups and Verify beside a delivery, and for connectors that name no limit. */
const REQUESTS_IN_FLIGHT_MIN = 4
/** More connections than one process uses at a time; the one that was not used for longest is forgotten. */
const PACERS_MAX = 1000

export function makeConnectorHost(options: HostOptions): ConnectorHost {
  const { now = () => new Date(), ticks = systemTicks, timeouts = {}, ...rest } = options
  const pacers = new Map<string, Pacer>()
  return {
    oauthClients: new Map(),
    ...rest,
    refreshes: new Map(),
    clientTokens: new Map(),
    now,
    timeouts: { ...TIMEOUTS, ...timeouts },
    pacerOf(connector, connectionId) {
      const limits = limitsOf(connector)
      const pacer = pacers.get(connectionId) ?? new Pacer(limits, ticks)
      pacers.delete(connectionId)
      pacers.set(connectionId, pacer)
      const [oldest] = pacers.keys()
      if (pacers.size > PACERS_MAX && oldest !== undefined) pacers.delete(oldest)
      return { pacer, requestsInFlight: limits.requestsInFlight }
    },
  }
}

/** A connection has one account, and its destinations share that account's limits: the tightest rate holds for all. */
function limitsOf(connector: Connector): Limits {
  const limits = Object.values(connector.destinations).flatMap((destination) =>
    destination.delivers === 'rows' ? [destination.limits] : [],
  )
  const rates = limits.map(({ requestsPerSecond }) => requestsPerSecond).filter((rate) => rate !== undefined)
  return {
    requestsPerSecond: rates.length === 0 ? undefined : Math.min(...rates),
    requestsInFlight: Math.max(REQUESTS_IN_FLIGHT_MIN, ...Object.values(connector.destinations).map(inFlight)),
  }
}

function inFlight(destination: Destination): number {
  switch (destination.delivers) {
    case 'rows':
      return destination.limits.batchesInFlight
    case 'files':
      return destination.limits.requestsInFlight ?? 0
    case 'table':
      return 0
  }
}

export const systemTicks: Ticks = {
  monotonicMs: () => performance.now(),
  async sleep(milliseconds, signal) {
    await sleep(Math.max(1, Math.ceil(milliseconds)), undefined, { signal }).catch((error: unknown) => {
      signal.throwIfAborted()
      throw error
    })
  },
}
