/** An S3 server from npm, in a process of its own: it verifies signatures and keeps objects and parts as files. */
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startGuarded } from './guarded-server.ts'

export interface S3Server {
  readonly url: string
  readonly host: '127.0.0.1'
  readonly port: number
  readonly bucket: string
  /** As it ships: its one account. */
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** Keys of the objects. */
  keys(): readonly string[]
  /** The file that holds an object's bytes. */
  pathOf(key: string): string
  /** Ids of uploads that were begun and neither completed nor aborted, and hold parts. */
  uploads(): readonly string[]
  /** Removes every object and every upload. */
  empty(): void
  stop(): Promise<void>
}

const PROGRAM = fileURLToPath(import.meta.resolve('@20minutes/s3rver'))
/** The server knows no AbortMultipartUpload, so that one is answered in front of it. */
const START = `const [, module, directory, port, bucket] = process.argv
const fs = require('fs')
fs.mkdirSync(directory)
const server = new (require(module))({
  address: '127.0.0.1', port: Number(port), directory, silent: true, configureBuckets: [{ name: bucket, configs: [] }],
})
server.run().then(() => {
  const [answer] = server.httpServer.listeners('request')
  server.httpServer.removeAllListeners('request')
  server.httpServer.on('request', (request, response) => {
    const id = new URL(request.url, 'http://server').searchParams.get('uploadId')
    if (request.method !== 'DELETE' || id === null) return answer(request, response)
    const upload = directory + '/' + bucket + '/._S3rver_uploads/' + id.replace(/[^0-9a-f]/g, '')
    const status = fs.existsSync(upload) ? 204 : 404
    fs.rmSync(upload, { recursive: true, force: true })
    response.writeHead(status).end()
  })
})`
const OBJECT = '._S3rver_object'

export async function startS3(bucket = 'exports'): Promise<S3Server> {
  const server = await startGuarded({
    name: 's3rver',
    // As a library: the package's own program is missing in it.
    command: (folder, port) => [process.execPath, '-e', START, PROGRAM, join(folder, 'data'), String(port), bucket],
  })
  const root = join(server.folder, 'data', bucket)
  const filesBelow = (path: string): readonly string[] =>
    existsSync(path) ? readdirSync(path, { recursive: true, encoding: 'utf8' }) : []
  return {
    ...{ url: `http://127.0.0.1:${server.port}`, host: '127.0.0.1', port: server.port, bucket },
    accessKeyId: 'S3RVER',
    secretAccessKey: 'S3RVER',
    keys: () =>
      filesBelow(root)
        .filter((name) => name.endsWith(OBJECT) && !name.startsWith('._S3rver_uploads'))
        .map((name) => name.slice(0, -OBJECT.length))
        .toSorted(),
    pathOf: (key) => join(root, `${key}${OBJECT}`),
    uploads: () => filesBelow(join(root, '._S3rver_uploads')).filter((name) => /\/\d+$/.test(name)),
    empty: () => {
      for (const name of existsSync(root) ? readdirSync(root) : []) rmSync(join(root, name), { recursive: true })
    },
    stop: () => server.stop(),
  }
}
