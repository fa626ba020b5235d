/** A whole Patchbay for a test: its own data folder, the real application, a client of the operator, keys of every role. */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { makeClient, type Client, type Role, type Run, type Upload } from '@patchbay/contract'
import { openPatchbay, type Patchbay, type PatchbayOptions } from '../main.ts'
import { readSettings, type Settings } from '../settings.ts'
import { copyTemplate } from './test-store.ts'

export interface TestPatchbay extends Patchbay {
  readonly settings: Settings
  /** The operator: every permission. */
  readonly client: Client
  /** A client that comes over the network with this key. */
  readonly clientOf: (key: string | undefined) => Client
  readonly keyOf: (role: Role) => Promise<string>
  /** One request as it comes over the network, or from the operator. */
  readonly send: (path: string, request?: SentRequest) => Promise<Response>
  readonly upload: (name: string, content: string) => Promise<Upload['id']>
  readonly ended: (run: Run) => Promise<Run>
  readonly fileRoot: string
  /** Closes it and removes its folder. */
  readonly remove: () => Promise<void>
}

export interface SentRequest {
  readonly method?: string
  readonly key?: string
  readonly as?: 'operator'
  readonly headers?: Readonly<Record<string, string>>
  /** Text is sent as it is, everything else as JSON. */
  readonly body?: unknown
}

const ENDED: readonly Run['status'][] = [
  'held',
  'successful',
  'completed-with-rejects',
  'failed',
  'canceled',
  'skipped',
]

export async function openTestPatchbay(
  options: PatchbayOptions = {},
  environment: Readonly<Record<string, string>> = {},
): Promise<TestPatchbay> {
  const dataFolder = await copyTemplate()
  const fileRoot = join(dataFolder, 'files')
  mkdirSync(fileRoot)
  const settings = readSettings(
    { PATCHBAY_DATA: dataFolder, PATCHBAY_LOG: 'silent', PATCHBAY_THREADS: '1', PORT: '0', ...environment },
    dataFolder,
  )
  const patchbay = await openPatchbay(settings, options)
  const client = makeClient(async (request) => patchbay.app.fetch(request, { door: 'operator' }))
  const keys = new Map<Role, string>()
  return {
    ...patchbay,
    settings,
    client,
    fileRoot,
    clientOf: (key) =>
      makeClient(async (request) => {
        if (key !== undefined) request.headers.set('authorization', `Bearer ${key}`)
        return patchbay.app.fetch(request, { door: 'network' })
      }),
    async keyOf(role) {
      const known = keys.get(role)
      if (known !== undefined) return known
      const { key } = await client.keys.add({ body: { name: `Test ${role}`, role } })
      keys.set(role, key)
      return key
    },
    async send(path, { method = 'GET', key, as, headers = {}, body }: SentRequest = {}) {
      const isText = typeof body === 'string'
      const sent = new Headers(headers)
      if (key !== undefined) sent.set('authorization', `Bearer ${key}`)
      if (body !== undefined && !sent.has('content-type')) sent.set('content-type', 'application/json')
      const init = {
        method,
        headers: sent,
        ...(body === undefined ? {} : { body: isText ? body : JSON.stringify(body) }),
      }
      return patchbay.app.fetch(new Request(`http://patchbay${path}`, init), { door: as ?? 'network' })
    },
    async upload(name, content) {
      const { id } = await client.uploads.add({ query: { name }, body: new Blob([content]).stream() })
      return id
    },
    async ended(started) {
      await patchbay.startWorker({ withSchedules: false })
      for (let run = started; ; run = await client.runs.show({ params: { run: started.id } })) {
        if (ENDED.includes(run.status)) return run
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    },
    async remove() {
      await patchbay.close()
      rmSync(dataFolder, { recursive: true, force: true })
    },
  }
}

export const CUSTOMERS = `id,email,country,consent,spend
1,ana@example.com,Brazil,true,10.5
2,leon@example.com,Germany,false,20
3,fran@example.com,Canada,true,
4,bjorn@example.com,Norway,true,4
5,frank@example.com,Brazil,false,99.25
`

/** A profile table, a folder to write to, and an export of the one to the other. */
export async function makeWorld(patchbay: TestPatchbay) {
  const { client, fileRoot } = patchbay
  const { table } = await client.tables.import({
    body: {
      uploads: [await patchbay.upload('customers.csv', CUSTOMERS)],
      name: 'customers',
      key: 'id',
      isProfile: true,
      tags: { email: ['personal', 'identifier'] },
    },
  })
  const segment = await client.segments.add({
    body: { name: 'Brazil', rule: { on: { field: 'country' }, equals: 'Brazil' } },
  })
  const connection = await client.connections.add({
    body: { name: 'Folder', connectorId: 'local-folder', settings: { path: fileRoot } },
  })
  const target = await client.exports.add({
    body: {
      name: 'Customers out',
      connection: connection.id,
      destination: { folder: 'out' },
      mode: 'mirror',
      source: { kind: 'data-out', tables: [{ table: 'customers' }] },
    },
  })
  return { table, segment, connection, target }
}
