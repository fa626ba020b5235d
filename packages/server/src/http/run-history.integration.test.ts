/** What a run says of itself, while it goes on and afterwards. Rules are those of PRODUCT.md, "Exports". */
import type { Run } from '@patchbay/contract'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { makeMailing } from '../connector-host/testing/mailing.ts'
import { CUSTOMERS, makeWorld, openTestPatchbay, type TestPatchbay } from '../test-support/test-patchbay.ts'

const { mailing, service } = makeMailing()
let patchbay: TestPatchbay
let client: TestPatchbay['client']
const LIST = { export: 'List' }

beforeAll(async () => {
  patchbay = await openTestPatchbay({ connectors: [mailing] })
  client = patchbay.client
  await makeWorld(patchbay)
  await client.connections.add({
    body: { name: 'Mailing', connectorId: 'test-mailing', settings: { host: 'a.example' } },
  })
  await client.exports.add({
    body: {
      name: 'List',
      connection: 'Mailing',
      destination: { list: 'a' },
      mode: 'upsert',
      source: {
        kind: 'segment',
        segments: [],
        fields: [
          { to: 'EMAIL', from: 'email', identifier: true },
          { to: 'LAND', from: 'country' },
        ],
      },
    },
  })
})
afterAll(() => patchbay.remove())
/** What holds a batch back, opened by a test or at its end. */
let opened: Promise<void>
let open: () => void
afterEach(() => open())
beforeEach(() => {
  ;({ promise: opened, resolve: open } = Promise.withResolvers<void>())
  service.refuses = {}
  delete service.beforeBatch
})

const run = async (): Promise<Run> => patchbay.ended(await client.exports.run({ params: LIST }))
const textOf = async (stream: Promise<ReadableStream<Uint8Array>>): Promise<string> => new Response(await stream).text()

interface Told {
  readonly event: string
  readonly id: string | undefined
  readonly data: unknown
}

/** The events of a stream, as they come. */
async function* eventsOf(stream: ReadableStream<Uint8Array> | null): AsyncGenerator<Told> {
  let text = ''
  for await (const piece of stream ?? []) {
    text += new TextDecoder().decode(piece)
    const blocks = text.split('\n\n')
    text = blocks.pop() ?? ''
    for (const block of blocks) {
      const line = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1]
      const event = line('event')
      if (event !== undefined) yield { event, id: line('id'), data: JSON.parse(line('data') ?? 'null') }
    }
  }
}
async function follow(path: string, key: string, headers: Record<string, string> = {}) {
  const response = await patchbay.send(`/api/v1${path}`, { key, headers })
  expect(response.headers.get('content-type')).toBe('text/event-stream')
  return eventsOf(response.body)
}
async function next(events: AsyncGenerator<Told>): Promise<Told | undefined> {
  const { value, done } = await events.next()
  return done === true ? undefined : value
}
/** Without the runs of the tests before, which may still be ending. */
async function nextChange(events: AsyncGenerator<Told>): Promise<Told | undefined> {
  let told = await next(events)
  while ((told?.data as { kind?: string } | undefined)?.kind === 'run') told = await next(events)
  return told
}

test('rule 10: rejected rows by cause, in the words of the service, and as a file that no spreadsheet runs', async () => {
  service.refuses = { Brazil: '=HYPERLINK("http://evil.example")', Canada: 'unsubscribed, by "herself"' }
  const ended = await run()
  expect(ended).toMatchObject({ status: 'completed-with-rejects', counts: { accepted: 2, rejected: 3 } })
  const params = { run: ended.id }
  expect(await client.runs.causes({ params })).toEqual({
    items: [
      { reason: 'not-allowed', message: '=HYPERLINK("http://evil.example")', rows: 2 },
      { reason: 'not-allowed', message: 'unsubscribed, by "herself"', rows: 1 },
    ],
    isMore: false,
  })
  const csv = await textOf(client.runs.rowsCsv({ params }))
  const lines = csv.trimEnd().split('\r\n')
  expect(lines).toHaveLength(4)
  expect(lines[0]).toBe('source,key,change,reason,message,stands for')
  expect(csv).toContain(`"'=HYPERLINK(""http://evil.example"")"`)
  expect(csv).toContain('"unsubscribed, by ""herself"""')
  const rows = (await textOf(client.runs.rowsJsonLines({ params })))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as object)
  expect(rows).toEqual((await client.runs.rows({ params })).items)
  const response = await patchbay.send(`/api/v1/runs/${ended.id}/rows.csv`, { as: 'operator' })
  await response.body?.cancel()
  expect(response.headers.get('content-disposition')).toBe('attachment; filename="rows.csv"')
  expect((await client.audit.list({ query: { subject: ended.id, action: 'run.rows-downloaded' } })).items).toHaveLength(
    3,
  )
})

test('rule 10: a run is compared with the one before it, and says how long each stage took', async () => {
  const second = await run()
  expect(second).toMatchObject({ status: 'successful', counts: { read: 5, unchanged: 2, added: 3, accepted: 3 } })
  const { before, change, secondsMore } = await client.runs.comparison({ params: { run: second.id } })
  expect(before).toMatchObject({ status: 'completed-with-rejects' })
  expect(change).toMatchObject({ read: 0, unchanged: 2, rejected: -3, accepted: 1 })
  expect(secondsMore).toEqual(expect.any(Number))
  expect(second.stages.map(({ stage }) => stage)).toEqual(['plan', 'diff', 'guard', 'deliver', 'settle'])
  for (const { seconds } of second.stages) expect(seconds).toBeGreaterThanOrEqual(0)
  const first = await client.runs.comparison({ params: { run: before?.id ?? second.id } })
  expect(first).toEqual({ before: null, change: null, secondsMore: null })
})

test('a run is followed from its start to its end, with how far it is and how fast', async () => {
  let taken = 0
  service.beforeBatch = async () => {
    taken += 1
    if (taken === 3) await opened
  }
  const changed = CUSTOMERS.replaceAll('@example.com', '@example.org')
  await client.tables.refresh({
    params: { table: 'customers' },
    body: { uploads: [await patchbay.upload('customers.csv', changed)] },
  })
  const started = await client.exports.run({ params: LIST })
  const events = await follow(`/runs/${started.id}/events`, await patchbay.keyOf('Viewer'))
  expect(await next(events)).toMatchObject({ event: 'run', data: { id: started.id } })
  await patchbay.startWorker({ withSchedules: false })
  let told = await next(events)
  // At first nothing can be said of the time that is left.
  const hasEstimate = ({ progress }: Run): boolean => progress?.done === 2 && progress.secondsLeft !== null
  while (told?.event === 'run' && !hasEstimate(told.data as Run)) told = await next(events)
  const halfway = told?.data as Run
  expect(halfway.progress).toMatchObject({ done: 2, due: 5, perSecond: expect.any(Number) as number })
  expect(halfway.progress?.secondsLeft).toBeGreaterThan(0)

  // Whoever comes back with what they had is told what has changed since, and nothing twice.
  const again = await follow(`/runs/${started.id}/events`, await patchbay.keyOf('Viewer'), {
    'last-event-id': told?.id ?? '',
  })
  open()
  let seen = await next(again)
  while (seen?.id === told?.id) seen = await next(again)
  expect(seen?.event).toBe('run')
  for (told = await next(events); told?.event === 'run';) told = await next(events)
  expect(told).toMatchObject({ event: 'end', data: { reason: 'over' } })
  expect(await next(events)).toBeUndefined()
  await again.return(undefined)
})

test('what may be seen is followed: changes as they are committed, in order, and from where one left', async () => {
  const viewer = await follow('/events', await patchbay.keyOf('Viewer'))
  const admin = await follow('/events', await patchbay.keyOf('Administrator'))
  expect(await nextChange(viewer)).toMatchObject({ event: 'ready' })
  expect(await nextChange(admin)).toMatchObject({ event: 'ready' })
  const segment = await client.segments.add({ body: { name: 'New', rule: { on: { field: 'country' }, equals: 'x' } } })
  const seen = await nextChange(viewer)
  expect(seen).toMatchObject({ event: 'change', data: { kind: 'segment', id: segment.id, what: 'added' } })
  expect(await nextChange(admin)).toMatchObject({ data: { id: segment.id } })
  await client.connections.edit({ params: { connection: 'Mailing' }, body: { name: 'Mail' } })
  await client.segments.remove({ params: { segment: segment.id } })
  expect(await nextChange(admin)).toMatchObject({ data: { kind: 'connection', what: 'changed' } })
  // A Viewer sees no connections.
  expect(await nextChange(viewer)).toMatchObject({ data: { kind: 'segment', id: segment.id, what: 'removed' } })
  await viewer.return(undefined)
  await admin.return(undefined)

  const back = await follow('/events', await patchbay.keyOf('Viewer'), { 'last-event-id': seen?.id ?? '' })
  expect(await nextChange(back)).toMatchObject({ data: { kind: 'segment', id: segment.id, what: 'removed' } })
  await back.return(undefined)
  for (const id of ['999999999999-1', '1-1', 'x']) {
    const lost = await follow('/events', await patchbay.keyOf('Viewer'), { 'last-event-id': id })
    expect(await nextChange(lost)).toMatchObject({ event: 'reset' })
    await lost.return(undefined)
  }
})

test('the stream of somebody who is removed ends', async () => {
  const { key, apiKey } = await client.keys.add({ body: { name: 'Leaves', role: 'Viewer' } })
  service.beforeBatch = () => opened
  await client.exports.duplicate({ params: LIST, body: { name: 'Copy' } })
  const going = await client.exports.run({ params: { export: 'Copy' } })
  const [events, ofRun] = [await follow('/events', key), await follow(`/runs/${going.id}/events`, key)]
  expect(await next(events)).toMatchObject({ event: 'ready' })
  expect(await next(ofRun)).toMatchObject({ event: 'run' })
  await client.keys.remove({ params: { key: apiKey.id } })
  let told = await next(events)
  while (told !== undefined) told = await next(events)
  for (told = await next(ofRun); told?.event === 'run';) told = await next(ofRun)
  expect(told).toMatchObject({ event: 'end', data: { reason: 'not-allowed' } })
  expect(await client.runs.show({ params: { run: going.id } })).toMatchObject({ finishedAt: null })
  open()
  expect(await patchbay.ended(going)).toMatchObject({ status: 'successful' })
})

test('streams end when the server stops', async () => {
  const events = await follow('/events', await patchbay.keyOf('Viewer'))
  expect(await next(events)).toMatchObject({ event: 'ready' })
  patchbay.stopFollowing()
  let told = await next(events)
  while (told !== undefined) told = await next(events)
})
