/** Every field of every body, replaced by what it is not: refused by name, and nothing has changed. */
import { listEndpoints, type ProblemAnswer } from '@patchbay/contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeWorld, openTestPatchbay, type TestPatchbay } from '../test-support/test-patchbay.ts'

type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json }

const SCHEDULE = {
  on: true,
  timeZone: 'Europe/Vienna',
  every: { type: 'weekly', days: ['mon'], at: '06:00' },
  blackout: [{ days: ['sun'], from: '01:00', to: '02:00' }],
}
const RULE = {
  all: [
    { on: { field: 'country' }, equals: 'Brazil', ignoreCase: true },
    { any: [{ not: { on: { field: 'id' }, between: [1, 2] } }, { on: { field: 'email' }, isEmpty: false }] },
    {
      on: { aggregate: 'count', table: 'customers', by: 'id', where: { on: { field: 'spend' }, moreThan: 1 } },
      lessThan: 9,
    },
  ],
}
const FIELDS = [{ to: 'mail', from: 'email', transforms: ['trim'], identifier: true }]
const EXPORT = {
  name: 'Another',
  connection: 'Folder',
  destinationType: 'folder',
  destination: { folder: 'other' },
  mode: 'mirror',
  source: { kind: 'segment', segments: ['Brazil'], fields: FIELDS },
  merge: { by: 'newest', field: 'spend' },
  format: { type: 'csv', gzip: true, delimiter: ',', header: true, neutraliseFormulas: true },
  guard: { removedShareMax: 0.5, removedRowsMin: 1, allowEmptySource: true },
}
const PLACE = { connection: 'Folder', destinationType: 'folder', destination: { folder: 'x' } }
const DRAFT = {
  connectorId: 'webhook',
  settings: { url: 'https://example.com/in' },
  secrets: { signingKey: 'k'.repeat(40) },
}
const POLICY = { fields: { only: ['email'] }, hashed: ['email'], consentField: 'consent', rowsPerRunMax: 9 }
const EXPORT_ID = `exp_${'a'.repeat(20)}`
const SHARING = { with: 'named', users: ['usr_one'] }
const READ = { format: 'csv', delimiter: ',', quote: '"', encoding: 'utf-8', header: true, dateOrder: 'day-first' }

/** A right body for every endpoint that has one: one without a row here fails below. */
function bodiesIn(upload: string): Readonly<Record<string, { readonly path: string; readonly body: Json }>> {
  const run = `/runs/run_${'a'.repeat(20)}`
  const importing = { uploads: [upload], read: READ, types: { id: 'text' }, badLinesMax: 1 }
  return {
    'tables.inspect': { path: '/tables/inspect', body: { uploads: [upload], read: READ } },
    'tables.import': {
      path: '/tables',
      body: {
        ...importing,
        name: 'more',
        key: 'id',
        isProfile: true,
        tags: { id: ['personal'] },
        labels: { id: 'Id' },
      },
    },
    'tables.refresh': { path: '/tables/customers/versions', body: { ...importing, allowSchemaChange: true } },
    'tables.edit': {
      path: '/tables/customers',
      body: { name: 'people', isProfile: false, fields: { email: { label: 'Mail', tags: ['personal'] } } },
    },
    'segments.add': { path: '/segments', body: { name: 'More', rule: RULE } },
    'segments.edit': { path: '/segments/Brazil', body: { name: 'Less', rule: RULE } },
    'segments.countDraft': { path: '/segments/count', body: { rule: RULE } },
    'connections.add': {
      path: '/connections',
      body: { ...DRAFT, name: 'Hook', pins: {}, policy: POLICY, sharing: SHARING },
    },
    'connections.edit': {
      path: '/connections/Folder',
      body: { name: 'Other', settings: { path: '/elsewhere' }, policy: POLICY, sharing: SHARING },
    },
    'connections.checkDraft': { path: '/connections/check', body: { ...DRAFT, secretsOf: 'Folder' } },
    'serviceSignIns.finish': {
      path: '/connections/Folder/sign-in/finish',
      body: { attempt: `att_${'a'.repeat(20)}`, takeAccount: 'a' },
    },
    'connections.effect': { path: '/connections/Folder/effect', body: { sharing: SHARING, policy: POLICY } },
    'connections.remove': { path: '/connections/Folder/remove', body: { confirmed: 'x', removeExports: [EXPORT_ID] } },
    'connections.restore': { path: `/removed-connections/con_${'a'.repeat(20)}/restore`, body: { name: 'Again' } },
    'connections.trust': { path: '/connections/Folder/trust', body: { field: 'hostKey', value: 'SHA256:x' } },
    'exports.add': { path: '/exports', body: { ...EXPORT, schedule: SCHEDULE } },
    'exports.edit': { path: '/exports/Customers%20out', body: EXPORT },
    'exports.duplicate': { path: '/exports/Customers%20out/duplicate', body: { name: 'Copy' } },
    'exports.schedule': { path: '/exports/Customers%20out/schedule', body: { schedule: SCHEDULE } },
    'exports.attach': { path: '/exports/Customers%20out/attach', body: { connection: 'Folder' } },
    'exports.lookup': { path: '/exports/lookup', body: { ...PLACE, field: 'list', search: 'a' } },
    'exports.targetFields': { path: '/exports/target-fields', body: { ...PLACE, table: 'customers' } },
    'exports.count': {
      path: '/exports/count',
      body: { segments: ['Brazil'], connector: 'local-folder', destinationType: 'folder' },
    },
    'exports.scheduleMany': {
      path: '/exports/schedules',
      body: { exports: ['Customers out'], change: { to: 'this', schedule: SCHEDULE } },
    },
    'exports.runMany': { path: '/exports/runs', body: { exports: ['Customers out'] } },
    'exports.runAll': { path: '/exports/run-all', body: { cursor: 'x' } },
    'persons.find': {
      path: '/persons/find',
      body: { table: 'customers', who: { field: 'email', value: 'ana@example.com' } },
    },
    'persons.erase': { path: '/persons/erase', body: { table: 'customers', key: '1' } },
    'persons.unerase': { path: '/persons/unerase', body: { table: 'customers', key: '1' } },
    'runs.approve': { path: `${run}/approve`, body: { outboxDigest: 'x' } },
    'runs.retry': { path: `${run}/retry`, body: { include: 'rejected' } },
    'keys.add': { path: '/keys', body: { name: 'Key', role: 'Viewer', expiresInDays: 9 } },
  }
}

/** Where null means something: none. */
const NULLABLE = new Set([
  'exports.add schedule',
  'exports.schedule schedule',
  'exports.edit connection',
  'keys.add expiresInDays',
])
/** Settings taken away by null are missing then, and are said to be. */
const ENDPOINTS = listEndpoints().filter(({ endpoint }) => typeof endpoint.body === 'object')

let patchbay: TestPatchbay
let bodies: ReturnType<typeof bodiesIn>
beforeAll(async () => {
  patchbay = await openTestPatchbay()
  await makeWorld(patchbay)
  bodies = bodiesIn(await patchbay.upload('more.csv', 'id\n1\n'))
})
afterAll(() => patchbay.remove())

describe.each(ENDPOINTS)('$id', ({ id, endpoint }) => {
  const send = async (body: string): Promise<{ status: number; problem: ProblemAnswer }> => {
    const at = bodies[id]
    if (at === undefined) throw new Error(`There is no body for ${id} in this test`)
    const headers = { 'if-match': '*' }
    const response = await patchbay.send(`/api/v1${at.path}`, {
      method: endpoint.method,
      as: 'operator',
      headers,
      body,
    })
    return { status: response.status, problem: (await response.json()) as ProblemAnswer }
  }

  test('each field replaced', async () => {
    const before = await stateOf(patchbay)
    const wrong: string[] = []
    for (const { path, text } of confusions(id, bodies[id]?.body ?? {})) {
      const { status, problem } = await send(text)
      const place = path.replace(/\.__proto__$/, '')
      const isNamed = problem.path === path || problem.path === place || problem.path.startsWith(`${place}.`)
      if (status < 400 || status > 499 || !isNamed)
        wrong.push(`${path}: ${status} ${JSON.stringify(problem)} for ${text}`)
    }
    expect(wrong).toEqual([])
    expect(await stateOf(patchbay)).toEqual(before)
  })

  test('a field more', async () => {
    const body = { ...(bodies[id]?.body as object), createdBy: 'me' }
    expect(await send(JSON.stringify(body))).toMatchObject({ status: 400, problem: { path: 'createdBy' } })
  })

  test('no object at all', async () => {
    for (const body of ['[]', '7', '"x"', 'null', '{', '', '\u0000', '{"a":1}x'])
      expect((await send(body)).status).toBe(400)
  })

  test('too deep, too large, another type', async () => {
    const at = bodies[id]
    const deep = `{"name":${'['.repeat(5000)}${']'.repeat(5000)}}`
    expect((await send(deep)).status).toBe(400)
    const large = await patchbay.send(`/api/v1${at?.path ?? ''}`, {
      method: endpoint.method,
      as: 'operator',
      headers: { 'if-match': '*' },
      body: `{"name":"${'x'.repeat(1024 * 1024)}"}`,
    })
    expect(large.status).toBe(413)
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'application/jsonx',
    ]) {
      const response = await patchbay.send(`/api/v1${at?.path ?? ''}`, {
        method: endpoint.method,
        as: 'operator',
        headers: { 'if-match': '*', 'content-type': type },
        body: JSON.stringify(at?.body),
      })
      expect(response.status).toBe(415)
    }
  })
})

async function stateOf({ client }: TestPatchbay) {
  const { events, head } = await client.audit.verify()
  const [tables, segments, connections, exports, keys] = await Promise.all([
    client.tables.list(),
    client.segments.list(),
    client.connections.list(),
    client.exports.list(),
    client.keys.list(),
  ])
  return { events, head, tables, segments, connections, exports, keys }
}

/** Every place in the body with everything that does not belong there, as the text that is sent. */
function* confusions(id: string, body: Json): Generator<{ readonly path: string; readonly text: string }> {
  for (const { steps, value } of placesIn(body, [])) {
    const path = pathOf(steps)
    const kind = kindOf(value)
    for (const [other, text] of Object.entries(OTHERS)) {
      if (other === kind || (other === 'null' && NULLABLE.has(`${id} ${path}`))) continue
      // An empty list or object where a list or object of any length may stand is no confusion.
      const marked = JSON.stringify(replaced(body, steps, '@@here@@'))
      yield { path: other === 'proto' ? `${path}.__proto__` : path, text: marked.replace('"@@here@@"', text) }
    }
  }
}

const OTHERS: Readonly<Record<string, string>> = {
  object: '{"x":{"y":1}}',
  list: '[[{"x":1}]]',
  number: '-1.5',
  string: '"\\u0007"',
  boolean: 'true',
  null: 'null',
  proto: '{"__proto__":{"isAdmin":true}}',
}

type Steps = readonly (string | number)[]

function* placesIn(value: Json, steps: Steps): Generator<{ readonly steps: Steps; readonly value: Json }> {
  if (steps.length > 0) yield { steps, value }
  if (Array.isArray(value))
    for (const [index, item] of (value as readonly Json[]).entries()) yield* placesIn(item, [...steps, index])
  else if (typeof value === 'object' && value !== null)
    for (const [name, item] of Object.entries(value as { readonly [name: string]: Json }))
      yield* placesIn(item, [...steps, name])
}

function replaced(value: Json, [step, ...rest]: Steps, by: Json): Json {
  if (step === undefined) return by
  if (Array.isArray(value))
    return (value as readonly Json[]).map((item, index) => (index === step ? replaced(item, rest, by) : item))
  const record = value as { readonly [name: string]: Json }
  return { ...record, [step]: replaced(record[step] ?? null, rest, by) }
}

function pathOf(steps: Steps): string {
  return steps.reduce<string>(
    (text, step) => (typeof step === 'number' ? `${text}[${step}]` : text === '' ? step : `${text}.${step}`),
    '',
  )
}

function kindOf(value: Json): string {
  if (Array.isArray(value)) return 'list'
  return value === null ? 'null' : typeof value
}
