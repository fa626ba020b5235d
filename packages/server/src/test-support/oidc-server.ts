/** A real OpenID provider on loopback, with rotating refresh tokens: reuse of one ends the whole consent, as it should. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Provider } from 'oidc-provider'

export const CLIENT = { id: 'patchbay', secret: 'client-secret-of-at-least-32-characters' }

export interface OidcServer {
  readonly origin: string
  /** Who is at the browser. */
  person: string
  /** What a person at the browser does. */
  answer: 'agree' | 'refuse'
  /** Requests to the token endpoint, by what they asked for. */
  readonly asked: Record<string, number>
  /** Called with each request to the token endpoint, when its answer is ready but not sent. Throwing cuts the connection. */
  onToken: (grantType: string) => Promise<void> | void
  /** Takes back everything that people consented to. */
  revoke(): Promise<void>
  /** Access tokens end early; refresh tokens stay. */
  endAccessTokens(): Promise<void>
  /** Follows an address as a browser does, up to the one that leaves this server; gives that. */
  browse(address: string): Promise<URL>
  stop(): Promise<void>
}

export async function startOidcServer(
  redirectUri: string,
  options: { readonly accessTokenSeconds?: number; readonly rotates?: boolean } = {},
): Promise<OidcServer> {
  const server: Server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const grants = new Set<string>()
  const provider = new Provider(origin, {
    clients: [
      {
        client_id: CLIENT.id,
        client_secret: CLIENT.secret,
        redirect_uris: [redirectUri],
        grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
        response_types: ['code'],
        token_endpoint_auth_method: 'client_secret_basic',
      },
    ],
    scopes: ['openid', 'offline_access', 'api'],
    claims: { openid: ['sub', 'name'] },
    features: { devInteractions: { enabled: false }, clientCredentials: { enabled: true } },
    pkce: { required: () => true },
    rotateRefreshToken: options.rotates ?? true,
    issueRefreshToken: () => Promise.resolve(true),
    findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id, name: `Name of ${id}` }) }),
    interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
    cookies: { keys: ['test'] },
    ttl: {
      AccessToken: options.accessTokenSeconds ?? 3600,
      ClientCredentials: 600,
      RefreshToken: 86_400,
      Grant: 86_400,
    },
  })
  const issued = new Set<string>()
  provider.on('access_token.saved', ({ jti }) => issued.add(jti))
  const own: OidcServer = {
    origin,
    person: 'ada',
    answer: 'agree',
    asked: {},
    onToken: () => undefined,
    async revoke() {
      for (const id of grants) {
        await provider.RefreshToken.revokeByGrantId(id)
        await provider.AccessToken.revokeByGrantId(id)
      }
    },
    async endAccessTokens() {
      for (const id of issued) await (await provider.AccessToken.find(id))?.destroy()
    },
    browse,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  provider.use(async (context, next) => {
    await next()
    if (context.path !== '/token') return
    const grantType = String((context['oidc'] as { params?: { grant_type?: string } } | undefined)?.params?.grant_type)
    own.asked[grantType] = (own.asked[grantType] ?? 0) + 1
    try {
      await own.onToken(grantType)
    } catch {
      context.req.socket.destroy()
    }
  })
  const callback = provider.callback()
  server.on('request', (request, response) => {
    if (request.url?.startsWith('/interaction/') !== true) return void callback(request, response)
    const finish = async (): Promise<void> => {
      const { params } = await provider.interactionDetails(request, response)
      if (own.answer === 'refuse') {
        await provider.interactionFinished(request, response, { error: 'access_denied' })
        return
      }
      const grant = new provider.Grant({ accountId: own.person, clientId: String(params['client_id']) })
      grant.addOIDCScope(String(params['scope']))
      const grantId = await grant.save()
      grants.add(grantId)
      await provider.interactionFinished(request, response, {
        login: { accountId: own.person },
        consent: { grantId },
      })
    }
    finish().catch(() => response.writeHead(500).end())
  })

  async function browse(address: string): Promise<URL> {
    const cookies = new Map<string, string>()
    for (let at = new URL(address), steps = 0; ; steps += 1) {
      if (at.origin !== origin) return at
      if (steps > 10) throw new Error('The provider sends the browser around in a circle')
      const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
      const answer = await fetch(at, { redirect: 'manual', headers: { cookie } })
      await answer.body?.cancel()
      for (const set of answer.headers.getSetCookie()) {
        const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(set) ?? []
        cookies.set(name, value)
      }
      const location = answer.headers.get('location')
      if (location === null) throw new Error(`The provider answered ${answer.status} at ${at.pathname}`)
      at = new URL(location, at)
    }
  }
  return own
}
