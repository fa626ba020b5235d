/**
 * A `Context` for the tests of connectors, over plain loopback sockets and folders. It keeps the promises that `Context`
 * makes to a connector (sign-in, judged statuses, the signal) and none of those that the host makes to everybody else:
 * no egress rules, no limits, no redaction. Remembers what went through it.
 */
import { request as requestPlain, type IncomingMessage } from 'node:http'
import { request as requestSecure } from 'node:https'
import { connect } from 'node:net'
import type { Account } from '../account.ts'
import { signInMethod } from '../auth.ts'
import type { Connector } from '../connector.ts'
import type { Context, FetchAnswer, FetchInit } from '../context.ts'
import { ConnectionRefused, RateLimited, Unavailable } from '../errors.ts'
import type { Fields, Secret, Values } from '../fields.ts'
import { TestFolder } from './test-folder.ts'

export interface TestContextOptions {
  readonly settings: Readonly<Record<string, string | number | boolean>>
  readonly secrets?: Readonly<Record<string, string>>
  /** What the host would have got for `oauth2` and `client-credentials`; without it nobody has signed in. */
  readonly accessToken?: string
  /** Who consented, for `oauth2`. */
  readonly account?: Account
  readonly signal?: AbortSignal
  readonly now?: () => Date
}

export interface SentRequest {
  readonly url: string
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface TestContext {
  readonly context: Context
  /** Every call of `fetch`, `connect` and `folder`, and every line that was logged. */
  readonly sent: SentRequest[]
  readonly connected: { readonly host: string; readonly port: number }[]
  readonly folders: string[]
  readonly logged: string[]
}

export function makeTestContext(connector: Connector, options: TestContextOptions): TestContext {
  const { settings: values, secrets = {}, signal = new AbortController().signal, now = () => new Date() } = options
  const settings = withDefaults(connector.settings, values, secrets)
  const { account } = options
  const sent: SentRequest[] = []
  const connected: { readonly host: string; readonly port: number }[] = []
  const folders: string[] = []
  const logged: string[] = []
  const context: Context = {
    settings,
    account,
    async fetch(target, init = {}) {
      signal.throwIfAborted()
      const url = new URL(target)
      refuseOwnSignIn(connector, settings, url, init.headers)
      const headers = { ...init.headers, ...signIn(connector, settings, url, options) }
      const body = typeof init.body === 'string' ? init.body : new TextDecoder().decode(init.body)
      sent.push({ url: url.href, method: init.method ?? 'GET', headers, body })
      const answer = await exchange(url, init, headers, signal)
      if (init.accept?.includes(answer.status) !== true) judge(answer, url)
      return answer
    },
    async connect({ host, port }) {
      signal.throwIfAborted()
      connected.push({ host, port })
      const socket = connect({ host, port, noDelay: true, signal })
      await new Promise<void>((resolve, reject) => {
        socket.once('connect', resolve)
        socket.on('error', (cause) => reject(new Unavailable('no', 'Not reached', { step: 'reached', cause })))
      })
      return socket
    },
    async folder(path) {
      signal.throwIfAborted()
      folders.push(path)
      return Promise.resolve(new TestFolder(path, signal))
    },
    now,
    signal,
    log: (message, data = {}) => logged.push(`${message} ${JSON.stringify(data)}`),
  }
  return { context, sent, connected, folders, logged }
}

/** An answer without a service, for what a service should never say. */
export function answerOf(status: number, body: string, headers: Readonly<Record<string, string>> = {}): FetchAnswer {
  return {
    status,
    headers: new Headers(headers),
    text: () => body,
    json() {
      try {
        return JSON.parse(body) as unknown
      } catch {
        throw new Unavailable('maybe', 'The answer is not JSON')
      }
    },
  }
}

function withDefaults(
  fields: Fields,
  values: Readonly<Record<string, string | number | boolean>>,
  secrets: Readonly<Record<string, string>>,
): Values<Fields> {
  const defaults = Object.entries(fields).flatMap(([name, field]) =>
    'default' in field && field.default !== undefined
      ? [[name, field.default] as const]
      : field.kind === 'switch'
        ? [[name, false] as const]
        : [],
  )
  const hidden = Object.entries(secrets).map(([name, text]): [string, Secret] => [name, { reveal: () => text }])
  return { ...Object.fromEntries(defaults), ...values, ...Object.fromEntries(hidden) }
}

function signIn(
  { auth }: Connector,
  settings: Values<Fields>,
  url: URL,
  { accessToken, account }: TestContextOptions,
): Readonly<Record<string, string>> {
  const method = signInMethod(auth, settings)
  if (method === undefined) throw new TypeError('The settings choose no way to sign in')
  switch (method.type) {
    case 'none':
    case 'signed':
      return {}
    case 'header':
      return isOwn(method.origin?.(settings), settings, url) ? method.headers(settings) : {}
    case 'basic': {
      if (!isOwn(method.origin?.(settings), settings, url)) return {}
      const { user, password } = method.credentials(settings)
      return { authorization: `Basic ${Buffer.from(`${user}:${password.reveal()}`).toString('base64')}` }
    }
    case 'oauth2':
    case 'client-credentials': {
      if (!method.origins(settings, account).some((origin) => isOwn(origin, settings, url))) return {}
      if (accessToken === undefined) throw new ConnectionRefused('Nobody has signed in', { step: 'signed-in' })
      return method.headers?.({ reveal: () => accessToken }, url) ?? { authorization: `Bearer ${accessToken}` }
    }
  }
}

/** As the host does. */
function refuseOwnSignIn(
  { auth }: Connector,
  settings: Values<Fields>,
  url: URL,
  headers: FetchInit['headers'] = {},
): void {
  const method = signInMethod(auth, settings)
  const maySign = method?.type === 'signed' && method.origins(settings).some((own) => isOwn(own, settings, url))
  if (!maySign && Object.keys(headers).some((name) => name.toLowerCase() === 'authorization'))
    throw new TypeError('The connector made a wrong request: the header authorization is the host’s to set')
}

function isOwn(origin: string | undefined, settings: Values<Fields>, url: URL): boolean {
  const own = origin === undefined ? Object.values(settings) : [origin]
  return own.some((value) => typeof value === 'string' && URL.canParse(value) && new URL(value).origin === url.origin)
}

async function exchange(
  url: URL,
  { method = 'GET', body }: FetchInit,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<FetchAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const request = url.protocol === 'https:' ? requestSecure : requestPlain
  let isConnected = false
  // Node says the length of a body of its own accord, but not for DELETE.
  const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }
  const outgoing = request(url, { method, headers: { ...length, ...headers }, signal, agent: false }, resolve)
  outgoing.on('socket', (socket) => socket.on('connect', () => (isConnected = true)))
  outgoing.on('error', reject)
  outgoing.end(body)
  try {
    const incoming = await promise
    const chunks: Uint8Array[] = []
    for await (const chunk of incoming) chunks.push(chunk as Uint8Array)
    return answerOf(incoming.statusCode ?? 0, Buffer.concat(chunks).toString('utf8'), plainHeaders(incoming))
  } catch (cause) {
    signal.throwIfAborted()
    throw new Unavailable(isConnected ? 'maybe' : 'no', 'The connection broke', { step: 'reached', cause })
  }
}

function plainHeaders({ headers }: IncomingMessage): Record<string, string> {
  const entries = Object.entries(headers).map(([name, value]) => [
    name,
    Array.isArray(value) ? value.join(', ') : value,
  ])
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined)) as Record<string, string>
}

function judge({ status, headers }: FetchAnswer, { host }: URL): void {
  const seconds = Number(headers.get('retry-after') ?? Number.NaN)
  const afterSeconds = Number.isFinite(seconds) ? seconds : undefined
  if (status === 401 || status === 403)
    throw new ConnectionRefused(`${host} refused the sign-in (${status})`, { step: 'signed-in' })
  if (status === 429) throw new RateLimited(afterSeconds)
  if (status >= 500) throw new Unavailable('maybe', `${host} failed (${status})`, { afterSeconds, step: 'may-write' })
}
