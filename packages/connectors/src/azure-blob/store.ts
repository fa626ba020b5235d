/**
 * A container as an `ObjectStore`: a file is staged as blocks of the blob that it is to be, which nobody sees before they
 * are committed. The blocks' ids are ours to choose, so they say of which run and of which content they are, and any
 * process can tell what is there. Blocks that are never committed cannot be taken away without showing the blob for a
 * moment; the service drops them a week after the last was sent.
 */
import { createHash } from 'node:crypto'
import {
  foreignObject,
  inPieces,
  Unavailable,
  type DeliveredFile,
  type InPlaceOf,
  type ObjectStore,
  type OutgoingFile,
  type StandingObject,
} from '@patchbay/connector-sdk'
import { XMLParser } from 'fast-xml-parser'
import { codeOf, makeClient, refusalOf, type AzureContext, type BlobClient, type BlobRequest } from './client.ts'

const MB = 1024 * 1024
const BLOCK_BYTES_MIN = 8 * MB
/** The service takes 50,000, and the list of them must fit into one answer. */
const BLOCKS_MAX = 5000
const BLOCKS_AT_ONCE = 4

export class BlobStore implements ObjectStore {
  readonly #client: BlobClient
  readonly #settings: AzureContext['settings']
  readonly #prefix: string

  constructor(ctx: AzureContext) {
    this.#client = makeClient(ctx)
    this.#settings = ctx.settings
    const { baseFolder = '' } = ctx.settings
    this.#prefix = baseFolder === '' ? '' : `${baseFolder.replace(/\/+$/, '')}/`
  }

  async look(name: string): Promise<StandingObject | undefined> {
    const request = { method: 'HEAD', name: this.#prefix + name, doing: `look at ${name}`, right: 'Read' } as const
    const answer = await this.#client.ask(request)
    if (answer.status === 404 && codeOf(answer) !== 'ContainerNotFound') return undefined
    if (answer.status !== 200) throw refusalOf(answer, request, this.#settings)
    const runId = answer.headers.get('x-ms-meta-patchbay_run')
    const sha256 = answer.headers.get('x-ms-meta-patchbay_sha256')
    return {
      sizeBytes: Number(answer.headers.get('content-length')),
      tag: answer.headers.get('etag') ?? '',
      mark: runId === null || sha256 === null ? undefined : { runId, sha256 },
    }
  }

  async stage(name: string, file: OutgoingFile, runId: string): Promise<number> {
    const standing = await this.#blocks(name)
    const blockBytes = blockBytesOf(file)
    let bytes = 0
    await inPieces(file, blockBytes, BLOCKS_AT_ONCE, async (piece, index) => {
      const id = blockId(runId, file.sha256, index)
      if (standing.get(id) !== piece.length) await this.#sendBlock(name, id, piece)
      bytes += piece.length
    })
    return bytes
  }

  async staged(name: string, file: DeliveredFile, runId: string): Promise<number | undefined> {
    const standing = await this.#blocks(name)
    const sizes = blockIdsOf(file, runId).map((id) => standing.get(id))
    if (sizes.includes(undefined)) return undefined
    return sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0)
  }

  async publish(name: string, file: DeliveredFile, runId: string, inPlaceOf: InPlaceOf): Promise<void> {
    const blocks = blockIdsOf(file, runId).map((id) => `<Uncommitted>${id}</Uncommitted>`)
    const request = {
      method: 'PUT',
      name: this.#prefix + name,
      query: { comp: 'blocklist' },
      headers: { 'content-type': 'application/xml', ...markHeaders(name, file, runId), ...conditionOf(inPlaceOf) },
      body: `<?xml version="1.0" encoding="utf-8"?><BlockList>${blocks.join('')}</BlockList>`,
      doing: `publish ${name}`,
      right: 'Write',
    } as const
    const answer = await this.#client.ask(request)
    if (codeOf(answer) === 'InvalidBlockList')
      throw new Unavailable('maybe', `${name}: what was sent is no longer there. Run again`)
    this.#judgeWriting(name, answer, request)
    const standing = await this.look(name)
    if (standing?.sizeBytes !== file.sizeBytes)
      throw new Unavailable(
        'maybe',
        `${name}: ${standing?.sizeBytes ?? 0} bytes stand there instead of ${file.sizeBytes}`,
      )
  }

  async write(name: string, file: OutgoingFile, runId: string, inPlaceOf: InPlaceOf): Promise<void> {
    const body = Buffer.concat(await inPieces(file, BLOCK_BYTES_MIN, 1, (piece) => Promise.resolve(piece)))
    const request = {
      method: 'PUT',
      name: this.#prefix + name,
      headers: {
        ...{ 'x-ms-blob-type': 'BlockBlob', 'content-md5': md5Of(body) },
        ...markHeaders(name, file, runId),
        ...conditionOf(inPlaceOf),
      },
      body,
      doing: `write ${name}`,
      right: 'Create',
    } as const
    this.#judgeWriting(name, await this.#client.ask(request), request)
  }

  async remove(name: string, { tag }: StandingObject): Promise<void> {
    const request = {
      method: 'DELETE',
      name: this.#prefix + name,
      headers: { 'if-match': tag },
      doing: `remove ${name}`,
      right: 'Delete',
    } as const
    const answer = await this.#client.ask(request)
    // Gone already, or another one by now, which stays.
    if (answer.status === 404 || codeOf(answer) === 'ConditionNotMet') return
    if (answer.status !== 202) throw refusalOf(answer, request, this.#settings)
  }

  discard(): Promise<void> {
    return Promise.resolve()
  }

  async #sendBlock(name: string, id: string, piece: Uint8Array): Promise<void> {
    await this.#client.do({
      method: 'PUT',
      name: this.#prefix + name,
      query: { comp: 'block', blockid: id },
      body: piece,
      doing: `send a block of ${name}`,
      right: 'Write',
    })
  }

  /** Sizes of the blocks that wait to be committed, by their ids. */
  async #blocks(name: string): Promise<ReadonlyMap<string, number>> {
    const request = {
      method: 'GET',
      name: this.#prefix + name,
      query: { comp: 'blocklist', blocklisttype: 'uncommitted' },
      doing: `look for blocks of ${name}`,
      right: 'Read',
    } as const
    const answer = await this.#client.ask(request)
    if (answer.status === 404 && codeOf(answer) !== 'ContainerNotFound') return new Map()
    if (answer.status !== 200) throw refusalOf(answer, request, this.#settings)
    return readBlocks(answer.text())
  }

  #judgeWriting(name: string, answer: Awaited<ReturnType<BlobClient['ask']>>, request: BlobRequest): void {
    if (answer.status === 201) return
    const code = codeOf(answer)
    if (code === 'ConditionNotMet' || code === 'BlobAlreadyExists' || code === 'TargetConditionNotMet')
      throw foreignObject(name)
    throw refusalOf(answer, request, this.#settings)
  }
}

const parser = new XMLParser({ parseTagValue: false, ignoreAttributes: true, isArray: (name) => name === 'Block' })

function readBlocks(text: string): ReadonlyMap<string, number> {
  let found: { readonly BlockList?: { readonly UncommittedBlocks?: unknown } | string }
  try {
    // A mark of byte order stands before the XML.
    found = parser.parse(text.replace(/^\uFEFF/, '')) as typeof found
  } catch {
    throw unreadable()
  }
  if (found.BlockList === undefined) throw unreadable()
  const list = typeof found.BlockList === 'string' ? undefined : found.BlockList.UncommittedBlocks
  const blocks = typeof list === 'object' && list !== null && 'Block' in list ? list.Block : []
  if (!Array.isArray(blocks)) throw unreadable()
  return new Map(
    (blocks as readonly { readonly Name?: unknown; readonly Size?: unknown }[]).map(({ Name, Size }) => [
      String(Name),
      Number(Size),
    ]),
  )
}

function unreadable(): Unavailable {
  return new Unavailable('maybe', 'The service answered something else than a list of blocks')
}

function blockBytesOf({ sizeBytes }: DeliveredFile): number {
  return Math.max(BLOCK_BYTES_MIN, Math.ceil(sizeBytes / BLOCKS_MAX / MB) * MB)
}

function blockIdsOf(file: DeliveredFile, runId: string): readonly string[] {
  const blocks = Math.ceil(file.sizeBytes / blockBytesOf(file))
  return Array.from({ length: blocks }, (_, index) => blockId(runId, file.sha256, index))
}

/** All of one length, as the service wants them of one blob: run, content and place. */
function blockId(runId: string, sha256: string, index: number): string {
  const of = createHash('sha256').update(`${runId} ${sha256}`).digest('hex').slice(0, 24)
  return Buffer.from(`patchbay-${of}-${String(index).padStart(6, '0')}`).toString('base64')
}

function conditionOf(inPlaceOf: InPlaceOf): Readonly<Record<string, string>> {
  return inPlaceOf === 'nothing' ? { 'if-none-match': '*' } : { 'if-match': inPlaceOf.tag }
}

function markHeaders(name: string, { sha256 }: DeliveredFile, runId: string): Readonly<Record<string, string>> {
  return {
    'x-ms-blob-content-type': contentTypeOf(name),
    'x-ms-meta-patchbay_run': runId,
    'x-ms-meta-patchbay_sha256': sha256,
  }
}

function md5Of(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('base64')
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
