import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { PinnedTable } from '../domain/table.ts'
import { makeTestLake, type TestLake } from './lake-test-support.ts'
import { countMembers, readMembers } from './read-segment.ts'
import { profileTableField, readTableRows } from './read-table.ts'
import { removeSpool, removeUnreferenced } from './retention.ts'

let lake: TestLake
let people: PinnedTable
let orders: PinnedTable
beforeAll(async () => {
  lake = await makeTestLake()
  people = await lake.write(
    'people',
    'id',
    { id: 'integer', name: 'text', born: 'date', seen: 'timestamp', vip: 'boolean', spend: 'decimal' },
    [
      { id: 10, name: 'Ten', born: '1990-02-03', seen: '2026-01-02T03:04:05.678Z', vip: true, spend: 1.5 },
      { id: 9, name: 'Nine', born: null, seen: null, vip: false, spend: null },
      { id: 2, name: '', born: '1990-02-03', seen: null, vip: null, spend: -3 },
      { id: 1, name: null, born: '2001-12-31', seen: null, vip: true, spend: 1.5 },
    ],
  )
  orders = await lake.write('orders', 'order', { order: 'integer', person: 'integer', total: 'decimal' }, [
    { order: 1, person: 10, total: 30 },
    { order: 2, person: 10, total: 20 },
    { order: 3, person: 9, total: 40 },
  ])
})
afterAll(async () => {
  await lake.remove()
})

describe('a table', () => {
  test('is read in pages in the order of its key, by value and not by its text', async () => {
    const first = await readTableRows(lake.db, lake.root, people, { offset: 0, limit: 3 })
    expect(first.map(([id]) => id)).toEqual([1, 2, 9])
    const [last] = await readTableRows(lake.db, lake.root, people, { offset: 3, limit: 3 })
    expect(last).toEqual([10, 'Ten', '1990-02-03', '2026-01-02T03:04:05.678Z', true, 1.5])
  })

  test('tells of a field how many are empty, distinct, smallest, largest and common', async () => {
    expect(await profileTableField(lake.db, lake.root, people, 'name')).toMatchObject({
      rows: 4,
      empty: 2,
      smallest: '',
    })
    expect(await profileTableField(lake.db, lake.root, people, 'born')).toEqual({
      rows: 4,
      empty: 1,
      distinct: 2,
      smallest: '1990-02-03',
      largest: '2001-12-31',
      common: [
        { value: '1990-02-03', rows: 2 },
        { value: '2001-12-31', rows: 1 },
      ],
    })
    await expect(profileTableField(lake.db, lake.root, people, 'nmae')).rejects.toMatchObject({
      code: 'not-found',
      path: 'field',
    })
  })
})

test('a segment counts its members and shows the first of them', async () => {
  const selection = {
    table: people,
    related: [orders],
    now: new Date('2026-06-01T00:00:00Z'),
    where: { on: { aggregate: 'sum' as const, table: 'orders', by: 'person', of: 'total' }, moreThan: 39 },
  }
  expect(await countMembers(lake.db, lake.root, selection)).toBe(2)
  const members = await readMembers(lake.db, lake.root, selection, 1)
  expect(members.map(([id]) => id)).toEqual([9])
})

test('only what nothing refers to, and what is surely ours, is taken away', async () => {
  const root = await mkdtemp(join(tmpdir(), 'patchbay-retention-'))
  try {
    const id = (prefix: string, letter: string): string => `${prefix}_${letter.repeat(20)}`
    const paths = [
      `tables/${id('tbl', 'a')}/1`,
      `tables/${id('tbl', 'a')}/2`,
      `tables/${id('tbl', 'a')}/3.importing`,
      `tables/notes/1`,
      `ledgers/${id('exp', 'a')}`,
      `runs/${id('run', 'a')}/spool`,
      `runs/${id('run', 'b')}/spool`,
      `elsewhere/1`,
    ]
    for (const path of paths) await mkdir(join(root, path), { recursive: true })
    const ledgers = ['old.parquet', 'kept.parquet', 'new.parquet'].map((name) => `ledgers/${id('exp', 'a')}/${name}`)
    for (const path of ledgers) await writeFile(join(root, path), 'x')
    const longAgo = new Date('2020-01-01T00:00:00Z')
    for (const path of [...ledgers.slice(0, 2), `tables/${id('tbl', 'a')}/3.importing`])
      await utimes(join(root, path), longAgo, longAgo)
    const kept = {
      versions: new Set([`tables/${id('tbl', 'a')}/2`]),
      ledgers: new Set(ledgers.slice(1, 2)),
      runs: new Set([`runs/${id('run', 'a')}`]),
    }
    const removed = await removeUnreferenced(root, kept, new Date())
    expect(removed.toSorted()).toEqual([
      ledgers[0],
      `runs/${id('run', 'b')}`,
      `tables/${id('tbl', 'a')}/1`,
      `tables/${id('tbl', 'a')}/3.importing`,
    ])
    await removeSpool(root, id('run', 'a'))
    expect(await readdir(join(root, 'runs', id('run', 'a')))).toEqual([])
    await expect(removeSpool(root, '../tables')).rejects.toThrow('Not the id of a run')
    expect(await removeUnreferenced(join(root, 'nowhere'), kept, new Date())).toEqual([])
  } finally {
    await rm(root, { recursive: true, force: true })
  }
})
