/**
 * A receiver on loopback for tests, proof and bench, written by hand. It verifies every signature by its own code, keeps
 * every request, and counts what each row did to it, so that a lost or a doubled row shows.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Change } from '@patchbay/connector-sdk'

export interface ReceivedRequest {
  readonly headers: IncomingMessage['headers']
  /** As it came; cut short where the connection broke. */
  readonly body: string
  readonly isWhole: boolean
  readonly atMs: number
}

export type Behaviour =
  | { readonly does: 'accept' }
  /** Refuses those rows for which this gives a message. */
  | { readonly does: 'reject'; readonly why: (change: Change) => string | undefined }
  /** Says of each row what it likes; one row that is `poison` makes it refuse the whole batch with 422. */
  | { readonly does: 'judge'; readonly judge: (change: Change) => Verdict }
  /** Takes rows, and says it by a status alone. */
  | { readonly does: 'answer-by-status'; readonly status: number }
  /** Says this whatever comes, and takes nothing. */
  | {
      readonly does: 'refuse'
      readonly status: number
      readonly headers?: Readonly<Record<string, string>>
      readonly body?: string
    }
  /** Takes the rows and then fails, so that the answer does not tell. */
  | { readonly does: 'fail-after-taking'; readonly status: number }
  /** Breaks the connection: before anything is read, in the middle of the body, or when the rows have been taken. */
  | { readonly does: 'reset'; readonly at: 'start' | 'middle' | 'taken' }
  | { readonly does: 'hang' }

export type Verdict =
  | 'accepted'
  | 'poison'
  | 'silence'
  | { readonly status: 'rejected' | 'retry'; readonly reason?: string; readonly message: string }

export interface FakeReceiverOptions {
  readonly signingSecret: string
  readonly port?: number
  /** Rows of a repeated Idempotency-Key are not applied again, and it gets the first answer. */
  readonly honoursKeys?: boolean
  /** For a bench: count, and keep no request. */
  readonly forgetful?: boolean
  readonly now?: () => Date
}

export interface FakeReceiver {
  readonly url: string
  readonly requests: readonly ReceivedRequest[]
  /** What the last taken change of each key left. */
  readonly rows: ReadonlyMap<string, Change['fields']>
  /** How often changes of each key were taken: above what was sent means doubled. */
  readonly taken: ReadonlyMap<string, number>
  readonly refusedSignatures: () => number
  readonly requestCount: () => number
  /** Decides for each request, from its number (from 1). */
  behave(next: Behaviour | ((request: number) => Behaviour)): void
  stop(): Promise<void>
}

const WINDOW_SECONDS = 300
const ACCEPT: Behaviour = { does: 'accept' }

export async function startFakeReceiver(options: FakeReceiverOptions): Promise<FakeReceiver> {
  const state = new State(options)
  const server = createServer((request, response) => void state.answer(request, response))
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port ?? 0, '127.0.0.1', resolve)
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    requests: state.requests,
    rows: state.rows,
    taken: state.taken,
    refusedSignatures: () => state.refusedSignatures,
    requestCount: () => state.count,
    behave: (next) => {
      state.next = typeof next === 'function' ? next : () => next
    },
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

class State {
  readonly requests: ReceivedRequest[] = []
  readonly rows = new Map<string, Change['fields']>()
  readonly taken = new Map<string, number>()
  refusedSignatures = 0
  count = 0
  next: (request: number) => Behaviour = () => ACCEPT
  readonly #options: FakeReceiverOptions
  readonly #answered = new Map<string, string>()

  constructor(options: FakeReceiverOptions) {
    this.#options = options
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.count += 1
    const behaviour = this.next(this.count)
    if (behaviour.does === 'reset' && behaviour.at === 'start') return reset(request)
    const { body, isWhole } = await readBody(request, behaviour.does === 'reset' && behaviour.at === 'middle')
    if (this.#options.forgetful !== true)
      this.requests.push({ headers: request.headers, body, isWhole, atMs: performance.now() })
    if (!isWhole) return reset(request)
    if (!isSigned(request.headers, body, this.#options)) {
      this.refusedSignatures += 1
      return end(response, 401, '{"message":"Bad signature"}')
    }
    return this.#act(behaviour, request, response, body)
  }

  #act(behaviour: Behaviour, request: IncomingMessage, response: ServerResponse, body: string): void {
    switch (behaviour.does) {
      case 'accept':
        return end(
          response,
          200,
          this.#take(request, body, () => undefined),
        )
      case 'reject':
        return end(response, 200, this.#take(request, body, behaviour.why))
      case 'judge': {
        const answer = this.#judge(body, behaviour.judge)
        return answer === undefined ? end(response, 422, body) : end(response, 200, answer)
      }
      case 'answer-by-status':
        this.#take(request, body, () => undefined)
        return end(response, behaviour.status, '')
      case 'refuse':
        return end(response, behaviour.status, behaviour.body ?? '', behaviour.headers)
      case 'fail-after-taking':
        this.#take(request, body, () => undefined)
        return end(response, behaviour.status, '')
      case 'reset':
        this.#take(request, body, () => undefined)
        return reset(request)
      case 'hang':
    }
  }

  /** Takes the rows that are judged good; undefined where the batch is refused whole. */
  #judge(body: string, judge: (change: Change) => Verdict): string | undefined {
    const { changes = [] } = JSON.parse(body) as { changes?: Change[] }
    const judged = changes.map((change) => ({ change, verdict: judge(change) }))
    if (judged.some(({ verdict }) => verdict === 'poison')) return undefined
    const answers = judged.flatMap(({ change, verdict }) => {
      if (verdict === 'silence' || verdict === 'poison') return []
      if (verdict !== 'accepted') return [{ key: change.key, ...verdict }]
      this.#apply(change)
      return [{ key: change.key, status: 'accepted' }]
    })
    return JSON.stringify({ answers })
  }

  #apply(change: Change): void {
    this.taken.set(change.key, (this.taken.get(change.key) ?? 0) + 1)
    if (change.change === 'removed') this.rows.delete(change.key)
    else if (this.#options.forgetful !== true) this.rows.set(change.key, change.fields)
  }

  /** Takes the rows, and gives the answer that says so. */
  #take(request: IncomingMessage, body: string, why: (change: Change) => string | undefined): string {
    const key = String(request.headers['idempotency-key'])
    const before = this.#answered.get(key)
    if (this.#options.honoursKeys === true && before !== undefined) return before
    const { changes = [] } = JSON.parse(body) as { changes?: Change[] }
    const answers = changes.map((change) => {
      const message = why(change)
      if (message !== undefined) return { key: change.key, status: 'rejected', reason: 'invalid-field', message }
      this.#apply(change)
      return { key: change.key, status: 'accepted' }
    })
    const answer = JSON.stringify({ answers })
    if (this.#options.honoursKeys === true) this.#answered.set(key, answer)
    return answer
  }
}

/** By the text of Standard Webhooks, and not by the connector's code. */
function isSigned(
  headers: IncomingMessage['headers'],
  body: string,
  { signingSecret, now }: FakeReceiverOptions,
): boolean {
  const id = String(headers['webhook-id'])
  const timestamp = String(headers['webhook-timestamp'])
  const seconds = (now?.() ?? new Date()).getTime() / 1000
  if (!/^\d+$/.test(timestamp) || Math.abs(seconds - Number(timestamp)) > WINDOW_SECONDS) return false
  const key = Buffer.from(signingSecret.slice('whsec_'.length), 'base64')
  const wanted = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`, 'utf8').digest()
  return String(headers['webhook-signature'])
    .split(' ')
    .filter((entry) => entry.startsWith('v1,'))
    .map((entry) => Buffer.from(entry.slice('v1,'.length), 'base64'))
    .some((given) => given.length === wanted.length && timingSafeEqual(given, wanted))
}

async function readBody(request: IncomingMessage, stopHalfway: boolean): Promise<{ body: string; isWhole: boolean }> {
  const chunks: Buffer[] = []
  let size = 0
  const half = Number(request.headers['content-length'] ?? 0) / 2
  try {
    // Stopping halfway must leave the socket to reset.
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      chunks.push(chunk as Buffer)
      size += (chunk as Buffer).length
      if (stopHalfway && size >= half) break
    }
  } catch {
    return { body: Buffer.concat(chunks).toString('utf8'), isWhole: false }
  }
  return { body: Buffer.concat(chunks).toString('utf8'), isWhole: !stopHalfway && request.complete }
}

function reset(request: IncomingMessage): void {
  request.socket.resetAndDestroy()
}

function end(
  response: ServerResponse,
  status: number,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(status === 204 ? undefined : body)
}
