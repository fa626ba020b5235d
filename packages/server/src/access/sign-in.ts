/**
 * Sign-in of people, by better-auth on the control store: it checks the password, makes the session and its cookie, and knows
 * whose cookie a request carries. What somebody may do is none of its business: that is read from our own table each time.
 * None of its own routes is served; the endpoints of the contract call it.
 */
import { betterAuth } from 'better-auth'
import { newId } from '../domain/ids.ts'
import { findUser } from '../store/user.ts'
import type { Db } from '../store/schema.ts'
import type { Identity } from './identity.ts'
import { hashPassword, isPassword } from './password.ts'

export interface SignIn {
  /** The `Set-Cookie` headers of a new session, or undefined where address and password do not belong together. */
  open(email: string, password: string): Promise<SignedIn | undefined>
  /** Ends the session of the request; the cookies take it away from the browser. */
  close(request: Headers): Promise<readonly string[]>
  /** Whose session the request carries: undefined where there is none, it has ended, or they were removed. */
  identify(request: Headers): Promise<Extract<Identity, { kind: 'user' }> | undefined>
}

export interface SignedIn {
  readonly userId: string
  readonly cookies: readonly string[]
}

export interface SignInOptions {
  readonly db: Db
  /** Signs the cookies. */
  readonly secret: string
  /** Where browsers reach the server; over https, cookies go nowhere else. */
  readonly publicUrl: string | undefined
  readonly randomBytes: (size: number) => Uint8Array
}

const SESSION_SECONDS = 7 * 86_400
const RENEWED_AFTER_SECONDS = 86_400
const TIMES = { createdAt: 'created_at', updatedAt: 'updated_at' } as const

export function makeSignIn({ db, secret, publicUrl, randomBytes }: SignInOptions): SignIn {
  const auth = betterAuth({
    appName: 'Patchbay',
    baseURL: publicUrl ?? 'http://localhost',
    secret,
    database: { db: db as never, type: 'postgres' },
    user: { modelName: 'user_', fields: { ...TIMES, emailVerified: 'email_verified' } },
    session: {
      modelName: 'session',
      fields: {
        ...TIMES,
        userId: 'user_id',
        expiresAt: 'expires_at',
        ipAddress: 'ip_address',
        userAgent: 'user_agent',
      },
      expiresIn: SESSION_SECONDS,
      updateAge: RENEWED_AFTER_SECONDS,
    },
    account: {
      modelName: 'sign_in',
      fields: {
        ...TIMES,
        accountId: 'account_id',
        providerId: 'provider_id',
        userId: 'user_id',
        accessToken: 'access_token',
        refreshToken: 'refresh_token',
        idToken: 'id_token',
        accessTokenExpiresAt: 'access_token_expires_at',
        refreshTokenExpiresAt: 'refresh_token_expires_at',
      },
    },
    verification: { modelName: 'verification', fields: { ...TIMES, expiresAt: 'expires_at' } },
    emailAndPassword: {
      enabled: true,
      disableSignUp: true,
      maxPasswordLength: 1000,
      password: {
        hash: (password) => hashPassword(password, randomBytes),
        verify: ({ password, hash }) => isPassword(password, hash),
      },
    },
    advanced: {
      cookiePrefix: 'patchbay',
      useSecureCookies: publicUrl?.startsWith('https:') ?? false,
      defaultCookieAttributes: { httpOnly: true, sameSite: 'lax', path: '/' },
      // What a browser says of itself and where it is are nobody's business here.
      ipAddress: { disableIpTracking: true },
      database: { generateId: () => newId('session', randomBytes) },
    },
    // Ours: by address and by account, and told to the person.
    rateLimit: { enabled: false },
    telemetry: { enabled: false },
    logger: { disabled: true },
  })
  return {
    async open(email, password) {
      try {
        const { headers, response } = await auth.api.signInEmail({ body: { email, password }, returnHeaders: true })
        return { userId: response.user.id, cookies: headers.getSetCookie() }
      } catch (error) {
        if (isRefusal(error)) return undefined
        throw error
      }
    },
    async close(request) {
      const { headers } = await auth.api.signOut({ headers: request, returnHeaders: true })
      return headers.getSetCookie()
    },
    async identify(request) {
      if (!(request.get('cookie') ?? '').includes('patchbay.')) return undefined
      const found = await auth.api.getSession({ headers: request })
      const user = found === null ? undefined : await findUser(db, found.user.id)
      if (user === undefined) return undefined
      const { id, name, email, role, isOwner } = user
      return { kind: 'user', id, name, email, role, isOwner }
    },
  }
}

function isRefusal(error: unknown): boolean {
  const { statusCode } = error as { readonly statusCode?: unknown }
  return statusCode === 401 || statusCode === 400
}
