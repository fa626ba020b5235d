/**
 * S3 as far as the connector speaks to it, by Amazon's published API and not by the connector's code: it verifies each
 * signature with an implementation of its own, each digest and checksum, keeps uploads apart from objects, knows
 * conditions on writing, and can be told to refuse, to break off and to be full.
 */
import { createHash, createHmac, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'

export interface FakeObject {
  readonly body: Buffer
  readonly etag: string
  readonly headers: Readonly<Record<string, string>>
}

interface Upload {
  readonly key: string
  readonly headers: Readonly<Record<string, string>>
  readonly parts: Map<number, { readonly body: Buffer; readonly etag: string; readonly checksum: string | undefined }>
}

export interface FakeRequest {
  readonly method: string
  readonly key: string
  readonly query: URLSearchParams
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

export interface Fault {
  readonly status: number
  readonly code?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Done first, and then answered so. */
  readonly afterwards?: true
  /** Answers nothing at all. */
  readonly cut?: true
}

export interface FakeS3 {
  readonly url: string
  readonly objects: Map<string, FakeObject>
  readonly uploads: Map<string, Upload>
  readonly received: FakeRequest[]
  /** What goes wrong with a request; undefined for what goes right. */
  fault: (request: FakeRequest) => Fault | undefined
  /** Of all objects and parts together. */
  quotaBytes: number
  now: () => number
  /** Keys of roles, as AssumeRole gave them. */
  readonly roleKeys: Map<string, { readonly secret: string; readonly token: string }>
  stop(): Promise<void>
}

type State = Omit<FakeS3, 'url' | 'stop'>

export const BUCKET = 'exports'
export const ACCESS = { accessKeyId: 'AKIAFAKE', secretAccessKey: 'fake/Secret+Key' }
export const ROLE_ARN = 'arn:aws:iam::123456789012:role/patchbay'

export async function startFakeS3(region = 'eu-central-1'): Promise<FakeS3> {
  const fake: State = {
    objects: new Map(),
    uploads: new Map(),
    received: [],
    fault: () => undefined,
    quotaBytes: Infinity,
    now: Date.now,
    roleKeys: new Map(),
  }
  const server = createServer((incoming, response) => {
    void readRequest(incoming).then((request) => {
      if (request === undefined) return
      fake.received.push(request)
      const fault = fake.fault(request)
      if (fault?.afterwards === true) answerRight(fake, region, request)
      if (fault?.cut === true) incoming.socket.destroy()
      else send(response, request, fault === undefined ? answerRight(fake, region, request) : answerOf(fault))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('No port')
  return Object.assign(fake, {
    url: `http://127.0.0.1:${address.port}`,
    stop: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  })
}

interface Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
}

function answerOf({ status, code, headers }: Fault): Answer {
  return { status, ...(headers === undefined ? {} : { headers }), body: code === undefined ? '' : errorXml(code) }
}

function errorXml(code: string, more = ''): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>Not told</Message>${more}</Error>`
}

class Refused extends Error {
  readonly answer: Answer
  constructor(status: number, code: string, more = '') {
    super(code)
    this.answer = { status, body: errorXml(code, more) }
  }
}

async function readRequest(incoming: IncomingMessage): Promise<(FakeRequest & { readonly path: string }) | undefined> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of incoming) chunks.push(chunk as Buffer)
  } catch {
    return undefined
  }
  const url = new URL(incoming.url ?? '/', 'http://fake')
  const [bucket = '', ...rest] = url.pathname.slice(1).split('/')
  const headers = Object.fromEntries(Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]))
  const key = decodeURIComponent(rest.join('/'))
  const path = incoming.url ?? '/'
  return {
    method: incoming.method ?? '',
    key,
    query: url.searchParams,
    headers,
    body: Buffer.concat(chunks),
    path,
    ...(bucket === BUCKET ? {} : { key: `?${bucket}` }),
  }
}

function send(response: ServerResponse, { method }: FakeRequest, { status, headers = {}, body = '' }: Answer): void {
  response.writeHead(status, { 'content-length': Buffer.byteLength(body), ...headers })
  response.end(method === 'HEAD' ? undefined : body)
}

function answerRight(fake: State, region: string, request: FakeRequest & { path?: string }): Answer {
  try {
    verifySignature(fake, region, request)
    if (request.key === '?' && request.method === 'POST') return assumeRole(fake, request)
    if (request.key.startsWith('?')) throw new Refused(404, 'NoSuchBucket')
    verifyChecksum(request)
    return route(fake, request)
  } catch (error) {
    if (error instanceof Refused) return error.answer
    throw error
  }
}

function route(fake: State, request: FakeRequest): Answer {
  const { method, key, query } = request
  const uploadId = query.get('uploadId')
  if (key === '' && method === 'GET') return list(fake, query)
  if (method === 'HEAD' || method === 'GET') return read(fake, key)
  if (method === 'POST' && query.has('uploads')) return begin(fake, request)
  if (method === 'POST' && uploadId !== null) return complete(fake, request, uploadId)
  if (method === 'PUT' && uploadId !== null) return sendPart(fake, request, uploadId)
  if (method === 'PUT') {
    checkCondition(fake, request)
    return { status: 200, headers: { etag: store(fake, key, request.body, request.headers, `"${md5(request.body)}"`) } }
  }
  if (method === 'DELETE' && uploadId !== null) {
    if (!fake.uploads.delete(uploadId)) throw new Refused(404, 'NoSuchUpload')
    return { status: 204 }
  }
  if (method === 'DELETE') {
    fake.objects.delete(key)
    return { status: 204 }
  }
  throw new Refused(405, 'MethodNotAllowed')
}

function list(fake: State, query: URLSearchParams): Answer {
  const limit = Number(query.get('max-keys') ?? 1000)
  const after = query.get('continuation-token') ?? ''
  const found = [...fake.objects.keys()]
    .filter((key) => key.startsWith(query.get('prefix') ?? '') && key > after)
    .toSorted()
  const page = found.slice(0, limit)
  const isCut = found.length > limit
  const entries = page.map((key) => `<Contents><Key>${escape(key)}</Key><Size>1</Size></Contents>`).join('')
  const next = isCut ? `<NextContinuationToken>${escape(page.at(-1) ?? '')}</NextContinuationToken>` : ''
  return {
    status: 200,
    body: `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsTruncated>${isCut}</IsTruncated>${next}${entries}</ListBucketResult>`,
  }
}

function read(fake: State, key: string): Answer {
  const found = fake.objects.get(key)
  if (found === undefined) throw new Refused(404, 'NoSuchKey')
  const kept = Object.entries(found.headers).filter(([name]) => /^x-amz-(?:meta|server)|^content-type$/.test(name))
  return { status: 200, headers: { ...Object.fromEntries(kept), etag: found.etag }, body: found.body }
}

function begin(fake: State, { key, headers }: FakeRequest): Answer {
  const id = randomUUID()
  fake.uploads.set(id, { key, headers, parts: new Map() })
  return {
    status: 200,
    body: `<InitiateMultipartUploadResult><Bucket>${BUCKET}</Bucket><Key>${escape(key)}</Key><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`,
  }
}

function sendPart(fake: State, { key, query, body, headers }: FakeRequest, id: string): Answer {
  const upload = fake.uploads.get(id)
  if (upload?.key !== key) throw new Refused(404, 'NoSuchUpload')
  if (used(fake) + body.length > fake.quotaBytes) throw new Refused(403, 'QuotaExceeded')
  const checksum = headers['x-amz-checksum-sha256']
  if ((upload.headers['x-amz-checksum-algorithm'] === 'SHA256') !== (checksum !== undefined))
    throw new Refused(400, 'InvalidRequest')
  const etag = `"${md5(body)}"`
  upload.parts.set(Number(query.get('partNumber')), { body, etag, checksum })
  return { status: 200, headers: { etag } }
}

function complete(fake: State, request: FakeRequest, id: string): Answer {
  const upload = fake.uploads.get(id)
  if (upload?.key !== request.key) throw new Refused(404, 'NoSuchUpload')
  checkCondition(fake, request)
  const wanted = [...request.body.toString().matchAll(/<Part>(.*?)<\/Part>/gs)].map(([, part = '']) => ({
    number: Number(/<PartNumber>(\d+)</.exec(part)?.[1]),
    etag: /<ETag>(.*?)</.exec(part)?.[1]?.replaceAll('&quot;', '"'),
    checksum: /<ChecksumSHA256>(.*?)</.exec(part)?.[1],
  }))
  const parts = wanted.map(({ number, etag, checksum }, index) => {
    const part = upload.parts.get(number)
    if (part === undefined || part.etag !== etag || part.checksum !== checksum) throw new Refused(400, 'InvalidPart')
    if (number !== index + 1) throw new Refused(400, 'InvalidPartOrder')
    if (index < wanted.length - 1 && part.body.length < 5 * 1024 * 1024) throw new Refused(400, 'EntityTooSmall')
    return part
  })
  if (parts.length === 0) throw new Refused(400, 'MalformedXML')
  fake.uploads.delete(id)
  const body = Buffer.concat(parts.map((part) => part.body))
  store(fake, upload.key, body, upload.headers, `"${md5(body)}-${parts.length}"`)
  return {
    status: 200,
    body: `<CompleteMultipartUploadResult><Key>${escape(upload.key)}</Key></CompleteMultipartUploadResult>`,
  }
}

function store(
  fake: State,
  key: string,
  body: Buffer,
  headers: Readonly<Record<string, string>>,
  etag: string,
): string {
  if (used(fake) + body.length > fake.quotaBytes) throw new Refused(403, 'QuotaExceeded')
  fake.objects.set(key, { body, etag, headers })
  return etag
}

function checkCondition(fake: State, { key, headers }: FakeRequest): void {
  const found = fake.objects.get(key)
  if (headers['if-none-match'] === '*' && found !== undefined) throw new Refused(412, 'PreconditionFailed')
  if (headers['if-match'] !== undefined && headers['if-match'] !== found?.etag)
    throw new Refused(found === undefined ? 404 : 412, found === undefined ? 'NoSuchKey' : 'PreconditionFailed')
}

function used(fake: State): number {
  const parts = [...fake.uploads.values()].flatMap((upload) => [...upload.parts.values()])
  return [...fake.objects.values(), ...parts].reduce((sum, { body }) => sum + body.length, 0)
}

function assumeRole(fake: State, { body }: FakeRequest): Answer {
  const form = new URLSearchParams(body.toString())
  if (form.get('RoleArn') !== ROLE_ARN || form.get('ExternalId') !== 'ours')
    return { status: 403, body: '<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>' }
  const [id, secret, token] = [`ASIA${fake.roleKeys.size}`, randomUUID(), randomUUID()]
  fake.roleKeys.set(id, { secret, token })
  const expires = new Date(fake.now() + Number(form.get('DurationSeconds')) * 1000).toISOString()
  return {
    status: 200,
    body: `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials><AccessKeyId>${id}</AccessKeyId><SecretAccessKey>${secret}</SecretAccessKey><SessionToken>${token}</SessionToken><Expiration>${expires}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`,
  }
}

/** Written from Amazon's description of Signature Version 4, apart from the library that the connector signs with. */
function verifySignature(
  fake: State,
  region: string,
  { method, headers, body, path = '' }: FakeRequest & { path?: string },
): void {
  const found =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/(s3|sts)\/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(
      headers['authorization'] ?? '',
    )
  if (found === null) throw new Refused(403, 'AccessDenied')
  const [, id = '', day = '', signedFor = '', service = '', names = '', signature = ''] = found
  const role = fake.roleKeys.get(id)
  const secret = id === ACCESS.accessKeyId ? ACCESS.secretAccessKey : role?.secret
  if (secret === undefined) throw new Refused(403, 'InvalidAccessKeyId')
  if (role !== undefined && headers['x-amz-security-token'] !== role.token) throw new Refused(400, 'InvalidToken')
  if (signedFor !== region) throw new Refused(400, 'AuthorizationHeaderMalformed', `<Region>${region}</Region>`)
  const digest = createHash('sha256').update(body).digest('hex')
  if (headers['x-amz-content-sha256'] !== digest) throw new Refused(400, 'XAmzContentSHA256Mismatch')
  const signedNames = names.split(';')
  for (const name of Object.keys(headers))
    if ((name.startsWith('x-amz-') || name === 'host') && !signedNames.includes(name))
      throw new Refused(403, 'AccessDenied')
  const [rawPath = '', rawQuery = ''] = path.split('?')
  const query = rawQuery === '' ? [] : rawQuery.split('&').map((pair) => (pair.includes('=') ? pair : `${pair}=`))
  const canonical = [
    method,
    rawPath,
    query.toSorted().join('&'),
    ...signedNames.map((name) => `${name}:${(headers[name] ?? '').trim()}`),
    '',
    names,
    digest,
  ].join('\n')
  const moment = headers['x-amz-date'] ?? ''
  const scope = `${day}/${region}/${service}/aws4_request`
  const hash = createHash('sha256').update(canonical).digest('hex')
  const key = [day, region, service, 'aws4_request'].reduce<Buffer>(
    (secretKey, part) => createHmac('sha256', secretKey).update(part).digest(),
    Buffer.from(`AWS4${secret}`),
  )
  const expected = createHmac('sha256', key).update(`AWS4-HMAC-SHA256\n${moment}\n${scope}\n${hash}`).digest('hex')
  if (expected !== signature) throw new Refused(403, 'SignatureDoesNotMatch')
}

function verifyChecksum({ headers, body }: FakeRequest): void {
  const given = headers['x-amz-checksum-sha256']
  if (given !== undefined && given !== createHash('sha256').update(body).digest('base64'))
    throw new Refused(400, 'BadDigest')
}

function md5(body: Buffer): string {
  return createHash('md5').update(body).digest('hex')
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
