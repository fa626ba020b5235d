/**
 * Runs one after the other over one ledger, against a naive model in memory: random tables, rules of merging, modes and
 * answers. After each run the outbox, the counts and the ledger are what the model says, and the sums add up.
 */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RunId } from '../domain/ids.ts'
import type { LedgerRef, Plan, PlanColumn } from '../domain/plan.ts'
import { NO_COUNTS, sumsGap } from '../domain/run.ts'
import type { FieldType } from '../domain/table.ts'
import {
  answeredBatch,
  collect,
  column,
  ledgerOf,
  makeSessionLake,
  NOW,
  planOf,
  sourceOf,
  valuesOf,
  type SessionLake,
} from './session-test-support.ts'
import type { RowException } from './session-types.ts'
import { join } from 'node:path'
import { quoteText } from './sql-text.ts'

const FIELDS = {
  id: 'integer',
  mail: 'text',
  land: 'text',
  spend: 'decimal',
  agreed: 'boolean',
  at: 'timestamp',
} as const satisfies Record<string, FieldType>

interface Row {
  readonly id: number
  readonly mail: string | null
  readonly land: string | null
  readonly spend: number | null
  readonly agreed: boolean | null
  readonly at: string | null
}
type Answer = 'accepted' | 'rejected' | 'uncertain' | 'uncertain-due' | 'unsent'
interface Step {
  readonly rows: readonly Row[]
  readonly mode: Plan['mode']
  readonly answers: readonly Answer[]
  readonly retry: 'no' | 'rejected' | 'rejected-and-uncertain'
  readonly perBatch: number
}
interface Case {
  readonly identifiers: readonly ('id' | 'mail' | 'land')[]
  readonly newest: boolean
  readonly consent: boolean
  readonly leastSpend: number | null
  readonly files: number
  readonly steps: readonly Step[]
}

const MAILS = ['a@x', ' A@X ', 'b@x', 'c@x', 'D"@x', 'e\\@x', '', '  ', 'f@x', 'g@x', null]
const LANDS = ['de', 'fr', 'é', null]
const SPENDS = [0, 0.5, 1e21, -2.25, null]
const MOMENTS = ['2026-01-01T00:00:00.000000Z', null, '2026-01-02T03:04:05.678901Z']

/** Mostly the same row for the same id, so that most rows of a step are those of the step before. */
const row = fc
  .record({ id: fc.integer({ min: 1, max: 14 }), other: fc.constantFrom(0, 0, 0, 0, 0, 1, 2, 3) })
  .map<Row>(({ id, other }) => ({
    id,
    mail: MAILS[(id * 7 + other) % MAILS.length] ?? null,
    land: LANDS[(id + other) % LANDS.length] ?? null,
    spend: SPENDS[(id + (other >> 1)) % SPENDS.length] ?? null,
    agreed: id % 5 !== 0 || other === 1 ? true : other === 2 ? null : false,
    at: MOMENTS[(id + other) % MOMENTS.length] ?? null,
  }))
const step = fc.record<Step>({
  rows: fc.oneof(
    { weight: 9, arbitrary: fc.uniqueArray(row, { selector: ({ id }) => id, minLength: 5, maxLength: 14 }) },
    { weight: 1, arbitrary: fc.constant([]) },
  ),
  mode: fc.constantFrom<Plan['mode']>('mirror', 'mirror', 'upsert', 'append', 'replace'),
  answers: fc.array(
    fc.constantFrom<Answer>('accepted', 'accepted', 'accepted', 'rejected', 'uncertain', 'uncertain-due', 'unsent'),
    { minLength: 1, maxLength: 12 },
  ),
  retry: fc.constantFrom('no', 'no', 'no', 'rejected', 'rejected-and-uncertain'),
  perBatch: fc.integer({ min: 1, max: 7 }),
})
const cases = fc.record<Case>({
  identifiers: fc.constantFrom(['mail'], ['mail', 'land'], ['id'], ['id', 'mail']),
  newest: fc.boolean(),
  consent: fc.boolean(),
  leastSpend: fc.option(fc.constantFrom(0, -3)),
  files: fc.integer({ min: 1, max: 3 }),
  steps: fc.array(step, { minLength: 2, maxLength: 5 }),
})

// ---- the model -----------------------------------------------------------------------------------------------------

interface Entry {
  readonly key: string
  readonly identity: string
  /** Undefined: whatever stands there is not known. */
  readonly fields: string | undefined
  readonly state: 'accepted' | 'uncertain'
}
interface Due {
  readonly change: 'added' | 'changed' | 'removed'
  readonly key: string
  readonly identity: string
  readonly fields: string
}

function fieldsOf(given: Case, { id, mail, land, spend, at }: Row): Record<string, unknown> {
  const known = (text: string | null, name: 'mail' | 'land'): string | null =>
    given.identifiers.includes(name) && text?.trim() === '' ? null : text
  return { id, mail: known(mail?.trim().toLowerCase() ?? null, 'mail'), land: known(land, 'land'), spend, at }
}

function identityOf(given: Case, fields: Record<string, unknown>): string {
  return JSON.stringify(Object.fromEntries(given.identifiers.toSorted().map((name) => [name, fields[name]])))
}

function select(given: Case, rows: readonly Row[]) {
  const selected = rows.filter(({ spend }) => given.leastSpend === null || (spend !== null && spend > given.leastSpend))
  const candidates = selected.map((row) => {
    const fields = fieldsOf(given, row)
    const isKnown = given.identifiers.some((name) => fields[name] !== null)
    return { row, fields: JSON.stringify(fields), identity: identityOf(given, fields), isKnown }
  })
  const sendable = candidates.filter(({ row, isKnown }) => isKnown && (!given.consent || row.agreed === true))
  const kept = [...Map.groupBy(sendable, ({ identity }) => identity).values()].flatMap((same) =>
    same
      .toSorted((a, b) => {
        const [x, y] = [a.row.at ?? '', b.row.at ?? '']
        if (given.newest && x !== y) return x < y ? 1 : -1
        return a.row.id - b.row.id
      })
      .slice(0, 1),
  )
  return { candidates, sendable, kept }
}

function difference(given: Case, step: Step, ledger: ReadonlyMap<string, Entry>, only: ReadonlySet<string> | null) {
  const isIn = (identity: string): boolean => only === null || only.has(identity)
  const { candidates, sendable, kept } = select(given, step.rows)
  const looked = candidates.filter(({ identity }) => isIn(identity))
  const before = step.mode === 'replace' ? new Map<string, Entry>() : ledger
  const due: Due[] = []
  let unchanged = 0
  let uncertainBefore = 0
  const again = only !== null && step.retry === 'rejected-and-uncertain'
  for (const { row, fields, identity } of kept.filter((one) => isIn(one.identity))) {
    const known = before.get(identity)
    const isSame = known?.fields === fields && !(again && known.state === 'uncertain')
    if (isSame && known.state === 'uncertain') uncertainBefore += 1
    else if (isSame) unchanged += 1
    else due.push({ change: known === undefined ? 'added' : 'changed', key: String(row.id), identity, fields })
  }
  const present = new Set(kept.map(({ identity }) => identity))
  if (step.mode === 'mirror') {
    for (const { key, identity } of before.values()) {
      if (isIn(identity) && !present.has(identity)) due.push({ change: 'removed', key, identity, fields: identity })
    }
  }
  const keptIn = kept.filter(({ identity }) => isIn(identity)).length
  const sendableIn = sendable.filter(({ identity }) => isIn(identity)).length
  return {
    due,
    counts: {
      read: looked.length,
      unchanged,
      uncertainBefore,
      merged: sendableIn - keptIn,
      suppressed: looked.length - sendableIn,
    },
  }
}

function settle(
  ledger: Map<string, Entry>,
  mode: Plan['mode'],
  answered: readonly { due: Due; answer: Answer }[],
): void {
  if (mode === 'replace') ledger.clear()
  for (const { due, answer } of answered) {
    if (answer === 'rejected' || answer === 'unsent') continue
    const { key, identity, change } = due
    const fields = answer === 'uncertain-due' ? undefined : due.fields
    const state = answer === 'accepted' ? answer : 'uncertain'
    if (change !== 'removed') ledger.set(identity, { key, identity, fields, state })
    else if (answer === 'accepted') ledger.delete(identity)
    else {
      const old = ledger.get(identity)
      if (old !== undefined) ledger.set(identity, { ...old, fields: undefined, state: 'uncertain' })
    }
  }
}

// ---- both, side by side ----------------------------------------------------------------------------------------------

describe('a ledger over several runs', () => {
  let lake: SessionLake
  beforeAll(async () => {
    lake = await makeSessionLake()
  })
  afterAll(async () => lake.remove())

  it('holds what the model holds, whatever is answered', async () => {
    await fc.assert(fc.asyncProperty(cases, compare), { numRuns: Number(process.env['LAKE_CASES'] ?? 30) })
  }, 600_000)

  async function compare(given: Case): Promise<void> {
    const model = new Map<string, Entry>()
    let ledger: LedgerRef | null = null
    let last: { readonly runId: RunId; readonly failed: ReadonlyMap<string, Answer> } | null = null
    for (const step of given.steps) {
      const isRetry = step.retry !== 'no' && last !== null && step.mode !== 'replace'
      const wanted: readonly Answer[] =
        step.retry === 'rejected' ? ['rejected'] : ['rejected', 'uncertain', 'uncertain-due']
      const only: ReadonlySet<string> | null =
        isRetry && last !== null
          ? new Set([...last.failed].flatMap(([identity, answer]) => (wanted.includes(answer) ? [identity] : [])))
          : null
      const expected = difference(given, step, model, only)

      const source = { ...(await makeSource(given, step)), ledger }
      const retryOf = isRetry && last !== null ? { runId: last.runId, include: step.retry } : null
      const plan = planOf({ mode: step.mode, sources: [source], retryOf })
      const session = await lake.open(plan)
      const diff = await session.diff(source)
      expect(diff).toMatchObject(expected.counts)
      expect(sumsGap({ ...NO_COUNTS, ...diff, unsent: diff.added + diff.changed + diff.removed })).toBe(null)
      expect(await session.diff(source)).toEqual(diff)

      const limits = { rowsPerBatch: step.perBatch, bytesPerBatch: 300 }
      const batches = await collect(session, source, diff, limits)
      const sent = batches.flatMap((batch) =>
        batch.changes.map(({ change, key, fields }, index) => ({
          seq: batch.first + index,
          due: { change, key: String(key), identity: identityOf(given, fields), fields: JSON.stringify(fields) },
        })),
      )
      expect(sent.map(({ seq }) => seq)).toEqual(sent.map((_, index) => index + 1))
      expect(sorted(sent.map(({ due }) => due))).toEqual(sorted(expected.due))
      const lastRemoved = sent.findLastIndex(({ due }) => due.change === 'removed')
      expect(sent.slice(0, lastRemoved + 1).every(({ due }) => due.change === 'removed')).toBe(true)
      for (const { keys, size, last: end, first } of batches) {
        expect(new Set(keys).size).toBe(size)
        expect(end - first + 1).toBe(size)
      }

      const answered = sent.map((one) => ({
        ...one,
        answer: step.answers[one.seq % step.answers.length] ?? 'accepted',
      }))
      const entries = []
      for (const batch of batches) {
        const exceptions: RowException[] = answered
          .filter(({ seq, answer }) => seq >= batch.first && seq <= batch.last && answer !== 'accepted')
          .flatMap(({ seq, answer }) =>
            answer === 'accepted' ? [] : [{ seq, status: answer, reason: 'other', message: 'no \ud800"' }],
          )
        const key = { source: source.name, kind: 'batch' as const, first: batch.first, last: batch.last }
        const path = exceptions.length === 0 ? null : await session.writeExceptions(source, key, exceptions)
        entries.push(answeredBatch(batch, path))
      }
      const settled = ledgerOf(await session.settleLedger(source, diff, entries))
      ledger = settled
      expect(await session.settleLedger(source, diff, entries)).toEqual(settled)
      await session.writeRejects(source, diff, entries)
      settle(model, step.mode, answered)
      expect(await readLedger(lake, settled)).toEqual(
        [...model.values()]
          .map(({ key, identity, state, fields }) => ({ key, identity, state, isKnown: fields !== undefined }))
          .toSorted((a, b) => (a.identity < b.identity ? -1 : 1)),
      )
      expect(settled.rows).toBe(model.size)
      last = { runId: plan.runId, failed: new Map(answered.map(({ due, answer }) => [due.identity, answer])) }
      await session.close()
    }
  }

  async function makeSource(given: Case, step: Step) {
    const statements = Array.from({ length: given.files }, (_, file) =>
      valuesOf(
        FIELDS,
        step.rows.filter(({ id }) => id % given.files === file).map((row) => ({ ...row })),
      ),
    )
    const table = await lake.table('people', 'id', FIELDS, statements)
    const mapped = (name: keyof typeof FIELDS, change: Partial<PlanColumn> = {}): PlanColumn =>
      column(name, FIELDS[name], { ...change, identifier: given.identifiers.some((one) => one === name) })
    return sourceOf(table, {
      columns: [
        mapped('id'),
        mapped('mail', { transforms: ['trim', 'lowercase'] }),
        mapped('land'),
        mapped('spend'),
        mapped('at'),
      ],
      where: given.leastSpend === null ? null : { on: { field: 'spend' }, moreThan: given.leastSpend },
      consentField: given.consent ? 'agreed' : null,
      merge: given.newest ? { by: 'newest', field: 'at' } : { by: 'smallest-key' },
    })
  }
})

function sorted(due: readonly Due[]): readonly Due[] {
  return due.toSorted((a, b) => (a.identity < b.identity ? -1 : 1))
}

async function readLedger(lake: SessionLake, ledger: LedgerRef): Promise<unknown[]> {
  if (ledger.kind !== 'rows') throw new Error('not a ledger of rows')
  const rows = await lake.db.rows(
    `SELECT key, identifiers, state, fingerprint IS NOT NULL AS known, CAST(since AS VARCHAR) AS since
     FROM read_parquet(${quoteText(join(lake.root, ledger.path))})`,
  )
  expect(rows.every(({ since }) => since === NOW.replace('T', ' ').replace('Z', ''))).toBe(true)
  return rows
    .map(({ key, identifiers, state, known }) => ({ key, identity: String(identifiers), state, isKnown: known }))
    .toSorted((a, b) => (a.identity < b.identity ? -1 : 1))
}
