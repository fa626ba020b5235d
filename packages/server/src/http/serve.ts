/**
 * Listens: on TCP for the network, where every request needs a key, and on a socket in the data folder for the operator.
 * Which of the two a request came by is what the listener says, and nothing that the request says.
 */
import { chmodSync, rmSync, statSync } from 'node:fs'
import type { Server } from 'node:http'
import { connect } from 'node:net'
import { createAdaptorServer } from '@hono/node-server'
import type { Hono } from 'hono'
import { Problem } from '../domain/problem.ts'
import type { AppEnv, Bindings } from './who-asks.ts'

export interface Listening {
  readonly url: string
  readonly port: number
  readonly socket: string
  /** Takes no more requests, and waits for those that are being answered, at most `graceMs`. */
  close(graceMs: number): Promise<void>
}

/** Of a Unix socket's path, by the operating systems' own structure (`sockaddr_un`); 103 on macOS. */
const SOCKET_PATH_BYTES_MAX = 103

export async function listen(
  app: Hono<AppEnv>,
  place: { readonly host: string; readonly port: number; readonly socket: string },
): Promise<Listening> {
  await clearSocket(place.socket)
  const operator = serverFor(app, 'operator')
  await listening(operator, { path: place.socket })
  // The folder is the operator's alone already; this holds where somebody has opened it.
  chmodSync(place.socket, 0o600)
  const network = serverFor(app, 'network')
  try {
    await listening(network, { host: place.host, port: place.port })
  } catch (error) {
    await closed(operator, 0)
    throw portProblem(error, place)
  }
  const address = network.address()
  const port = typeof address === 'object' && address !== null ? address.port : place.port
  const shownHost = place.host.includes(':') ? `[${place.host}]` : place.host
  return {
    url: `http://${shownHost}:${port}`,
    port,
    socket: place.socket,
    async close(graceMs) {
      await Promise.all([closed(network, graceMs), closed(operator, graceMs)])
      rmSync(place.socket, { force: true })
    },
  }
}

function serverFor(app: Hono<AppEnv>, door: NonNullable<Bindings['door']>): Server {
  const server = createAdaptorServer({
    fetch: (request: Request, { incoming }) =>
      app.fetch(request, { door, address: incoming.socket?.remoteAddress ?? '' }),
    overrideGlobalObjects: false,
  }) as Server
  // An upload or an import may take long; a header that does not come to its end may not.
  server.requestTimeout = 0
  server.headersTimeout = 30_000
  server.keepAliveTimeout = 5_000
  return server
}

function listening(
  server: Server,
  where: { readonly path: string } | { readonly host: string; readonly port: number },
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(where, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function closed(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeIdleConnections()
    setTimeout(() => server.closeAllConnections(), graceMs).unref()
  })
}

/** A file that a killed server left is in the way; a server that lives is not pushed aside. */
async function clearSocket(path: string): Promise<void> {
  if (Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX)
    throw new Problem('invalid', `The path ${path} is too long for a socket (${SOCKET_PATH_BYTES_MAX} bytes)`, {
      path: 'PATCHBAY_DATA',
      cure: 'Choose a data folder with a shorter path',
    })
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined) return
  if (!found.isSocket())
    throw new Problem('conflict', `${path} is there, and is no socket`, {
      path: 'PATCHBAY_DATA',
      cure: 'Move it away: the server makes its own',
    })
  const isAlive = await new Promise<boolean>((resolve) => {
    const socket = connect(path, () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
  if (isAlive)
    throw new Problem('not-ready', 'A Patchbay server is running on this folder already', {
      path: 'PATCHBAY_DATA',
      cure: 'Stop it first, or name another folder',
    })
  rmSync(path, { force: true })
}

function portProblem(error: unknown, { host, port }: { readonly host: string; readonly port: number }): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code !== 'EADDRINUSE' && code !== 'EACCES' && code !== 'EADDRNOTAVAIL') return error
  return new Problem('not-ready', `Nobody can listen on ${host}:${port} (${String(code)})`, {
    path: code === 'EADDRNOTAVAIL' ? 'PATCHBAY_HOST' : 'PORT',
    cure:
      code === 'EADDRINUSE'
        ? 'Stop what listens there, or set PORT to another number'
        : 'Choose another address or port',
    cause: error,
  })
}
