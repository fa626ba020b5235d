import {
  ConnectionRefused,
  defineConnector,
  Unavailable,
  type Context,
  type FetchAnswer,
  type Fields,
} from '@patchbay/connector-sdk'

const settings = {
  url: {
    kind: 'text',
    label: 'Address',
    example: 'https://vault.example.com:8200',
    pattern: 'https?://[^\\s@?#/]+',
    maxLength: 500,
    endpoint: true,
  },
  namespace: {
    kind: 'text',
    label: 'Namespace',
    help: 'Only where the vault has some',
    pattern: '[\\w./-]+',
    maxLength: 200,
    optional: true,
    endpoint: true,
  },
  mount: {
    kind: 'text',
    label: 'Secrets engine',
    help: 'Where the KV engine (version 2) is mounted',
    pattern: '[\\w-]+',
    maxLength: 100,
    default: 'secret',
    endpoint: true,
  },
  signIn: {
    kind: 'choice',
    label: 'Sign in with',
    choices: [
      { value: 'approle', label: 'AppRole' },
      { value: 'token', label: 'Token' },
    ],
    default: 'approle',
  },
  token: {
    kind: 'secret',
    label: 'Token',
    help: 'Of a policy that may list and read, and nothing else',
    showWhen: { field: 'signIn', is: 'token' },
  },
  roleId: {
    kind: 'text',
    label: 'Role id',
    maxLength: 200,
    endpoint: true,
    showWhen: { field: 'signIn', is: 'approle' },
  },
  secretId: {
    kind: 'secret',
    label: 'Secret id',
    help: 'vault write -f auth/approle/role/patchbay/secret-id',
    showWhen: { field: 'signIn', is: 'approle' },
  },
} as const satisfies Fields

type VaultContext = Context<typeof settings>

export const hashiCorpVault = defineConnector({
  id: 'hashicorp-vault',
  name: 'HashiCorp Vault',
  summary: 'Lets connections name a secret of your vault instead of holding one.',
  category: 'key-vault',
  // What comes in is secrets.
  direction: 'enrichment',
  settings,
  auth: {
    type: 'choice',
    field: 'signIn',
    of: {
      token: {
        type: 'header',
        headers: ({ token }) => ({ 'x-vault-token': token?.reveal() ?? '' }),
        origin: ({ url }) => url,
      },
      // The token is asked for at each use, and kept nowhere.
      approle: { type: 'none' },
    },
  },
  async *check(ctx) {
    const headers = await signIn(ctx)
    yield { step: 'reached', ok: true }
    const { status } = await ask(ctx, 'auth/token/lookup-self', headers)
    yield status === 200
      ? { step: 'signed-in', ok: true }
      : { step: 'signed-in', ok: false, message: `The vault answered ${status}` }
  },
  destinations: {},
  secrets: {
    async list(ctx, folder) {
      const answer = await ask(
        ctx,
        `${ctx.settings.mount}/metadata/${checkedPath(folder)}?list=true`,
        await signIn(ctx),
      )
      if (answer.status === 404) return []
      const keys = at(at(answer.json(), 'data'), 'keys')
      if (!Array.isArray(keys) || !keys.every((key) => typeof key === 'string')) throw odd()
      return keys.map((key) => `${folder}${key}`)
    },
    async read(ctx, name) {
      const [path = '', key, ...rest] = name.split('#')
      if (rest.length > 0) throw new ConnectionRefused('Write the secret as path#key')
      const answer = await ask(ctx, `${ctx.settings.mount}/data/${checkedPath(path)}`, await signIn(ctx))
      // Also a version that was deleted or destroyed, whose metadata come with the 404.
      if (answer.status === 404) return undefined
      const data = at(at(answer.json(), 'data'), 'data')
      if (typeof data !== 'object' || data === null) throw odd()
      const values = Object.entries(data)
      const found =
        key === undefined ? (values.length === 1 ? values[0] : undefined) : values.find(([own]) => own === key)
      if (found === undefined) return undefined
      if (typeof found[1] !== 'string') throw odd()
      return found[1]
    },
  },
})

async function signIn(ctx: VaultContext): Promise<Readonly<Record<string, string>>> {
  const { signIn: way, roleId, secretId, namespace } = ctx.settings
  const own = namespace === undefined ? {} : { 'x-vault-namespace': namespace }
  if (way === 'token') return own
  const body = JSON.stringify({ role_id: roleId, secret_id: secretId?.reveal() })
  const headers = { ...own, 'content-type': 'application/json' }
  const answer = await ctx.fetch(`${ctx.settings.url}/v1/auth/approle/login`, {
    method: 'POST',
    headers,
    body,
    accept: [400, 503],
  })
  refuseSealed(answer)
  if (answer.status !== 200)
    throw new ConnectionRefused('The vault refused the role', { step: 'signed-in', field: 'secretId' })
  const token = at(at(answer.json(), 'auth'), 'client_token')
  if (typeof token !== 'string' || token === '') throw odd()
  return { ...own, 'x-vault-token': token }
}

async function ask(ctx: VaultContext, path: string, headers: Readonly<Record<string, string>>): Promise<FetchAnswer> {
  const answer = await ctx.fetch(`${ctx.settings.url}/v1/${path}`, { headers, accept: [404, 503] })
  refuseSealed(answer)
  if (answer.status !== 200 && answer.status !== 404) throw odd()
  return answer
}

function refuseSealed({ status }: FetchAnswer): void {
  if (status === 503) throw new Unavailable('no', 'The vault is sealed, or not in service', { step: 'reached' })
}

/** Folders and a name: nothing that leads out of the secrets engine. */
function checkedPath(path: string): string {
  const isGood = path
    .split('/')
    .every((part, index, all) => /^[\w-][\w.-]*$/.test(part) || (part === '' && index === all.length - 1))
  if (isGood && path.length <= 500) return path
  throw new ConnectionRefused('A secret of the vault is named by letters, digits, -, _, . and /')
}

function at(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined
}

function odd(): Unavailable {
  return new Unavailable('no', 'The vault answered in a form that is not its own', { step: 'signed-in' })
}
