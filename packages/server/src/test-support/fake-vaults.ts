/** A HashiCorp Vault (KV version 2, AppRole and tokens) and an Azure Key Vault, written by hand after their contracts. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export const VAULT = { token: 'hvs.token-of-the-vault', roleId: 'role-of-patchbay', secretId: 'secret-id-of-patchbay' }
export const AZURE = { tenantId: 'tenant-1', clientId: 'app-1', clientSecret: 'client-secret-of-the-app' }

export interface FakeVault {
  readonly origin: string
  readonly secrets: Map<string, Readonly<Record<string, string>> | 'deleted'>
  /** Every request, as `GET /v1/…`. */
  readonly asked: string[]
  mode: 'well' | 'sealed' | 'slow' | 'odd' | 'refusing'
  stop(): Promise<void>
}

interface Said {
  readonly status: number
  readonly body: unknown
}

async function start(answer: (request: IncomingMessage, body: string, vault: FakeVault) => Said): Promise<FakeVault> {
  const server: Server = createServer((request, response) => void handle(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const vault: FakeVault = {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    secrets: new Map(),
    asked: [],
    mode: 'well',
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = ''
    for await (const chunk of request) body += String(chunk)
    vault.asked.push(`${request.method} ${request.url}`)
    if (vault.mode === 'slow') return
    const said =
      vault.mode === 'sealed'
        ? { status: 503, body: { errors: ['Vault is sealed'] } }
        : vault.mode === 'odd'
          ? { status: 200, body: ['what', 'is', 'this'] }
          : vault.mode === 'refusing'
            ? { status: 403, body: { errors: ['permission denied'] } }
            : answer(request, body, vault)
    response.writeHead(said.status, { 'content-type': 'application/json' }).end(JSON.stringify(said.body))
  }
  return vault
}

export function startHashiCorpVault(): Promise<FakeVault> {
  return start((request, body, { secrets }) => {
    const url = new URL(request.url ?? '', 'http://vault')
    if (request.method === 'POST' && url.pathname === '/v1/auth/approle/login') {
      const given = JSON.parse(body) as { role_id?: string; secret_id?: string }
      return given.role_id === VAULT.roleId && given.secret_id === VAULT.secretId
        ? { status: 200, body: { auth: { client_token: VAULT.token } } }
        : { status: 400, body: { errors: ['invalid role or secret ID'] } }
    }
    if (request.headers['x-vault-token'] !== VAULT.token)
      return { status: 403, body: { errors: ['permission denied'] } }
    if (url.pathname === '/v1/auth/token/lookup-self')
      return { status: 200, body: { data: { policies: ['patchbay'] } } }
    const [, kind, path = ''] = /^\/v1\/secret\/(data|metadata)\/(.*)$/.exec(url.pathname) ?? []
    if (kind === 'metadata' && url.searchParams.get('list') === 'true') {
      const below = [...secrets.keys()].filter((name) => name.startsWith(path)).map((name) => name.slice(path.length))
      const keys = [...new Set(below.map((name) => name.replace(/\/.*$/, '/')))]
      return keys.length === 0 ? { status: 404, body: { errors: [] } } : { status: 200, body: { data: { keys } } }
    }
    const found = kind === 'data' ? secrets.get(path) : undefined
    if (found === 'deleted')
      return {
        status: 404,
        body: { data: { data: null, metadata: { deletion_time: '2026-01-01T00:00:00Z', version: 2 } } },
      }
    return found === undefined
      ? { status: 404, body: { errors: [] } }
      : { status: 200, body: { data: { data: found, metadata: { version: 1 } } } }
  })
}

/** Also the place where its token comes from. */
export function startAzureKeyVault(): Promise<FakeVault> {
  return start((request, body, vault) => {
    const url = new URL(request.url ?? '', 'http://vault')
    if (url.pathname === `/${AZURE.tenantId}/oauth2/v2.0/token`) {
      const given = new URLSearchParams(body)
      const isRight =
        given.get('grant_type') === 'client_credentials' &&
        given.get('client_id') === AZURE.clientId &&
        given.get('client_secret') === AZURE.clientSecret &&
        given.get('scope') === 'https://vault.azure.net/.default'
      return isRight
        ? { status: 200, body: { token_type: 'Bearer', expires_in: 3599, access_token: 'azure-token' } }
        : { status: 401, body: { error: 'invalid_client' } }
    }
    if (request.headers.authorization !== 'Bearer azure-token')
      return { status: 401, body: { error: { code: 'Unauthorized' } } }
    if (url.searchParams.get('api-version') !== '7.0') return { status: 400, body: { error: { code: 'BadParameter' } } }
    if (url.pathname === '/secrets') {
      const names = [...vault.secrets.keys()]
      const from = Number(url.searchParams.get('$skiptoken') ?? 0)
      const size = Math.min(25, Number(url.searchParams.get('maxresults')))
      const next =
        from + size < names.length
          ? `${vault.origin}/secrets?api-version=7.0&maxresults=25&$skiptoken=${from + size}`
          : null
      const value = names.slice(from, from + size).map((name) => ({ id: `${vault.origin}/secrets/${name}` }))
      return { status: 200, body: { value, nextLink: next } }
    }
    const [, name = ''] = /^\/secrets\/([0-9A-Za-z-]+)\/$/.exec(url.pathname) ?? []
    const found = vault.secrets.get(name)
    return found === undefined || found === 'deleted'
      ? { status: 404, body: { error: { code: 'SecretNotFound' } } }
      : { status: 200, body: { value: found['value'], id: `${vault.origin}/secrets/${name}/1` } }
  })
}
