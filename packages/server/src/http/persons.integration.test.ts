/** Where is this person's data, and erasure. Rule 12 of PRODUCT.md, "Exports". */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ApiProblem } from '@patchbay/contract'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeMailing } from '../connector-host/testing/mailing.ts'
import { makeWorld, openTestPatchbay, type TestPatchbay } from '../test-support/test-patchbay.ts'

const { mailing } = makeMailing()
let patchbay: TestPatchbay
let client: TestPatchbay['client']
const MAIL = { field: 'email', value: ' ANA@example.com' }

beforeAll(async () => {
  patchbay = await openTestPatchbay({ connectors: [mailing] })
  client = patchbay.client
  await makeWorld(patchbay)
  await client.connections.add({
    body: { name: 'Mailing', connectorId: 'test-mailing', settings: { host: 'a.example' } },
  })
  const fields = [
    { to: 'EMAIL', from: 'email', identifier: true },
    { to: 'LAND', from: 'country' },
  ]
  const list = { connection: 'Mailing', destination: { list: 'a' }, mode: 'upsert' as const }
  await client.exports.add({ body: { name: 'List', ...list, source: { kind: 'segment', segments: [], fields } } })
  const whole = { connection: 'Folder', destination: { folder: 'whole' }, mode: 'replace' as const }
  await client.exports.add({
    body: { name: 'Whole', ...whole, source: { kind: 'data-out', tables: [{ table: 'customers' }] } },
  })
  for (const name of ['Customers out', 'List', 'Whole'])
    await patchbay.ended(await client.exports.run({ params: { export: name } }))
})
afterAll(() => patchbay.remove())

const sortedNames = (items: readonly { readonly export: { readonly name: string } }[]): string =>
  items
    .map((item) => item.export.name)
    .sort((a, b) => (a < b ? -1 : 1))
    .join(', ')
const filesIn = (folder: string): string =>
  readdirSync(join(patchbay.fileRoot, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.csv'))
    .map((name) => readFileSync(join(patchbay.fileRoot, folder, name), 'utf8'))
    .join('')

test('rule 12: every destination that has accepted them, which fields, since when, by which export', async () => {
  const byMail = await client.persons.find({ body: { who: MAIL } })
  expect(byMail).toMatchObject({ keys: ['1'], isMore: false, erased: false })
  expect(sortedNames(byMail.items)).toBe('Customers out, List, Whole')
  const list = byMail.items.find((item) => item.export.name === 'List')
  expect(list).toMatchObject({
    connection: { name: 'Mailing' },
    connectorId: 'test-mailing',
    destination: { list: 'a' },
    key: '1',
    state: 'accepted',
    fields: [
      { to: 'EMAIL', from: 'email', hashed: true },
      { to: 'LAND', from: 'country', hashed: false },
    ],
  })
  expect(Date.parse(list?.since ?? '')).toBeGreaterThan(Date.now() - 600_000)
  expect((await client.persons.find({ body: { who: { key: '1' } } })).items).toEqual(byMail.items)
  const nobody = await client.persons.find({ body: { who: { field: 'email', value: 'email' } } })
  expect(nobody).toMatchObject({ keys: [], items: [] })
})

test('rule 12: they are found where they were sent, although the table does not have them any more', async () => {
  const csv =
    'id,email,country,consent,spend\n1,ana@example.com,Brazil,true,10.5\n2,leon@example.com,Germany,false,20\n'
  await client.tables.refresh({
    params: { table: 'customers' },
    body: { uploads: [await patchbay.upload('customers.csv', csv)] },
  })
  const gone = await client.persons.find({ body: { who: { field: 'email', value: 'fran@example.com' } } })
  expect(gone.keys).toEqual([])
  // By the hash that the list was sent. Of files only the key tells: what they hold is in no ledger.
  expect(sortedNames(gone.items)).toContain('List')
  const byKey = await client.persons.find({ body: { who: { key: '3' } } })
  expect(sortedNames(byKey.items)).toBe('Customers out, List, Whole')
})

test('rule 12: who is erased is sent by nobody, taken out where that can be done, and said where it cannot', async () => {
  const erased = await client.persons.erase({ body: { key: '1' } })
  expect(Object.fromEntries(erased.items.map(({ place, removal }) => [place.export.name, removal]))).toEqual({
    'Customers out': 'next-run',
    List: 'by-hand',
    Whole: 'next-run',
  })
  for (const { cure } of erased.items) expect(cure).not.toBe('')
  for (const name of ['Customers out', 'Whole']) {
    await client.exports.edit({ params: { export: name }, body: { guard: { removedShareMax: 1 } } })
    const run = await patchbay.ended(await client.exports.run({ params: { export: name } }))
    expect(run).toMatchObject({ status: 'successful', counts: { read: 2, suppressed: 1 } })
    const rows = await client.runs.rows({ params: { run: run.id }, query: { which: 'suppressed' } })
    expect(rows.items).toMatchObject([{ key: '1', reason: 'erased' }])
  }
  expect(filesIn('whole')).not.toContain('ana@example.com')
  expect(filesIn('whole')).toContain('leon@example.com')
  const run = await patchbay.ended(await client.exports.run({ params: { export: 'List' } }))
  expect(run.counts).toMatchObject({ read: 2, suppressed: 1, added: 0, changed: 0 })
  const found = await client.persons.find({ body: { who: MAIL } })
  expect(found.erased).toBe(true)
  expect(sortedNames(found.items)).toBe('List')

  await client.persons.unerase({ body: { key: '1' } })
  const again = await client.persons.unerase({ body: { key: '1' } }).catch((error: unknown) => error as ApiProblem)
  expect(again).toMatchObject({ status: 404 })
  const back = await patchbay.ended(await client.exports.run({ params: { export: 'Whole' } }))
  expect(back.counts).toMatchObject({ suppressed: 0 })
})

test('an export that was removed is named: what its destination has is not known any more', async () => {
  await client.exports.remove({ params: { export: 'List' } })
  const found = await client.persons.find({ body: { who: { key: '2' } } })
  expect(found.removedExports).toMatchObject([{ name: 'List' }])
})

test('Administrators only, and in the log, without the person', async () => {
  for (const role of ['Contributor', 'Viewer'] as const) {
    const other = patchbay.clientOf(await patchbay.keyOf(role))
    const problem = await other.persons.find({ body: { who: MAIL } }).catch((error: unknown) => error)
    expect(problem).toMatchObject({ status: 403 })
    expect(await other.persons.erase({ body: { key: '1' } }).catch((error: unknown) => error)).toMatchObject({
      status: 403,
    })
  }
  const { items } = await client.audit.list({ query: { action: 'person.' } })
  expect(new Set(items.map(({ action }) => action))).toEqual(
    new Set(['person.looked-up', 'person.erased', 'person.unerased']),
  )
  expect(JSON.stringify(items).toLowerCase()).not.toContain('example.com')
})

test('a field that the table does not have is named', async () => {
  const problem = await client.persons
    .find({ body: { who: { field: 'fax', value: 'x' } } })
    .catch((error: unknown) => error)
  expect(problem).toMatchObject({ status: 400, path: 'who.field' })
})
