/**
 * Signing a connection in to its service as somebody (OAuth 2.0). A person is sent to the service with a state that is used
 * once; the callback, which comes through a browser that need not be known here, only keeps what it brought; and whoever
 * started it, by the same session or key, finishes it. So an answer that somebody else was made to bring does nothing.
 */
import { createHash } from 'node:crypto'
import {
  ConnectionRefused,
  ConnectorError,
  RateLimited,
  SettingsInvalid,
  signInMethod,
  Unavailable,
  valueOf,
  type Account,
  type Connector,
  type Fields,
  type OAuth2Auth,
  type Values,
} from '@patchbay/connector-sdk'
import { cleanError } from '../connector-host/clean-error.ts'
import { makeContext, openSettings, type ConnectionAccess } from '../connector-host/context.ts'
import type { ConnectorHost } from '../connector-host/host.ts'
import { clientOf } from '../connector-host/oauth/client.ts'
import {
  checkedAddress,
  ConsentEnded,
  exchangeCode,
  type Issued,
  type TokenEndpoint,
} from '../connector-host/oauth/token-requests.ts'
import { makeRedactor } from '../connector-host/redact.ts'
import type { Registry } from '../connector-host/registry.ts'
import { makeSecret } from '../connector-host/secret.ts'
import type { Connection } from '../domain/connection.ts'
import { endpointIdentity } from '../domain/endpoint-identity.ts'
import { endpointOf } from '../domain/field-values.ts'
import type { ConnectionId } from '../domain/ids.ts'
import { Problem } from '../domain/problem.ts'
import type { ServiceSignInPort } from '../http/ports.ts'
import type { By } from '../store/by.ts'
import { readConnection } from '../store/connection.ts'
import { readGrant, writeGrant } from '../store/oauth-grant.ts'
import {
  advanceAttempt,
  createAttempt,
  findStarted,
  readAttempt,
  removeAttempt,
  type Attempt,
} from '../store/oauth-attempt.ts'
import type { Db } from '../store/schema.ts'
import type { Vault } from '../vault/vault.ts'
import { sealTokens } from './grants.ts'

export interface ServiceSignInOptions {
  readonly db: Db
  readonly vault: Vault
  readonly registry: Registry
  readonly host: ConnectorHost
  readonly accessOf: (connection: Connection) => ConnectionAccess
  /** As browsers reach this server; undefined where the operator has not said it. */
  readonly publicUrl: string | undefined
}

const CALLBACK = '/oauth/callback'
/** To sign in at the service, with a second factor and a look for the password. */
const ATTEMPT_MS = 10 * 60_000
const CODE_LENGTH_MAX = 4000

export function makeServiceSignIn(options: ServiceSignInOptions): ServiceSignInPort {
  const { db, vault } = options
  return {
    async start(reference, asker, by) {
      const opened = await open(options, await readConnection(db, reference))
      const { connection, identity, method, settings, client, connector } = opened
      const state = Buffer.from(by.randomBytes(32)).toString('base64url')
      const verifier = Buffer.from(by.randomBytes(32)).toString('base64url')
      const redirectUri = callbackAddress(options.publicUrl)
      const address = new URL(
        asProblemNow(connector, () => checkedAddress(valueOf(method.authorizationEndpoint, settings))),
      )
      const scope = valueOf(method.scopes, settings).join(method.scopeSeparator ?? ' ')
      const parameters = {
        ...method.authorizationParameters,
        response_type: 'code',
        client_id: client.id,
        redirect_uri: redirectUri,
        ...(scope === '' ? {} : { scope }),
        state,
        ...(method.pkce === 'S256' ? { code_challenge: hashOf(verifier), code_challenge_method: 'S256' } : {}),
      }
      for (const [name, value] of Object.entries(parameters)) address.searchParams.set(name, value)
      const expiresAt = new Date(by.now.getTime() + ATTEMPT_MS)
      const sealed = vault.seal(JSON.stringify({ state, verifier }), attemptPlace(connection.id, identity))
      const attempt = { connectionId: connection.id, asker, endpointIdentity: identity, redirectUri, sealed, expiresAt }
      const id = await db.transaction().execute((tx) => createAttempt(tx, { ...attempt, stateHash: hashOf(state) }, by))
      return { id, address: address.href, expiresAt }
    },

    async callback(query, now) {
      const names = [...query.keys()]
      const state = query.get('state') ?? ''
      const isOdd = new Set(names).size < names.length || !/^[A-Za-z0-9_-]{43}$/.test(state)
      const attempt = isOdd ? undefined : await findStarted(db, hashOf(state), now)
      if (attempt === undefined) return 'unknown'
      const place = attemptPlace(attempt.connectionId, attempt.endpointIdentity)
      const kept = JSON.parse(await vault.open(attempt.sealed, place)) as Started
      const brought = Object.fromEntries(
        [...query].filter(([name, value]) => BROUGHT.has(name) && value.length <= CODE_LENGTH_MAX),
      )
      const sealed = vault.seal(JSON.stringify({ ...kept, brought }), place)
      const isFirst = await advanceAttempt(db, attempt.id, 'started', { step: 'answered', sealed })
      return isFirst ? 'kept' : 'unknown'
    },

    async finish(reference, given, asker, by, signal) {
      const connection = await readConnection(db, reference)
      const attempt = await readAttempt(db, given.attempt, by.now)
      if (attempt === undefined || attempt.connectionId !== connection.id || attempt.asker !== asker)
        throw unknownAttempt()
      const opened = await open(options, connection)
      if (attempt.endpointIdentity !== opened.identity) {
        await removeAttempt(db, attempt.id)
        throw again('The connection was changed since: it says another address or account now')
      }
      const result =
        attempt.step === 'exchanged'
          ? await readResult(vault, attempt)
          : await exchange(options, opened, attempt, signal)
      await settle(options, opened, attempt, result, given.takeAccount, by)
    },
  }
}

interface Started {
  readonly state: string
  readonly verifier: string
}
interface Answered extends Started {
  readonly brought: Readonly<Record<string, string>>
}
interface Result {
  readonly account: Account
  readonly clientId: string
  readonly tokens: Issued['tokens']
  readonly expiry: { readonly [K in keyof Issued['expiry']]: string | null }
}

/** Of what the service sends through the browser. */
const BROUGHT = new Set(['code', 'state', 'iss', 'error'])

interface OpenedSignIn {
  readonly connection: Connection
  readonly connector: Connector
  readonly identity: string
  readonly method: OAuth2Auth<Fields>
  readonly settings: Values<Fields>
  readonly secrets: Readonly<Record<string, string>>
  readonly client: TokenEndpoint['client']
  readonly access: ConnectionAccess
}

async function open({ registry, host, accessOf }: ServiceSignInOptions, connection: Connection): Promise<OpenedSignIn> {
  const access = accessOf(connection)
  const connector = registry.findConnector(connection.connectorId)
  if (connector === undefined) throw new Error('accessOf knows every connector')
  return asProblem(connector, async () => {
    const { settings, secrets } = await openSettings(connector, access)
    const method = signInMethod(connector.auth, settings)
    if (method?.type !== 'oauth2')
      throw new Problem('invalid', `"${connection.name}" does not sign in as somebody`, {
        path: 'connection',
        cure: `Its secrets are enough; where ${connector.name} offers both, choose the other way in its settings`,
      })
    const client = clientOf(connector, method, settings, host.oauthClients)
    const identity = endpointIdentity(connector.id, endpointOf(connector.settings, connection.settings))
    return { connection, connector, identity, method, settings, secrets, client, access }
  })
}

/** The code is used once, whatever comes of it. */
async function exchange(
  options: ServiceSignInOptions,
  opened: OpenedSignIn,
  attempt: Attempt,
  signal: AbortSignal,
): Promise<Result> {
  const { db, vault, host } = options
  const { connection, connector, method, settings, client, identity } = opened
  if (attempt.step === 'failed') throw again(attempt.reason ?? 'It failed')
  if (attempt.step === 'started')
    throw new Problem('not-ready', `${connector.name} has not answered yet`, {
      path: 'attempt',
      cure: 'Sign in at the address that was given, then finish',
    })
  if (!(await advanceAttempt(db, attempt.id, 'answered', { step: 'exchanging' }))) throw unknownAttempt()
  const place = attemptPlace(connection.id, identity)
  const { state, verifier, brought } = JSON.parse(await vault.open(attempt.sealed, place)) as Answered
  const at: TokenEndpoint = { host, connector, method, settings, client, connectionId: connection.id }
  try {
    const callback = new URLSearchParams(brought)
    const issued = await exchangeCode(at, { callback, state, verifier, redirectUri: attempt.redirectUri }, signal)
    const account = await readAccount(options, opened, issued, signal)
    const { accessExpiresAt, refreshAt, expiresAt } = issued.expiry
    const result: Result = {
      account,
      clientId: client.id,
      tokens: issued.tokens,
      expiry: {
        accessExpiresAt: accessExpiresAt?.toISOString() ?? null,
        refreshAt: refreshAt?.toISOString() ?? null,
        expiresAt: expiresAt?.toISOString() ?? null,
      },
    }
    const sealed = vault.seal(JSON.stringify(result), place)
    await advanceAttempt(db, attempt.id, 'exchanging', { step: 'exchanged', sealed })
    return result
  } catch (error) {
    const problem = problemOf(connector, error)
    await advanceAttempt(db, attempt.id, 'exchanging', {
      step: 'failed',
      reason: problem instanceof Problem ? problem.message : 'It failed because of a mistake in Patchbay',
    })
    throw problem
  }
}

async function readAccount(
  { host }: ServiceSignInOptions,
  { connector, method, access, secrets }: OpenedSignIn,
  issued: Issued,
  signal: AbortSignal,
): Promise<Account> {
  const { tokens, answer } = issued
  const source = { account: undefined, accessToken: () => Promise.resolve(makeSecret(tokens.access)) }
  const hosted = await makeContext(host, connector, access, signal, 'administrators', source)
  try {
    const account = await method.account(hosted.context, answer)
    if (typeof account.id === 'string' && account.id !== '' && typeof account.name === 'string') return account
    throw new ConnectionRefused(`${connector.name} did not say who signed in`, { step: 'signed-in' })
  } catch (error) {
    signal.throwIfAborted()
    const held = [...Object.values(secrets), tokens.access, ...(tokens.refresh === null ? [] : [tokens.refresh])]
    throw cleanError(error, makeRedactor(held))
  } finally {
    await hosted.close()
  }
}

/** Another account is taken only by its name: it may be the wrong one, and what was sent to the first stays there. */
async function settle(
  { db, vault }: ServiceSignInOptions,
  { connection, connector, identity }: OpenedSignIn,
  attempt: Attempt,
  { account, clientId, tokens, expiry }: Result,
  takeAccount: string | undefined,
  by: By,
): Promise<void> {
  const place = { connectionId: connection.id, endpointIdentity: identity }
  const grant = {
    connectionId: connection.id,
    account,
    clientId,
    sealed: sealTokens(vault, place, tokens),
    accessExpiresAt: dateOf(expiry.accessExpiresAt),
    refreshAt: dateOf(expiry.refreshAt),
    expiresAt: dateOf(expiry.expiresAt),
  }
  await db.transaction().execute(async (tx) => {
    const before = await readGrant(tx, connection.id)
    const isOther = before !== undefined && before.account.id !== account.id
    if (isOther && takeAccount !== account.id)
      throw new Problem(
        'conflict',
        `takeAccount: You signed in to ${connector.name} as ${shown(account)}, and this connection is that of ${shown(before.account)}`,
        {
          path: 'takeAccount',
          cure: `Sign in again as ${shown(before.account)}, or confirm the other one by takeAccount: ${JSON.stringify(account.id)}`,
        },
      )
    await writeGrant(tx, grant, by)
    await removeAttempt(tx, attempt.id)
  })
}

async function readResult(vault: Vault, attempt: Attempt): Promise<Result> {
  const place = attemptPlace(attempt.connectionId, attempt.endpointIdentity)
  return JSON.parse(await vault.open(attempt.sealed, place)) as Result
}

function attemptPlace(connectionId: ConnectionId, identity: string) {
  return { connectionId, field: 'oauth:attempt', endpointIdentity: identity }
}

function callbackAddress(publicUrl: string | undefined): string {
  if (publicUrl !== undefined) return `${publicUrl}${CALLBACK}`
  throw new Problem('not-ready', 'This server does not know at which address browsers reach it', {
    path: 'PATCHBAY_PUBLIC_URL',
    cure: `The operator sets PATCHBAY_PUBLIC_URL, as in https://patchbay.example.com, and registers that address and ${CALLBACK} with the service`,
  })
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}

function shown({ id, name }: { readonly id: string; readonly name: string }): string {
  return `"${name}" (${id})`
}

function dateOf(text: string | null): Date | null {
  return text === null ? null : new Date(text)
}

function unknownAttempt(): Problem {
  return new Problem('not-found', 'There is no such attempt to sign in, or it has ended, or somebody else started it', {
    path: 'attempt',
    cure: 'Start again',
  })
}

function again(why: string): Problem {
  return new Problem('not-ready', why, { path: 'attempt', cure: 'Start again' })
}

async function asProblem<T>(connector: Connector, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw problemOf(connector, error)
  }
}

function asProblemNow<T>(connector: Connector, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw problemOf(connector, error)
  }
}

/** What a service or a setting refused, for the person who wants to sign in. Anything else is a bug and stays one. */
function problemOf(connector: Connector, error: unknown): unknown {
  if (error instanceof SettingsInvalid)
    return new Problem('invalid', error.message, {
      ...(error.field === '' ? {} : { path: `settings.${error.field}` }),
      cure: 'Mend the connection, then sign in',
      cause: error,
    })
  if (error instanceof Unavailable || error instanceof RateLimited)
    return new Problem('unavailable', error.message, { cure: 'Start again later', cause: error })
  if (error instanceof ConsentEnded)
    return new Problem('not-ready', error.message, {
      cure: `Start again; if it stays so, compare the address of the callback with what is registered at ${connector.name}`,
      cause: error,
    })
  if (error instanceof ConnectorError)
    return new Problem('not-ready', error.message, { cure: 'Mend what it says, then start again', cause: error })
  return error
}
