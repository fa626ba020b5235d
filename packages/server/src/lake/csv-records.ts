/**
 * A CSV or lines file written anew, record by record: with line numbers in front where bad values are to be named, and
 * with one kind of line end where the source mixes them, which the engine's strict parser refuses. Only for files that
 * turned out to need it; works on bytes, so that what is no UTF-8 stays to be refused.
 */
import { createReadStream, createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'

const LF = 10
const CR = 13

export interface RecordCopy {
  /** Null for lines of JSON, where no quote spans lines. */
  readonly quoting: { readonly quote: string; readonly delimiter: string } | null
  /** Put between the line number and the record; null where no number is wanted. */
  readonly numberEnd: string | null
}

/** Blank lines are left out, as the engine does. The numbers count physical lines from 1, and a record has its first line's. */
export async function copyRecords(path: string, copyTo: string, how: RecordCopy, signal: AbortSignal): Promise<void> {
  const splitter = new RecordSplitter(how)
  const transform = async function* (source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of source) {
      splitter.take(chunk)
      const ready = splitter.ready()
      if (ready !== undefined) yield ready
    }
    splitter.end()
    const last = splitter.ready()
    if (last !== undefined) yield last
  }
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), transform, createWriteStream(copyTo), { signal })
}

/** Where in a record the last byte was. A quote means something only at the start of a cell, and inside a quoted one. */
type Place = 'cell-start' | 'plain' | 'quoted' | 'quote-in-quoted'

class RecordSplitter {
  readonly #quote: number
  readonly #delimiter: number
  readonly #numberEnd: string | null
  #out: Buffer[] = []
  /** A record goes out as it comes, so it may be of any size. */
  #isInRecord = false
  #place: Place = 'cell-start'
  #line = 1
  #lastWasCr = false
  #isStart = true

  constructor({ quoting, numberEnd }: RecordCopy) {
    this.#quote = quoting === null || quoting.quote === '' ? -1 : quoting.quote.charCodeAt(0)
    this.#delimiter = quoting === null ? -1 : quoting.delimiter.charCodeAt(0)
    this.#numberEnd = numberEnd
  }

  take(given: Buffer): void {
    const chunk = this.#withoutBom(given)
    let from = 0
    for (let at = 0; at < chunk.byteLength; at += 1) {
      const byte = chunk[at]
      const isSecondOfPair = byte === LF && this.#lastWasCr
      this.#lastWasCr = byte === CR
      if (byte !== LF && byte !== CR) this.#move(byte)
      else if (this.#place === 'quoted') this.#line += isSecondOfPair ? 0 : 1
      else {
        this.#push(chunk.subarray(from, at))
        from = at + 1
        if (!isSecondOfPair) this.#endRecord()
      }
    }
    this.#push(chunk.subarray(from))
  }

  #move(byte: number | undefined): void {
    if (this.#place === 'quoted') this.#place = byte === this.#quote ? 'quote-in-quoted' : 'quoted'
    else if (byte === this.#quote && this.#place !== 'plain') this.#place = 'quoted'
    else this.#place = byte === this.#delimiter ? 'cell-start' : 'plain'
  }

  end(): void {
    if (this.#isInRecord) this.#endRecord()
  }

  ready(): Buffer | undefined {
    const data = this.#out
    this.#out = []
    return data.length === 0 ? undefined : Buffer.concat(data)
  }

  #push(part: Buffer): void {
    if (part.byteLength === 0) return
    if (!this.#isInRecord && this.#numberEnd !== null) this.#out.push(Buffer.from(`${this.#line}${this.#numberEnd}`))
    this.#isInRecord = true
    this.#out.push(part)
  }

  #endRecord(): void {
    if (this.#isInRecord) this.#out.push(Buffer.from('\n'))
    this.#isInRecord = false
    this.#place = 'cell-start'
    this.#line += 1
  }

  #withoutBom(chunk: Buffer): Buffer {
    const isBom = this.#isStart && chunk[0] === 0xef && chunk[1] === 0xbb && chunk[2] === 0xbf
    this.#isStart = false
    return isBom ? chunk.subarray(3) : chunk
  }
}

export interface LineAt {
  /** From 1, as a person's editor counts them; the engine counts records. */
  readonly line: number
  readonly sizeBytes: number
}

/** The physical lines on which these byte positions stand. */
export async function linesAt(
  path: string,
  positions: readonly number[],
  signal: AbortSignal,
): Promise<readonly LineAt[]> {
  const sorted = [...positions.entries()].toSorted(([, a], [, b]) => a - b)
  const found: LineAt[] = positions.map(() => ({ line: 1, sizeBytes: 0 }))
  let next = 0
  let line = 1
  let lineStart = 0
  let offset = 0
  let lastByte = 0
  /** All positions before `end` that are not settled stand on the current line. */
  const settle = (end: number): void => {
    for (let item = sorted[next]; item !== undefined && item[1] <= end; item = sorted[next]) {
      found[item[0]] = { line, sizeBytes: end - lineStart }
      next += 1
    }
  }
  for await (const data of createReadStream(path, { highWaterMark: 1 << 20, signal })) {
    const chunk = data as Buffer
    for (let at = 0; at < chunk.byteLength; at += 1) {
      const byte = chunk[at]
      const isPair = byte === LF && lastByte === CR
      lastByte = byte ?? 0
      if (byte !== LF && byte !== CR) continue
      if (!isPair) {
        settle(offset + at)
        line += 1
      }
      lineStart = offset + at + 1
    }
    offset += chunk.byteLength
    if (next >= sorted.length) return found
  }
  settle(Number.MAX_SAFE_INTEGER)
  return found
}
