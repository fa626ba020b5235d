/**
 * One HTTP request and its answer, read whole. Knows how far the request got when something breaks, which decides
 * whether it may be sent again; follows no redirect, keeps no cookie, and holds only so much of an answer.
 */
import { ConnectorError, Unavailable } from '@patchbay/connector-sdk'
import type { Dispatcher } from 'undici'

export interface Request {
  readonly url: URL
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array | undefined
}

export interface RawAnswer {
  readonly status: number
  readonly headers: Headers
  readonly body: Buffer
}

export type ExchangePoint = 'request-half' | 'request-sent' | 'answer-read'

export interface ExchangeOptions {
  /** Without a byte from the far end, or taken by it. */
  readonly idleMs: number
  readonly totalMs: number
  readonly answerBytesMax: number
  readonly signal: AbortSignal
  /** The proof stops the process here. Leave it out where nothing is armed: it makes two writes of each body. */
  readonly failpoint?: ((point: ExchangePoint) => void | Promise<void>) | undefined
}

/** Larger bodies are handed over in pieces, so that a slow reader is told from a dead one. */
const PIECE_BYTES = 64 * 1024

export async function exchange(dispatcher: Dispatcher, request: Request, options: ExchangeOptions): Promise<RawAnswer> {
  options.signal.throwIfAborted()
  const handler = new AnswerReader(request.url.host, request.method === 'HEAD', options.answerBytesMax)
  const giveUp = (): void => handler.stop(options.signal.reason as Error)
  const timer = setTimeout(() => {
    handler.stop(handler.unavailable(`did not end its answer within ${options.totalMs / 1000} s`))
  }, options.totalMs)
  options.signal.addEventListener('abort', giveUp, { once: true })
  try {
    const { url, body } = request
    dispatcher.dispatch(
      {
        origin: url.origin,
        path: `${url.pathname}${url.search}`,
        method: request.method,
        headers: {
          ...request.headers,
          ...(body === undefined ? {} : { 'content-length': String(body.length) }),
        },
        body: body === undefined ? null : outgoing(body, options.failpoint),
        headersTimeout: options.idleMs,
        bodyTimeout: options.idleMs,
      },
      handler,
    )
    const answer = await handler.answer
    await options.failpoint?.('answer-read')
    return answer
  } finally {
    clearTimeout(timer)
    options.signal.removeEventListener('abort', giveUp)
  }
}

type OutgoingBody = NonNullable<Dispatcher.DispatchOptions['body']>

/** The types of undici name only streams, but it takes any iterable of bytes, and waits for each piece to be taken. */
function outgoing(body: Uint8Array, failpoint: ExchangeOptions['failpoint']): OutgoingBody {
  if (failpoint === undefined && body.length <= PIECE_BYTES)
    return Buffer.from(body.buffer, body.byteOffset, body.length)
  return pieces(body, failpoint) as unknown as OutgoingBody
}

async function* pieces(body: Uint8Array, failpoint: ExchangeOptions['failpoint']): AsyncGenerator<Uint8Array> {
  const half = Math.ceil(body.length / 2)
  // Each comes back for more only when what it gave has been written.
  yield* cut(body.subarray(0, half))
  await failpoint?.('request-half')
  yield* cut(body.subarray(half))
  await failpoint?.('request-sent')
}

function* cut(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES)
}

class AnswerReader implements Dispatcher.DispatchHandler {
  readonly answer: Promise<RawAnswer>
  readonly #place: string
  /** Its length is that of a body which does not follow. */
  readonly #isHead: boolean
  readonly #bytesMax: number
  readonly #resolve: (answer: RawAnswer) => void
  readonly #reject: (error: Error) => void
  #controller: Dispatcher.DispatchController | undefined
  /** Why it was given up before it began, if it was. */
  #stopped: Error | undefined
  #status = 0
  #headers = new Headers()
  readonly #chunks: Buffer[] = []
  #sizeBytes = 0

  constructor(place: string, isHead: boolean, bytesMax: number) {
    this.#place = place
    this.#bytesMax = bytesMax
    this.#isHead = isHead
    const { promise, resolve, reject } = Promise.withResolvers<RawAnswer>()
    this.answer = promise
    this.#resolve = resolve
    this.#reject = reject
  }

  /** From here on the far end can have seen some of the request. */
  get hasStarted(): boolean {
    return this.#controller !== undefined
  }

  unavailable(what: string, cause?: unknown): Unavailable {
    const options = { step: 'reached', ...(cause === undefined ? {} : { cause }) } as const
    return new Unavailable(this.hasStarted ? 'maybe' : 'no', `${this.#place} ${what}`, options)
  }

  stop(reason: Error): void {
    this.#stopped ??= reason
    this.#reject(reason)
    this.#controller?.abort(reason)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#stopped !== undefined) {
      controller.abort(this.#stopped)
      return
    }
    this.#controller = controller
  }

  onRequestUpgrade(
    _controller: Dispatcher.DispatchController,
    _status: number,
    _headers: unknown,
    socket: { destroy(): void },
  ): void {
    socket.destroy()
    this.stop(this.unavailable('wanted to change to another protocol'))
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Readonly<Record<string, string | string[] | undefined>>,
  ): void {
    // 1xx: the answer itself comes later.
    if (status < 200) return
    this.#status = status
    this.#headers = toHeaders(headers)
    const announced = this.#isHead ? 0 : Number(this.#headers.get('content-length') ?? 0)
    if (announced > this.#bytesMax) this.stop(this.#tooLarge())
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#sizeBytes += chunk.length
    if (this.#sizeBytes > this.#bytesMax) this.stop(this.#tooLarge())
    else this.#chunks.push(chunk)
  }

  onResponseEnd(): void {
    this.#resolve({ status: this.#status, headers: this.#headers, body: Buffer.concat(this.#chunks) })
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    this.#reject(error instanceof ConnectorError || error === this.#stopped ? error : this.#broken(error))
  }

  #tooLarge(): Unavailable {
    return this.unavailable(`answered more than ${this.#bytesMax / 2 ** 20} MiB`)
  }

  #broken(error: Error): Error {
    const code = 'code' in error ? String(error.code) : ''
    if (code === 'UND_ERR_INVALID_ARG') return error
    return this.unavailable(REASONS[code] ?? 'broke the connection off', error)
  }
}

const REASONS: Readonly<Record<string, string>> = {
  UND_ERR_HEADERS_TIMEOUT: 'did not answer in time',
  UND_ERR_BODY_TIMEOUT: 'stopped in the middle of its answer',
  UND_ERR_HEADERS_OVERFLOW: 'answered with too many headers',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'cut its answer short',
}

/** Set-Cookie is dropped: nothing the service wants remembered is. */
function toHeaders(raw: Readonly<Record<string, string | string[] | undefined>>): Headers {
  const headers = new Headers()
  for (const [name, value] of Object.entries(raw)) {
    if (value === undefined || /^set-cookie2?$/i.test(name)) continue
    try {
      headers.set(name, Array.isArray(value) ? value.join(', ') : value)
    } catch {
      // A header that cannot be written down is none that a connector could want.
    }
  }
  return headers
}
