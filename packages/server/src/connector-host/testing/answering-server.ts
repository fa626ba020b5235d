/** A server on loopback for tests, written by hand: remembers what it was sent and answers as it is told. */
import {
  createServer as createPlain,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createSecure } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Identity } from './certificates.ts'

export interface Received {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

export interface AnsweringServer {
  readonly port: number
  readonly origin: string
  readonly received: Received[]
  /** Sockets that were opened to it, over all its life. */
  readonly connections: () => number
  answer(next: (response: ServerResponse, request: Received) => void): void
  close(): Promise<void>
}

export async function startServer(identity?: Identity): Promise<AnsweringServer> {
  const received: Received[] = []
  const sockets = new Set<Socket>()
  let connections = 0
  let answer = (response: ServerResponse, _request: Received): void => void response.end('{}')
  const listener: RequestListener = (request, response) => {
    void readBody(request).then((body) => {
      const { method = '', url = '', headers } = request
      const entry = { method, url, headers, body }
      received.push(entry)
      answer(response, entry)
    })
  }
  const server: Server =
    identity === undefined
      ? createPlain(listener)
      : createSecure({ cert: identity.certificate, key: identity.key }, listener)
  server.on('connection', (socket: Socket) => {
    connections += 1
    sockets.add(socket)
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    port,
    origin: `${identity === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    received,
    connections: () => connections,
    answer(next) {
      answer = next
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of request) chunks.push(chunk as Buffer)
  } catch {
    // The client broke off: what came is what there is.
  }
  return Buffer.concat(chunks).toString('utf8')
}
