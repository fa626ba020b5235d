/** Every field of every body, replaced by what it is not: refused by name, and nothing has changed. */
import { listEndpoints, type ProblemAnswer } from '@patchbay/contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bodiesIn, placesIn, replaced, type Json, type Steps } from './bodies-test-support.ts'
import { makeWorld, openTestPatchbay, type TestPatchbay } from '../test-support/test-patchbay.ts'

/** Where null means something: none. */
const NULLABLE = new Set([
  'exports.add schedule',
  'exports.schedule schedule',
  'exports.edit connection',
  'notifications.set webhookUrl',
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
