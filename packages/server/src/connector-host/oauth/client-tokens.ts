/** Tokens that the application gets for itself. They are kept in memory only: the next process asks for its own. */
import { createHash } from 'node:crypto'
import { ConnectionRefused, valueOf, type Secret } from '@patchbay/connector-sdk'
import { makeSecret } from '../secret.ts'
import type { TokenSource } from '../sign-in.ts'
import { unlessAborted } from '../unless-aborted.ts'
import type { ClientTokens, KeptToken } from './kept-token.ts'
import { clientCredentials, ConsentEnded, type TokenEndpoint } from './token-requests.ts'

/** The one that was not used for longest is forgotten. */
const KEPT_MAX = 1000

export function clientTokenSource(
  at: TokenEndpoint,
  kept: ClientTokens,
  hide: (secret: string) => void,
  signal: AbortSignal,
): TokenSource {
  const key = keyOf(at)
  return {
    account: undefined,
    async accessToken(refused): Promise<Secret> {
      let asked = kept.get(key)
      if (asked !== undefined && !(await holds(asked, at.host.now(), refused))) {
        // Only the first of those who find that out asks anew.
        if (kept.get(key) === asked) kept.delete(key)
        asked = kept.get(key)
      }
      asked ??= ask(at)
      remember(kept, key, asked)
      const { access } = await unlessAborted(asked, signal)
      hide(access)
      return makeSecret(access)
    },
  }
}

async function holds(asked: Promise<KeptToken>, now: Date, refused: string | undefined): Promise<boolean> {
  const known = await asked.catch(() => undefined)
  return known !== undefined && known.access !== refused && (known.refreshAt === null || now < known.refreshAt)
}

function remember(kept: ClientTokens, key: string, asked: Promise<KeptToken>): void {
  kept.delete(key)
  kept.set(key, asked)
  const [oldest] = kept.keys()
  if (kept.size > KEPT_MAX && oldest !== undefined) kept.delete(oldest)
}

/** On a clock of its own: whoever gives up waiting does not take it from the others. */
async function ask(at: TokenEndpoint): Promise<KeptToken> {
  try {
    const { tokens, expiry } = await clientCredentials(at, new AbortController().signal)
    return { access: tokens.access, refreshAt: expiry.refreshAt }
  } catch (error) {
    if (!(error instanceof ConsentEnded)) throw error
    throw new ConnectionRefused(error.message, { step: 'signed-in', cause: error })
  }
}

function keyOf({ connector, method, settings, client, connectionId }: TokenEndpoint): string {
  const parts = [
    connectionId,
    connector.id,
    valueOf(method.tokenEndpoint, settings),
    valueOf(method.scopes, settings),
    valueOf(method.tokenParameters ?? {}, settings),
    client.id,
    client.secret ?? null,
  ]
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex')
}
