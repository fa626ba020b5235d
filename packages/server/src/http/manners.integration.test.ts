/** How the API behaves whatever it is asked: limits, ids, pages for people and monitors, and what the audit log hears. */
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { listEndpoints, makeOpenApi, STATUS_OF } from '@patchbay/contract'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeWorld, openTestPatchbay, type TestPatchbay } from '../test-support/test-patchbay.ts'

let patchbay: TestPatchbay
let target: string
beforeAll(async () => {
  patchbay = await openTestPatchbay({}, { PATCHBAY_REQUESTS_PER_MINUTE: '40' })
  target = (await makeWorld(patchbay)).target.id
})
afterAll(() => patchbay.remove())

test('each identity has its own share of requests, and is told what is left and when there is more', async () => {
  const { key } = await patchbay.client.keys.add({ body: { name: 'Eager', role: 'Viewer' } })
  const answers = []
  for (let count = 0; count < 45; count += 1) answers.push(await patchbay.send('/api/v1/exports', { key }))
  expect(answers[0]?.headers.get('ratelimit-limit')).toBe('40')
  expect(answers[0]?.headers.get('ratelimit-remaining')).toBe('39')
  const refused = answers.find(({ status }) => status === 429)
  expect(Number(refused?.headers.get('retry-after'))).toBeGreaterThan(0)
  expect(await refused?.json()).toMatchObject({ code: 'too-many', requestId: refused?.headers.get('x-request-id') })
  const other = await patchbay.send('/api/v1/exports', { key: await patchbay.keyOf('Contributor') })
  expect(other.status).toBe(200)
  for (let count = 0; count < 45; count += 1) await patchbay.client.exports.list()
})

test('the log hears of what is refused, once in a while, and of nothing that was said', async () => {
  const key = await patchbay.keyOf('Viewer')
  for (let count = 0; count < 3; count += 1) {
    await patchbay.send(`/api/v1/exports/${target}`, { method: 'DELETE', key })
    await patchbay.send('/api/v1/connections/ana@example.com', { key })
  }
  const { items } = await patchbay.client.audit.list({ query: { action: 'access.refused' } })
  expect(items.map(({ actor, subject, detail }) => [actor, subject, detail])).toEqual([
    ['key:Test Viewer', '', { endpoint: 'connections.show' }],
    ['key:Test Viewer', target, { endpoint: 'exports.remove' }],
  ])
  expect(JSON.stringify(items)).not.toContain('ana@')
})

test('the log hears of it when values of customers are shown', async () => {
  const table = (await patchbay.client.tables.list()).items[0]?.id ?? ''
  for (let count = 0; count < 3; count += 1) await patchbay.client.tables.rows({ params: { table } })
  const { items } = await patchbay.client.audit.list({ query: { action: 'rows.shown' } })
  expect(items.map(({ subject, detail }) => [subject, detail])).toEqual([[table, { endpoint: 'tables.rows' }]])
})

test('the audit log is downloaded whole or filtered, and can be checked elsewhere', async () => {
  const lines = async (query: object): Promise<{ seq: number; prevHash: string; hash: string; action: string }[]> =>
    (await new Response(await patchbay.client.audit.export({ query })).text())
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as never)
  const whole = await lines({})
  expect(whole.map(({ seq }) => seq)).toEqual(whole.map((_, index) => index + 1))
  for (const [index, entry] of whole.entries()) if (index > 0) expect(entry.prevHash).toBe(whole[index - 1]?.hash)
  expect(new Set((await lines({ action: 'export.' })).map(({ action }) => action))).toEqual(new Set(['export.created']))
  expect(await lines({ since: '2020-01-01T00:00:00Z', actor: 'command line', action: 'table.created' })).toHaveLength(1)
})

test('the description says of every endpoint all that can come back', () => {
  const { paths } = makeOpenApi('1.0.0') as {
    paths: Record<string, Record<string, { responses: Record<string, unknown> }>>
  }
  for (const { path, endpoint } of listEndpoints()) {
    const { responses } = paths[path]?.[endpoint.method.toLowerCase()] ?? { responses: {} }
    for (const code of [
      'invalid',
      'not-signed-in',
      'not-allowed',
      'too-many',
      'bug',
      ...(endpoint.errors ?? []),
    ] as const)
      expect(Object.keys(responses)).toContain(String(STATUS_OF[code]))
  }
})

test('the page about the API names every endpoint, runs nothing and loads nothing from elsewhere', async () => {
  const response = await patchbay.send('/api/docs')
  const page = await response.text()
  for (const { id, path } of listEndpoints()) {
    expect(page).toContain(`id="${id}"`)
    expect(page).toContain(`<code>${path}</code>`)
  }
  expect(page).not.toMatch(/<script|javascript:|https?:\/\/|<link|<img|@import/)
  expect(response.headers.get('content-security-policy')).toContain("default-src 'none'")
})

test('ready only while the store, the files and the key can be used', async () => {
  expect((await patchbay.send('/healthz')).status).toBe(200)
  expect((await patchbay.send('/readyz')).status).toBe(200)
  const uploads = join(patchbay.settings.dataFolder, 'uploads')
  const { renameSync } = await import('node:fs')
  renameSync(uploads, `${uploads}-away`)
  expect((await patchbay.send('/readyz')).status).toBe(503)
  expect((await patchbay.send('/healthz')).status).toBe(200)
  renameSync(`${uploads}-away`, uploads)
  chmodSync(uploads, 0o700)
  expect((await patchbay.send('/readyz')).status).toBe(200)
})

test('a monitor learns names and figures, and nothing of a person', async () => {
  const text = await (await patchbay.send('/metrics', { key: await patchbay.keyOf('Viewer') })).text()
  expect(text).toMatch(/patchbay_http_requests_total\{endpoint="exports.list",status="200"\} \d+/)
  expect(text).toContain('patchbay_runs_unfinished')
  for (const word of ['example.com', 'Customers', 'Folder', 'Eager', 'exp_', 'key:']) expect(text).not.toContain(word)
})
