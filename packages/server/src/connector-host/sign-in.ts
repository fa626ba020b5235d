/** Puts the declared sign-in on requests to the connection's own origin, and on no others. */
import {
  ConnectionRefused,
  signInMethod,
  type Account,
  type Connector,
  type Fields,
  type MaybePromise,
  type Secret,
  type SignInMethod,
  type Values,
} from '@patchbay/connector-sdk'
import { signInHeaders } from './outgoing-headers.ts'

export interface SignIn {
  /** What the host puts on. */
  readonly headers: (url: URL) => MaybePromise<Readonly<Record<string, string>>>
  /** Whether the connector may set `authorization` itself. */
  readonly maySign: (url: URL) => boolean
  /** After a 401, which took nothing: whether there is another proof than this one to try. */
  readonly renew: (refused: Readonly<Record<string, string>>) => Promise<boolean>
}

/** The token of `oauth2` and `client-credentials`, and who consented to it. */
export interface TokenSource {
  readonly account: Account | undefined
  /** One that is good now, and not the one that was just refused. Throws `ConnectionRefused` where a person has to sign in first. */
  readonly accessToken: (refused?: string) => Promise<Secret>
}

const NOTHING: SignIn = { headers: () => ({}), maySign: () => false, renew: () => Promise.resolve(false) }

export function makeSignIn(connector: Connector, settings: Values<Fields>, tokens: TokenSource): SignIn {
  const method = signInMethod(connector.auth, settings)
  switch (method?.type) {
    case undefined:
      throw new ConnectionRefused('The settings choose no way to sign in', { step: 'signed-in' })
    case 'none':
      return NOTHING
    case 'signed': {
      const own = new Set(method.origins(settings).map(originOf))
      return { ...NOTHING, maySign: (url) => own.has(url.origin) }
    }
    case 'header': {
      const origin = ownOrigin(method, connector, settings)
      return { ...NOTHING, headers: (url) => (url.origin === origin ? signInHeaders(method.headers(settings)) : {}) }
    }
    case 'basic': {
      const origin = ownOrigin(method, connector, settings)
      return { ...NOTHING, headers: (url) => (url.origin === origin ? basicHeaders(method.credentials(settings)) : {}) }
    }
    case 'oauth2':
    case 'client-credentials': {
      const own = new Set(method.origins(settings, tokens.account).map(originOf))
      const tokenOf = new WeakMap<object, string>()
      return {
        ...NOTHING,
        async headers(url) {
          if (!own.has(url.origin)) return {}
          const token = await tokens.accessToken()
          const headers = signInHeaders(method.headers?.(token, url) ?? { authorization: `Bearer ${token.reveal()}` })
          tokenOf.set(headers, token.reveal())
          return headers
        },
        async renew(refused) {
          const token = tokenOf.get(refused)
          return token !== undefined && (await tokens.accessToken(token)).reveal() !== token
        },
      }
    }
  }
}

function basicHeaders({ user, password }: { readonly user: string; readonly password: Secret }) {
  if (user.includes(':')) throw new ConnectionRefused('A user name with a colon cannot sign in this way')
  const credentials = Buffer.from(`${user}:${password.reveal()}`, 'utf8').toString('base64')
  return signInHeaders({ authorization: `Basic ${credentials}` })
}

function ownOrigin(
  method: SignInMethod<Fields> & { readonly type: 'header' | 'basic' },
  { settings: fields }: Connector,
  settings: Values<Fields>,
): string | undefined {
  if (method.origin !== undefined) return originOf(method.origin(settings))
  const addresses = Object.entries(fields)
    .filter(([, field]) => field.kind === 'text' && field.endpoint === true)
    .map(([name]) => originOf(settings[name]))
    .filter((origin) => origin !== undefined)
  // Of two there is no telling which is meant, so neither gets the credentials.
  return addresses.length === 1 ? addresses[0] : undefined
}

function originOf(value: unknown): string | undefined {
  return typeof value === 'string' && URL.canParse(value) && /^https?:/i.test(value) ? new URL(value).origin : undefined
}
