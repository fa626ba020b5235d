import { globSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readBoundaries, ROOTS } from './boundaries.ts'
import { areaOf } from './import-table.ts'

const ROOT = join(import.meta.dirname, '..')
const found = readBoundaries(ROOT)

test('every source file was seen', () => {
  const onDisk = globSync(`{${ROOTS.join(',')}}/**/*.{ts,tsx}`, {
    cwd: ROOT,
    exclude: (name) => name === 'node_modules',
  })
  expect(found.files).toEqual(expect.arrayContaining(onDisk))
  expect(onDisk.length).toBeGreaterThan(20)
  expect(found.edges.length).toBeGreaterThan(onDisk.length / 2)
})

test('every area that has code was seen', () => {
  const areas = globSync('packages/**/*.{ts,tsx}', { cwd: ROOT, exclude: (name) => name === 'node_modules' }).map(
    areaOf,
  )
  expect(new Set(areas)).toEqual(found.areas)
  expect(found.areas).toContain('sdk')
  expect(found.areas).toContain('domain')
})

test('imports go only where the table says, without cycles, and packages and connectors are complete', () => {
  expect(found.problems).toEqual([])
})
