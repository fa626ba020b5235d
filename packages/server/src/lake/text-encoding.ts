/**
 * Text files as UTF-8, which is all that the data engine reads. A file that is clean UTF-8 is read where it is; any other
 * is written anew into the import's work folder, in one pass and constant memory.
 *
 * What cannot be decoded, and NUL, becomes the byte 0xFF, which no UTF-8 text holds: the engine then refuses that very
 * line, by number, like every other bad line. A U+FFFD that the source itself holds is treated so too: it stands for
 * a letter that was lost on the way here.
 */
import { Buffer, isUtf8 } from 'node:buffer'
import { createReadStream, createWriteStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { Problem } from '../domain/problem.ts'

const CHUNK_BYTES = 1 << 20
const BAD_BYTE = Buffer.from([0xff])
const PROBE_BYTES = 4096

export interface Utf8File {
  /** What is to be read: the file itself, or its copy. */
  readonly path: string
  readonly encoding: string
  readonly isCopy: boolean
}

interface Scan {
  readonly isUtf8: boolean
  readonly hasNul: boolean
  readonly sizeBytes: number
}

/** `wanted` is `auto` or any name that the Encoding Standard knows. `copyTo` is used only where a copy is needed. */
export async function utf8File(path: string, wanted: string, copyTo: string, signal: AbortSignal): Promise<Utf8File> {
  const byBom = await encodingByStart(path)
  const encoding = wanted === 'auto' ? byBom : encodingName(wanted)
  if (encoding === undefined || encoding === 'utf-8') {
    const scan = await scanBytes(path, signal)
    if (encoding === undefined && !scan.isUtf8) {
      await transcode(path, 'windows-1252', copyTo, signal)
      return { path: copyTo, encoding: 'windows-1252', isCopy: true }
    }
    if (!scan.hasNul) return { path, encoding: 'utf-8', isCopy: false }
    await withoutNul(path, copyTo, signal)
    return { path: copyTo, encoding: 'utf-8', isCopy: true }
  }
  await transcode(path, encoding, copyTo, signal)
  return { path: copyTo, encoding, isCopy: true }
}

function encodingName(wanted: string): string {
  try {
    return new TextDecoder(wanted).encoding
  } catch (cause) {
    throw new Problem('invalid', `There is no encoding "${wanted.slice(0, 40)}"`, {
      path: 'encoding',
      cure: 'Use auto, utf-8, utf-16le, windows-1252, or another name of the Encoding Standard.',
      cause,
    })
  }
}

/** By the byte order mark, or by the zero bytes that Latin letters have in UTF-16. */
async function encodingByStart(path: string): Promise<string | undefined> {
  const start = await readStart(path, PROBE_BYTES)
  if (start[0] === 0xef && start[1] === 0xbb && start[2] === 0xbf) return 'utf-8'
  if (start[0] === 0xff && start[1] === 0xfe) return 'utf-16le'
  if (start[0] === 0xfe && start[1] === 0xff) return 'utf-16be'
  const zeros = [0, 0]
  for (const [index, byte] of start.entries()) if (byte === 0) zeros[index & 1] = (zeros[index & 1] ?? 0) + 1
  const [even = 0, odd = 0] = zeros
  const many = start.byteLength / 5
  if (odd > many && even * 10 < odd) return 'utf-16le'
  if (even > many && odd * 10 < even) return 'utf-16be'
  return undefined
}

async function readStart(path: string, bytes: number): Promise<Buffer> {
  const file = await open(path)
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, 0)
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}

async function scanBytes(path: string, signal: AbortSignal): Promise<Scan> {
  let rest: Buffer = Buffer.alloc(0)
  let valid = true
  let hasNul = false
  let sizeBytes = 0
  for await (const data of createReadStream(path, { highWaterMark: CHUNK_BYTES, signal })) {
    const chunk = data as Buffer
    sizeBytes += chunk.byteLength
    hasNul ||= chunk.includes(0)
    if (!valid) continue
    const text = rest.byteLength === 0 ? chunk : Buffer.concat([rest, chunk])
    const end = wholeCharacters(text)
    valid = isUtf8(text.subarray(0, end))
    rest = text.subarray(end)
  }
  return { isUtf8: valid && rest.byteLength === 0, hasNul, sizeBytes }
}

/** Where the last whole character ends: up to three bytes of the next one may have come already. */
function wholeCharacters(text: Buffer): number {
  for (let back = 1; back <= Math.min(3, text.byteLength); back += 1) {
    const byte = text[text.byteLength - back] ?? 0
    if (byte < 0x80) return text.byteLength
    if (byte >= 0xc0) {
      const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2
      return length > back ? text.byteLength - back : text.byteLength
    }
  }
  return text.byteLength
}

async function withoutNul(path: string, copyTo: string, signal: AbortSignal): Promise<void> {
  const replace = async function* (source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of source) {
      const copy = Buffer.from(chunk)
      for (let at = copy.indexOf(0); at >= 0; at = copy.indexOf(0, at + 1)) copy[at] = 0xff
      yield copy
    }
  }
  await pipeline(createReadStream(path, { highWaterMark: CHUNK_BYTES }), replace, createWriteStream(copyTo), { signal })
}

async function transcode(path: string, encoding: string, copyTo: string, signal: AbortSignal): Promise<void> {
  const decoder = new TextDecoder(encoding)
  const decode = async function* (source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of source) yield* encodeMarked(decoder.decode(chunk, { stream: true }))
    yield* encodeMarked(decoder.decode())
  }
  await pipeline(createReadStream(path, { highWaterMark: CHUNK_BYTES }), decode, createWriteStream(copyTo), { signal })
}

function* encodeMarked(text: string): Generator<Buffer> {
  const parts = text.split(/[\0\uFFFD]/)
  for (const [index, part] of parts.entries()) {
    if (index > 0) yield BAD_BYTE
    if (part !== '') yield Buffer.from(part, 'utf8')
  }
}

/** The first bytes of a UTF-8 file as text, without a byte order mark and without a last half character. */
export async function readTextStart(path: string, bytes: number): Promise<{ text: string; isWhole: boolean }> {
  const start = await readStart(path, bytes)
  const isWhole = start.byteLength < bytes
  const text = start.subarray(0, isWhole ? start.byteLength : wholeCharacters(start)).toString('utf8')
  return { text: text.startsWith('\uFEFF') ? text.slice(1) : text, isWhole }
}
