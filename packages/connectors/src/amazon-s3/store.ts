/**
 * A bucket as an `ObjectStore`: a file is a multipart upload that is not completed before `publish`. S3 lists such uploads
 * only with a right of its own and without anything that would tell whose they are, so each has a note beside the data, in
 * a small hidden object: the upload's id, and once all parts are there, their tags. By it any process can complete the
 * upload, or abort it. (A crash between the making of an upload and its note leaves an upload without parts. It holds
 * nothing; the lifecycle rule that the README asks for clears it away.)
 */
import { createHash } from 'node:crypto'
import {
  DestinationInvalid,
  foreignObject,
  inPieces,
  inTurns,
  Unavailable,
  type DeliveredFile,
  type FetchAnswer,
  type InPlaceOf,
  type ObjectStore,
  type OutgoingFile,
  type StandingObject,
} from '@patchbay/connector-sdk'
import {
  codeOf,
  completionXml,
  makeClient,
  refusalOf,
  type S3Client,
  type S3Context,
  type S3Request,
} from './client.ts'
import { expectXml, nodesOf, textOf } from './xml.ts'

const MB = 1024 * 1024
const PART_BYTES_MIN = 8 * MB
/** S3 takes 10,000; a note of more would be larger than an answer may be. */
const PARTS_MAX = 4000
const PARTS_AT_ONCE = 4
const NAMES_PER_LIST = 500

interface Note {
  readonly key: string
  readonly uploadId: string
  readonly sha256: string
  readonly sizeBytes: number
  /** Undefined until all are there. */
  readonly parts?: readonly Part[]
}
interface Part {
  readonly etag: string
  /** Base64, where the connection keeps checksums. */
  readonly sha256: string | undefined
}

export class S3Store implements ObjectStore {
  readonly #client: S3Client
  readonly #settings: S3Context['settings']
  readonly #prefix: string
  /** A service that knows no conditions on writing says so once, and is then not asked for them. */
  #knowsConditions = true

  constructor(ctx: S3Context) {
    this.#client = makeClient(ctx)
    this.#settings = ctx.settings
    const { baseFolder = '' } = ctx.settings
    this.#prefix = baseFolder === '' ? '' : `${baseFolder.replace(/\/+$/, '')}/`
  }

  async look(name: string): Promise<StandingObject | undefined> {
    const key = this.#key(name)
    const request = { method: 'HEAD', key, doing: `look at ${name}`, right: 's3:GetObject and s3:ListBucket' } as const
    const answer = await this.#client.ask(request)
    if (answer.status === 404) return undefined
    if (answer.status !== 200) throw refusalOf(answer, request, this.#settings)
    const runId = answer.headers.get('x-amz-meta-patchbay-run')
    const sha256 = answer.headers.get('x-amz-meta-patchbay-sha256')
    return {
      sizeBytes: Number(answer.headers.get('content-length')),
      tag: answer.headers.get('etag') ?? '',
      mark: runId === null || sha256 === null ? undefined : { runId, sha256 },
    }
  }

  async stage(name: string, file: OutgoingFile, runId: string): Promise<number> {
    await this.#abort(await this.#readNote(name, runId))
    const note = await this.#begin(name, file, runId)
    let bytes = 0
    const partBytes = Math.max(PART_BYTES_MIN, Math.ceil(file.sizeBytes / PARTS_MAX / MB) * MB)
    const parts = await inPieces(file, partBytes, PARTS_AT_ONCE, async (piece, index) => {
      const part = await this.#sendPart(note, piece, index + 1)
      bytes += piece.length
      return part
    })
    await this.#writeNote(name, runId, { ...note, parts })
    return bytes
  }

  async staged(name: string, { sha256, sizeBytes }: DeliveredFile, runId: string): Promise<number | undefined> {
    const note = await this.#readNote(name, runId)
    const isWhole = note?.parts !== undefined && note.sha256 === sha256 && note.sizeBytes === sizeBytes
    return isWhole ? note.sizeBytes : undefined
  }

  async publish(name: string, file: DeliveredFile, runId: string, inPlaceOf: InPlaceOf): Promise<void> {
    const note = await this.#readNote(name, runId)
    if (note?.parts === undefined) throw lost(name)
    const request = {
      method: 'POST',
      key: note.key,
      query: { uploadId: note.uploadId },
      headers: { 'content-type': 'application/xml' },
      body: completionXml(note.parts),
      doing: `publish ${name}`,
      right: 's3:PutObject',
    } as const
    const answer = await this.#conditional(name, request, inPlaceOf)
    const code = codeOf(answer)
    if (code === 'NoSuchUpload' || code === 'InvalidPart') throw lost(name)
    // An upload that fails after its answer has begun ends in a 200 with an error in it.
    if (answer.status !== 200 || code !== '') throw this.#completionFailure(answer, request)
    expectXml(answer.text(), 'CompleteMultipartUploadResult')
    const standing = await this.look(name)
    if (standing?.sizeBytes !== file.sizeBytes)
      throw new Unavailable(
        'maybe',
        `${name}: ${standing?.sizeBytes ?? 0} bytes stand there instead of ${file.sizeBytes}`,
      )
    await this.#removeKey(this.#noteKey(name, runId), name)
  }

  async write(name: string, file: OutgoingFile, runId: string, inPlaceOf: InPlaceOf): Promise<void> {
    const pieces = await inPieces(file, PART_BYTES_MIN, 1, (piece) => Promise.resolve(piece))
    const body = Buffer.concat(pieces)
    const request = {
      method: 'PUT',
      key: this.#key(name),
      headers: { ...this.#objectHeaders(name, file, runId), ...this.#checksumOf(body) },
      body,
      doing: `write ${name}`,
      right: 's3:PutObject',
    } as const
    const answer = await this.#conditional(name, request, inPlaceOf)
    if (answer.status !== 200) throw refusalOf(answer, request, this.#settings)
  }

  async remove(name: string): Promise<void> {
    await this.#removeKey(this.#key(name), name)
  }

  async discard(runId: string): Promise<void> {
    const keys = await this.#list(`${this.#prefix}.patchbay-${runId}-`)
    await inTurns(keys, async (key) => {
      await this.#abort(await this.#noteAt(key))
      await this.#removeKey(key, 'what a run has left')
    })
  }

  async #list(prefix: string): Promise<readonly string[]> {
    const keys: string[] = []
    let token = ''
    do {
      const answer = await this.#client.do({
        method: 'GET',
        query: {
          'list-type': '2',
          'max-keys': String(NAMES_PER_LIST),
          prefix,
          ...(token === '' ? {} : { 'continuation-token': token }),
        },
        doing: 'list the bucket',
        right: 's3:ListBucket',
      })
      const result = expectXml(answer.text(), 'ListBucketResult')
      keys.push(...nodesOf(result, 'Contents').map((entry) => textOf(entry, 'Key')))
      token = textOf(result, 'IsTruncated') === 'true' ? textOf(result, 'NextContinuationToken') : ''
    } while (token !== '')
    return keys
  }

  async #begin(name: string, file: OutgoingFile, runId: string): Promise<Note> {
    const key = this.#key(name)
    const hasChecksum = this.#settings.checksum === 'sha256'
    const answer = await this.#client.do({
      method: 'POST',
      key,
      query: { uploads: '' },
      headers: {
        ...this.#objectHeaders(name, file, runId),
        ...(hasChecksum ? { 'x-amz-checksum-algorithm': 'SHA256', 'x-amz-checksum-type': 'COMPOSITE' } : {}),
      },
      doing: `begin ${name}`,
      right: 's3:PutObject',
    })
    const uploadId = textOf(expectXml(answer.text(), 'InitiateMultipartUploadResult'), 'UploadId')
    if (uploadId === '') throw new Unavailable('maybe', 'The service began an upload without an id')
    const note = { key, uploadId, sha256: file.sha256, sizeBytes: file.sizeBytes }
    await this.#writeNote(name, runId, note)
    return note
  }

  async #sendPart({ key, uploadId }: Note, piece: Uint8Array, number: number): Promise<Part> {
    const checksum = this.#checksumOf(piece)
    const answer = await this.#client.do({
      method: 'PUT',
      key,
      query: { partNumber: String(number), uploadId },
      headers: checksum,
      body: piece,
      doing: 'send a part',
      right: 's3:PutObject',
    })
    const etag = answer.headers.get('etag')
    if (etag === null) throw new Unavailable('maybe', 'The service took a part and gave no tag for it')
    return { etag, sha256: checksum['x-amz-checksum-sha256'] }
  }

  async #abort(note: Note | undefined): Promise<void> {
    if (note === undefined) return
    const request = {
      method: 'DELETE',
      key: note.key,
      query: { uploadId: note.uploadId },
      doing: 'take away an unfinished upload',
      right: 's3:AbortMultipartUpload',
    } as const
    const answer = await this.#client.ask(request)
    // Completed or aborted already.
    if (answer.status !== 404 && (answer.status < 200 || answer.status > 299))
      throw refusalOf(answer, request, this.#settings)
  }

  async #writeNote(name: string, runId: string, note: Note): Promise<void> {
    await this.#client.do({
      method: 'PUT',
      key: this.#noteKey(name, runId),
      headers: { 'content-type': 'application/json', ...this.#encryptionHeaders() },
      body: JSON.stringify(note),
      doing: 'write a note',
      right: 's3:PutObject',
    })
  }

  #readNote(name: string, runId: string): Promise<Note | undefined> {
    return this.#noteAt(this.#noteKey(name, runId), this.#key(name))
  }

  async #noteAt(noteKey: string, of?: string): Promise<Note | undefined> {
    const request = { method: 'GET', key: noteKey, doing: 'read a note', right: 's3:GetObject' } as const
    const answer = await this.#client.ask(request)
    if (answer.status === 404 && codeOf(answer) !== 'NoSuchBucket') return undefined
    if (answer.status !== 200) throw refusalOf(answer, request, this.#settings)
    return readNote(answer.text(), of, this.#prefix)
  }

  async #removeKey(key: string, name: string): Promise<void> {
    await this.#client.do({ method: 'DELETE', key, doing: `remove ${name}`, right: 's3:DeleteObject' })
  }

  async #conditional(name: string, request: S3Request, inPlaceOf: InPlaceOf): Promise<FetchAnswer> {
    const condition: Readonly<Record<string, string>> =
      inPlaceOf === 'nothing' ? { 'if-none-match': '*' } : { 'if-match': inPlaceOf.tag }
    if (!this.#knowsConditions) return this.#client.ask(request)
    const answer = await this.#client.ask({ ...request, headers: { ...request.headers, ...condition } })
    if (answer.status === 412) throw foreignObject(name)
    if (answer.status !== 501) return answer
    this.#knowsConditions = false
    return this.#client.ask(request)
  }

  #completionFailure(answer: FetchAnswer, request: S3Request): Error {
    if (answer.status !== 200) return refusalOf(answer, request, this.#settings)
    return new Unavailable('maybe', `The service did not finish to ${request.doing} (${codeOf(answer)})`)
  }

  #objectHeaders(name: string, { sha256 }: OutgoingFile, runId: string): Readonly<Record<string, string>> {
    return {
      'content-type': contentTypeOf(name),
      'x-amz-meta-patchbay-run': runId,
      'x-amz-meta-patchbay-sha256': sha256,
      ...this.#encryptionHeaders(),
    }
  }

  #encryptionHeaders(): Readonly<Record<string, string>> {
    const { encryption, kmsKey } = this.#settings
    if (encryption === 'bucket') return {}
    const hasKey = encryption !== 'AES256' && kmsKey !== undefined && kmsKey !== ''
    return {
      'x-amz-server-side-encryption': encryption,
      ...(hasKey ? { 'x-amz-server-side-encryption-aws-kms-key-id': kmsKey } : {}),
    }
  }

  #checksumOf(bytes: Uint8Array): Readonly<Record<string, string>> {
    if (this.#settings.checksum === 'none') return {}
    return { 'x-amz-checksum-sha256': createHash('sha256').update(bytes).digest('base64') }
  }

  #key(name: string): string {
    return `${this.#prefix}${name}`
  }

  #noteKey(name: string, runId: string): string {
    const hash = createHash('sha256').update(name).digest('hex').slice(0, 24)
    return `${this.#prefix}.patchbay-${runId}-${hash}.part`
  }
}

/**
 * Amazon's objects are written whole or not at all; another service may keep the half of one whose sender died. Such a note
 * tells nothing, and is written anew. One that is whole and not as we write it is somebody's doing.
 */
function readNote(text: string, of: string | undefined, prefix: string): Note | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  const isRecord = (one: unknown): one is Readonly<Record<string, unknown>> => typeof one === 'object' && one !== null
  const isPart = (one: unknown): one is Part =>
    isRecord(one) && typeof one['etag'] === 'string' && ['string', 'undefined'].includes(typeof one['sha256'])
  if (
    isRecord(value) &&
    typeof value['key'] === 'string' &&
    (of === undefined ? value['key'].startsWith(prefix) : value['key'] === of) &&
    typeof value['uploadId'] === 'string' &&
    typeof value['sha256'] === 'string' &&
    typeof value['sizeBytes'] === 'number' &&
    (value['parts'] === undefined || (Array.isArray(value['parts']) && value['parts'].every(isPart)))
  )
    return value as unknown as Note
  throw new DestinationInvalid('folder', 'A note that Patchbay left (.patchbay-…) was changed by somebody: remove it')
}

function lost(name: string): Unavailable {
  return new Unavailable('maybe', `${name}: what was sent is no longer there. Run again`)
}

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  csv: 'text/csv; charset=utf-8',
  json: 'application/json',
  jsonl: 'application/x-ndjson',
  gz: 'application/gzip',
  parquet: 'application/vnd.apache.parquet',
}

function contentTypeOf(name: string): string {
  return CONTENT_TYPES[name.slice(name.lastIndexOf('.') + 1)] ?? 'application/octet-stream'
}
