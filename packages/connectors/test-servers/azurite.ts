/** Microsoft's emulator of Azure Storage, its Blob service: one account, and the container that tests write to. */
import { createHmac, randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { join } from 'node:path'
import { startGuarded } from './guarded-server.ts'

export interface BlobServer {
  readonly host: '127.0.0.1'
  readonly port: number
  /** Of the account. */
  readonly url: string
  readonly account: string
  readonly key: string
  readonly container: string
  /** Names of the blobs that a reader sees. */
  names(): Promise<readonly string[]>
  read(name: string): Promise<Buffer>
  write(name: string, body: string): Promise<void>
  /** One request as the account's owner, signed; `name` is empty for the container. */
  ask(method: string, name: string, query?: Readonly<Record<string, string>>, body?: string): Promise<Response>
  /** The same server, seen from a container of its own. */
  newContainer(): Promise<BlobServer>
  /** A shared access signature of the container, with letters such as `rcwd`. */
  sas(permissions: string, endsInMs?: number): string
  stop(): Promise<void>
}

const PROGRAM = fileURLToPath(import.meta.resolve('azurite/dist/src/blob/main.js'))
const ACCOUNT = 'patchbaytests'
const VERSION = '2021-12-02'

export async function startAzurite(more: readonly string[] = []): Promise<BlobServer> {
  const key = randomBytes(64).toString('base64')
  const server = await startGuarded({
    name: 'azurite',
    command: (folder, port) => [
      '/usr/bin/env',
      `AZURITE_ACCOUNTS=${ACCOUNT}:${key}`,
      ...[process.execPath, PROGRAM, '--blobHost', '127.0.0.1', '--blobPort', String(port)],
      ...['--silent', '--disableTelemetry', '--skipApiVersionCheck', ...more],
      ...(more.includes('--inMemoryPersistence') ? [] : ['--location', join(folder, 'data')]),
    ],
  })
  let containers = 0
  const url = `http://127.0.0.1:${server.port}/${ACCOUNT}`
  const newContainer = async (): Promise<BlobServer> => {
    const container = `exports-${containers++}`
    const ask: BlobServer['ask'] = (method, name, query = {}, body = '') => {
      const target = new URL(`${url}/${container}${name === '' ? '' : `/${encodeURIComponent(name)}`}`)
      for (const [field, value] of Object.entries(query)) target.searchParams.set(field, value)
      const headers = {
        'x-ms-date': new Date().toUTCString(),
        'x-ms-version': VERSION,
        ...(method === 'PUT' && name !== '' ? { 'x-ms-blob-type': 'BlockBlob' } : {}),
      }
      const lines = Object.entries(headers)
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map((pair) => `${pair.join(':')}\n`)
      const resource = [...target.searchParams]
        .map((pair) => `\n${pair.join(':')}`)
        .toSorted((a, b) => (a < b ? -1 : 1))
      const length = body === '' ? '' : String(Buffer.byteLength(body))
      const type = body === '' ? '' : 'text/plain;charset=UTF-8'
      const text = `${method}\n\n\n${length}\n\n${type}\n\n\n\n\n\n\n${lines.join('')}/${ACCOUNT}${target.pathname}${resource.join('')}`
      const authorization = `SharedKey ${ACCOUNT}:${sign(key, text)}`
      return fetch(target, { method, headers: { ...headers, authorization }, ...(body === '' ? {} : { body }) })
    }
    const made = await ask('PUT', '', { restype: 'container' })
    if (made.status !== 201) throw new Error(`Azurite made no container: ${made.status} ${await made.text()}`)
    return {
      ...{ host: '127.0.0.1', port: server.port, url, account: ACCOUNT, key, container, ask, newContainer },
      async names() {
        const text = await (await ask('GET', '', { restype: 'container', comp: 'list' })).text()
        return [...text.matchAll(/<Name>(.*?)<\/Name>/g)].map(([, name = '']) => unescape(name))
      },
      async read(name) {
        const answer = await ask('GET', name)
        if (answer.status !== 200) throw new Error(`${name}: ${answer.status}`)
        return Buffer.from(await answer.arrayBuffer())
      },
      async write(name, body) {
        const answer = await ask('PUT', name, {}, body)
        if (answer.status !== 201) throw new Error(`${name}: ${answer.status} ${await answer.text()}`)
      },
      sas(permissions, endsInMs = 3_600_000) {
        const ends = new Date(Date.now() + endsInMs).toISOString().replace(/\.\d+Z$/, 'Z')
        // Permissions, start, end, resource, and what is left empty, as version 2020-12-06 orders them.
        const fields = [
          permissions,
          '',
          ends,
          `/blob/${ACCOUNT}/${container}`,
          '',
          '',
          '',
          VERSION,
          'c',
          '',
          '',
          '',
          '',
          '',
          '',
          '',
        ]
        const sig = sign(key, fields.join('\n'))
        return new URLSearchParams({ sv: VERSION, sr: 'c', sp: permissions, se: ends, sig }).toString()
      },
      stop: () => server.stop(),
    }
  }
  return newContainer()
}

function sign(key: string, text: string): string {
  return createHmac('sha256', Buffer.from(key, 'base64')).update(text).digest('base64')
}

function unescape(text: string): string {
  return text
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&apos;', "'")
    .replaceAll('&amp;', '&')
}
