import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { brotliCompressSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openTestPatchbay, type TestPatchbay } from '../test-support/test-patchbay.ts'

const DOCUMENT = '<!doctype html><title>Pages</title>'
let folder: string
let patchbay: TestPatchbay

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'patchbay-pages-'))
  mkdirSync(join(folder, 'assets'))
  writeFileSync(join(folder, 'index.html'), DOCUMENT)
  writeFileSync(join(folder, '.built'), 'not for readers')
  writeFileSync(join(folder, 'assets/app-1a2b.js'), 'export const a = 1')
  writeFileSync(join(folder, 'assets/app-1a2b.js.br'), brotliCompressSync('export const a = 1'))
  patchbay = await openTestPatchbay({ pagesFolder: folder })
})
afterAll(async () => {
  await patchbay.remove()
  rmSync(folder, { recursive: true })
})

const html = { accept: 'text/html,*/*' }

test('every address of a page is answered with the document, which is asked for anew each time', async () => {
  for (const path of ['/', '/admin/connections', '/data/exports?q=x&open=exp_1', '/no/such/page']) {
    const answer = await patchbay.send(path, { headers: html })
    expect(await answer.text()).toBe(DOCUMENT)
    expect(answer.headers.get('cache-control')).toBe('no-cache')
    expect(answer.headers.get('content-type')).toBe('text/html; charset=utf-8')
  }
})

test('the policy lets nothing in but what this server serves, and nothing is compiled or written into the page', async () => {
  const policy = (await patchbay.send('/', { headers: html })).headers.get('content-security-policy')
  expect(policy).toContain("default-src 'none'")
  expect(policy).toContain("script-src 'self';")
  expect(policy).toContain("frame-ancestors 'none'")
  expect(policy).not.toMatch(/unsafe|https?:|\*/)
})

test('scripts are kept for ever and sent compressed to whoever takes that', async () => {
  const packed = await patchbay.send('/assets/app-1a2b.js', { headers: { 'accept-encoding': 'gzip, br' } })
  expect(packed.headers.get('content-encoding')).toBe('br')
  expect(packed.headers.get('cache-control')).toContain('immutable')
  expect(packed.headers.get('x-content-type-options')).toBe('nosniff')
  const plain = await patchbay.send('/assets/app-1a2b.js')
  expect(plain.headers.get('content-encoding')).toBeNull()
  expect(await plain.text()).toBe('export const a = 1')
})

test('what is no page stays what it was: the API, a script that is gone, a file that was not built for readers', async () => {
  for (const path of ['/api/v1/frobs', '/api/nothing', '/assets/app-gone.js', '/assets/../.built', '/.built']) {
    const answer = await patchbay.send(path)
    expect([path, answer.status]).toEqual([path, 404])
    expect(answer.headers.get('content-type')).toContain('problem+json')
  }
  expect((await patchbay.send('/api/v1/tables', { headers: html })).status).toBe(401)
  expect((await patchbay.send('/healthz', { headers: html })).headers.get('content-type')).toContain('json')
})

test('only reading is answered with a page', async () => {
  expect((await patchbay.send('/admin/connections', { method: 'POST', headers: html })).status).toBe(404)
})
