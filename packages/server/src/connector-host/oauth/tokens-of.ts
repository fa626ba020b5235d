/** Where a connection's tokens come from, by the sign-in that its settings choose. */
import { ConnectionRefused, signInMethod, type Connector, type Fields, type Values } from '@patchbay/connector-sdk'
import type { ConnectorHost } from '../host.ts'
import type { TokenSource } from '../sign-in.ts'
import { clientTokenSource } from './client-tokens.ts'
import { clientOf } from './client.ts'
import type { GrantPort } from './grant.ts'
import { makeTokenKeeper } from './token-keeper.ts'

export async function tokensOf(
  host: ConnectorHost,
  connector: Connector,
  { connectionId, grants }: { readonly connectionId: string; readonly grants?: GrantPort },
  use: {
    readonly settings: Values<Fields>
    readonly hide: (secret: string) => void
    readonly signal: AbortSignal
  },
): Promise<TokenSource> {
  const { settings, hide, signal } = use
  const method = signInMethod(connector.auth, settings)
  if (method?.type !== 'oauth2' && method?.type !== 'client-credentials') return NO_TOKENS
  const client = clientOf(connector, method, settings, host.oauthClients)
  if (method.type === 'client-credentials') {
    const at = { host, connector, method, settings, client, connectionId }
    return clientTokenSource(at, host.clientTokens, hide, signal)
  }
  if (grants === undefined) return nobodyYet(connector)
  const at = { host, connector, method, settings, client, connectionId }
  return makeTokenKeeper({ at, grants, underWay: host.refreshes, hide, signal })
}

const NO_TOKENS: TokenSource = {
  account: undefined,
  accessToken: () => Promise.reject(new Error('This sign-in has no tokens')),
}

function nobodyYet({ name }: Connector): TokenSource {
  return {
    account: undefined,
    accessToken: () =>
      Promise.reject(new ConnectionRefused(`Save the connection, then sign in to ${name}`, { step: 'signed-in' })),
  }
}
