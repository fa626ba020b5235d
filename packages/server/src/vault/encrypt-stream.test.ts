import { createHash, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decryptStream, encryptStream } from './encrypt-stream.ts'

const HEADER = 22
const CHUNK = 65_536 + 16
const keyFor = (salt: Uint8Array): Uint8Array => createHash('sha256').update('k').update(salt).digest()

async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}
async function gather(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = []
  for await (const piece of pieces) all.push(piece)
  return Buffer.concat(all)
}
const encrypt = (bytes: Uint8Array, size = 40_000): Promise<Buffer> =>
  gather(encryptStream(inPieces(bytes, size), keyFor, randomBytes))
const decrypt = (bytes: Uint8Array, size = 50_000): Promise<Buffer> =>
  gather(decryptStream(inPieces(bytes, size), keyFor))

test.each([0, 1, 65_535, 65_536, 65_537, 131_072, 131_073, 400_000])(
  'round trip of %i bytes, in pieces of any size',
  async (length) => {
    const bytes = randomBytes(length)
    for (const size of [7, 65_536, 65_552, 1_000_000]) {
      if (length > 100_000 && size === 7) continue
      expect((await decrypt(await encrypt(bytes, size), size)).equals(bytes)).toBe(true)
    }
  },
)

test('cut off anywhere, it is refused', async () => {
  const whole = await encrypt(randomBytes(3 * 65_536))
  const ends = [0, 5, HEADER - 1, HEADER, HEADER + 15, HEADER + CHUNK, HEADER + 2 * CHUNK, whole.length - 1]
  for (const end of ends)
    await expect(decrypt(whole.subarray(0, end)), `at ${end}`).rejects.toMatchObject({ code: 'invalid' })
})

test('chunks in another order, repeated, left out or appended are refused', async () => {
  const whole = await encrypt(randomBytes(4 * 65_536 + 100))
  const head = whole.subarray(0, HEADER)
  const chunk = (index: number): Buffer => whole.subarray(HEADER + index * CHUNK, HEADER + (index + 1) * CHUNK)
  const [a, b, c, d, end] = [chunk(0), chunk(1), chunk(2), chunk(3), chunk(4)]
  const other = await encrypt(randomBytes(100))
  const wrong = [
    [head, b, a, c, d, end],
    [head, a, a, b, c, d, end],
    [head, a, c, d, end],
    [head, a, b, c, end],
    [head, a, b, c, d],
    [head, a, b, c, d, end, end],
    [head, a, b, c, d, end, Buffer.alloc(1)],
    [head, a, b, c, d, other.subarray(HEADER)],
    [other.subarray(0, HEADER), a, b, c, d, end],
  ]
  for (const parts of wrong) await expect(decrypt(Buffer.concat(parts))).rejects.toMatchObject({ code: 'invalid' })
  expect((await decrypt(Buffer.concat([head, a, b, c, d, end]))).length).toBe(4 * 65_536 + 100)
})

test('200 flipped bits: each is found', async () => {
  const whole = await encrypt(randomBytes(100_000))
  await fc.assert(
    fc.asyncProperty(fc.nat(whole.length * 8 - 1), async (bit) => {
      const flipped = Buffer.from(whole)
      const at = bit >> 3
      flipped.writeUInt8(flipped.readUInt8(at) ^ (1 << (bit & 7)), at)
      await expect(decrypt(flipped)).rejects.toMatchObject({ code: 'invalid' })
    }),
    { numRuns: 200 },
  )
})
