import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { CUSTOMERS, makeWorld, openTestPatchbay, type TestPatchbay } from '../test-support/test-patchbay.ts'
import { cleanUp } from './housekeeping.ts'

let patchbay: TestPatchbay
beforeAll(async () => {
  patchbay = await openTestPatchbay()
})
afterAll(() => patchbay.remove())

test('what nothing refers to goes, and nothing else', async () => {
  const { client, settings, store } = patchbay
  const folders = {
    lake: join(settings.dataFolder, 'lake'),
    uploads: join(settings.dataFolder, 'uploads'),
    spill: join(settings.dataFolder, 'spill'),
  }
  const { table, target } = await makeWorld(patchbay)
  const refresh = async () =>
    client.tables.refresh({
      params: { table: table.id },
      body: { uploads: [await patchbay.upload('customers.csv', CUSTOMERS)] },
    })
  for (let count = 0; count < 5; count += 1) await refresh()
  const run = await patchbay.ended(await client.exports.run({ params: { export: target.id } }))
  const waiting = await patchbay.upload('later.csv', 'id\n1\n')
  writeFileSync(join(folders.uploads, `upl_${'a'.repeat(20)}`), 'nobody knows it')
  writeFileSync(join(folders.uploads, 'not-ours.txt'), 'somebody else')
  mkdirSync(join(folders.lake, 'runs', `run_${'a'.repeat(20)}`), { recursive: true })

  await cleanUp(store.db, folders, new Date(), 90)
  const versions = (await client.tables.versions({ params: { table: table.id } })).items.map(({ version }) => version)
  expect(versions).toEqual([6, 5, 4])
  expect(readdirSync(join(folders.lake, 'tables', table.id)).toSorted()).toEqual(['4', '5', '6'])
  expect(readdirSync(join(folders.lake, 'runs'))).toEqual([run.id])
  expect(readdirSync(folders.uploads).toSorted()).toEqual(['not-ours.txt', waiting])
  expect((await client.tables.rows({ params: { table: table.id } })).items).toHaveLength(5)

  await cleanUp(store.db, folders, new Date(Date.now() + 2 * 86_400_000), 90)
  expect(existsSync(join(folders.uploads, waiting))).toBe(false)
  expect(await patchbay.ended(await client.exports.run({ params: { export: target.id } }))).toMatchObject({
    status: 'successful',
    counts: { unchanged: 5 },
  })
})

test('runs are kept for the days that are set: after that only what an export stands on', async () => {
  const { client, settings, store } = patchbay
  const folders = {
    lake: join(settings.dataFolder, 'lake'),
    uploads: join(settings.dataFolder, 'uploads'),
    spill: join(settings.dataFolder, 'spill'),
  }
  const params = { export: 'Customers out' }
  await patchbay.ended(await client.exports.preview({ params }))
  const last = await patchbay.ended(await client.exports.run({ params }))
  const in40Days = new Date(Date.now() + 40 * 86_400_000)
  await cleanUp(store.db, folders, in40Days, 41)
  expect((await client.runs.list()).items.length).toBeGreaterThan(2)
  await cleanUp(store.db, folders, in40Days, 39)
  expect((await client.runs.list()).items.map(({ id }) => id)).toEqual([last.id])
  expect((await client.exports.show({ params })).lastRun?.id).toBe(last.id)
  expect(await patchbay.ended(await client.exports.run({ params }))).toMatchObject({ counts: { unchanged: 5 } })
})
