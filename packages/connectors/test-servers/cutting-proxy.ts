/** Stands between a client and a server, and breaks the line as a real one breaks: at a byte of its own choosing. */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export interface CuttingProxy {
  readonly host: '127.0.0.1'
  readonly port: number
  /** Cuts the next connection after so many bytes from the client; later ones live. */
  cutAfter(bytes: number): void
  /** From now on passes nothing on, and says nothing. */
  freeze(): void
  connections(): number
  stop(): Promise<void>
}

export async function startCuttingProxy(target: {
  readonly host: string
  readonly port: number
}): Promise<CuttingProxy> {
  const sockets = new Set<Socket>()
  let connections = 0
  let bytesLeft = Infinity
  let isFrozen = false
  const server = createServer((near) => {
    connections += 1
    const far = connect(target.port, target.host)
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        sockets.delete(socket)
        near.destroy()
        far.destroy()
      })
    }
    near.on('data', (bytes) => {
      bytesLeft -= bytes.length
      if (isFrozen) return
      if (bytesLeft >= 0) {
        if (!far.write(bytes)) near.pause()
      } else {
        bytesLeft = Infinity
        near.resetAndDestroy()
      }
    })
    far.on('drain', () => near.resume())
    far.on('data', (bytes) => {
      if (!isFrozen) near.write(bytes)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('No port')
  return {
    host: '127.0.0.1',
    port: address.port,
    cutAfter: (bytes) => {
      bytesLeft = bytes
    },
    freeze: () => {
      isFrozen = true
    },
    connections: () => connections,
    stop: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
