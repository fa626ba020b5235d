/** Streams files to the server, which knows them by the ids of their uploads from then on. */
import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { basename, extname, join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import type { Client, Upload } from '@patchbay/contract'
import { SingleBar } from 'cli-progress'
import { unreadable } from './client.ts'
import type { Run } from './command.ts'
import { wrong } from './given.ts'

const ENDINGS = ['.csv', '.tsv', '.txt', '.parquet', '.jsonl', '.ndjson', '.json']
const MEGABYTE = 1_000_000

export async function sendFiles(
  run: Run,
  client: Client,
  paths: readonly string[],
): Promise<{ readonly uploads: Upload['id'][]; readonly name: string }> {
  const files = (await Promise.all(paths.map((path) => filesAt(resolve(run.workingFolder, path))))).flat()
  const total = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const { terminal } = run
  const bar =
    terminal.isInteractive && total > 20 * MEGABYTE
      ? new SingleBar({ stream: terminal.stderr, format: 'sending [{bar}] {value}/{total} MB', clearOnComplete: true })
      : undefined
  bar?.start(Math.ceil(total / MEGABYTE), 0)
  const uploads: Upload['id'][] = []
  let sent = 0
  try {
    for (const { path } of files) {
      const source = createReadStream(path, { highWaterMark: 1024 * 1024 })
      source.on('data', (piece) => bar?.update(Math.floor((sent += piece.length) / MEGABYTE)))
      const body = Readable.toWeb(source) as ReadableStream<Uint8Array>
      const upload = await client.uploads.add({ query: { name: basename(path) }, body, signal: run.interrupt.signal })
      uploads.push(upload.id)
    }
  } catch (error) {
    for (const upload of uploads) await client.uploads.remove({ params: { upload } }).catch(() => undefined)
    throw error
  } finally {
    bar?.stop()
  }
  const [first = ''] = paths
  const name = basename(resolve(first))
  return { uploads, name: tableName(name) }
}

/** `2026 customers (new).csv` becomes `2026 customers new`: a table's name is used in rules and file names. */
function tableName(fileName: string): string {
  const name = fileName.slice(0, fileName.length - extname(fileName).length).replaceAll(/[^\p{L}\p{N}_\-. ]+/gu, '')
  return name
    .trim()
    .replaceAll(/^\.+|\.+$/g, '')
    .slice(0, 100)
}

/** A file, or the files of a folder in the order of their names; folders within it are left alone. */
async function filesAt(path: string): Promise<readonly { readonly path: string; readonly sizeBytes: number }[]> {
  const found = await stat(path).catch(unreadable('path', path))
  if (found.isFile()) return [{ path, sizeBytes: found.size }]
  if (!found.isDirectory()) throw wrong('path', `${path} is neither a file nor a folder`, 'Name one of the two')
  const names = (await readdir(path)).filter(
    (name) => !name.startsWith('.') && ENDINGS.includes(extname(name).toLowerCase()),
  )
  const files: { path: string; sizeBytes: number }[] = []
  for (const name of names.toSorted()) {
    const file = await stat(join(path, name))
    if (file.isFile()) files.push({ path: join(path, name), sizeBytes: file.size })
  }
  if (files.length === 0)
    throw wrong('path', `The folder ${path} holds no file to import`, `Files end in ${ENDINGS.join(', ')}`)
  return files
}
