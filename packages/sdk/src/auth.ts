import type { Account } from './account.ts'
import type { Context, MaybePromise } from './context.ts'
import type { Fields, Secret, Values } from './fields.ts'

/**
 * How a connection signs in. The connector only declares it; the host does it, and puts what comes of it on requests to the
 * connection's own origins and on no others. For `header` and `basic` that is what `origin` gives, or else the origin of the
 * one endpoint field that holds a web address; for `oauth2` and `client-credentials` the origins are always declared.
 */
export type Auth<S extends Fields> = SignInMethod<S> | ChoiceAuth<S>

export type SignInMethod<S extends Fields> =
  NoAuth | HeaderAuth<S> | BasicAuth<S> | SignedAuth<S> | OAuth2Auth<S> | ClientCredentialsAuth<S>

/** Nothing for the host to do: there is no sign-in, or the driver does it with the secrets (a signature, a password). */
export interface NoAuth {
  readonly type: 'none'
}

/** The headers carry the stored secrets. */
export interface HeaderAuth<S extends Fields> {
  readonly type: 'header'
  readonly headers: (settings: Values<S>) => Readonly<Record<string, string>>
  readonly origin?: (settings: Values<S>) => string
}

export interface BasicAuth<S extends Fields> {
  readonly type: 'basic'
  readonly credentials: (settings: Values<S>) => { readonly user: string; readonly password: Secret }
  readonly origin?: (settings: Values<S>) => string
}

/**
 * The proof is made of the request itself (SigV4, SharedKey), so the connector computes it and sets `authorization`:
 * on requests to these origins. To every other one the host refuses that header.
 */
export interface SignedAuth<S extends Fields> {
  readonly type: 'signed'
  readonly origins: (settings: Values<S>) => readonly string[]
}

/**
 * One of several ways, as chosen in a field of kind `choice`; `of` has a method for each of its values. The fields that
 * only one way needs carry `showWhen` for it. Choosing another way drops what was signed in before.
 */
export interface ChoiceAuth<S extends Fields> {
  readonly type: 'choice'
  readonly field: keyof S & string
  readonly of: Readonly<Record<string, SignInMethod<S>>>
}

/** Authorization code with a person who consents, by RFC 6749, 7636 and 9207. */
export interface OAuth2Auth<S extends Fields> extends TokenRequests<S> {
  readonly type: 'oauth2'
  /** Where the browser of the person who consents is sent. A function where it depends on the settings (region, tenant, shop). */
  readonly authorizationEndpoint: Setting<S, string>
  /** Compared with `iss` of the answer; required of the answer where the service promises it. */
  readonly issuer?: Setting<S, string>
  /** More parameters of the authorization address, such as `access_type: 'offline'`. */
  readonly authorizationParameters?: Readonly<Record<string, string>>
  /** Leave out only where the service refuses it. */
  readonly pkce: 'S256' | 'refused-by-service'
  readonly tokens: TokenLife
  /**
   * Reads who consented, with the new token. Kept and shown with the connection; a later sign-in as another account is
   * asked about first. `id` must stay the same for ever, so not an e-mail address that may change.
   */
  readonly account: (ctx: Context<S>, answer: TokenAnswer) => MaybePromise<Account>
}

/** The service's own token for the application itself, without a person, by RFC 6749 section 4.4. */
export interface ClientCredentialsAuth<S extends Fields> extends TokenRequests<S> {
  readonly type: 'client-credentials'
  readonly client: ClientFields<S>
}

interface TokenRequests<S extends Fields> {
  readonly tokenEndpoint: Setting<S, string>
  readonly scopes: Setting<S, readonly string[]>
  /** Between scopes: a space (the default and the standard), or a comma where the service wants one. */
  readonly scopeSeparator?: ',' | ' '
  /** The application's id and secret: from fields of the connection, or once for all from the operator (PATCHBAY_OAUTH_CLIENTS). */
  readonly client: ClientFields<S> | 'operator'
  readonly clientAuth: 'client_secret_basic' | 'client_secret_post' | 'none'
  /** More parameters of every request to the token endpoint, such as `resource` or `audience`. */
  readonly tokenParameters?: Setting<S, Readonly<Record<string, string>>>
  /**
   * The only origins (`https://api.example.com`) whose requests carry the token. `account` is who consented, where somebody
   * did: some services say only then on which host their API is. Never build one of text that was not checked.
   */
  readonly origins: (settings: Values<S>, account: Account | undefined) => readonly string[]
  /** Where the token goes, when not into `Authorization: Bearer`. */
  readonly headers?: (token: Secret, url: URL) => Readonly<Record<string, string>>
}

/** A value, or the function that makes it of the settings; only fields marked as `endpoint` should decide about addresses. */
export type Setting<S extends Fields, T> = T | ((settings: Values<S>) => T)

/** Names of fields of the connection; `secret` is left out for a public client. */
export interface ClientFields<S extends Fields> {
  readonly id: keyof S & string
  readonly secret?: keyof S & string
}

/** How long what a person consented to lasts, and what the host does to keep it. */
export type TokenLife =
  /**
   * Refresh tokens. `rotates`: each use gives a new one and ends the old. `lifeDays`: how long the sign-in lasts at most,
   * where the service says so; `idleDays`: how long an unused refresh token lasts.
   */
  | { readonly kind: 'refreshed'; readonly rotates: boolean; readonly lifeDays?: number; readonly idleDays?: number }
  /**
   * Long-lived tokens without refresh token, as Meta's of 60 days: the token is sent to the token endpoint as
   * `tokenParameter` with `grantType` and comes back with a new life. `atOnce`: the first one is short-lived and has to be
   * exchanged right after consent.
   */
  | {
      readonly kind: 'renewed'
      readonly lifeDays: number
      readonly grantType: string
      readonly tokenParameter: string
      readonly atOnce: boolean
    }
  /** Until somebody takes it back. */
  | { readonly kind: 'lasting' }

/** The plain members of the token endpoint's answer, without the tokens. Some services say there who it was, or where their API is. */
export type TokenAnswer = Readonly<Record<string, unknown>>

/** The method that holds with these settings. Undefined where the choice has no such value, which the registry lets no connector have. */
export function signInMethod<S extends Fields>(auth: Auth<S>, settings: Values<S>): SignInMethod<S> | undefined {
  if (auth.type !== 'choice') return auth
  const chosen: unknown = settings[auth.field as keyof Values<S>]
  return typeof chosen === 'string' && Object.hasOwn(auth.of, chosen) ? auth.of[chosen] : undefined
}

/** Every method that a connector offers, with the value of the choice that takes it. */
export function signInMethods<S extends Fields>(
  auth: Auth<S>,
): readonly { readonly chosenBy: string | undefined; readonly method: SignInMethod<S> }[] {
  if (auth.type !== 'choice') return [{ chosenBy: undefined, method: auth }]
  return Object.entries(auth.of).map(([chosenBy, method]) => ({ chosenBy, method }))
}

export function valueOf<S extends Fields, T>(setting: Setting<S, T>, settings: Values<S>): T {
  return typeof setting === 'function' ? (setting as (settings: Values<S>) => T)(settings) : setting
}
