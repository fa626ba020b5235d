/**
 * What the fakes of HTTP services have in common: a server on loopback that keeps every request, holds it against the
 * service's contract where that is there, and makes the trouble that a test asks for. What the service knows and answers is
 * the fake's own.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Contract } from './contract/contract.ts'

export interface ServiceRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

export interface Reply {
  readonly status: number
  /** Sent as JSON; a text is sent as it is. */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

export type Trouble =
  /** Takes nothing and says this. */
  | { readonly does: 'say'; readonly reply: Reply }
  /** Does what it was asked, and then says this instead. */
  | { readonly does: 'take-and-say'; readonly reply: Reply }
  /** Does what it was asked or not, and breaks the connection. */
  | { readonly does: 'reset'; readonly at: 'start' | 'taken' }
  | { readonly does: 'wait'; readonly milliseconds: number }

export interface FakeService {
  readonly origin: string
  readonly requests: readonly ServiceRequest[]
  /** Requests that were being answered at once, at most. */
  readonly mostAtOnce: () => number
  /** Asked for each request, with its number from 1; undefined means no trouble. */
  trouble(next: (request: ServiceRequest, number: number) => Trouble | undefined): void
  /** Asks what is to be answered without a connection: for a clock that is simulated. */
  ask(request: ServiceRequest): Promise<Reply>
  stop(): Promise<void>
}

export interface FakeServiceOptions {
  readonly answer: (request: ServiceRequest) => Reply | Promise<Reply>
  readonly contract?: Contract | undefined
  /** Keep no request. */
  readonly forgetful?: boolean
}

export async function startFakeService({ answer, contract, forgetful }: FakeServiceOptions): Promise<FakeService> {
  const requests: ServiceRequest[] = []
  let trouble: (request: ServiceRequest, number: number) => Trouble | undefined = () => undefined
  let [count, atOnce, mostAtOnce] = [0, 0, 0]

  const judge = async (request: ServiceRequest): Promise<Reply> => {
    const search = request.query.toString()
    const url = search === '' ? request.path : `${request.path}?${search}`
    const faults = contract?.check({ ...request, url }) ?? []
    return faults.length > 0 ? { status: 400, body: { title: 'Contract', faults } } : await answer(request)
  }

  const serve = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const request = await readRequest(incoming)
    // Cut short: it never took effect.
    if (request === undefined) return
    count += 1
    if (forgetful !== true) requests.push(request)
    const found = trouble(request, count)
    if (found?.does === 'reset' && found.at === 'start') return void incoming.socket.resetAndDestroy()
    if (found?.does === 'say') return end(response, found.reply)
    if (found?.does === 'wait') await new Promise((resolve) => setTimeout(resolve, found.milliseconds))
    const reply = await judge(request)
    if (found?.does === 'reset') return void incoming.socket.resetAndDestroy()
    end(response, found?.does === 'take-and-say' ? found.reply : reply)
  }

  const server = createServer((incoming, response) => {
    atOnce += 1
    mostAtOnce = Math.max(mostAtOnce, atOnce)
    response.on('close', () => (atOnce -= 1))
    void serve(incoming, response).catch((error: unknown) => end(response, { status: 500, body: String(error) }))
  })
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    mostAtOnce: () => mostAtOnce,
    trouble: (next) => (trouble = next),
    ask: judge,
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

async function readRequest(incoming: IncomingMessage): Promise<ServiceRequest | undefined> {
  const url = new URL(incoming.url ?? '/', 'http://localhost')
  const chunks: Buffer[] = []
  try {
    for await (const chunk of incoming) chunks.push(chunk as Buffer)
  } catch {
    return undefined
  }
  const { method = 'GET', headers } = incoming
  const body = Buffer.concat(chunks).toString('utf8')
  return { method, path: url.pathname, query: url.searchParams, headers, body }
}

function end(response: ServerResponse, { status, body, headers = {} }: Reply): void {
  const text = typeof body === 'string' ? body : body === undefined ? '' : JSON.stringify(body)
  const type = body === undefined ? {} : { 'content-type': 'application/json' }
  response.writeHead(status, { ...type, ...headers }).end(status === 204 ? undefined : text)
}
