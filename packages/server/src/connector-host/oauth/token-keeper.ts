/**
 * Gives a connection's requests a token that holds. A refresh is made exactly once, however many workers of however many
 * processes ask at the same time: the right to it is one row of the store, and what came of it is durable there before
 * anybody uses it. A process that dies in between leaves a mark; then the old refresh token is tried once more, and where
 * the service refuses it by then, a person is told to sign in again, and why.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import {
  ConnectionRefused,
  ConnectorError,
  Unavailable,
  type Fields,
  type OAuth2Auth,
  type Secret,
} from '@patchbay/connector-sdk'
import { makeSecret } from '../secret.ts'
import type { TokenSource } from '../sign-in.ts'
import { unlessAborted } from '../unless-aborted.ts'
import type { Grant, GrantPort } from './grant.ts'
import { ConsentEnded, refreshTokens, renewToken, type Issued, type TokenEndpoint } from './token-requests.ts'

export interface TokenKeeperOptions {
  readonly at: TokenEndpoint & { readonly method: OAuth2Auth<Fields> }
  readonly grants: GrantPort
  /** Refreshes under way in this process, by connection. */
  readonly underWay: Map<string, Promise<void>>
  /** Told each token before it is used, so that it is hidden wherever it turns up. */
  readonly hide: (secret: string) => void
  readonly signal: AbortSignal
}

/** Longer than any request to a token endpoint takes. */
const CLAIM_SECONDS = 60
const LOOK_AGAIN_MS = 10
const LOOK_AGAIN_MAX_MS = 250

export async function makeTokenKeeper(options: TokenKeeperOptions): Promise<TokenSource> {
  const first = await options.grants.read()
  return {
    account: first?.account,
    accessToken: (refused) => goodToken(options, refused),
  }
}

async function goodToken(options: TokenKeeperOptions, refused: string | undefined): Promise<Secret> {
  const { grants, at, signal } = options
  for (;;) {
    signal.throwIfAborted()
    const grant = await readGood(options)
    const now = at.host.now()
    const isRefused = refused !== undefined && grant.tokens.access === refused
    if (!isRefused && (grant.refreshAt === null || now < grant.refreshAt)) return handOut(options, grant)
    const holds = !isRefused && (grant.accessExpiresAt === null || now < grant.accessExpiresAt)
    if (!canRefresh(at.method, grant)) {
      if (holds) return handOut(options, grant)
      if (isRefused)
        throw new ConnectionRefused(`${at.connector.name} refused the sign-in (401)`, { step: 'signed-in' })
      await grants.end(
        grant.generation,
        'What was agreed to has run out, and the service gave nothing to renew it with',
      )
      continue
    }
    try {
      await refreshOnce(options, grant)
    } catch (error) {
      // What still holds is used: the next request tries again.
      if (holds && error instanceof ConnectorError && !(error instanceof ConnectionRefused))
        return handOut(options, grant)
      throw error
    }
  }
}

async function readGood({ grants, at }: TokenKeeperOptions): Promise<Grant> {
  const grant = await grants.read()
  const step = { step: 'signed-in' } as const
  if (grant === undefined)
    throw new ConnectionRefused(
      `Nobody has signed in to ${at.connector.name} over this connection yet: an Administrator has to`,
      step,
    )
  if (grant.state === 'sign-in-again')
    throw new ConnectionRefused(
      `An Administrator has to sign in to ${at.connector.name} again. ${grant.reason ?? ''}`.trim(),
      step,
    )
  if (grant.clientId !== at.client.id)
    throw new ConnectionRefused(
      `The client was changed since somebody signed in: an Administrator has to sign in to ${at.connector.name} again`,
      step,
    )
  return grant
}

function handOut({ hide }: TokenKeeperOptions, { tokens }: Grant): Secret {
  hide(tokens.access)
  if (tokens.refresh !== null) hide(tokens.refresh)
  return makeSecret(tokens.access)
}

function canRefresh({ tokens }: OAuth2Auth<Fields>, grant: Grant): boolean {
  return tokens.kind === 'renewed' || (tokens.kind === 'refreshed' && grant.tokens.refresh !== null)
}

/** Returns when it is worth looking again: this process or another has refreshed it, or somebody is at it. */
async function refreshOnce(options: TokenKeeperOptions, grant: Grant): Promise<void> {
  const { underWay, at, signal } = options
  const running = underWay.get(at.connectionId)
  const work = running ?? refresh(options, grant)
  if (running === undefined) {
    underWay.set(at.connectionId, work)
    // Whoever waits has the outcome; this only takes the mark away.
    const forget = (): boolean => underWay.delete(at.connectionId)
    work.then(forget, forget)
  }
  await unlessAborted(work, signal)
}

async function refresh({ grants, at, hide }: TokenKeeperOptions, grant: Grant): Promise<void> {
  let claimed = await grants.claim(grant.generation, CLAIM_SECONDS)
  for (let wait = LOOK_AGAIN_MS; claimed === undefined; wait = Math.min(2 * wait, LOOK_AGAIN_MAX_MS)) {
    // Another process is at it, or has done it; should it have died, its claim runs out.
    await sleep(wait)
    const now = await grants.read()
    if (now?.generation !== grant.generation || now.state !== 'signed-in') return
    claimed = await grants.claim(grant.generation, CLAIM_SECONDS)
  }
  let issued: Issued
  try {
    issued = await askAnew(at, grant)
  } catch (error) {
    if (error instanceof ConsentEnded) {
      await grants.end(grant.generation, claimed.isUnanswered ? `${CUT_OFF} ${error.message}` : error.message)
      return
    }
    // Sent, and no answer: the service may have made new tokens that nobody knows.
    await grants.release(
      grant.generation,
      claimed.isUnanswered || (error instanceof Unavailable && error.sent === 'maybe'),
    )
    throw error
  }
  hide(issued.tokens.access)
  await grants.commit(grant.generation, issued.tokens, issued.expiry)
}

const CUT_OFF = 'An earlier refresh was cut off before its answer was stored, so the tokens were lost.'

/** On a clock of its own: whoever gives up waiting does not take it from the others. */
function askAnew(at: TokenKeeperOptions['at'], grant: Grant): Promise<Issued> {
  const signal = new AbortController().signal
  const held = { ...at, held: { signedInAt: grant.signedInAt, refresh: grant.tokens.refresh } }
  const { tokens } = at.method
  if (tokens.kind === 'renewed') return renewToken(held, tokens, grant.tokens.access, signal)
  return refreshTokens(held, grant.tokens.refresh ?? '', signal)
}
