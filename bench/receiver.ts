/** A service for the webhook case, in a process of its own: it reads a batch and accepts each row by its key. */
import { createServer } from 'node:http'

const server = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    // Keys are found as text: parsing whole bodies would measure this receiver.
    const keys = Buffer.concat(chunks)
      .toString()
      .matchAll(/"key":"([^"]*)"/g)
    const answers = Array.from(keys, ([, key]) => `{"key":"${key ?? ''}","status":"accepted"}`)
    response.writeHead(200, { 'content-type': 'application/json' }).end(`{"answers":[${answers.join(',')}]}`)
  })
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address !== null && typeof address !== 'string') process.stdout.write(`${address.port}\n`)
})
// Its owner's end is its own.
process.stdin.on('end', () => process.exit()).resume()
