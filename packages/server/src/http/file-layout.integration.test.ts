import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Client } from '@patchbay/contract'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { CUSTOMERS, makeWorld, openTestPatchbay, type TestPatchbay } from '../test-support/test-patchbay.ts'

let patchbay: TestPatchbay
let client: Client
beforeAll(async () => {
  patchbay = await openTestPatchbay()
  client = patchbay.client
  await makeWorld(patchbay)
})
afterAll(() => patchbay.remove())

function filesIn(folder: string): readonly string[] {
  return readdirSync(join(patchbay.fileRoot, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => statSync(join(patchbay.fileRoot, folder, name)).isFile())
    .toSorted()
}

function listed(folder: string): readonly string[] {
  const model = JSON.parse(readFileSync(join(patchbay.fileRoot, folder, 'model.json'), 'utf8')) as {
    readonly entities: readonly { readonly partitions: readonly { readonly location: string }[] }[]
  }
  return model.entities.flatMap(({ partitions }) => partitions.map(({ location }) => location)).toSorted()
}

async function addExport(
  name: string,
  mode: 'replace' | 'append',
  destination: Record<string, string>,
): Promise<string> {
  const made = await client.exports.add({
    body: {
      name,
      connection: 'Folder',
      destination,
      mode,
      source: { kind: 'data-out', tables: [{ table: 'customers' }] },
    },
  })
  return made.id
}

const DATED = /^customers\/\d{4}\/\d\d\/\d\d\/\d{4}\/customers_(?:\d{8}T\d{9}Z_)?001\.csv$/

test('a dated layout gives each run its folder, and one description that names what is current', async () => {
  const params = { export: await addExport('Dated', 'replace', { folder: 'prod/daily', layout: 'dated' }) }
  const run = await patchbay.ended(await client.exports.run({ params }))
  expect(run).toMatchObject({ status: 'successful', counts: { accepted: 5 } })
  const [first = '', ...more] = filesIn('prod/daily')
  expect(first).toMatch(DATED)
  expect(more).toEqual(['model.json'])
  expect(listed('prod/daily')).toEqual([first])
  await patchbay.ended(await client.exports.run({ params }))
  expect(listed('prod/daily')).toEqual(filesIn('prod/daily').filter((name) => name !== 'model.json'))
})

test('change files of several runs stand beside each other, and all are described', async () => {
  const params = {
    export: await addExport('Own', 'append', { folder: 'own', layout: 'own', template: 'y{yyyy}/{table}-{part}' }),
  }
  await patchbay.ended(await client.exports.run({ params }))
  await client.tables.refresh({
    params: { table: 'customers' },
    body: { uploads: [await patchbay.upload('customers.csv', `${CUSTOMERS}6,new@example.com,Peru,true,1\n`)] },
  })
  expect(await patchbay.ended(await client.exports.run({ params }))).toMatchObject({ counts: { accepted: 1 } })
  const files = filesIn('own').filter((name) => name !== 'model.json')
  expect(files).toHaveLength(2)
  for (const name of files) expect(name).toMatch(/^y\d{4}\/customers-\d{8}T\d{9}Z_001\.csv$/)
  expect(listed('own')).toEqual(files)
})

test('a template that would mix tables up, or leads out, ends the run before anything is sent', async () => {
  for (const [index, template] of ['{part}', '../{table}_{part}', '{table}/{week}_{part}'].entries()) {
    const params = { export: await addExport(`Wrong ${index}`, 'append', { folder: 'wrong', layout: 'own', template }) }
    const run = await patchbay.ended(await client.exports.run({ params }))
    expect(run).toMatchObject({ status: 'failed', reason: expect.stringContaining('template of file names') as string })
  }
  expect(readdirSync(patchbay.fileRoot)).not.toContain('wrong')
})
