/**
 * Services on the internet, each in two figures: a million rows beside the rate that the service's declared limit allows, by
 * a clock that jumps; and beside a bare loop that makes the same bodies and posts them, without any limit.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { openAsBlob } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Batch, Change, Connector, RowKey, RowsDestination } from '@patchbay/connector-sdk'
import { answerOf, makeTestContext } from '@patchbay/connector-sdk/testing'
import { makeClient, type Run } from '@patchbay/contract'
import { Agent, request } from 'undici'
import { googleCustomerMatchAt } from '../packages/connectors/src/google-customer-match/index.ts'
import { klaviyoConnectorAt } from '../packages/connectors/src/klaviyo/index.ts'
import { metaCustomAudiencesAt } from '../packages/connectors/src/meta-custom-audiences/index.ts'
import { Pacer } from '../packages/server/src/connector-host/pacer.ts'
import { runExport } from '../packages/server/src/engine/run-export.ts'
import { keyOf, TestWorld } from '../packages/server/src/engine/testing.ts'
import type { OutboxBatch } from '../packages/server/src/engine/ports.ts'
import { startDuckDb } from '../packages/server/src/lake/duckdb-process.ts'
import { openPatchbay } from '../packages/server/src/main.ts'
import { readSettings } from '../packages/server/src/settings.ts'
import { figureOf, inTurns, type Case, type Figure } from './cases.ts'
import { secondsOf } from './limits.ts'
import { hubSpot, mailchimp, sendGrid } from './mail-services.ts'
import { watchMemory } from './process-memory.ts'
import { writeSampleTable } from './sample-table.ts'
import { ANSWER_MS, JOB_MS, type Service } from './service.ts'
import { SimulatedClock } from './simulated-clock.ts'

const HASH = '0'.repeat(56)
const hashLike = (seq: number): string => HASH + seq.toString(16).padStart(8, '0')
const HASHED_EMAIL = 'sha256(lower(trim(email)))'

const klaviyo: Service = {
  id: 'klaviyo',
  connectorAt: klaviyoConnectorAt,
  settings: {},
  secrets: { apiKey: 'pk_test_0123456789' },
  destinationType: 'list',
  destination: (list) => ({ target: 'existing', list }),
  requestsPerBatch: 2,
  row: (seq) => ({ email: `p${seq}@example.com` }),
  answer(url, body, clock) {
    if (url.pathname.startsWith('/api/lists/')) return { status: 200, body: { data: { id: 'L1' } } }
    if (body !== '') {
      const rows = body.split('"type":"profile"').length - 1
      return { status: 202, body: { data: { id: `${rows}-${clock.monotonicMs() + JOB_MS}` } } }
    }
    const [rows = 0, doneMs = 0] = (url.pathname.split('/').at(-1) ?? '').split('-').map(Number)
    const status = clock.monotonicMs() < doneMs ? 'processing' : 'complete'
    return { status: 200, body: { data: { attributes: { status, total_count: rows, failed_count: 0 } } } }
  },
  field: 'email',
  rowSql: `concat('{"type":"profile","attributes":{"email":', to_json(lower(trim(email))), '}}')`,
  bodyOf: (rows, list) =>
    `{"data":{"type":"profile-bulk-import-job","attributes":{"profiles":{"data":[${rows}]}},"relationships":{"lists":{"data":[{"type":"list","id":"${list}"}]}}}}`,
  path: () => '/api/profile-bulk-import-jobs',
  headers: { authorization: 'Klaviyo-API-Key pk_test_0123456789', revision: '2026-07-15' },
  contentType: 'application/vnd.api+json',
  next: (answer) => ({
    path: `/api/profile-bulk-import-jobs/${(answer as { data: { id: string } }).data.id}`,
    done: /complete/,
  }),
}

const GOOGLE_TOKEN = 'ya29.token'
const google: Service = {
  id: 'google-customer-match',
  connectorAt: (origin) => ({
    ...googleCustomerMatchAt(origin),
    auth: { type: 'header', headers: () => ({ authorization: `Bearer ${GOOGLE_TOKEN}` }), origin: () => origin },
  }),
  settings: { customerId: '123-456-7890' },
  secrets: {},
  destinationType: 'userList',
  destination: (userList) => ({ target: 'existing', userList, termsAccepted: true }),
  requestsPerBatch: 2,
  row: (seq) => ({ emailAddress: hashLike(seq) }),
  answer(url, body, clock) {
    if (url.pathname.includes('/userLists/'))
      return { status: 200, body: { id: '1', ingestedUserListInfo: { uploadKeyTypes: ['CONTACT_ID'] } } }
    if (body !== '') {
      const rows = body.split('"userData"').length - 1
      return { status: 200, body: { requestId: `${rows}-${clock.monotonicMs() + JOB_MS}` } }
    }
    const [rows = 0, doneMs = 0] = (url.searchParams.get('requestId') ?? '').split('-').map(Number)
    const requestStatus = clock.monotonicMs() < doneMs ? 'PROCESSING' : 'SUCCESS'
    const counted = { audienceMembersIngestionStatus: { userDataIngestionStatus: { recordCount: rows } } }
    return { status: 200, body: { requestStatusPerDestination: [{ requestStatus, ...counted }] } }
  },
  field: 'emailAddress',
  rowSql: `concat('{"userData":{"userIdentifiers":[{"emailAddress":"', ${HASHED_EMAIL}, '"}]}}')`,
  bodyOf: (rows, list) =>
    `{"destinations":[{"operatingAccount":{"accountType":"GOOGLE_ADS","accountId":"1234567890"},"productDestinationId":"${list}"}],"audienceMembers":[${rows}],"encoding":"HEX","termsOfService":{"customerMatchTermsOfServiceStatus":"ACCEPTED"}}`,
  path: () => '/v1/audienceMembers:ingest',
  headers: { authorization: `Bearer ${GOOGLE_TOKEN}` },
  contentType: 'application/json',
  next: (answer) => ({
    path: `/v1/requestStatus:retrieve?requestId=${(answer as { requestId: string }).requestId}`,
    done: /SUCCESS/,
  }),
}

const meta: Service = {
  id: 'meta-custom-audiences',
  connectorAt: metaCustomAudiencesAt,
  settings: { adAccount: '1234567890', signIn: 'system-user' },
  secrets: { token: 'token-of-a-system-user' },
  destinationType: 'audience',
  destination: (audience) => ({ target: 'existing', audience }),
  requestsPerBatch: 1,
  row: (seq) => ({ EMAIL: hashLike(seq) }),
  answer(_, body) {
    if (body === '') return { status: 200, body: { id: '1', name: 'Bench', subtype: 'CUSTOM' } }
    const rows = body.split('],[').length
    return { status: 200, body: { num_received: rows, num_invalid_entries: 0 } }
  },
  field: 'EMAIL',
  rowSql: `concat('["', ${HASHED_EMAIL}, '"]')`,
  bodyOf: (rows) => `{"payload":{"schema":["EMAIL"],"data":[${rows}]}}`,
  path: (audience) => `/v23.0/${audience}/users`,
  headers: { authorization: 'Bearer token-of-a-system-user' },
  contentType: 'application/json',
}

function rowsOf(connector: Connector, { destinationType }: Service): RowsDestination<never, never> {
  const destination = connector.destinations[destinationType]
  if (destination?.delivers !== 'rows') throw new Error(`${connector.id} takes no rows`)
  return destination as unknown as RowsDestination<never, never>
}

// ---- beside the declared limit ---------------------------------------------------------------------------------------

/** The engine, the connector and the host's pacer as they are; the outbox is in memory, and the service answers in 200 ms. */
async function atTheLimit(service: Service, rows: number): Promise<Figure> {
  const clock = new SimulatedClock()
  const connector = service.connectorAt('https://service.invalid')
  const { limits, open } = rowsOf(connector, service)
  const pacer = new Pacer(
    { requestsPerSecond: limits.requestsPerSecond, requestsInFlight: Math.max(4, limits.batchesInFlight) },
    clock,
  )
  const { settings, secrets } = service
  const { context } = makeTestContext(connector, { settings, secrets, now: clock.now })
  const fetch: typeof context.fetch = async (target, init = {}) => {
    const leave = await pacer.enter(context.signal)
    try {
      await clock.sleep(ANSWER_MS, context.signal)
      const url = new URL(target)
      const { status, body } = service.answer(url, typeof init.body === 'string' ? init.body : '', clock)
      return answerOf(status, JSON.stringify(body))
    } finally {
      leave()
    }
  }
  const values = service.destination('1') as never
  const delivery = await open({ ...context, fetch } as never, values, 'upsert')
  const world = new TestWorld(rows, {}, { repeat: { kind: 'harmless' } })
  const ports = world.ports(() => ({ delivers: 'rows', mode: 'upsert', limits, delivery, close: () => Promise.resolve() }))
  const lake = { ...ports.lake, open: async (...given: Parameters<typeof ports.lake.open>) => ({
    ...(await ports.lake.open(...given)),
    batches: () => outboxOf(service, rows, limits.rowsPerBatch),
  }) }
  const startMs = clock.monotonicMs()
  const outcome = await runExport(world.lease, { ...ports, lake, clock }, context.signal, true)
  const { counts } = world.settlement ?? {}
  if (outcome.status !== 'successful' || counts?.accepted !== rows) throw new Error(`${service.id}: ${outcome.reason}`)
  const batches = Math.ceil(rows / limits.rowsPerBatch)
  // Where a service counts connections and no requests, its rate is what so many of them can ask.
  const requestsPerSecond = limits.requestsPerSecond ?? (limits.batchesInFlight * 1000) / ANSWER_MS
  const rate =
    limits.requestsPerSecond === undefined ? `${limits.batchesInFlight} at once` : `${requestsPerSecond} requests a second`
  return figureOf({
    case: `${rows / 1e6} M rows to ${service.id}, by a clock that jumps`,
    rows,
    seconds: (clock.monotonicMs() - startMs) / 1000,
    memoryMb: 0,
    limit: `its declared limit: ${rate}, ${batches} of ${limits.rowsPerBatch} rows, ${service.requestsPerBatch} for each`,
    limitSeconds: leastSeconds(service, batches, requestsPerSecond),
    ratioAtLeast: 0.9,
  })
} // prettier-ignore

/** All requests at the rate; or the sending at the rate, and the time that the service works on the last job. */
function leastSeconds({ requestsPerBatch }: Service, batches: number, requestsPerSecond: number): number {
  const all = (batches * requestsPerBatch) / requestsPerSecond
  return requestsPerBatch === 1 ? all : Math.max(all, batches / requestsPerSecond + JOB_MS / 1000)
}

async function* outboxOf(service: Service, rows: number, rowsPerBatch: number): AsyncIterable<OutboxBatch> {
  for (let first = 1; first <= rows; first += rowsPerBatch) {
    const last = Math.min(rows, first + rowsPerBatch - 1)
    const changes = Array.from({ length: last - first + 1 }, (_, at): Change => ({
      change: 'added',
      key: keyOf(first + at),
      fields: service.row(first + at),
    }))
    const keys: readonly RowKey[] = changes.map(({ key }) => key)
    const json = changes.map((change) => JSON.stringify(change))
    const whole: Batch = { id: `run_test-people-${first}-${last}`, size: keys.length, keys, json, changes }
    yield await Promise.resolve({ ...whole, source: 'people', first, last, sizeBytes: 1 })
  }
}

// ---- beside a bare loop ----------------------------------------------------------------------------------------------

async function besideBareLoop(service: Service, where: string, rows: number): Promise<Figure> {
  const table = await writeSampleTable(where, rows)
  const fake = await startFake(service.id)
  try {
    const patchbay = await openWorld(service, fake, where, table)
    try {
      const { limitSeconds, ours } = await inTurns(
        () => bareLoop(service, fake, table, where),
        () => patchbay.run(),
      )
      return figureOf({
        case: `${rows / 1e6} M rows to ${service.id}, without a limit`,
        rows,
        ...ours,
        limit: 'a bare loop that makes the bodies in SQL and posts them four at once',
        limitSeconds,
        ratioAtLeast: 0.5,
      })
    } finally {
      await patchbay.close()
    }
  } finally {
    await fake.stop()
  }
}

interface Fake {
  readonly origin: string
  readonly id: string
}

async function startFake(id: string): Promise<Fake & { readonly stop: () => Promise<void> }> {
  const program = fileURLToPath(new URL('service-fake.ts', import.meta.url))
  const child = spawn(process.execPath, ['--no-warnings', program, id], { stdio: ['pipe', 'pipe', 'inherit'] })
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  return {
    ...(JSON.parse(line.toString()) as Fake),
    async stop() {
      const ended = once(child, 'close')
      child.stdin.end()
      await ended
    },
  }
}

/** The whole program in this process, its connector without the rate, and an export of e-mail addresses. */
async function openWorld(service: Service, fake: Fake, where: string, table: string) {
  const connector = service.connectorAt(fake.origin)
  const { requestsPerSecond: _, ...limits } = rowsOf(connector, service).limits
  const destination = { ...rowsOf(connector, service), limits }
  const unpaced = { ...connector, destinations: { [service.destinationType]: destination } } as unknown as Connector
  const settings = readSettings(
    { PATCHBAY_DATA: join(where, 'data'), PATCHBAY_ALLOW_HOSTS: '127.0.0.1', PATCHBAY_FILE_ROOTS: where, PATCHBAY_LOG: 'error' },
    where,
  )
  const patchbay = await openPatchbay(settings, { connectors: [unpaced] })
  const client = makeClient(async (sent) => patchbay.app.fetch(sent, { door: 'operator' }))
  const { id } = await client.uploads.add({ query: { name: 'people.parquet' }, body: (await openAsBlob(table)).stream() })
  await client.tables.import({ body: { uploads: [id], name: 'people', key: 'id' } })
  const { settings: values, secrets } = service
  await client.connections.add({ body: { name: 'Service', connectorId: service.id, settings: values, secrets } })
  await patchbay.startWorker({ withSchedules: false })
  let exports = 0
  return {
    close: () => patchbay.close(),
    async run() {
      exports += 1
      const fields = [{ to: service.field, from: 'email', identifier: true, transforms: [] }]
      const made = await client.exports.add({
        body: {
          name: `Export ${exports}`,
          connection: 'Service',
          destinationType: service.destinationType,
          destination: service.destination(fake.id),
          mode: 'upsert',
          source: { kind: 'data-out', tables: [{ table: 'people', fields }] },
        },
      })
      const memory = watchMemory(process.pid)
      let run: Run = await client.exports.run({ params: { export: made.id } })
      while (['queued', 'running', 'failed-retrying'].includes(run.status)) {
        await new Promise((resolve) => setTimeout(resolve, 20))
        run = await client.runs.show({ params: { run: run.id } })
      }
      const memoryMb = memory.stop()
      if (run.status !== 'successful') throw new Error(`The run is ${JSON.stringify(run)}`)
      const seconds = (Date.parse(run.finishedAt ?? '') - Date.parse(run.startedAt ?? '')) / 1000
      return { status: run.status, counts: run.counts, seconds, memoryMb }
    },
  }
} // prettier-ignore

/** The least that must be done: bodies made in SQL, four requests at once, and each job asked for until it is done. */
async function bareLoop(service: Service, fake: Fake, table: string, folder: string): Promise<number> {
  const signal = new AbortController().signal
  const duckDb = await startDuckDb({ read: [], write: [folder], memoryLimitMb: 512, threads: 2, signal })
  const agent = new Agent({ connections: 4, pipelining: 1 })
  const rowsPerBatch = rowsOf(service.connectorAt(fake.origin), service).limits.rowsPerBatch
  try {
    return await secondsOf(async () => {
      const inFlight = new Set<Promise<void>>()
      let texts: string[] = []
      const post = async (body: string): Promise<void> => {
        const headers = { ...service.headers, 'content-type': service.contentType }
        const url = `${fake.origin}${service.path(fake.id)}`
        const { method = 'POST' } = service
        const answer = await request(url, { method, headers, body, dispatcher: agent })
        const told: unknown = await answer.body.json()
        if (answer.statusCode >= 300) throw new Error(`Refused: ${answer.statusCode}`)
        const next = service.next?.(told, fake.id)
        if (next === undefined) return
        const second = await request(`${fake.origin}${next.path}`, {
          method: next.method ?? 'GET',
          headers: next.body === undefined ? service.headers : headers,
          ...(next.body === undefined ? {} : { body: next.body }),
          dispatcher: agent,
        })
        if (!next.done.test(await second.body.text())) throw new Error('The job is not done')
      }
      const send = async (): Promise<void> => {
        const body = service.bodyOf(texts.join(','), fake.id)
        texts = []
        const task: Promise<void> = post(body).finally(() => inFlight.delete(task))
        inFlight.add(task)
        if (inFlight.size >= 4) await Promise.race(inFlight)
      }
      for await (const chunk of duckDb.stream(`SELECT ${service.rowSql} FROM read_parquet('${table}')`)) {
        for (const text of chunk.columns[0] ?? []) {
          texts.push(String(text))
          if (texts.length === rowsPerBatch) await send()
        }
      }
      if (texts.length > 0) await send()
      await Promise.all(inFlight)
    })
  } finally {
    await agent.close()
    await duckDb.close()
  }
} // prettier-ignore

function caseOf(service: Service): Case {
  return async (where, scale) => [
    // A million at any scale: the clock jumps.
    await atTheLimit(service, 1_000_000),
    await besideBareLoop(service, where, 1_000_000 * scale),
  ]
}

export const SERVICE_CASES: Readonly<Record<string, Case>> = {
  sendgrid: caseOf(sendGrid),
  mailchimp: caseOf(mailchimp),
  hubspot: caseOf(hubSpot),
  klaviyo: caseOf(klaviyo),
  'google-customer-match': caseOf(google),
  'meta-custom-audiences': caseOf(meta),
}
