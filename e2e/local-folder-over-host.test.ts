/** The local-folder connector over the real connector host: the definitions of all connectors, Verify, and one delivery. */
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CheckStep } from '@patchbay/connector-sdk'
import { connectors } from '@patchbay/connectors'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { checkConnection } from '../packages/server/src/connector-host/check-connection.ts'
import { checkFileRoots } from '../packages/server/src/connector-host/file-roots.ts'
import type { LocalFile } from '../packages/server/src/connector-host/folder.ts'
import { makeConnectorHost, type ConnectorHost } from '../packages/server/src/connector-host/host.ts'
import { openDestination } from '../packages/server/src/connector-host/open-destination.ts'
import { makeRegistry } from '../packages/server/src/connector-host/registry.ts'

let top: string
let root: string
let spool: string
let host: ConnectorHost

const SIGNAL = new AbortController().signal
const registry = makeRegistry(connectors)
const localFolder = registry.findConnector('local-folder')

beforeEach(async () => {
  top = await mkdtemp(join(tmpdir(), 'patchbay-local-'))
  ;[root, spool] = [join(top, 'root'), join(top, 'spool')]
  for (const folder of [root, spool]) await mkdir(folder)
  const log = { info: () => undefined }
  host = makeConnectorHost({ rules: { allowed: [] }, fileRoots: await checkFileRoots([root]), spoolFolder: spool, log })
})
afterEach(() => rm(top, { recursive: true }))

const connection = (path: string) => ({
  connectionId: 'con_1',
  settings: { path },
  readSecret: () => Promise.resolve(undefined),
})

async function verify(path: string): Promise<readonly CheckStep[]> {
  if (localFolder === undefined) throw new Error('It is there')
  const steps: CheckStep[] = []
  for await (const step of checkConnection(host, localFolder, connection(path), SIGNAL)) steps.push(step)
  return steps
}

it('Verify tries the folder, and leaves nothing in it', async () => {
  const steps = await verify(root)
  expect(steps.length).toBeGreaterThan(1)
  expect(steps.every(({ ok }) => ok)).toBe(true)
  expect(await readdir(root)).toEqual([])
})

it('Verify names the field of a folder that may not be written to', async () => {
  for (const path of [spool, join(root, 'missing'), `${root}/../spool`, 'relative'])
    expect(await verify(path)).toMatchObject([{ ok: false, field: 'path' }])
})

it('a finished file of the spool appears by another name, and is not copied', async () => {
  if (localFolder === undefined) throw new Error('It is there')
  const opened = await openDestination(host, {
    connector: localFolder,
    connection: connection(root),
    destinationType: 'folder',
    destination: { folder: 'daily' },
    mode: 'replace',
    run: { runId: 'run_1', delivered: [] },
    signal: SIGNAL,
  })
  if (opened.delivers !== 'files') throw new Error('It delivers files')
  const [part, model] = [await spooled('a.csv', 'a,b\n1,2\n'), await spooled('model.json', '{}')]
  expect(await opened.delivery.put(part)).toEqual({ sizeBytes: 8 })
  await opened.delivery.commit({ files: [part], model, superseded: [] })
  expect((await readdir(join(root, 'daily'))).toSorted()).toEqual(['a.csv', 'model.json'])
  expect(await readFile(join(root, 'daily/a.csv'), 'utf8')).toBe('a,b\n1,2\n')
  expect((await stat(join(root, 'daily/a.csv'))).ino).toBe((await stat(part.path)).ino)
})

async function spooled(name: string, text: string): Promise<LocalFile> {
  const path = join(spool, name)
  await writeFile(path, text)
  const bytes = Buffer.from(text)
  return {
    name,
    path,
    rows: 1,
    sizeBytes: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    async *read() {
      yield await Promise.resolve(bytes)
    },
  }
}
