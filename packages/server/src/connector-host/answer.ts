/** What a connector sees of an answer: decompressed within limits, as text or as JSON. */
import { promisify } from 'node:util'
import { brotliDecompress, gunzip, inflate } from 'node:zlib'
import { Unavailable, type FetchAnswer } from '@patchbay/connector-sdk'
import type { RawAnswer } from './exchange.ts'

/** Asked for in each request; the others are understood because some services send what was not asked for. */
export const ACCEPT_ENCODING = 'gzip'

const DECODERS: Readonly<Record<string, (bytes: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>>> = {
  gzip: promisify(gunzip),
  'x-gzip': promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
}
const RATIO_MAX = 20
/** Up to here no ratio is looked at: a thousand short answers that are much alike shrink by more than 20. */
const RATIO_FREE_BYTES = 64 * 1024

export async function readAnswer(raw: RawAnswer, place: string, bytesMax: number): Promise<FetchAnswer> {
  const body = await decompress(raw, place, bytesMax)
  const text = (): string => new TextDecoder().decode(body)
  return {
    status: raw.status,
    headers: raw.headers,
    text,
    json() {
      try {
        return JSON.parse(text()) as unknown
      } catch {
        // Without its cause: the parser's message quotes the body.
        throw new Unavailable('maybe', `${place} answered ${raw.status} with something that is not JSON`)
      }
    },
  }
}

async function decompress({ headers, body, status }: RawAnswer, place: string, bytesMax: number): Promise<Buffer> {
  const encoding = headers.get('content-encoding')?.trim().toLowerCase() ?? ''
  if (encoding === '' || encoding === 'identity' || body.length === 0) return body
  const decode = Object.hasOwn(DECODERS, encoding) ? DECODERS[encoding] : undefined
  if (decode === undefined)
    throw new Unavailable('maybe', `${place} answered ${status} in an encoding that was not asked for`)
  const maxOutputLength = Math.min(bytesMax, Math.max(RATIO_FREE_BYTES, body.length * RATIO_MAX))
  try {
    return await decode(body, { maxOutputLength })
  } catch (error) {
    const isBomb = error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE'
    const why = isBomb ? 'that grows beyond all measure when decompressed' : 'that cannot be decompressed'
    throw new Unavailable('maybe', `${place} answered ${status} with a body ${why}`, { cause: error })
  }
}
