/**
 * The one door out: every socket of a connection is opened by `openSocket`. It resolves the host once, decides on the
 * addresses that came back and never on the name, and connects to one of exactly those, so a name that changes its mind
 * between check and use (DNS rebinding) gains nothing. Only public addresses pass, and what the operator listed.
 * No proxy setting is looked at: a proxy would resolve again, out of sight.
 */
import { lookup } from 'node:dns/promises'
import { connect, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { ConnectionRefused, Unavailable } from '@patchbay/connector-sdk'
import { isLoopback } from './address.ts'
import { refusal, type AllowedHost } from './allow-hosts.ts'
import { canonical, parseAddress, parseHost, type Address, type Host } from './host-name.ts'
import { unlessAborted } from './unless-aborted.ts'

export interface EgressRules {
  readonly allowed: readonly AllowedHost[]
  /** Ports on which Patchbay itself listens: out of reach on this machine, whatever is listed. */
  readonly ownPorts?: readonly number[]
  /** All addresses of a name, in the order to try. Asked once for each socket. */
  readonly resolve?: (name: string) => Promise<readonly string[]>
  /** Resolving and connecting together. */
  readonly connectTimeoutMs?: number
  /** Certificates (PEM) of private authorities that the operator trusts beside the public ones. */
  readonly authorities?: readonly string[]
}

export interface Target {
  readonly host: string
  readonly port: number
  readonly signal?: AbortSignal | undefined
}

const CONNECT_TIMEOUT_MS = 10_000
/** Between the starts of two attempts, by RFC 8305: a dead IPv6 route costs a quarter of a second. */
const STAGGER_MS = 250

/**
 * A connected TCP socket. Throws `ConnectionRefused` where the rules forbid it (an Administrator or the operator has to
 * act) and `Unavailable('no')` where the far end cannot be reached; in both cases not one byte has been sent.
 */
export async function openSocket(target: Target, rules: EgressRules): Promise<Socket> {
  const { port } = target
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new ConnectionRefused(`Port ${String(port)} does not exist: enter a number from 1 to 65535`, {
      step: 'reached',
    })
  const host = readHost(target.host)
  const timeoutMs = rules.connectTimeoutMs ?? CONNECT_TIMEOUT_MS
  const timeout = AbortSignal.timeout(timeoutMs)
  const limit = target.signal === undefined ? timeout : AbortSignal.any([target.signal, timeout])
  let step: 'resolved' | 'reached' = 'resolved'
  try {
    limit.throwIfAborted()
    const found = await unlessAborted(resolveHost(host, rules), limit)
    step = 'reached'
    const addresses = permitted(host, port, found, rules)
    return await connectToFirst(addresses, port, limit)
  } catch (error) {
    if (target.signal?.aborted === true) throw target.signal.reason
    if (error instanceof ConnectionRefused) throw error
    throw unreachable(`${host.text}:${port}`, timeout.aborted ? timeoutMs : undefined, step, error)
  }
}

type GoodHost = Host & { readonly kind: 'name' | 'address' }

function readHost(text: string): GoodHost {
  const host = parseHost(text)
  if (host.kind !== 'invalid') return host
  const shown = JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)
  throw new ConnectionRefused(`The host ${shown} cannot be used: ${host.why}`, { step: 'resolved' })
}

async function resolveHost(host: GoodHost, rules: EgressRules): Promise<readonly Address[]> {
  if (host.kind === 'address') return [host.address]
  const resolve = rules.resolve ?? lookupAll
  return (await resolve(host.text)).map(parseAddress).filter((address) => address !== undefined)
}

async function lookupAll(name: string): Promise<readonly string[]> {
  return (await lookup(name, { all: true, order: 'verbatim' })).map(({ address }) => address)
}

/** Of a name that points at several places, the forbidden ones are left out; at least one must remain. */
function permitted(host: GoodHost, port: number, found: readonly Address[], rules: EgressRules): readonly Address[] {
  const refused = new Set<string>()
  const addresses = found.filter((address) => {
    const why = isOwnListener(address, port, rules) ? 'Patchbay itself' : refusal(rules.allowed, host, address, port)
    if (why !== undefined) refused.add(why)
    return why === undefined
  })
  const [first] = refused
  if (addresses.length > 0 || first === undefined) return interleaved(addresses)
  throw new ConnectionRefused(
    `${host.text} is ${first}, which connections may not reach. If it should be reached, ` +
      `the operator can list it in PATCHBAY_ALLOW_HOSTS (${host.text}:${port})`,
    { step: 'reached' },
  )
}

function isOwnListener(address: Address, port: number, rules: EgressRules): boolean {
  if (rules.ownPorts?.includes(port) !== true) return false
  const text = canonical(address)
  const isMine = (): boolean =>
    Object.values(networkInterfaces()).some((entries) => entries?.some((entry) => entry.address === text))
  return isLoopback(address) || address.range() === 'unspecified' || isMine()
}

/** The two families in turn, beginning with the one that the resolver put first. */
function interleaved(addresses: readonly Address[]): readonly Address[] {
  const [first] = addresses
  const same = addresses.filter((address) => address.kind() === first?.kind())
  const other = addresses.filter((address) => address.kind() !== first?.kind())
  return same.flatMap((address, index) => [address, ...other.slice(index, index + 1)]).concat(other.slice(same.length))
}

/** Starts one attempt after the other; the first that connects wins, and the rest are dropped. */
function connectToFirst(addresses: readonly Address[], port: number, limit: AbortSignal): Promise<Socket> {
  if (addresses.length === 0)
    return Promise.reject(Object.assign(new Error('The name has no address'), { code: 'ENODATA' }))
  const { promise, resolve, reject } = Promise.withResolvers<Socket>()
  const attempts = new Set<Socket>()
  const waiting = [...addresses]
  let timer: NodeJS.Timeout | undefined
  const end = (winner?: Socket): void => {
    clearTimeout(timer)
    limit.removeEventListener('abort', giveUp)
    waiting.length = 0
    for (const attempt of attempts) if (attempt !== winner) attempt.destroy()
  }
  const giveUp = (): void => {
    end()
    reject(limit.reason as Error)
  }
  const startNext = (): void => {
    clearTimeout(timer)
    const address = waiting.shift()
    if (address === undefined) return
    // An address and no name: nothing is resolved a second time.
    const socket = connect({ host: canonical(address), port, noDelay: true, keepAlive: true })
    attempts.add(socket)
    socket.once('connect', () => {
      end(socket)
      resolve(socket)
    })
    // Stays for good: the socket must not end the process between here and the listener of whoever takes it.
    socket.on('error', (error) => {
      attempts.delete(socket)
      if (waiting.length > 0) startNext()
      else if (attempts.size === 0) {
        end()
        reject(error)
      }
    })
    if (waiting.length > 0) timer = setTimeout(startNext, STAGGER_MS)
  }
  limit.addEventListener('abort', giveUp, { once: true })
  startNext()
  return promise
}

const REASONS: Readonly<Record<string, string>> = {
  ENOTFOUND: 'the name does not exist',
  ENODATA: 'the name has no address',
  EAI_AGAIN: 'the name server does not answer',
  ECONNREFUSED: 'nothing listens on this port',
  ECONNRESET: 'it closed the connection at once',
  ENETUNREACH: 'there is no route to it',
  EHOSTUNREACH: 'there is no route to it',
  ETIMEDOUT: 'it does not answer',
}

function unreachable(
  place: string,
  timedOutMs: number | undefined,
  step: 'resolved' | 'reached',
  cause: unknown,
): Unavailable {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'no code'
  const why =
    timedOutMs === undefined ? (REASONS[code] ?? `it failed (${code})`) : `no answer within ${timedOutMs / 1000} s`
  const at = code === 'ENODATA' ? 'resolved' : step
  return new Unavailable('no', `${place} cannot be reached: ${why}`, { step: at, cause })
}
