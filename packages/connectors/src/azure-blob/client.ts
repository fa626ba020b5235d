/** Requests to one container, signed where the sign-in asks for it, and what the service's refusals mean. */
import { createHmac } from 'node:crypto'
import {
  ConnectionRefused,
  DestinationInvalid,
  SettingsInvalid,
  Unavailable,
  type ConnectorError,
  type Context,
  type FetchAnswer,
  type FetchInit,
} from '@patchbay/connector-sdk'
import type { Account } from './connection-string.ts'
import { accountOf, type settings } from './settings.ts'

export type AzureContext = Context<typeof settings>

export interface BlobRequest {
  readonly method: NonNullable<FetchInit['method']>
  readonly name: string
  readonly query?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  /** What is being done, for messages, and the permission of a shared access signature that it needs. */
  readonly doing: string
  readonly right: string
}

export interface BlobClient {
  /** Every answer that is neither 429 nor 5xx: those are thrown. */
  ask(request: BlobRequest): Promise<FetchAnswer>
  /** The same, and throws what any other status than 2xx means. */
  do(request: BlobRequest): Promise<FetchAnswer>
}

/** From 2019 on the service takes blocks of 4,000 MB; later versions add nothing that is used here. */
const VERSION = '2021-12-02'
/** Their meaning is in `x-ms-error-code`. */
const JUDGED = [401, 403]

export function makeClient(ctx: AzureContext): BlobClient {
  const account = accountOf(ctx.settings)
  const ask: BlobClient['ask'] = async ({ method, name, query = {}, headers = {}, body }) => {
    ctx.signal.throwIfAborted()
    const url = new URL(`${account.url}/${ctx.settings.container}/${name.split('/').map(escapePart).join('/')}`)
    url.search = queryOf(query, account)
    const own = { ...headers, 'x-ms-version': VERSION, 'x-ms-date': ctx.now().toUTCString() }
    const proof = account.proof.kind === 'key' ? signature({ method, url, headers: own, body }, account) : {}
    const sent = body === undefined ? {} : { body }
    return await ctx.fetch(url, { method, headers: { ...own, ...proof }, accept: JUDGED, ...sent })
  }
  return {
    ask,
    async do(request) {
      const answer = await ask(request)
      if (answer.status >= 200 && answer.status < 300) return answer
      throw refusalOf(answer, request, ctx.settings)
    },
  }
}

function queryOf(query: Readonly<Record<string, string>>, { proof }: Account): string {
  const pairs = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
  return [...pairs, ...(proof.kind === 'sas' ? [proof.sas] : [])].join('&')
}

interface Signable {
  readonly method: string
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array | undefined
}

/** Shared Key, as "Authorize with Shared Key" describes it for the Blob service. */
function signature(request: Signable, { name, proof }: Account): Readonly<Record<string, string>> {
  if (proof.kind !== 'key') return {}
  const key = Buffer.from(proof.key, 'base64')
  const text = stringToSign(request, name)
  return { authorization: `SharedKey ${name}:${createHmac('sha256', key).update(text).digest('base64')}` }
}

const SIGNED_HEADERS = [
  ...['content-encoding', 'content-language', 'content-length', 'content-md5', 'content-type', 'date'],
  ...['if-modified-since', 'if-match', 'if-none-match', 'if-unmodified-since', 'range'],
]

export function stringToSign({ method, url, headers, body }: Signable, accountName: string): string {
  const length = body === undefined ? 0 : Buffer.byteLength(body)
  const values = { ...headers, 'content-length': length === 0 ? '' : String(length) } as Readonly<
    Record<string, string>
  >
  const own = Object.keys(headers)
    .filter((name) => name.startsWith('x-ms-'))
    .toSorted()
    .map((name) => `${name}:${headers[name]?.trim()}\n`)
  const query = [...url.searchParams]
    .map(([name, value]) => `\n${name.toLowerCase()}:${value}`)
    .toSorted()
    .join('')
  const lines = [method, ...SIGNED_HEADERS.map((name) => values[name] ?? '')]
  return `${lines.join('\n')}\n${own.join('')}/${accountName}${url.pathname}${query}`
}

/** The service's own word for a refusal. */
export function codeOf({ headers }: FetchAnswer): string {
  return (headers.get('x-ms-error-code') ?? '').replaceAll(/[^\w]/g, '')
}

const SECRET_FIELDS = {
  key: 'accountKey',
  sas: 'sas',
  'connection-string': 'connectionString',
  client: 'clientSecret',
} as const

/** Who acts next on a refusal. Of the answer only the code is told. */
export function refusalOf(
  answer: FetchAnswer,
  { doing, right }: Pick<BlobRequest, 'doing' | 'right'>,
  { container, signIn }: AzureContext['settings'],
): ConnectorError {
  const { status } = answer
  const code = codeOf(answer)
  const shown = code === '' ? String(status) : `${status} ${code}`
  const refused = (field: string, message: string): ConnectionRefused =>
    new ConnectionRefused(`${message} (${shown})`, { field, step: 'signed-in' })
  switch (code) {
    case 'AuthenticationFailed':
    case 'InvalidAuthenticationInfo':
    case 'NoAuthenticationInformation':
      return refused(
        SECRET_FIELDS[signIn],
        signIn === 'sas'
          ? 'The shared access signature is not valid: it may have ended, or its key was made anew'
          : "The service does not accept this sign-in: it is not this account's, or this machine's clock is wrong by more than 15 minutes",
      )
    case 'KeyBasedAuthenticationNotPermitted':
      return refused(
        'signIn',
        'The storage account does not allow keys, nor signatures made of them: sign in with an app registration',
      )
    case 'AuthorizationFailure':
      return refused(
        SECRET_FIELDS[signIn],
        "The storage account lets nobody in from here (allow Patchbay's address under Networking), or this sign-in is not its own",
      )
    case 'AccountIsDisabled':
      return refused('account', 'The storage account is disabled')
    case 'ContainerNotFound':
      return new SettingsInvalid('container', `There is no container ${container} in the storage account`)
    case 'ContainerBeingDeleted':
    case 'ContainerDisabled':
      return new SettingsInvalid('container', `The container ${container} is being deleted or disabled`)
    case 'BlobImmutableDueToPolicy':
      return new DestinationInvalid('folder', `A policy of the container forbids to ${doing} (${shown})`)
    case 'LeaseIdMissing':
      return new DestinationInvalid('folder', `Somebody holds a lease and forbids to ${doing} (${shown})`)
    case 'SnapshotsPresent':
      return new DestinationInvalid('folder', `Snapshots hang on it, so Patchbay does not ${doing} (${shown})`)
    case 'InvalidBlobOrBlock':
      return new DestinationInvalid(
        'folder',
        `Another program has begun to write under the same name, so Patchbay cannot ${doing} (${shown})`,
      )
  }
  if (status === 401 || status === 403)
    return new ConnectionRefused(
      `Patchbay may not ${doing} (${shown}): it needs the role Storage Blob Data Contributor on the container or, by a ` +
        `shared access signature, the permission ${right}`,
      { step: 'may-write' },
    )
  if (status === 409 || status === 408)
    return new Unavailable('maybe', `The service could not ${doing} (${shown})`, { step: 'may-write' })
  return new DestinationInvalid('folder', `The service refused to ${doing} (${shown})`)
}

/** As the service itself writes a path back, so that what is signed is what it sees. */
function escapePart(part: string): string {
  return encodeURIComponent(part).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}
