/** Reads the body of a request, as far as its size allows. What comes out is plain data, not yet checked against a schema. */
import { HttpProblem } from './problem-of.ts'

const JSON_BYTES_MAX = 1024 * 1024
/** Deeper data is walked by recursion further on, so it ends here. */
const DEPTH_MAX = 64

export async function readJsonBody(request: Request): Promise<unknown> {
  const type = request.headers.get('content-type') ?? ''
  // Also keeps a page of another site from posting here with a form: forms cannot send this type.
  if (!/^application\/json *(?:;|$)/i.test(type))
    throw new HttpProblem('unsupported-media-type', 'The body is not declared as JSON', {
      path: 'headers.Content-Type',
      cure: 'Send JSON, with the header "Content-Type: application/json"',
    })
  const bytes = await readAtMost(request, JSON_BYTES_MAX)
  const value = parse(bytes)
  checkPlain(value)
  return value
}

/** For endpoints that take none: what is sent all the same is a misunderstanding, and is said to be one. */
export async function refuseBody(request: Request): Promise<void> {
  const bytes = await readAtMost(request, JSON_BYTES_MAX)
  if (bytes.length > 0)
    throw new HttpProblem('invalid', 'This endpoint takes no body', {
      path: 'body',
      cure: 'Send the request without one',
    })
}

async function readAtMost(request: Request, most: number): Promise<Uint8Array> {
  if (request.body === null) return new Uint8Array()
  const pieces: Uint8Array[] = []
  let size = 0
  for await (const piece of limited(request.body, most)) {
    pieces.push(piece)
    size += piece.length
  }
  return Buffer.concat(pieces, size)
}

/** Passes bytes on, and fails where there are more of them than allowed. */
export async function* limited(
  stream: ReadableStream<Uint8Array>,
  bytesMax: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let size = 0
  for await (const piece of stream) {
    size += piece.length
    if (size > bytesMax)
      throw new HttpProblem('too-large', `The body is larger than ${bytesMax} bytes`, {
        path: 'body',
        cure: 'Send less at once; for files, the operator sets PATCHBAY_UPLOAD_MAX_MB',
      })
    yield piece
  }
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as unknown
  } catch {
    // The parser's own message quotes from the body, which may be personal.
    throw new HttpProblem('invalid', 'The body is not JSON in UTF-8', { path: 'body', cure: 'Send one JSON object' })
  }
}

/** A key `__proto__` would be dropped by some and obeyed by others. So it is refused, at any depth, before anyone sees it. */
function checkPlain(value: unknown): void {
  const waiting: { readonly value: unknown; readonly path: string; readonly depth: number }[] = [
    { value, path: '', depth: 0 },
  ]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (typeof next.value !== 'object' || next.value === null) continue
    const { path, depth } = next
    if (depth >= DEPTH_MAX)
      throw new HttpProblem('invalid', `The body is nested deeper than ${DEPTH_MAX}`, {
        path: path.slice(0, 200),
        cure: 'Say the same with fewer levels',
      })
    if (Array.isArray(next.value)) {
      for (const [index, item] of next.value.entries())
        waiting.push({ value: item, path: `${path}[${index}]`, depth: depth + 1 })
      continue
    }
    for (const [key, item] of Object.entries(next.value)) {
      const place = path === '' ? key : `${path}.${key}`
      if (key === '__proto__')
        throw new HttpProblem('invalid', `${place}: There is no such field`, {
          path: place,
          cure: 'Leave it out',
        })
      waiting.push({ value: item, path: place, depth: depth + 1 })
    }
  }
}
