/**
 * LOAD DATA reads an empty cell and `""` alike, and the bare word NULL as no value. Our files tell the first two apart and
 * mean that word as a text: so an empty cell becomes the word, and the word is put into quotes. Everything else stays as it
 * is, byte for byte.
 */
const [QUOTE, COMMA, LINE_FEED] = [0x22, 0x2c, 0x0a]
const NULL = Buffer.from('NULL')
const QUOTED_NULL = Buffer.from('"NULL"')

export async function* nullCells(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const cells = new NullCells()
  for await (const piece of pieces) {
    const written = cells.take(piece)
    if (written.length > 0) yield written
  }
  const rest = cells.end()
  if (rest.length > 0) yield rest
}

class NullCells {
  /** What comes after the last line feed so far. A cell without quotes is thus always seen whole. */
  #held: Buffer = Buffer.alloc(0)
  #isQuoted = false
  #out = Buffer.allocUnsafe(256 * 1024)
  #length = 0

  take(piece: Uint8Array): Buffer {
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
    const end = bytes.lastIndexOf(LINE_FEED) + 1
    if (end === 0) {
      this.#held = Buffer.concat([this.#held, bytes])
      return Buffer.alloc(0)
    }
    const whole = this.#held.length === 0 ? bytes.subarray(0, end) : Buffer.concat([this.#held, bytes.subarray(0, end)])
    this.#held = Buffer.from(bytes.subarray(end))
    return this.#rewrite(whole)
  }

  /** Every line ends in a line feed; what does not is left for the server to judge. */
  end(): Buffer {
    return this.#held
  }

  /** `bytes` ends in a line feed. */
  #rewrite(bytes: Buffer): Buffer {
    this.#length = 0
    let copied = 0
    let at = 0
    while (at < bytes.length) {
      const first = bytes[at]
      if (this.#isQuoted || first === QUOTE) {
        const end = endOfQuoted(bytes, this.#isQuoted ? at : at + 1)
        this.#isQuoted = end === undefined
        if (end === undefined) break
        at = end + 1
      } else if (first === COMMA || first === LINE_FEED) {
        this.#write(bytes, copied, at, NULL)
        copied = at
        at += 1
      } else {
        const end = endOfPlain(bytes, at)
        if (end - at === NULL.length && bytes.compare(NULL, 0, NULL.length, at, end) === 0) {
          this.#write(bytes, copied, at, QUOTED_NULL)
          copied = end
        }
        at = end + 1
      }
    }
    if (this.#length === 0) return bytes
    this.#write(bytes, copied, bytes.length)
    return Buffer.from(this.#out.subarray(0, this.#length))
  }

  #write(bytes: Buffer, from: number, to: number, word?: Buffer): void {
    const needed = this.#length + (to - from) + QUOTED_NULL.length
    if (needed > this.#out.length) {
      const larger = Buffer.allocUnsafe(needed * 2)
      this.#out.copy(larger, 0, 0, this.#length)
      this.#out = larger
    }
    this.#length += bytes.copy(this.#out, this.#length, from, to)
    if (word !== undefined) this.#length += word.copy(this.#out, this.#length)
  }
}

/** Where the sign after the closing quote stands; undefined where the cell goes on after these bytes. */
function endOfQuoted(bytes: Buffer, from: number): number | undefined {
  let at = from
  for (;;) {
    at = bytes.indexOf(QUOTE, at)
    if (at === -1) return undefined
    if (bytes[at + 1] !== QUOTE) return at + 1
    at += 2
  }
}

function endOfPlain(bytes: Buffer, from: number): number {
  let at = from
  while (bytes[at] !== COMMA && bytes[at] !== LINE_FEED) at += 1
  return at
}
