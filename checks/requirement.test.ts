import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { requirement } from './requirement.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'patchbay-requirement-'))
})
afterAll(() => {
  rmSync(folder, { recursive: true })
})

test('what is missing is told by the name of its package', () => {
  const missing = requirement('chromium', { PATH: folder })
  expect(missing.available).toBe(false)
  expect(missing.reason).toContain("Debian's package chromium")
})

test('what is missing is an error where real servers are required', () => {
  expect(() => requirement('chromium', { PATH: folder, REQUIRE_REAL_SERVERS: '1' })).toThrow('chromium is missing')
})

test('a program in PATH is found, a file that cannot be run is not', () => {
  const program = join(folder, 'chromium')
  writeFileSync(program, '#!/bin/sh\n', { mode: 0o644 })
  expect(requirement('chromium', { PATH: `/nowhere:${folder}` }).available).toBe(false)
  chmodSync(program, 0o755)
  expect(requirement('chromium', { PATH: `/nowhere:${folder}` })).toMatchObject({ available: true, path: program })
})

test('a sandbox that the machine forbids is unavailable, and no error', () => {
  writeFileSync(join(folder, 'bwrap'), '#!/bin/sh\necho "no namespaces" >&2\nexit 1\n', { mode: 0o755 })
  const refused = requirement('bubblewrap', { PATH: folder, REQUIRE_REAL_SERVERS: '1' })
  expect(refused.available).toBe(false)
  expect(refused.reason).toContain('no namespaces')
})
