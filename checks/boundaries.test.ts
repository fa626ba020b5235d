import { globSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readBoundaries, ROOTS } from './boundaries.ts'
import { areaOf } from './import-table.ts'

const ROOT = join(import.meta.dirname, '..')
const found = readBoundaries(ROOT)

/** Found by another way than the checker's. */
const onDisk = globSync(`{${ROOTS.join(',')}}/**/*.{ts,tsx,mjs}`, {
  cwd: ROOT,
  exclude: (name) => name === 'node_modules',
})

test('every source file was seen', () => {
  expect(onDisk.length).toBeGreaterThan(100)
  expect(found.files.toSorted()).toEqual(onDisk.toSorted())
  expect(found.edges.length).toBeGreaterThan(onDisk.length)
})

test('every area that has code was seen', () => {
  const areas = onDisk.map(areaOf).filter((area) => area !== undefined)
  expect(found.areas).toEqual(new Set(areas))
  for (const area of ['sdk', 'contract', 'connector', 'domain', 'engine', 'lake', 'store', 'connector-host', 'http'])
    expect(found.areas).toContain(area)
})

test('imports go only where the table says, without cycles, and packages and connectors are complete', () => {
  expect(found.problems).toEqual([])
})
