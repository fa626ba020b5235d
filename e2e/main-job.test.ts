/**
 * The main job as one story, with customers that nobody here made: a segment over what they spent, its delivery, a changed
 * table, a field that vanished, a run that is held and approved, one that is canceled, and one that a refresh starts.
 */
import { existsSync, readFileSync } from 'node:fs'
import { parse } from 'csv-parse/sync'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startFakeReceiver, type FakeReceiver } from '../packages/connectors/src/webhook/fake-receiver.ts'
import { openTestPatchbay, type TestPatchbay } from '../packages/server/src/test-support/test-patchbay.ts'
import { preview, rowsOf, run, sentKeys, sumsHold } from './support/world.ts'

const DATA = new URL('../../shared/data/chinook/', import.meta.url)
const SIGNING_SECRET = `whsec_${Buffer.alloc(32, 5).toString('base64')}`
/** The receiver holds signatures against the clock, so the story plays now; the invoices are of 2021 to 2025. */
const NOW = new Date()
const LAST_INVOICE = Date.parse('2025-12-22T00:00:00Z')
const DAYS = Math.ceil((NOW.getTime() - LAST_INVOICE) / 86_400_000) + 730
const SPENT = 10

type Row = Record<string, string>
const read = (name: string): Row[] => parse(readFileSync(new URL(name, DATA)), { columns: true }) as Row[]
const csv = (rows: readonly Row[]): string => {
  const quoted = (cell: string): string => `"${cell.replaceAll('"', '""')}"`
  const names = Object.keys(rows[0] ?? {})
  return `${[names, ...rows.map((row) => names.map((name) => row[name] ?? ''))].map((cells) => cells.map(quoted).join(',')).join('\n')}\n`
}

let patchbay: TestPatchbay
let receiver: FakeReceiver
beforeEach(async () => {
  receiver = await startFakeReceiver({ signingSecret: SIGNING_SECRET })
  patchbay = await openTestPatchbay({}, { PATCHBAY_ALLOW_HOSTS: '127.0.0.1' })
})
afterEach(async () => {
  await patchbay.remove()
  await receiver.stop()
})

async function importTable(name: string, key: string, rows: readonly Row[], isProfile = false): Promise<void> {
  const uploads = [await patchbay.upload(`${name}.csv`, csv(rows))]
  await patchbay.client.tables.import({ body: { uploads, name, key, ...(isProfile ? { isProfile } : {}) } })
}
async function refresh(name: string, rows: readonly Row[], allowSchemaChange = false): Promise<void> {
  const uploads = [await patchbay.upload(`${name}.csv`, csv(rows))]
  await patchbay.client.tables.refresh({ params: { table: name }, body: { uploads, allowSchemaChange } })
}

/** The same rule in other words: whoever spent more than `SPENT` within the last `DAYS`. */
function valued(customers: readonly Row[], invoices: readonly Row[]): Row[] {
  const since = NOW.getTime() - DAYS * 86_400_000
  return customers.filter(({ CustomerId }) => {
    const recent = invoices.filter((row) => {
      const at = Date.parse(`${row['InvoiceDate'] ?? ''}Z`)
      return row['CustomerId'] === CustomerId && at >= since && at <= NOW.getTime()
    })
    return recent.reduce((sum, row) => sum + Math.round(Number(row['Total']) * 100), 0) > SPENT * 100
  })
}
const mailOf = (row: Row): string => (row['Email'] ?? '').trim().toLowerCase()
const mailsAtReceiver = (): Set<unknown> => new Set([...receiver.rows.values()].map((fields) => fields?.['email']))

describe.skipIf(!existsSync(DATA))('customers of a shop [needs ../shared/data]', () => {
  it('reach a service as they are, and every row is accounted for', async () => {
    const { client } = patchbay
    const customers = read('Customer.csv')
    const invoices = read('Invoice.csv')
    await importTable('customers', 'CustomerId', customers, true)
    await importTable('invoices', 'InvoiceId', invoices)
    const spent = { aggregate: 'sum', table: 'invoices', by: 'CustomerId', of: 'Total' } as const
    await client.segments.add({
      body: {
        name: 'Valued',
        rule: {
          on: { ...spent, where: { on: { field: 'InvoiceDate' }, inLastDays: DAYS } },
          moreThan: SPENT,
        },
      },
    })
    const expected = valued(customers, invoices)
    expect(expected.length).toBeGreaterThan(10)
    expect(expected.length).toBeLessThan(customers.length)
    expect(await client.segments.count({ params: { segment: 'Valued' } })).toMatchObject({ members: expected.length })

    await client.connections.add({
      body: {
        name: 'Newsletter',
        connectorId: 'webhook',
        settings: { url: receiver.url },
        secrets: { signingSecret: SIGNING_SECRET },
      },
    })
    const added = await client.exports.add({
      body: {
        name: 'Valued customers',
        connection: 'Newsletter',
        destination: { repeat: 'harmless' },
        mode: 'mirror',
        source: {
          kind: 'segment',
          segments: ['Valued'],
          fields: [
            { to: 'email', from: 'Email', transforms: ['trim', 'lowercase'], identifier: true },
            { to: 'name', from: 'FirstName' },
          ],
        },
        guard: { removedShareMax: 0.2, removedRowsMin: 5 },
      },
    })

    const first = await run(patchbay, 'Valued customers')
    expect(first).toMatchObject({ status: 'successful', counts: { read: expected.length, accepted: expected.length } })
    expect(mailsAtReceiver()).toEqual(new Set(expected.map(mailOf)))

    // A table that changed: one has another name, one another address, and two became one person.
    const [a, b, c, d] = expected
    if (a === undefined || b === undefined || c === undefined || d === undefined) throw new Error('Too few customers')
    const changed = customers.map((row) => {
      if (row === a) return { ...row, FirstName: 'Zoë-Ann' }
      if (row === b) return { ...row, Email: 'moved@example.org' }
      return row === c ? { ...row, Email: ` ${mailOf(d).toUpperCase()}` } : row
    })
    await refresh('customers', changed)
    const planned = await preview(patchbay, 'Valued customers')
    const difference = { added: 1, changed: 1, removed: 2, merged: 1, unchanged: expected.length - 4 + 1 }
    // Of the two who share an address, the smaller key stands for both: where that is `c`, the row changes as well.
    const isCFirst = Number(c['CustomerId']) < Number(d['CustomerId'])
    const counts = isCFirst ? { ...difference, changed: 2, unchanged: difference.unchanged - 1 } : difference
    expect(planned.counts).toMatchObject({ ...counts, accepted: 0 })
    const before = receiver.requests.length
    const second = await run(patchbay, 'Valued customers')
    expect(second).toMatchObject({ status: 'successful', counts })
    expect(sumsHold(second)).toBe(true)
    // Nothing but these three rows of the table was sent.
    const touched = [a, b, c].map((row) => row['CustomerId'] ?? '')
    expect(sentKeys(receiver, before)).toEqual(new Set(touched))
    expect(await rowsOf(patchbay, second.id, 'merged')).toHaveLength(1)

    // A field that vanished stops the run before anything is sent, and is named.
    const sent = receiver.requests.length
    await refresh(
      'customers',
      changed.map(({ FirstName: _gone, ...row }) => row),
      true,
    )
    const broken = await run(patchbay, 'Valued customers')
    expect(broken.status).toBe('failed')
    expect(broken.reason).toContain('FirstName')
    expect(receiver.requests.length).toBe(sent)
    await refresh('customers', changed)

    // Most of the money was a mistake: a run that would remove many is held, and goes on only as it was looked at.
    const few = valued(changed, invoices)
      .slice(0, 4)
      .map((row) => row['CustomerId'])
    await refresh(
      'invoices',
      invoices.map((row) => (few.includes(row['CustomerId']) ? row : { ...row, Total: '0.01' })),
    )
    const held = await run(patchbay, 'Valued customers')
    expect(held.status).toBe('held')
    expect(receiver.requests.length).toBe(sent)
    await expect(
      client.runs.approve({ params: { run: held.id }, body: { outboxDigest: 'another' } }),
    ).rejects.toMatchObject({ code: 'conflict' })
    const approved = await client.runs.approve({
      params: { run: held.id },
      body: { outboxDigest: held.outboxDigest ?? '' },
    })
    expect(await patchbay.ended({ ...approved, status: 'running' })).toMatchObject({ status: 'successful' })

    // A run is canceled while the service asks for patience: nothing of it was taken, and all of it stays due. The patience is
    // kept by the next run too.
    await refresh('invoices', invoices)
    receiver.behave({ does: 'refuse', status: 429, headers: { 'retry-after': '10' } })
    const going = await client.exports.run({ params: { export: 'Valued customers' } })
    await patchbay.startWorker({ withSchedules: false })
    await expect.poll(() => receiver.requests.length, { timeout: 20_000 }).toBeGreaterThan(sent + 1)
    await client.runs.cancel({ params: { run: going.id } })
    receiver.behave({ does: 'accept' })
    const canceled = await patchbay.ended(going)
    expect(canceled).toMatchObject({ status: 'canceled', counts: { accepted: 0, uncertain: 0 } })
    expect(sumsHold(canceled)).toBe(true)

    // And a refresh starts the next one by itself.
    await client.exports.schedule({
      params: { export: 'Valued customers' },
      body: { schedule: { on: true, timeZone: 'Europe/Vienna', every: { type: 'after-refresh' } } },
      revision: added.revision,
    })
    await refresh('invoices', invoices)
    await expect
      .poll(
        async () => {
          const { items } = await client.runs.list({ query: { export: 'Valued customers' } })
          return items.find(({ startedBy, finishedAt }) => startedBy === 'refresh' && finishedAt !== null)
        },
        { timeout: 60_000 },
      )
      .toMatchObject({ status: 'successful' })
    const wanted = valued(changed, invoices)
    expect(mailsAtReceiver()).toEqual(new Set(wanted.map(mailOf)))
  }, 120_000)
})
