/**
 * `ctx.fetch`: one request through the one door, with the declared sign-in, within the connection's limits, and with the
 * statuses that every connector would judge alike already judged.
 */
import {
  ConnectionRefused,
  RateLimited,
  Unavailable,
  type Context,
  type FetchAnswer,
  type FetchInit,
} from '@patchbay/connector-sdk'
import { Agent } from 'undici'
import { ACCEPT_ENCODING, readAnswer } from './answer.ts'
import { openSocket, type EgressRules } from './egress.ts'
import { exchange, type ExchangePoint } from './exchange.ts'
import { checkedHeaders } from './outgoing-headers.ts'
import type { Pacer } from './pacer.ts'
import { retryAfterSeconds } from './retry-after.ts'
import type { SignIn } from './sign-in.ts'
import { openSecureSocket } from './tls.ts'

export interface FetchOptions {
  readonly rules: EgressRules
  readonly signIn: SignIn
  readonly pacer: Pacer
  readonly requestsInFlight: number
  readonly signal: AbortSignal
  readonly now: () => Date
  readonly idleMs: number
  readonly totalMs: number
  readonly failpoint?: ((point: ExchangePoint) => void | Promise<void>) | undefined
}

/** Shorter than any server's own: a request on a connection that the server is just closing would be uncertain. */
const KEEP_ALIVE_MS = 2000
const ANSWER_BYTES = 1024 * 1024
const ANSWER_BYTES_MAX = 8 * ANSWER_BYTES
const PATIENCE_SECONDS_MAX = 120

export function makeFetch(options: FetchOptions): {
  readonly fetch: Context['fetch']
  readonly close: () => Promise<void>
} {
  // Never `EnvHttpProxyAgent`: a proxy of the environment would resolve again, out of sight.
  const agent = new Agent({
    connections: options.requestsInFlight,
    pipelining: 1,
    allowH2: false,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MS,
    connect({ hostname, port, protocol }, connected) {
      const isSecure = protocol === 'https:'
      const host = hostname.replace(/^\[(.*)\]$/, '$1')
      const target = { host, port: Number(port === '' ? (isSecure ? 443 : 80) : port), signal: options.signal }
      const opening = isSecure ? openSecureSocket(target, options.rules) : openSocket(target, options.rules)
      opening.then(
        (socket) => connected(null, socket),
        (error: unknown) => connected(error instanceof Error ? error : new Error('The signal gave no error'), null),
      )
    },
  })

  const fetch: Context['fetch'] = async (target, init = {}) => {
    const url = readUrl(target)
    const own = checkedHeaders(init.headers ?? {}, options.signIn.maySign(url))
    const body = typeof init.body === 'string' ? Buffer.from(init.body, 'utf8') : init.body
    const limits = limitsOf(init, options)
    const send = async (proof: Readonly<Record<string, string>>): Promise<FetchAnswer> => {
      const headers = { ...own, ...proof, 'accept-encoding': ACCEPT_ENCODING }
      const leave = await options.pacer.enter(options.signal)
      try {
        const request = { url, method: init.method ?? 'GET', headers, body }
        const raw = await exchange(agent, request, { ...options, ...limits })
        return await readAnswer(raw, url.host, limits.answerBytesMax)
      } finally {
        leave()
      }
    }
    const proof = await options.signIn.headers(url)
    let answer = await send(proof)
    // Nothing of it was taken, so it may be sent again: once, with a token that the service gave since.
    if (answer.status === 401 && (await options.signIn.renew(proof)))
      answer = await send(await options.signIn.headers(url))
    if (init.accept?.includes(answer.status) !== true) {
      judge(answer, url.host, options, body === undefined ? wordsOf(answer) : '')
    }
    return answer
  }
  return { fetch, close: () => agent.destroy() }
}

function limitsOf({ answerBytesMax, patienceSeconds = 0 }: FetchInit, { idleMs }: FetchOptions) {
  return {
    answerBytesMax: Math.min(answerBytesMax ?? ANSWER_BYTES, ANSWER_BYTES_MAX),
    idleMs: Math.max(idleMs, Math.min(patienceSeconds, PATIENCE_SECONDS_MAX) * 1000),
  }
}

/** What a status means that every service uses alike. Others are the connector's to judge. */
function judge(answer: FetchAnswer, place: string, { pacer, now }: FetchOptions, words: string): void {
  const { status } = answer
  if (status === 401 || status === 403)
    throw new ConnectionRefused(`${place} refused the sign-in (${status})${words}`, { step: 'signed-in' })
  if (status !== 429 && status < 500) return
  const afterSeconds = retryAfterSeconds(answer.headers, now())
  if (afterSeconds !== undefined) pacer.pause(afterSeconds)
  if (status === 429) throw new RateLimited(afterSeconds, `${place} asked for a pause (429)${words}`)
  // Whatever the service says, it may have taken some of it before it failed, also where it names a pause (503).
  throw new Unavailable('maybe', `${place} failed (${status})${words}`, { afterSeconds, step: 'may-write' })
}

/**
 * The service's own words, where it has any for people, redacted with the rest of the message. Only of a request without a
 * body: a service that was sent rows may repeat them, and no shape tells that a word is somebody's name.
 */
function wordsOf(answer: FetchAnswer): string {
  const text = answer.text().trim()
  return text === '' || text.startsWith('<') ? '' : `: ${text.slice(0, 200)}`
}

/**
 * Only an address spelled the way it will be understood: a parser that turns `http://2130706433` or full-width digits into
 * 127.0.0.1, or drops a user name, would make the address that was looked at another than the one that is reached.
 */
function readUrl(target: string | URL): URL {
  const text = String(target)
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol))
    throw new ConnectionRefused('This is not a web address: it must begin with https://', { step: 'resolved' })
  const rest = text.toLowerCase().startsWith(url.origin) ? text.slice(url.origin.length) : '@'
  if (!/^(?:[:/?#]|$)/.test(rest) || url.username !== '' || url.password !== '')
    throw new ConnectionRefused(`The web address must begin with ${url.origin}, without a user name`, {
      step: 'resolved',
    })
  return url
}
