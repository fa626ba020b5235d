/** Answers every question with "not there" and every writing with "made", and remembers what it was sent. */
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'

export interface Recorder {
  readonly url: string
  readonly received: { readonly method: string; readonly headers: IncomingHttpHeaders; readonly body: string }[]
  stop(): Promise<void>
}

export async function startRecorder(): Promise<Recorder> {
  const received: Recorder['received'] = []
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (text: string) => (body += text))
    request.on('end', () => {
      const { method = '', headers } = request
      received.push({ method, headers, body })
      if (method === 'PUT') response.writeHead(201).end()
      else response.writeHead(404, { 'x-ms-error-code': 'BlobNotFound' }).end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('No port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    received,
    stop: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
