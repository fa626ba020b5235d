/** What a session selects, merges, compares and makes bodies of: one rule of the product at a time. */
import { createHash } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RunId } from '../domain/ids.ts'
import type { LedgerRef, Plan, PlanSource } from '../domain/plan.ts'
import { Problem } from '../domain/problem.ts'
import type { FieldType } from '../domain/table.ts'
import { startDuckDb } from './duckdb-process.ts'
import { readRunRows, readSample } from './read-run.ts'
import { openLakeSession } from './session.ts'
import {
  answeredBatch,
  collect,
  column,
  committed,
  ledgerOf,
  LIMITS,
  makeSessionLake,
  planOf,
  sourceOf,
  valuesOf,
  type SessionLake,
} from './session-test-support.ts'

let lake: SessionLake
beforeAll(async () => {
  lake = await makeSessionLake()
})
afterAll(async () => lake.remove())

const PEOPLE = {
  id: 'integer',
  mail: 'text',
  name: 'text',
  ok: 'boolean',
  at: 'timestamp',
} as const satisfies Record<string, FieldType>
type Person = Readonly<Partial<Record<keyof typeof PEOPLE, string | number | boolean | null>>>

async function people(rows: readonly Person[], change: Partial<PlanSource> = {}): Promise<PlanSource> {
  const table = await lake.table('people', 'id', PEOPLE, [valuesOf(PEOPLE, rows)])
  return sourceOf(table, {
    columns: [column('mail', 'text', { identifier: true, transforms: ['trim', 'lowercase'] }), column('name', 'text')],
    ...change,
  })
}

type PlanChange = Partial<Parameters<typeof planOf>[0]>

/** Difference and batches of one source, all accepted. */
async function deliver(source: PlanSource, change: PlanChange = {}) {
  const plan = planOf({ ...change, sources: [source] })
  const session = await lake.open(plan)
  const diff = await session.diff(source)
  const batches = diff.outboxPath === null ? [] : await collect(session, source, diff)
  const answered = plan.delivers === 'rows' ? batches.map((batch) => answeredBatch(batch)) : [committed(source)]
  const ledger = ledgerOf(await session.settleLedger(source, diff, answered))
  await session.close()
  const changes = batches.flatMap((batch) => batch.changes)
  return { plan, diff, batches, changes, ledger }
}

describe('values', () => {
  it('come out as JSON that means the same', async () => {
    const texts = [
      ...fc.sample(fc.string({ unit: 'binary', maxLength: 12 }), { numRuns: 400, seed: 3 }),
      '\0',
      '\u2028"\\/',
      '\ud83d\ude00',
    ]
    const fields = { 'k"ey\\': 'text', n: 'decimal', i: 'integer', ['__proto__']: 'text' } as const
    const numbers = [0.1, -1e300, 5e-324, 1e21, 123456789.125, -0.5]
    const unique = [...new Set(texts.map((text) => text.toWellFormed()))]
    const rows = unique.map((text, index) => ({
      'k"ey\\': text,
      n: numbers[index % numbers.length] ?? 0,
      i: index % 2 === 0 ? '-9223372036854775808' : index,
      ['__proto__']: null,
    }))
    const table = await lake.table('odd', 'k"ey\\', fields, [valuesOf(fields, rows)])
    const { changes, batches } = await deliver(
      sourceOf(table, { columns: sourceOf(table).columns.map((one) => ({ ...one, identifier: false })) }),
      { mode: 'append' },
    )
    expect(changes.length).toBe(rows.length)
    for (const { key, fields: got, change } of changes) {
      const wanted = rows.find((row) => row['k"ey\\'] === key)
      expect(change).toBe('added')
      expect(got['k"ey\\']).toBe(key)
      expect(got['n']).toBe(wanted?.n)
      expect(got['i']).toBe(Number(wanted?.i))
      expect(Object.hasOwn(got, '__proto__')).toBe(true)
    }
    expect(batches[0]?.sizeBytes).toBe(batches[0]?.json.reduce((sum, text) => sum + Buffer.byteLength(text), 0))
    // Numbers beyond 2^53 stand in full in the text.
    expect(batches[0]?.json.join('')).toContain('"i":-9223372036854775808')
  })

  it('that JSON cannot say of a number are null', async () => {
    const table = await lake.table('nan', 'id', { id: 'integer', n: 'decimal' }, [
      "SELECT * FROM (VALUES (1, 'nan'::DOUBLE), (2, 'inf'::DOUBLE), (3, '-inf'::DOUBLE)) v(id, n)",
    ])
    const { changes } = await deliver(sourceOf(table))
    expect(changes.map(({ fields }) => fields['n'])).toEqual([null, null, null])
  })

  it('are transformed in the order that is mapped, and hashed as services ask', async () => {
    const fields = { id: 'integer', raw: 'text', n: 'integer', at: 'timestamp', ok: 'boolean' } as const
    const rows = [
      { id: 1, raw: '\u00a0 Zoë@Example.ORG \t', n: 42, at: '2024-02-29 12:34:56', ok: true },
      { id: 2, raw: ' \u3000 ', n: null, at: null, ok: null },
      { id: 3, raw: null, n: -7, at: null, ok: false },
    ]
    const table = await lake.table('raw', 'id', fields, [valuesOf(fields, rows)])
    const mapped = (to: string, from: keyof typeof fields, transforms: Parameters<typeof column>[2]) =>
      column(to, fields[from], { from, ...transforms })
    const { changes } = await deliver(
      sourceOf(table, {
        columns: [
          mapped('id', 'id', { identifier: true }),
          mapped('hashed', 'raw', { transforms: ['trim', 'lowercase', 'hash'] }),
          mapped('trimmed', 'raw', { transforms: ['trim'] }),
          mapped('digits', 'n', { transforms: ['digits'] }),
          mapped('moment', 'at', { transforms: ['hash'] }),
          mapped('yes', 'ok', { transforms: ['lowercase'] }),
        ],
      }),
    )
    const sha = (text: string): string => createHash('sha256').update(text).digest('hex')
    expect(changes.map(({ fields: got }) => got)).toEqual([
      {
        id: 1,
        hashed: sha('zoë@example.org'),
        trimmed: 'Zoë@Example.ORG',
        digits: '42',
        moment: sha('2024-02-29T12:34:56.000000Z'),
        yes: 'true',
      },
      { id: 2, hashed: null, trimmed: '', digits: null, moment: null, yes: null },
      { id: 3, hashed: null, trimmed: null, digits: '7', moment: null, yes: 'false' },
    ])
  })
})

describe('rows that are not sent', () => {
  const rows: Person[] = [
    { id: 10, mail: 'a@x', name: 'ten', ok: true, at: '2026-01-01' },
    { id: 9, mail: ' A@X', name: 'nine', ok: true, at: '2026-01-02' },
    { id: 2, mail: 'a@x ', name: 'two', ok: true, at: null },
    { id: 1, mail: 'a@x', name: 'one', ok: null, at: '2027-01-01' },
    { id: 3, mail: ' ', name: 'three', ok: true },
    { id: 4, mail: null, name: 'four', ok: false },
    { id: 5, mail: 'b@x', name: 'five', ok: true },
  ]

  it('are merged into the smallest key by value, or into the newest', async () => {
    const smallest = await deliver(await people(rows, { consentField: 'ok' }))
    expect(smallest.diff).toMatchObject({ read: 7, merged: 2, suppressed: 3, added: 2 })
    expect(smallest.changes.map(({ key }) => key)).toEqual(['2', '5'])
    const newest = await deliver(await people(rows, { consentField: 'ok', merge: { by: 'newest', field: 'at' } }))
    expect(newest.changes.map(({ key }) => key)).toEqual(['5', '9'])
    const folder = join(lake.root, 'runs', newest.plan.runId)
    const page = async (which: 'merged' | 'suppressed', after: number, limit: number) =>
      readRunRows(lake.db, folder, 'people', which, after, limit)
    expect((await page('merged', 0, 10)).toSorted((a, b) => (a.key < b.key ? -1 : 1))).toMatchObject([
      { key: '10', standsFor: '9', reason: 'same-identifiers' },
      { key: '2', standsFor: '9' },
    ])
    const two = await page('suppressed', 0, 2)
    const third = await page('suppressed', two.at(-1)?.at ?? 0, 2)
    expect([two.length, third.length]).toEqual([2, 1])
    expect([...two, ...third].map(({ key, reason }) => `${key} ${reason}`).toSorted()).toEqual([
      '1 consent',
      '3 no-identifier',
      '4 consent',
    ])
    expect(await readRunRows(lake.db, folder, 'people', 'rejected', 0, 10)).toEqual([])
  })

  it('are merged only where all identifiers are the same, and need one of them at a service, all in a table', async () => {
    const columns = [column('mail', 'text', { identifier: true }), column('name', 'text', { identifier: true })]
    const some: Person[] = [
      { id: 1, mail: 'a', name: null },
      { id: 2, mail: 'a', name: null },
      { id: 3, mail: 'a', name: 'x' },
      { id: 4, mail: null, name: null },
    ]
    const service = await deliver(await people(some, { columns }))
    expect(service.diff).toMatchObject({ merged: 1, suppressed: 1, added: 2 })
    const table = await deliver(await people(some, { columns }), { delivers: 'table', mode: 'upsert' })
    expect(table.diff).toMatchObject({ merged: 0, suppressed: 3, added: 1 })
  })

  it('leave the ledger of a mirror when consent is withdrawn, or another row stands for them', async () => {
    const before = await deliver(
      await people(
        [
          { id: 1, mail: 'a', ok: true },
          { id: 2, mail: 'b', ok: true },
        ],
        { consentField: 'ok' },
      ),
    )
    const after = await people(
      [
        { id: 1, mail: 'a', ok: false },
        { id: 2, mail: 'b', ok: true, name: 'x' },
        { id: 0, mail: 'b', ok: true, name: 'y' },
      ],
      {
        consentField: 'ok',
        ledger: before.ledger,
      },
    )
    const { changes, diff } = await deliver(after)
    expect(diff).toMatchObject({
      removed: 1,
      changed: 1,
      added: 0,
      merged: 1,
      suppressed: 1,
      vanishing: 1,
      ledgerRows: 2,
    })
    expect(changes).toEqual([
      { change: 'removed', key: '1', fields: { mail: 'a' } },
      { change: 'changed', key: '0', fields: { mail: 'b', name: 'y' } },
    ])
  })
})

describe('the difference', () => {
  const rows: Person[] = [
    { id: 1, mail: 'a', name: 'x' },
    { id: 2, mail: 'b', name: null },
  ]

  it('takes a new identifier as another row at the destination: removed and added, never in one batch', async () => {
    const { ledger } = await deliver(await people(rows))
    const { changes, batches } = await deliver(
      await people(
        [
          { id: 1, mail: 'new', name: 'x' },
          { id: 2, mail: 'b' },
        ],
        { ledger },
      ),
    )
    expect(changes).toEqual([
      { change: 'removed', key: '1', fields: { mail: 'a' } },
      { change: 'added', key: '1', fields: { mail: 'new', name: 'x' } },
    ])
    expect(batches.map(({ size }) => size)).toEqual([1, 1])
    expect(batches.map(({ id }) => id).every((id) => /^[0-9a-z_-]{1,64}$/.test(id))).toBe(true)
  })

  it('removes a row that stands under two old identifiers in two batches', async () => {
    const first = await deliver(await people([{ id: 1, mail: 'a' }]))
    const second = await deliver(await people([{ id: 1, mail: 'b' }], { ledger: first.ledger }), { mode: 'upsert' })
    const third = await deliver(await people([], { ledger: second.ledger }))
    expect(third.changes.map(({ key, fields }) => [key, fields['mail']])).toEqual([
      ['1', 'a'],
      ['1', 'b'],
    ])
    expect(third.batches.length).toBe(2)
    expect(third.ledger.rows).toBe(0)
  })

  it('does not remove what another row holds now', async () => {
    const { ledger } = await deliver(await people(rows))
    const swapped = await people(
      [
        { id: 1, mail: 'b', name: 'x' },
        { id: 2, mail: 'a', name: null },
      ],
      { ledger },
    )
    const { diff } = await deliver(swapped)
    expect(diff).toMatchObject({ changed: 2, added: 0, removed: 0 })
  })

  it('sees a renamed and an added column, and no re-ordered one', async () => {
    const columns = (await people(rows)).columns
    const { ledger } = await deliver(await people(rows))
    const again = async (changed: PlanSource['columns']) =>
      (await deliver(await people(rows, { ledger, columns: changed }))).diff
    expect(await again(columns.toReversed())).toMatchObject({ unchanged: 2, changed: 0 })
    expect(await again(columns.map((one) => (one.to === 'name' ? { ...one, to: 'nick' } : one)))).toMatchObject({
      changed: 2,
    })
    expect(await again([...columns, column('ok', 'boolean')])).toMatchObject({ changed: 2, unchanged: 0 })
  })

  it('has the same digest for the same changes, whatever the order of the rows', async () => {
    const one = await deliver(await people(rows))
    const same = await deliver(await people(rows.toReversed()))
    const other = await deliver(
      await people([
        { id: 1, mail: 'a', name: 'y' },
        { id: 2, mail: 'b', name: null },
      ]),
    )
    expect(same.diff.digest).toBe(one.diff.digest)
    expect(other.diff.digest).not.toBe(one.diff.digest)
  })

  it('is told stale where the fingerprints are of another hash', async () => {
    const { ledger } = await deliver(await people(rows))
    const stale = { ...ledger, fingerprintProbe: '1' } as LedgerRef
    expect((await deliver(await people(rows, { ledger: stale }))).diff.fingerprintsStale).toBe(true)
    expect((await deliver(await people(rows, { ledger }))).diff.fingerprintsStale).toBe(false)
  })

  it('refuses a ledger that has not the rows it should have', async () => {
    const { ledger } = await deliver(await people(rows))
    await expect(deliver(await people(rows, { ledger: { ...ledger, rows: 3 } }))).rejects.toThrow(/has not the rows/)
  })

  it('of a whole counts what would vanish, and a later mirror goes on from it', async () => {
    const many = Array.from({ length: 10 }, (_, id) => ({ id, mail: `m${id}`, name: 'x' }))
    const whole = await deliver(await people(many), { mode: 'replace', delivers: 'files' })
    expect(whole.ledger).toMatchObject({ kind: 'whole', rows: 10 })
    expect(whole.diff).toMatchObject({ added: 10, outboxPath: null, vanishing: 0 })
    const next = await people(many.slice(4), { ledger: whole.ledger })
    const second = await deliver(next, { mode: 'replace', delivers: 'files' })
    expect(second.diff).toMatchObject({ added: 6, ledgerRows: 10, vanishing: 4 })
    const mirror = await deliver(await people([...many.slice(4, 9), { id: 99, mail: 'z' }], { ledger: second.ledger }))
    expect(mirror.diff).toMatchObject({ unchanged: 5, removed: 1, added: 1, ledgerRows: 6 })
  })

  it('cannot name removals in columns that are not there any more', async () => {
    const { ledger } = await deliver(await people(rows), { delivers: 'table' })
    const columns = [column('name', 'text', { identifier: true }), column('ok', 'boolean')]
    await expect(deliver(await people(rows, { ledger, columns }), { delivers: 'table' })).rejects.toThrow(
      /other identifiers/,
    )
  })

  it('refuses a source that cannot be delivered, and names the place', async () => {
    const refused = async (change: Partial<PlanSource>, plan: PlanChange = {}): Promise<string> => {
      const error: unknown = await deliver(await people(rows, change), plan).catch((caught: unknown) => caught)
      if (!(error instanceof Problem)) throw new Error('not refused', { cause: error })
      return error.path
    }
    const mail = column('mail', 'text', { identifier: true })
    expect(await refused({ columns: [] })).toBe('fields')
    expect(await refused({ columns: [mail, column('gone', 'text')] })).toBe('fields.gone')
    expect(await refused({ columns: [mail, column('Mail', 'text', { from: 'name' })] }, { delivers: 'files' })).toBe(
      'fields.Mail',
    )
    expect(await refused({ columns: [mail, column('change', 'text', { from: 'name' })] }, { delivers: 'files' })).toBe(
      'fields.change',
    )
    expect(await refused({ columns: [column('mail', 'text')] })).toBe('fields')
    expect(await refused({ consentField: 'name' })).toBe('consentField')
    expect(await refused({ merge: { by: 'newest', field: 'gone' } })).toBe('merge.field')
  })
})

describe('batches', () => {
  it('are cut by rows and bytes, and are the same from any beginning', async () => {
    const fields = { id: 'integer', note: 'text' } as const
    const files = [1, 2, 3].map(
      (file) => `SELECT i * 3 + ${file} AS id, repeat('x', (i % 90)::INT) AS note FROM range(3000) r(i)`,
    )
    const source = sourceOf(await lake.table('long', 'id', fields, files))
    const plan = planOf({ mode: 'upsert', sources: [source] })
    const session = await lake.open(plan)
    const diff = await session.diff(source)
    const limits = { rowsPerBatch: 70, bytesPerBatch: 5000 }
    const batches = await collect(session, source, diff, limits)
    expect(batches.every(({ size, sizeBytes }) => size <= 70 && sizeBytes <= 5000)).toBe(true)
    expect(batches.reduce((sum, { size }) => sum + size, 0)).toBe(9000)
    const fifth = batches[5]
    const [again] = await collect(session, source, diff, limits, fifth?.first)
    expect(again).toMatchObject({ id: fifth?.id, json: fifth?.json })
    const alone = await collect(session, source, diff, { rowsPerBatch: 100, bytesPerBatch: 1 }, 8990)
    expect(alone.map(({ size }) => size)).toEqual(Array.from({ length: 11 }, () => 1))
    for await (const batch of session.batches(source, diff, LIMITS, 1)) {
      expect(batch.first).toBe(1)
      break
    }
    await session.writeSample(source, diff, 3)
    const sample = await readSample(join(lake.root, 'runs', plan.runId), 'long')
    expect(sample).toEqual(batches[0]?.changes.slice(0, 3))
    await session.close()
  })

  it('go on over the files that a large outbox consists of', async () => {
    const files = [0, 1].map((file) => `SELECT i * 2 + ${file} AS id FROM range(700000) r(i)`)
    const source = sourceOf(await lake.table('large', 'id', { id: 'integer' }, files))
    const session = await lake.open(planOf({ mode: 'upsert', sources: [source] }))
    const diff = await session.diff(source)
    expect(readdirSync(join(lake.root, diff.outboxPath ?? '')).toSorted()).toEqual(['00001.parquet', '00002.parquet'])
    const ids: number[] = []
    for await (const batch of session.batches(source, diff, LIMITS, 699_001)) {
      ids.push(...batch.changes.map(({ fields }) => Number(fields['id'])))
      if (batch.last > 702_000) break
    }
    expect(ids.slice(0, 1000).every((id) => id % 2 === 0)).toBe(true)
    expect(ids.slice(1000).every((id) => id % 2 === 1)).toBe(true)
    await session.close()
  })

  it('of a commit that nobody answered are listed as uncertain, and due again where that is harmless', async () => {
    const rows = Array.from({ length: 20 }, (_, id) => ({ id, mail: `m${id}` }))
    for (const [mode, kind] of [
      ['append', 'blind'],
      ['upsert', 'harmless'],
      ['mirror', 'harmless'],
    ] as const) {
      const source = await people(rows)
      const plan = planOf({ mode, delivers: 'table', repeat: { kind }, sources: [source] })
      const session = await lake.open(plan)
      const diff = await session.diff(source)
      const ledger = ledgerOf(await session.settleLedger(source, diff, [committed(source, 20)]))
      await session.writeRejects(source, diff, [committed(source, 20)])
      await session.close()
      expect(ledger.rows).toBe(20)
      const folder = join(lake.root, 'runs', plan.runId)
      const listed = await readRunRows(lake.db, folder, source.name, 'uncertain', 0, 100)
      expect(listed.length).toBe(20)

      const next = await deliver(await people(rows.slice(5), { ledger }), { mode, delivers: 'table', repeat: { kind } })
      const expected = {
        append: { uncertainBefore: 15, added: 0, changed: 0, removed: 0 },
        upsert: { uncertainBefore: 0, added: 0, changed: 15, removed: 0 },
        mirror: { uncertainBefore: 0, added: 0, changed: 15, removed: 5 },
      }
      expect(next.diff).toMatchObject(expected[mode])
    }
  })

  it('of a whole whose commit nobody answered leave the ledger as it was', async () => {
    const source = await people([{ id: 1, mail: 'a' }])
    const session = await lake.open(planOf({ mode: 'replace', delivers: 'files', sources: [source] }))
    const diff = await session.diff(source)
    expect(await session.settleLedger(source, diff, [committed(source, 1)])).toBe(null)
    await session.close()
  })

  it('that are answered here and there settle exactly their rows', async () => {
    const source = await people(Array.from({ length: 120 }, (_, id) => ({ id, mail: `m${id}` })))
    const plan = planOf({ sources: [source] })
    const session = await lake.open(plan)
    const diff = await session.diff(source)
    const batches = await collect(session, source, diff, { rowsPerBatch: 2, bytesPerBatch: 1e6 })
    const answered = batches.filter((_, index) => index % 2 === 0)
    const ledger = ledgerOf(
      await session.settleLedger(
        source,
        diff,
        answered.map((batch) => answeredBatch(batch)),
      ),
    )
    expect(ledger.rows).toBe(60)
    const next = await deliver({ ...source, ledger })
    expect(next.diff).toMatchObject({ unchanged: 60, added: 60 })
    expect(new Set(next.changes.map(({ key }) => key))).toEqual(
      new Set(batches.filter((_, index) => index % 2 === 1).flatMap(({ keys }) => keys)),
    )
    await session.close()
  })
})

describe('a session of its own', () => {
  it('sees the tables, the ledger and the list of failed rows that its plan names', async () => {
    const rows: Person[] = [
      { id: 1, mail: 'a' },
      { id: 2, mail: 'b' },
    ]
    const open = async (plan: Plan) =>
      openLakeSession(
        { root: lake.root, startDuckDb, memoryLimitMb: 256, threads: 1 },
        plan,
        new AbortController().signal,
      )
    const source = await people(rows)
    const plan = planOf({ mode: 'upsert', sources: [source] })
    const first = await open(plan)
    const diff = await first.diff(source)
    const [batch] = await collect(first, source, diff)
    if (batch === undefined) throw new Error('no batch')
    const rejected = { seq: 2, status: 'rejected' as const, reason: 'other', message: 'x'.repeat(5000) }
    const key = { source: source.name, kind: 'batch' as const, first: 1, last: 2 }
    const answered = [answeredBatch(batch, await first.writeExceptions(source, key, [rejected]))]
    const ledger = ledgerOf(await first.settleLedger(source, diff, answered))
    await first.writeRejects(source, diff, answered)
    await first.close()
    const [failed] = await readRunRows(lake.db, join(lake.root, 'runs', plan.runId), 'people', 'rejected', 0, 5)
    expect(failed).toMatchObject({ at: 2, key: '2', change: 'added', reason: 'other', message: 'x'.repeat(2000) })

    const retry = { ...source, ledger }
    const again = await open(
      planOf({ mode: 'upsert', sources: [retry], retryOf: { runId: plan.runId, include: 'rejected' } }),
    )
    expect(await again.diff(retry)).toMatchObject({ read: 1, added: 1, unchanged: 0 })
    await again.close()
    await expect(async () => {
      const gone = await lake.open(
        planOf({ sources: [retry], retryOf: { runId: 'run_gone' as RunId, include: 'rejected' } }),
      )
      await gone.diff(retry)
    }).rejects.toThrow(/no longer there/)
  })
})
