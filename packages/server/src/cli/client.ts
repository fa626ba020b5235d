/**
 * How a command reaches the API: a server elsewhere (PATCHBAY_URL, or the one of `patchbay login`), the server that runs on the data folder, or, where
 * none does, the same application put together in this process. Whatever it is, the command sees one typed client.
 */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeClient, type Client, type Transport } from '@patchbay/contract'
import { Agent, fetch as send, type RequestInit as SendInit } from 'undici'
import { Problem } from '../domain/problem.ts'
import { socketPath } from '../http/socket-path.ts'
import type { Settings } from '../settings.ts'
import type { SignedIn } from './signed-in.ts'

export interface Session {
  readonly client: Client
  /** Where the answers come from, in words for messages. */
  readonly where: 'elsewhere' | 'server' | 'here'
  /** Makes sure that what was queued is worked on: starts a worker where there is no server that has one. */
  work(): Promise<void>
  close(): Promise<void>
}

/** Another command may be at work in the folder for a moment. */
const WAIT_FOR_FOLDER_MS = 10_000
const LOOK_EVERY_MS = 100

export async function openSession(settings: Settings, signedIn: SignedIn | undefined): Promise<Session> {
  if (settings.url !== undefined) return openElsewhere(settings, settings.url)
  if (signedIn !== undefined) {
    return openElsewhereWith(signedIn.url, (headers) => headers.set('cookie', signedIn.cookie))
  }
  const until = performance.now() + WAIT_FOR_FOLDER_MS
  for (;;) {
    const server = await openServer(socketPath(settings.dataFolder))
    if (server !== undefined) return server
    try {
      return await openHere(settings)
    } catch (error) {
      const isTaken = error instanceof Problem && error.code === 'not-ready' && error.path === 'PATCHBAY_DATA'
      if (!isTaken || performance.now() > until) throw error
      await sleep(LOOK_EVERY_MS)
    }
  }
}

async function openElsewhere(settings: Settings, url: string): Promise<Session> {
  const key = settings.apiKey ?? (await readKeyFile(settings.apiKeyFile))
  return openElsewhereWith(url, (headers) => headers.set('authorization', `Bearer ${key}`))
}

function openElsewhereWith(url: string, sign: (headers: Headers) => void): Session {
  const agent = new Agent({ headersTimeout: 0, bodyTimeout: 0 })
  const transport = over(agent, url, sign)
  return { client: makeClient(transport, url), where: 'elsewhere', work: done, close: () => agent.close() }
}

async function readKeyFile(path: string | undefined): Promise<string> {
  if (path === undefined)
    throw new Problem('invalid', 'PATCHBAY_URL is set, and no API key', {
      path: 'PATCHBAY_API_KEY_FILE',
      cure: 'Name a file that holds the key in PATCHBAY_API_KEY_FILE, or set PATCHBAY_API_KEY',
    })
  return (await readFile(path, 'utf8').catch(unreadable('PATCHBAY_API_KEY_FILE', path))).trim()
}

export function unreadable(place: string, path: string): (error: unknown) => never {
  return (error) => {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason'
    throw new Problem('invalid', `${path} cannot be read (${code})`, {
      path: place,
      cure: 'Name a file that is there and that you may read',
      cause: error,
    })
  }
}

/** Undefined where no server listens. */
async function openServer(path: string): Promise<Session | undefined> {
  if (!existsSync(path)) return undefined
  const agent = new Agent({ connect: { socketPath: path }, headersTimeout: 0, bodyTimeout: 0 })
  const transport = over(agent, 'the server on this folder', () => undefined)
  try {
    // A socket file without a server behind it was left by one that was killed.
    await transport(new Request('http://patchbay/healthz'))
  } catch {
    await agent.close()
    return undefined
  }
  return { client: makeClient(transport), where: 'server', work: done, close: () => agent.close() }
}

async function openHere(settings: Settings): Promise<Session> {
  const { openPatchbay } = await import('../main.ts')
  const patchbay = await openPatchbay(settings)
  const transport: Transport = async (request) => patchbay.app.fetch(request, { door: 'operator' })
  return {
    client: makeClient(transport),
    where: 'here',
    work: () => patchbay.startWorker({ withSchedules: false }),
    close: () => patchbay.close(),
  }
}

/** One request to a server elsewhere, by somebody who has no session yet, or ends it. */
export async function askOnce(url: string, path: string, init: RequestInit): Promise<Response> {
  const agent = new Agent()
  try {
    const response = await over(agent, url, () => undefined)(new Request(`${url}${path}`, init))
    const body = await response.text()
    return new Response(body === '' ? null : body, { status: response.status, headers: response.headers })
  } finally {
    await agent.close()
  }
}

function over(agent: Agent, name: string, sign: (headers: Headers) => void): Transport {
  return async (request) => {
    const headers = new Headers(request.headers)
    sign(headers)
    const init: SendInit = {
      method: request.method,
      headers: Object.fromEntries(headers),
      dispatcher: agent,
      signal: request.signal,
      redirect: 'manual',
      ...(request.body === null ? {} : { body: request.body, duplex: 'half' as const }),
    }
    try {
      return await send(request.url, init)
    } catch (error) {
      request.signal.throwIfAborted()
      const cause: unknown = error instanceof Error ? (error.cause ?? error) : error
      const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'no answer'
      throw new Problem('unavailable', `${name} cannot be reached (${code})`, {
        cure: 'Check that it runs; what was asked for may have been done, so look before you repeat it',
        cause: error,
      })
    }
  }
}

function done(): Promise<void> {
  return Promise.resolve()
}
