/** Requests to a token endpoint, through the one egress door and judged by `oauth4webapi`. */
import {
  ConnectionRefused,
  ConnectorError,
  valueOf,
  type Connector,
  type Fields,
  type TokenAnswer,
  type Values,
} from '@patchbay/connector-sdk'
import * as oauth from 'oauth4webapi'
import { makeFetch } from '../fetch.ts'
import type { ConnectorHost } from '../host.ts'
import type { OAuthClient, TokenMethod } from './client.ts'
import type { Expiry, Tokens } from './grant.ts'
import { standardAnswer } from './token-answer.ts'

/** Everything that a request to the token endpoint of one connection needs. */
export interface TokenEndpoint {
  readonly host: ConnectorHost
  readonly connector: Connector
  readonly method: TokenMethod
  readonly settings: Values<Fields>
  readonly client: OAuthClient
  readonly connectionId: string
  /** What is refreshed or renewed. */
  readonly held?: { readonly signedInAt: Date; readonly refresh: string | null }
}

export interface Issued {
  readonly tokens: Tokens
  readonly expiry: Expiry
  /** Without the tokens. */
  readonly answer: TokenAnswer
}

/** The token endpoint refused what a person once consented to: only they can help. */
export class ConsentEnded extends Error {
  override readonly name = 'ConsentEnded'
}

const REQUEST_MS = 30_000
const DAY_MS = 86_400_000
/** So long before its end a token is asked for anew, or a tenth of its life where that is shorter. */
const AHEAD_MS = 60_000
const RENEW_FROM = 0.5

export async function exchangeCode(
  at: TokenEndpoint,
  given: {
    readonly callback: URLSearchParams
    readonly state: string
    readonly verifier: string
    readonly redirectUri: string
  },
  signal: AbortSignal,
): Promise<Issued> {
  const server = serverOf(at)
  const client = { client_id: at.client.id }
  const checked = judged(at, () => oauth.validateAuthResponse(server, client, given.callback, given.state))
  const verifier = at.method.type === 'oauth2' && at.method.pkce === 'S256' ? given.verifier : oauth.nopkce
  return request(at, signal, async (options) => {
    const response = await oauth.authorizationCodeGrantRequest(
      server, client, authOf(at), checked, given.redirectUri, verifier,
      { ...options, additionalParameters: valueOf(at.method.tokenParameters ?? {}, at.settings) },
    ) // prettier-ignore
    return oauth.processAuthorizationCodeResponse(server, client, response)
  })
}

export function refreshTokens(at: TokenEndpoint, refreshToken: string, signal: AbortSignal): Promise<Issued> {
  const server = serverOf(at)
  const client = { client_id: at.client.id }
  return request(at, signal, async (options) => {
    const additionalParameters = valueOf(at.method.tokenParameters ?? {}, at.settings)
    const response = await oauth.refreshTokenGrantRequest(server, client, authOf(at), refreshToken, {
      ...options,
      additionalParameters,
    })
    return oauth.processRefreshTokenResponse(server, client, response)
  })
}

/** A long-lived token comes back with a new life. */
export function renewToken(
  at: TokenEndpoint,
  how: { readonly grantType: string; readonly tokenParameter: string },
  accessToken: string,
  signal: AbortSignal,
): Promise<Issued> {
  return generic(at, how.grantType, { [how.tokenParameter]: accessToken }, signal)
}

export function clientCredentials(at: TokenEndpoint, signal: AbortSignal): Promise<Issued> {
  const scope = valueOf(at.method.scopes, at.settings).join(at.method.scopeSeparator ?? ' ')
  return generic(at, 'client_credentials', scope === '' ? {} : { scope }, signal)
}

function generic(
  at: TokenEndpoint,
  grantType: string,
  parameters: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Issued> {
  const server = serverOf(at)
  const client = { client_id: at.client.id }
  const sent = { ...valueOf(at.method.tokenParameters ?? {}, at.settings), ...parameters }
  return request(at, signal, async (options) => {
    const response = await oauth.genericTokenEndpointRequest(server, client, authOf(at), grantType, sent, options)
    return oauth.processGenericTokenEndpointResponse(server, client, response)
  })
}

async function request(
  at: TokenEndpoint,
  signal: AbortSignal,
  send: (options: oauth.TokenEndpointRequestOptions) => Promise<oauth.TokenEndpointResponse>,
): Promise<Issued> {
  const { host, connector, connectionId } = at
  const limit = AbortSignal.any([signal, AbortSignal.timeout(REQUEST_MS)])
  const { pacer, requestsInFlight } = host.pacerOf(connector, `token endpoint of ${connectionId}`)
  const { fetch, close } = makeFetch({
    rules: host.rules,
    // The library makes the client's own proof.
    signIn: { headers: () => ({}), maySign: () => true, renew: () => Promise.resolve(false) },
    pacer,
    requestsInFlight,
    signal: limit,
    now: host.now,
    idleMs: Math.min(host.timeouts.idleMs, REQUEST_MS),
    totalMs: Math.min(host.timeouts.requestMs, REQUEST_MS),
  })
  const keepIdToken = at.method.type === 'oauth2' && at.method.issuer !== undefined
  const isInsecure = new URL(tokenEndpointOf(at)).protocol === 'http:'
  try {
    return await judgedLater(at, async () => {
      const said = await send({
        [oauth.allowInsecureRequests]: isInsecure,
        [oauth.customFetch]: async (url, { body, headers, method }) => {
          const sent = { method, headers, body: String(body), accept: CLIENT_ERRORS }
          return standardAnswer(await fetch(url, sent), keepIdToken)
        },
        signal: limit,
      })
      return issuedOf(at, said)
    })
  } finally {
    await close()
  }
}

/** Judged by the library, which reads the error's code in them. */
const CLIENT_ERRORS = Array.from({ length: 100 }, (_, index) => 400 + index).filter((status) => status !== 429)

function serverOf(at: TokenEndpoint): oauth.AuthorizationServer {
  const { method, settings } = at
  const endpoint = tokenEndpointOf(at)
  const declared =
    method.type === 'oauth2' && method.issuer !== undefined ? valueOf(method.issuer, settings) : undefined
  return {
    issuer: declared ?? new URL(endpoint).origin,
    token_endpoint: endpoint,
    ...(declared === undefined ? {} : { authorization_response_iss_parameter_supported: true }),
  }
}

function tokenEndpointOf({ method, settings }: TokenEndpoint): string {
  return checkedAddress(valueOf(method.tokenEndpoint, settings))
}

/** Tokens and secrets go over TLS, or do not leave this machine. */
export function checkedAddress(address: string): string {
  const url = URL.canParse(address) ? new URL(address) : undefined
  const isOwnMachine = url !== undefined && /^(?:127\.0\.0\.1|\[::1\]|localhost)$/.test(url.hostname)
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && isOwnMachine)) return address
  throw new ConnectionRefused('The address to sign in at must begin with https://', { step: 'resolved' })
}

function authOf({ method, client }: TokenEndpoint): oauth.ClientAuth {
  if (method.clientAuth === 'none') return oauth.None()
  if (client.secret === undefined) throw new ConnectionRefused('The client secret is missing', { step: 'signed-in' })
  return method.clientAuth === 'client_secret_basic'
    ? oauth.ClientSecretBasic(client.secret)
    : oauth.ClientSecretPost(client.secret)
}

function judged<T>(at: TokenEndpoint, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw meaningOf(at, error)
  }
}

async function judgedLater<T>(at: TokenEndpoint, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw meaningOf(at, error)
  }
}

/** No word of the service but its code: what it says besides may hold what was sent to it. */
function meaningOf({ connector, method }: TokenEndpoint, error: unknown): Error {
  if (error instanceof ConnectorError || (error instanceof Error && error.name === 'AbortError')) return error
  const step = { step: 'signed-in' } as const
  if (error instanceof oauth.AuthorizationResponseError)
    return new ConnectionRefused(`${connector.name} did not agree (${codeOf(error.error)})`, step)
  if (error instanceof oauth.ResponseBodyError || error instanceof oauth.WWWAuthenticateChallengeError) {
    const code = error instanceof oauth.ResponseBodyError ? codeOf(error.error) : 'invalid_client'
    if (code === 'invalid_grant') return new ConsentEnded(`${connector.name} refused it (invalid_grant)`)
    const client = method.client === 'operator' ? undefined : method.client
    const field = code === 'invalid_client' ? (client?.secret ?? client?.id) : undefined
    const who = code === 'invalid_client' ? 'does not know this client, or not by this secret' : 'refused the sign-in'
    return new ConnectionRefused(`${connector.name} ${who} (${code})`, { ...step, field })
  }
  if (error instanceof oauth.OperationProcessingError || error instanceof oauth.UnsupportedOperationError)
    return new ConnectionRefused(
      `${connector.name} answered in a way that cannot be trusted (${codeOf(error.code)})`,
      step,
    )
  return error instanceof Error ? error : new Error('Something that is no error was thrown')
}

function codeOf(code: unknown): string {
  return typeof code === 'string' && /^[A-Za-z_]{1,60}$/.test(code) ? code : 'an unknown code'
}

function issuedOf({ host, method, held }: TokenEndpoint, said: oauth.TokenEndpointResponse): Issued {
  const { access_token: access, refresh_token: given, id_token, ...answer } = said
  const now = host.now()
  const claims = id_token === undefined ? undefined : oauth.getValidatedIdTokenClaims(said)
  const life = method.type === 'oauth2' ? method.tokens : undefined
  // A service that does not rotate says nothing of the refresh token: it goes on.
  const refresh = given ?? held?.refresh ?? null
  const lifeMs =
    said.expires_in === undefined
      ? life?.kind === 'renewed'
        ? life.lifeDays * DAY_MS
        : undefined
      : said.expires_in * 1000
  const after = (milliseconds: number): Date => new Date(now.getTime() + milliseconds)
  const ends = [
    ...(life?.kind === 'refreshed' && life.idleDays !== undefined ? [after(life.idleDays * DAY_MS)] : []),
    ...(life?.kind === 'refreshed' && life.lifeDays !== undefined
      ? [new Date((held?.signedInAt ?? now).getTime() + life.lifeDays * DAY_MS)]
      : []),
    ...(isPositive(answer['refresh_token_expires_in']) ? [after(answer['refresh_token_expires_in'] * 1000)] : []),
    ...(refresh === null && lifeMs !== undefined ? [after(lifeMs)] : []),
  ]
  return {
    tokens: { access, refresh },
    expiry: {
      accessExpiresAt: lifeMs === undefined ? null : after(lifeMs),
      refreshAt: lifeMs === undefined ? null : after(refreshAfter(lifeMs, life?.kind === 'renewed')),
      expiresAt: ends.toSorted((x, y) => x.getTime() - y.getTime())[0] ?? null,
    },
    answer: claims === undefined ? answer : { ...answer, claims },
  }
}

function refreshAfter(lifeMs: number, isRenewed: boolean): number {
  return isRenewed ? lifeMs * RENEW_FROM : Math.max(lifeMs - AHEAD_MS, lifeMs * 0.9)
}

function isPositive(value: unknown): value is number {
  return typeof value === 'number' && value > 0
}
