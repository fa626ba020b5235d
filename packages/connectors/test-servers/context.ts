/**
 * A connector's `ctx` for tests: real sockets, real requests and a real disk, without the host's walls. What the host
 * promises to connectors in words (which status throws what) is kept here too, as short as it can be said.
 */
import { once } from 'node:events'
import { lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import {
  ConnectionRefused,
  DestinationInvalid,
  RateLimited,
  Unavailable,
  type Auth,
  type Context,
  type FetchAnswer,
  type FetchInit,
  type Fields,
  type Folder,
  type OutgoingFile,
  type Secret,
  type Values,
} from '@patchbay/connector-sdk'

export interface ContextOptions {
  readonly settings: Values<Fields>
  readonly auth?: Auth<Fields>
  readonly signal?: AbortSignal
  readonly now?: () => Date
  /** Sees each line that the connector logs. */
  readonly log?: (message: string, data?: Readonly<Record<string, string | number | boolean>>) => void
}

export function makeContext(options: ContextOptions): Context {
  const { settings, auth = { type: 'none' }, signal = new AbortController().signal } = options
  return {
    settings,
    signal,
    now: options.now ?? ((): Date => new Date()),
    log: options.log ?? ((): void => undefined),
    connect: ({ host, port }) => openSocket(host, port),
    fetch: (url, init = {}) => request(url, init, signInHeaders(auth, settings), signal),
    folder: (path) => openFolder(path),
  }
}

export function secretOf(text: string): Secret {
  return { reveal: () => text }
}

async function openSocket(host: string, port: number): Promise<ReturnType<typeof connect>> {
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

function signInHeaders(auth: Auth<Fields>, settings: Values<Fields>): Readonly<Record<string, string>> {
  if (auth.type === 'none') return {}
  if (auth.type === 'header') return auth.headers(settings)
  const { user, password } = auth.credentials(settings)
  return { authorization: `Basic ${Buffer.from(`${user}:${password.reveal()}`).toString('base64')}` }
}

async function request(
  url: string | URL,
  { accept = [], ...init }: FetchInit,
  signIn: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<FetchAnswer> {
  const headers = { ...init.headers, ...signIn }
  const sent = fetch(url, { ...init, headers, redirect: 'manual', signal })
  const broken = (error: unknown): never => {
    signal.throwIfAborted()
    throw new Unavailable('maybe', `${new URL(url).host} broke off`, { cause: error })
  }
  const answer = await sent.catch(broken)
  const text = await answer.text().catch(broken)
  const { status } = answer
  if (!accept.includes(status)) {
    if (status === 401 || status === 403) throw new ConnectionRefused(`The service answered ${status}`)
    if (status === 429) throw new RateLimited(Number(answer.headers.get('retry-after') ?? Number.NaN) || undefined)
    if (status >= 500) throw new Unavailable('maybe', `The service answered ${status}`)
  }
  return {
    status,
    headers: answer.headers,
    text: () => text,
    json: (): unknown => {
      try {
        return JSON.parse(text)
      } catch (error) {
        throw new Unavailable('maybe', 'The service answered something else than JSON', { cause: error })
      }
    },
  }
}

async function openFolder(root: string): Promise<Folder> {
  const isFolder = await lstat(root).then(
    (found) => found.isDirectory(),
    () => false,
  )
  if (!isFolder) throw new ConnectionRefused(`There is no folder ${root}`, { field: 'path', step: 'resolved' })
  const at = (name: string): string => join(root, name)
  return {
    async sizeOf(name) {
      const found = await lstat(at(name)).catch(asMissing)
      if (found !== undefined && !found.isFile()) throw new DestinationInvalid('folder', `${name} is no plain file`)
      return found?.size
    },
    async write(name, file: OutgoingFile) {
      await rm(at(name), { force: true })
      const handle = await open(at(name), 'wx')
      try {
        for await (const piece of file.read(1024 * 1024)) await handle.writeFile(piece)
        await handle.sync()
        return (await handle.stat()).size
      } finally {
        await handle.close()
      }
    },
    async rename(from, to) {
      await rename(at(from), at(to))
      const folder = await open(dirname(at(to)))
      await folder.sync()
      await folder.close()
    },
    remove: (name) => rm(at(name), { force: true }),
    async makeFolder(name) {
      await mkdir(at(name), { recursive: true })
    },
    async list(name) {
      const entries = await readdir(at(name), { withFileTypes: true }).catch(asMissing)
      return (entries ?? []).filter((entry) => entry.isFile()).map((entry) => entry.name)
    },
    close: () => Promise.resolve(),
  }
}

function asMissing(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
  throw error
}
