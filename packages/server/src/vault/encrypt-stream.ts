/**
 * Encryption of a backup as it is written: AES-256-GCM over chunks of 64 KiB (the STREAM construction). The number of a
 * chunk and whether it is the last are part of its nonce, so chunks that are left out, repeated, put in another order or cut
 * off at the end are found; so is an end that was appended. Both sides hold one chunk and a bit in memory.
 *
 * `PBENC1` · salt (16 bytes) · chunks, each 64 KiB and a tag of 16 bytes; the last one is shorter (it may be empty).
 */
import { createCipheriv, createDecipheriv } from 'node:crypto'
import { Problem } from '../domain/problem.ts'

const MAGIC = Buffer.from('PBENC1')
const SALT_BYTES = 16
const CHUNK_BYTES = 65_536
const TAG_BYTES = 16
/** The rest of the nonce is 11 bytes of counter. A key serves one stream only, so it needs no random part. */
const COUNTER_BYTES = 11

/** Gives the key for one stream, such as `(salt) => vault.deriveKey('backup', salt)`. */
export type KeyForSalt = (salt: Uint8Array) => Uint8Array

export async function* encryptStream(
  bytes: AsyncIterable<Uint8Array>,
  keyFor: KeyForSalt,
  randomBytes: (size: number) => Uint8Array,
): AsyncGenerator<Uint8Array> {
  const salt = randomBytes(SALT_BYTES)
  const header = Buffer.concat([MAGIC, salt])
  const key = keyFor(salt)
  yield header
  let index = 0
  for await (const { chunk, isLast } of chunksOf(bytes, CHUNK_BYTES)) {
    const cipher = createCipheriv('aes-256-gcm', key, nonceOf(index, isLast))
    cipher.setAAD(header)
    yield Buffer.concat([cipher.update(chunk), cipher.final(), cipher.getAuthTag()])
    index += 1
  }
}

/**
 * Gives back only what was verified, chunk by chunk; throws `Problem` at the first byte that is not what was written. Whoever
 * restores must therefore not take what came before for the whole until this has ended.
 */
export async function* decryptStream(bytes: AsyncIterable<Uint8Array>, keyFor: KeyForSalt): AsyncGenerator<Uint8Array> {
  const reader = bytes[Symbol.asyncIterator]()
  try {
    const { header, rest } = await readHeader(reader)
    const key = keyFor(header.subarray(MAGIC.length))
    let index = 0
    for await (const { chunk, isLast } of chunksOf(resume(rest, reader), CHUNK_BYTES + TAG_BYTES)) {
      if (chunk.length < TAG_BYTES) throw damaged()
      const decipher = createDecipheriv('aes-256-gcm', key, nonceOf(index, isLast), { authTagLength: TAG_BYTES })
      decipher.setAAD(header)
      decipher.setAuthTag(chunk.subarray(chunk.length - TAG_BYTES))
      const plain = decipher.update(chunk.subarray(0, chunk.length - TAG_BYTES))
      finish(() => decipher.final())
      yield plain
      index += 1
    }
  } finally {
    await reader.return?.()
  }
}

function finish(verify: () => void): void {
  try {
    verify()
  } catch (error) {
    throw damaged(error)
  }
}

async function readHeader(reader: AsyncIterator<Uint8Array>): Promise<{ header: Buffer; rest: Buffer }> {
  const length = MAGIC.length + SALT_BYTES
  let read = Buffer.alloc(0)
  while (read.length < length) {
    const next = await reader.next()
    if (next.done === true) throw damaged()
    read = Buffer.concat([read, next.value])
  }
  const header = read.subarray(0, length)
  if (!header.subarray(0, MAGIC.length).equals(MAGIC)) {
    throw new Problem('invalid', 'This is not an encrypted backup of Patchbay', { cure: 'Choose the right file' })
  }
  return { header, rest: read.subarray(length) }
}

async function* resume(first: Uint8Array, reader: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield first
  for (let next = await reader.next(); next.done !== true; next = await reader.next()) yield next.value
}

/** Cut into `size`; a chunk is held back until it is known whether another follows. There is always a last one. */
async function* chunksOf(
  bytes: AsyncIterable<Uint8Array>,
  size: number,
): AsyncGenerator<{ readonly chunk: Buffer; readonly isLast: boolean }> {
  let held: Uint8Array[] = []
  let heldBytes = 0
  for await (const piece of bytes) {
    held.push(piece)
    heldBytes += piece.length
    if (heldBytes <= size) continue
    let whole = Buffer.concat(held)
    // Strictly more: a chunk that is exactly full may be the last.
    for (; whole.length > size; whole = whole.subarray(size)) yield { chunk: whole.subarray(0, size), isLast: false }
    held = [whole]
    heldBytes = whole.length
  }
  yield { chunk: Buffer.concat(held), isLast: true }
}

function nonceOf(index: number, isLast: boolean): Buffer {
  const nonce = Buffer.alloc(COUNTER_BYTES + 1)
  nonce.writeUIntBE(index, COUNTER_BYTES - 6, 6)
  nonce[COUNTER_BYTES] = isLast ? 1 : 0
  return nonce
}

function damaged(cause?: unknown): Problem {
  return new Problem('invalid', 'The backup is damaged, incomplete, or was made with another key', {
    cure: 'Use another copy of it, or the key file that was in use when it was made',
    ...(cause === undefined ? {} : { cause }),
  })
}
