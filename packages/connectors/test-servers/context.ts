/**
 * The SDK's test context, for tests that hold values of settings as a connector sees them. The socket is the host's in one
 * respect more: the signal ends the connecting, and not what has been connected.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import {
  Unavailable,
  type Connector,
  type Context,
  type Fields,
  type Secret,
  type Values,
} from '@patchbay/connector-sdk'
import { makeTestContext } from '@patchbay/connector-sdk/testing'

export interface ContextOptions {
  readonly settings: Values<Fields>
  readonly signal?: AbortSignal
  readonly now?: () => Date
  /** Sees each line that the connector logs. */
  readonly log?: Context['log']
}

export function makeContext({ settings, signal, now, log }: ContextOptions): Context {
  const { context } = makeTestContext(NO_CONNECTOR, {
    settings: {},
    ...(signal !== undefined && { signal }),
    ...(now !== undefined && { now }),
  })
  return { ...context, settings, connect: openSocket, ...(log !== undefined && { log }) }
}

export function secretOf(text: string): Secret {
  return { reveal: () => text }
}

async function openSocket({ host, port }: { readonly host: string; readonly port: number }): Promise<Socket> {
  const socket = connect({ host, port, noDelay: true })
  // Stays for good, so that a socket that breaks before its driver listens does not end the process.
  socket.on('error', () => undefined)
  try {
    await once(socket, 'connect')
    return socket
  } catch (error) {
    throw new Unavailable('no', `${host}:${port} cannot be reached`, { cause: error, step: 'reached' })
  }
}

const NO_CONNECTOR: Connector = {
  ...{ id: 'none', name: 'None', summary: 'None', category: 'files', direction: 'export' },
  settings: {},
  auth: { type: 'none' },
  async *check() {},
  destinations: {},
}
