/** A connector that signs in as somebody at an OpenID provider, or by itself, for tests of the sign-in. */
import { defineConnector, type Connector, type Context, type TokenLife } from '@patchbay/connector-sdk'

export function oauthConnector(tokens: TokenLife = { kind: 'refreshed', rotates: true, lifeDays: 30 }): Connector {
  return defineConnector({
    id: 'oauth-example',
    name: 'Example service',
    summary: 'Signs in as somebody, for tests.',
    category: 'crm',
    direction: 'export',
    settings: {
      url: { kind: 'text', label: 'Address', endpoint: true },
      signIn: {
        kind: 'choice',
        label: 'Sign in with',
        default: 'person',
        choices: [
          { value: 'person', label: 'Account' },
          { value: 'machine', label: 'Application' },
          { value: 'key', label: 'Key' },
        ],
      },
      clientId: { kind: 'text', label: 'Client id', endpoint: true },
      clientSecret: { kind: 'secret', label: 'Client secret', help: 'Apps, then Secrets.' },
    },
    auth: {
      type: 'choice',
      field: 'signIn',
      of: {
        key: { type: 'none' },
        person: {
          type: 'oauth2',
          authorizationEndpoint: ({ url }) => `${url}/auth`,
          tokenEndpoint: ({ url }) => `${url}/token`,
          issuer: ({ url }) => url,
          authorizationParameters: { prompt: 'consent' },
          scopes: ['openid', 'offline_access'],
          client: { id: 'clientId', secret: 'clientSecret' },
          clientAuth: 'client_secret_basic',
          pkce: 'S256',
          tokens,
          origins: ({ url }) => [url],
          async account(ctx) {
            const me = await readMe(ctx, ctx.settings.url)
            return { id: me.sub, name: me.name }
          },
        },
        machine: {
          type: 'client-credentials',
          tokenEndpoint: ({ url }) => `${url}/token`,
          scopes: ['api'],
          client: { id: 'clientId', secret: 'clientSecret' },
          clientAuth: 'client_secret_basic',
          origins: ({ url }) => [url],
        },
      },
    },
    async *check(ctx) {
      const { status } = await ctx.fetch(`${ctx.settings.url}/me`, { accept: [403] })
      yield { step: 'signed-in', ok: true, detail: `It answered ${status}` }
    },
    destinations: {
      list: {
        delivers: 'rows',
        name: 'List',
        modes: ['upsert'],
        fields: {},
        removal: 'Nothing happens.',
        limits: { rowsPerBatch: 100, bytesPerBatch: 100_000, batchesInFlight: 1 },
        repeat: () => ({ kind: 'harmless' }),
        targetFields: () => undefined,
        open: (ctx) => ({
          async deliver(batch) {
            await ctx.fetch(`${ctx.settings.url}/me`)
            return batch.keys.map((key) => ({ key, status: 'accepted' as const }))
          },
          close: () => Promise.resolve(),
        }),
      },
    },
  })
}

async function readMe(ctx: Context, url: string): Promise<{ readonly sub: string; readonly name: string }> {
  return (await ctx.fetch(`${url}/me`)).json() as { readonly sub: string; readonly name: string }
}
