import { randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { Readable } from 'node:stream'
import type { Client } from '@patchbay/contract'
import { Problem } from '../../domain/problem.ts'
import type { Run, RunRow } from './run-row.ts'
import { SAMPLE_ROWS, writeSampleCustomers } from './sample-customers.ts'
import { startSftpServer } from './sftp-server.ts'

export interface DemoParts {
  /** The API, answered by a Patchbay that may reach loopback and write below `fileRoot`. */
  readonly client: Client
  readonly fileRoot: string
  readonly engine: { readonly memoryLimitMb: number; readonly threads: number }
  readonly signal: AbortSignal
  /** Waits until a run has ended, and gives it. */
  readonly waitForRun: (runId: string) => Promise<Run>
  readonly say: (line: string) => void
}

export interface DemoResult {
  readonly steps: readonly RunRow[]
}

/**
 * The main job, from nothing: a table of customers, a segment of them, a real SFTP server, a folder; two exports that send
 * everything once, and after some customers changed only the difference.
 */
export async function runDemo(parts: DemoParts): Promise<DemoResult> {
  const { client, say, signal } = parts
  const existing = await client.tables.list({ query: {} })
  if (existing.items.length > 0) {
    throw new Problem('conflict', 'The demo starts with an empty data folder, and this one has tables', {
      cure: 'Name another folder in PATCHBAY_DATA',
    })
  }
  const work = await mkdtemp(join(tmpdir(), 'patchbay-demo-'))
  await mkdir(join(work, 'sftp', 'out'), { recursive: true })
  const sftp = await startSftpServer(join(work, 'sftp'), randomBytes(18).toString('base64url'))
  try {
    say(`1  ${SAMPLE_ROWS.toLocaleString('en')} customers become the profile table`)
    const first = await writeSampleCustomers(work, 'first', { ...parts.engine, signal })
    await client.tables.import({
      body: {
        uploads: [await upload(client, first)],
        read: {},
        types: {},
        badLinesMax: 0,
        labels: {},
        name: 'customers',
        key: 'customer_id',
        isProfile: true,
        tags: {
          first_name: ['personal'],
          last_name: ['personal'],
          email: ['personal', 'identifier'],
          phone: ['personal', 'identifier'],
          birth_date: ['personal', 'sensitive'],
        },
      },
    })

    say('2  A segment: consent given, and more than 1,000 spent in the last year')
    await client.segments.add({
      body: {
        name: 'Valued customers',
        rule: {
          all: [
            { on: { field: 'consent' }, isTrue: true },
            { on: { field: 'spend_last_year' }, moreThan: 1000 },
          ],
        },
      },
    })

    say('3  Two connections: an SFTP server on loopback, whose key is shown and trusted, and a folder')
    await connectSftp(client, sftp)
    await mkdir(join(parts.fileRoot, 'demo'), { recursive: true })
    await client.connections.add({
      body: {
        name: 'Demo folder',
        connectorId: 'local-folder',
        settings: { path: join(parts.fileRoot, 'demo') },
        secrets: {},
        pins: {},
        policy: { fields: 'all', hashed: [] },
      },
    })

    say('4  Two exports: the whole table to SFTP, the segment to the folder; both as a mirror')
    await addExports(client)
    const steps: RunRow[] = []
    const deliver = async (title: string, name: string): Promise<void> => {
      const started = await client.exports.run({ params: { export: name } })
      steps.push({ title, run: await parts.waitForRun(started.id) })
    }
    await deliver('First run', 'Customers to SFTP')
    await deliver('First run', 'Valued customers to folder')

    say('5  A day later: some spend more, some withdraw their consent, some leave, some are new')
    const changed = await writeSampleCustomers(work, 'changed', { ...parts.engine, signal })
    await client.tables.refresh({
      params: { table: 'customers' },
      body: { uploads: [await upload(client, changed)], read: {}, types: {}, badLinesMax: 0 },
    })
    for (const name of ['Customers to SFTP', 'Valued customers to folder']) {
      const previewed = await client.exports.preview({ params: { export: name } })
      steps.push({ title: 'Preview', run: await parts.waitForRun(previewed.id) })
      await deliver('Second run', name)
    }
    say(`6  On the SFTP server: ${await describeFolder(join(work, 'sftp', 'out'))}`)
    say(`   In the folder:      ${await describeFolder(join(parts.fileRoot, 'demo'))}`)
    return { steps }
  } finally {
    await sftp.close()
    await rm(work, { recursive: true, force: true })
  }
}

async function upload(client: Client, path: string): Promise<string> {
  const { size } = await stat(path)
  const body = Readable.toWeb(createReadStream(path)) as ReadableStream<Uint8Array>
  const { id } = await client.uploads.add({ query: { name: basename(path) }, body, sizeBytes: size })
  return id
}

/** As a person would: verify shows the server's key, it is trusted, and verify then signs in with it. */
async function connectSftp(
  client: Client,
  sftp: { readonly port: number; readonly user: string; readonly password: string },
): Promise<void> {
  const draft = {
    connectorId: 'sftp',
    settings: { host: '127.0.0.1', port: sftp.port, user: sftp.user, signIn: 'password', baseFolder: '/out' },
    secrets: { password: sftp.password },
  }
  const shown = await client.connections.checkDraft({ body: { ...draft, pins: {} } })
  const pin = shown.steps.find((step) => step.pin !== undefined)?.pin
  if (pin === undefined) throw new Error('The SFTP server did not show its key')
  const pins = { [pin.field]: pin.value }
  const checked = await client.connections.checkDraft({ body: { ...draft, pins } })
  const failing = checked.steps.find((step) => !step.ok)
  if (failing !== undefined)
    throw new Error(`The demo's SFTP server failed the step "${failing.step}": ${failing.message ?? ''}`)
  await client.connections.add({
    body: { ...draft, pins, name: 'Demo SFTP', policy: { fields: 'all', hashed: [] } },
  })
}

async function addExports(client: Client): Promise<void> {
  const guard = { removedShareMax: 0.2, removedRowsMin: 100, allowEmptySource: false }
  const format = { type: 'csv', gzip: false, delimiter: ',', header: true, neutraliseFormulas: true } as const
  const merge = { by: 'smallest-key' } as const
  await client.exports.add({
    body: {
      name: 'Customers to SFTP',
      connection: 'Demo SFTP',
      destination: { folder: 'customers' },
      mode: 'mirror',
      source: { kind: 'data-out', tables: [{ table: 'customers' }] },
      merge,
      format,
      guard,
      schedule: null,
    },
  })
  const plain = (from: string, to: string, identifier = false) => ({ from, to, identifier, transforms: [] })
  await client.exports.add({
    body: {
      name: 'Valued customers to folder',
      connection: 'Demo folder',
      destination: { folder: 'valued' },
      mode: 'mirror',
      source: {
        kind: 'segment',
        segments: ['Valued customers'],
        fields: [
          { from: 'email', to: 'Email', identifier: true, transforms: ['trim', 'lowercase'] },
          plain('first_name', 'FirstName'),
          plain('last_name', 'LastName'),
          plain('spend_last_year', 'Spend'),
        ],
      },
      merge,
      format: { ...format, type: 'json-lines' },
      guard,
      schedule: { on: false, timeZone: 'Etc/UTC', every: { type: 'daily', at: '06:00' }, blackout: [] },
    },
  })
}

async function describeFolder(folder: string): Promise<string> {
  const names = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = names.filter((entry) => entry.isFile())
  const sizes = await Promise.all(files.map((entry) => stat(join(entry.parentPath, entry.name))))
  const megabytes = sizes.reduce((sum, found) => sum + found.size, 0) / 1e6
  return `${files.length} files, ${megabytes.toFixed(1)} MB (${files
    .map((entry) => entry.name)
    .toSorted()
    .join(', ')})`
}
