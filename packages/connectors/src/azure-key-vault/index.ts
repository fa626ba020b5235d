import { ConnectionRefused, defineConnector, Unavailable, type Context, type Fields } from '@patchbay/connector-sdk'

const settings = {
  url: {
    kind: 'text',
    label: 'Vault address',
    example: 'https://my-company.vault.azure.net',
    pattern: 'https?://[^\\s@?#/]+',
    maxLength: 300,
    endpoint: true,
  },
  tenantId: {
    kind: 'text',
    label: 'Tenant',
    help: 'The directory (tenant) id of the app registration',
    example: '00000000-0000-0000-0000-000000000000',
    pattern: '[\\w.-]+',
    maxLength: 100,
    endpoint: true,
  },
  clientId: {
    kind: 'text',
    label: 'Application (client) id',
    example: '00000000-0000-0000-0000-000000000000',
    pattern: '[\\w-]+',
    maxLength: 100,
    endpoint: true,
  },
  clientSecret: {
    kind: 'secret',
    label: 'Client secret',
    help: 'App registrations, then Certificates & secrets. The role Key Vault Secrets User is enough',
  },
  authority: {
    kind: 'text',
    label: 'Sign-in address',
    help: 'Another one only in a cloud of its own, such as that of a government',
    pattern: 'https?://[^\\s@?#/]+',
    maxLength: 300,
    default: 'https://login.microsoftonline.com',
    endpoint: true,
  },
} as const satisfies Fields

type VaultContext = Context<typeof settings>

const VERSION = 'api-version=7.0'
const PAGES_MAX = 40

export const azureKeyVault = defineConnector({
  id: 'azure-key-vault',
  name: 'Azure Key Vault',
  summary: 'Lets connections name a secret of your vault instead of holding one.',
  category: 'key-vault',
  // What comes in is secrets.
  direction: 'enrichment',
  settings,
  auth: {
    type: 'client-credentials',
    tokenEndpoint: ({ authority, tenantId }) => `${authority}/${tenantId}/oauth2/v2.0/token`,
    scopes: ['https://vault.azure.net/.default'],
    client: { id: 'clientId', secret: 'clientSecret' },
    clientAuth: 'client_secret_post',
    origins: ({ url }) => [url],
  },
  async *check(ctx) {
    await readPage(ctx, firstPage(ctx))
    yield { step: 'reached', ok: true }
    yield { step: 'signed-in', ok: true }
  },
  destinations: {},
  secrets: {
    async list(ctx, folder) {
      if (folder !== '') return []
      const names: string[] = []
      let next: string | undefined = firstPage(ctx)
      for (let pages = 0; next !== undefined && pages < PAGES_MAX; pages += 1) {
        const page = await readPage(ctx, next)
        names.push(...page.names)
        next = page.next
      }
      return names
    },
    async read(ctx, name) {
      if (!/^[0-9A-Za-z-]{1,127}$/.test(name))
        throw new ConnectionRefused('A secret of the vault is named by letters, digits and -')
      const answer = await ctx.fetch(`${ctx.settings.url}/secrets/${name}/?${VERSION}`, { accept: [404] })
      if (answer.status === 404) return undefined
      if (answer.status !== 200) throw odd()
      const value = at(answer.json(), 'value')
      if (typeof value !== 'string') throw odd()
      return value
    },
  },
})

function firstPage({ settings: { url } }: VaultContext): string {
  return `${url}/secrets?maxresults=25&${VERSION}`
}

async function readPage(
  ctx: VaultContext,
  address: string,
): Promise<{ readonly names: readonly string[]; readonly next: string | undefined }> {
  const answer = await ctx.fetch(address)
  const body = answer.status === 200 ? answer.json() : undefined
  const value = at(body, 'value')
  const next = at(body, 'nextLink')
  if (!Array.isArray(value)) throw odd()
  const names = value.map((item: unknown) => {
    const id = at(item, 'id')
    const [, name] = typeof id === 'string' ? (/\/secrets\/([0-9A-Za-z-]{1,127})(?:\/|$)/.exec(id) ?? []) : []
    if (name === undefined) throw odd()
    return name
  })
  if (next === undefined || next === null || next === '') return { names, next: undefined }
  // A page of another host would be asked without the token, and believed.
  if (typeof next !== 'string' || !next.startsWith(`${ctx.settings.url}/secrets?`)) throw odd()
  return { names, next }
}

function at(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined
}

function odd(): Unavailable {
  return new Unavailable('no', 'The vault answered in a form that is not its own', { step: 'signed-in' })
}
