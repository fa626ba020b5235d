/** Requests to one bucket, signed, and what the service's refusals mean. */
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
import { addressesOf, type settings } from './settings.ts'
import { signed, type Keys } from './signing.ts'
import { escapeXml, expectXml, readXml, textOf, type Node } from './xml.ts'

export type S3Context = Context<typeof settings>

export interface S3Request {
  readonly method: NonNullable<FetchInit['method']>
  /** Undefined for the bucket itself. */
  readonly key?: string
  readonly query?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  /** What is being done, for messages, and the right that it needs. */
  readonly doing: string
  readonly right: string
}

export interface S3Client {
  /** Every answer that is none of 401, 429, 5xx: those are thrown. */
  ask(request: S3Request): Promise<FetchAnswer>
  /** The same, and throws what any other status than 2xx means. */
  do(request: S3Request): Promise<FetchAnswer>
}

/** Those whose meaning is in the body. */
const JUDGED = [403, 501, 507]
/** Of the keys that a role is given; they are made anew before they end. */
const ROLE_SECONDS = 3600
const RENEW_BEFORE_MS = 10 * 60_000

export function makeClient(ctx: S3Context): S3Client {
  const { bucketUrl } = addressesOf(ctx.settings)
  const keysNow = makeKeys(ctx)
  const ask: S3Client['ask'] = async ({ method, key, query = {}, headers = {}, body }) => {
    ctx.signal.throwIfAborted()
    const url = new URL(key === undefined ? bucketUrl : `${bucketUrl}/${key.split('/').map(escapePart).join('/')}`)
    if (key === undefined && url.pathname === '') url.pathname = '/'
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
    // `+` for a space is a form's way of writing, and not what is signed.
    const target = new URL(`${url.origin}${url.pathname}${url.search.replaceAll('+', '%20')}`)
    const signable = { method, url: target, headers, body }
    const scope = { service: 's3', region: ctx.settings.region, now: ctx.now() } as const
    const all = await signed(signable, await keysNow(), scope)
    return await ctx.fetch(target, { method, headers: all, accept: JUDGED, ...(body === undefined ? {} : { body }) })
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

/** The keys of the connection, or those of the role that is taken on with them. */
function makeKeys(ctx: S3Context): () => Promise<Keys> {
  const { settings } = ctx
  const sessionToken = settings.sessionToken?.reveal()
  const own: Keys = {
    accessKeyId: settings.accessKeyId,
    secretAccessKey: settings.secretAccessKey.reveal(),
    ...(sessionToken === undefined || sessionToken === '' ? {} : { sessionToken }),
  }
  if (settings.signIn === 'keys') return () => Promise.resolve(own)
  let current: Promise<{ readonly keys: Keys; readonly endsMs: number }> | undefined
  return async () => {
    const known = await current?.catch(() => undefined)
    if (known === undefined || known.endsMs - RENEW_BEFORE_MS <= ctx.now().getTime()) {
      const asked = assumeRole(ctx, own)
      current = asked
      return (await asked).keys
    }
    return known.keys
  }
}

async function assumeRole(ctx: S3Context, own: Keys): Promise<{ readonly keys: Keys; readonly endsMs: number }> {
  const { settings } = ctx
  const url = new URL(addressesOf(settings).stsUrl)
  const body = new URLSearchParams({
    Action: 'AssumeRole',
    Version: '2011-06-15',
    RoleArn: settings.roleArn ?? '',
    RoleSessionName: 'patchbay',
    DurationSeconds: String(ROLE_SECONDS),
    ...(settings.externalId === undefined ? {} : { ExternalId: settings.externalId }),
  }).toString()
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const scope = { service: 'sts', region: settings.region, now: ctx.now() } as const
  const all = await signed({ method: 'POST', url, headers, body }, own, scope)
  const answer = await ctx.fetch(url, { method: 'POST', headers: all, body, accept: [403] })
  if (answer.status !== 200) throw roleRefusal(codeOf(answer), answer.status)
  const result = childOf(expectXml(answer.text(), 'AssumeRoleResponse'), 'AssumeRoleResult')
  const given = childOf(result, 'Credentials')
  const keys = {
    accessKeyId: textOf(given, 'AccessKeyId'),
    secretAccessKey: textOf(given, 'SecretAccessKey'),
    sessionToken: textOf(given, 'SessionToken'),
  }
  const endsMs = Date.parse(textOf(given, 'Expiration'))
  if (Object.values(keys).includes('') || Number.isNaN(endsMs))
    throw new Unavailable('no', 'The Security Token Service gave no keys for the role')
  return { keys, endsMs }
}

function roleRefusal(code: string, status: number): ConnectorError {
  const signIn = signInRefusal(code)
  if (signIn !== undefined) return signIn
  return new ConnectionRefused(
    `These access keys may not take on the role (${code === '' ? status : code}): the role's trust policy must name their ` +
      'user, and the user needs sts:AssumeRole on the role. An external ID must be the one that the policy asks for',
    { field: 'roleArn', step: 'signed-in' },
  )
}

function signInRefusal(code: string): ConnectorError | undefined {
  const refused = (field: string, message: string): ConnectionRefused =>
    new ConnectionRefused(message, { field, step: 'signed-in' })
  switch (code) {
    case 'InvalidAccessKeyId':
    case 'InvalidClientTokenId':
      return refused('accessKeyId', 'There is no such access key, or it is inactive')
    case 'SignatureDoesNotMatch':
      return refused('secretAccessKey', 'The secret access key is not the one of this access key')
    case 'ExpiredToken':
    case 'ExpiredTokenException':
      return refused('sessionToken', 'The temporary access keys have ended: enter new ones')
    case 'InvalidToken':
      return refused('sessionToken', 'The session token is not the one of these access keys')
    case 'RequestTimeTooSkewed':
    case 'RequestExpired':
      return new ConnectionRefused("This machine's clock is wrong by more than 15 minutes: set it right", {
        step: 'signed-in',
      })
    default:
      return undefined
  }
}

/** The service's own word for a refusal; empty where the answer holds none, as that to a HEAD. */
export function codeOf(answer: FetchAnswer): string {
  const root = readXml(answer.text())
  if (root === undefined) return ''
  const error = root.name === 'ErrorResponse' ? childOf(root.value, 'Error') : root.value
  return textOf(error, 'Code').replaceAll(/[^\w.]/g, '')
}

/** Who acts next on a refusal. Of the answer only the code is told: its message may repeat names. */
export function refusalOf(
  answer: FetchAnswer,
  { doing, right }: Pick<S3Request, 'doing' | 'right'>,
  { bucket, region }: S3Context['settings'],
): ConnectorError {
  const { status, headers } = answer
  const code = codeOf(answer)
  const shown = code === '' ? String(status) : `${status} ${code}`
  const signIn = signInRefusal(code)
  if (signIn !== undefined) return signIn
  if (code === 'NoSuchBucket') return new SettingsInvalid('bucket', `There is no bucket ${bucket}`)
  if (code.startsWith('KMS.') || code.startsWith('KMS'))
    return new SettingsInvalid(
      'kmsKey',
      `The KMS key cannot be used (${code}): it must be there, enabled, and of this region`,
    )
  if (status === 301 || status === 307 || code === 'AuthorizationHeaderMalformed' || code === 'PermanentRedirect') {
    const told = headers.get('x-amz-bucket-region') ?? textOf(readXml(answer.text())?.value ?? {}, 'Region')
    const where = /^[a-z0-9-]{1,40}$/.test(told) ? `in ${told}` : 'in another region'
    return new SettingsInvalid('region', `The bucket ${bucket} is ${where}, and not in ${region}`)
  }
  if (status === 507 || /Quota|StorageFull|InsufficientStorage|TooManyObjects/.test(code))
    return new Unavailable('no', `The storage is full or its quota is reached (${shown})`, { step: 'may-write' })
  if (status === 403)
    return new ConnectionRefused(
      `Patchbay may not ${doing} (${shown}): its policy must allow ${right}, and nothing in the bucket's own policy may deny it`,
      { step: 'may-write' },
    )
  if (status === 409 || status === 408 || status === 501 || code === 'RequestTimeout')
    return new Unavailable('maybe', `The service could not ${doing} (${shown})`, { step: 'may-write' })
  return new DestinationInvalid('folder', `The service refused to ${doing} (${shown})`)
}

export function completionXml(
  parts: readonly { readonly etag: string; readonly sha256: string | undefined }[],
): string {
  const lines = parts.map(({ etag, sha256 }, index) => {
    const checksum = sha256 === undefined ? '' : `<ChecksumSHA256>${sha256}</ChecksumSHA256>`
    return `<Part>${checksum}<ETag>${escapeXml(etag)}</ETag><PartNumber>${index + 1}</PartNumber></Part>`
  })
  return `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${lines.join('')}</CompleteMultipartUpload>`
}

function childOf(node: Node, name: string): Node {
  const value = node[name]
  return typeof value === 'object' && value !== null ? (value as Node) : {}
}

/** Every character that is not unreserved, as the signature wants it. */
function escapePart(part: string): string {
  return encodeURIComponent(part).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}
