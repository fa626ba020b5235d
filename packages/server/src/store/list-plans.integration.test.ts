/** Reads how the database would answer every list: with an index for every order and every filter, and never by sorting it all. */
import { CompiledQuery, type KyselyPlugin, type RootOperationNode } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createExportOfPeople, createPeople, daily } from '../test-support/fixtures.ts'
import { STORES } from '../test-support/stores.ts'
import type { TestStore } from '../test-support/test-store.ts'
import { pageAudit } from './audit.ts'
import { readChanges } from './change.ts'
import { pageExports, type ExportFilter, type ExportSort } from './export-list.ts'
import type { PageRequest } from './page.ts'
import { pageRuns, type RunFilter } from './run.ts'
import type { Db, Tx } from './schema.ts'
import { pageSegments } from './segment.ts'
import { pageTables } from './table.ts'

type List = readonly [name: string, read: (db: Db) => Promise<unknown>]

const EXPORT_SORTS: readonly ExportSort[] = [
  ...(['name', 'connector', 'connection', 'kind', 'status', 'lastRun'] as const),
  ...(['delivered', 'rejected', 'nextRun', 'created', 'updated', 'updatedBy'] as const),
]
const WHEN = '2026-01-01 00:00:00+00'
const DAY = new Date('2026-01-01T00:00:00Z')

/** Both ways, the first page and a later one. */
function pages<S extends string>(sort: S, key: string): readonly PageRequest<S>[] {
  return [true, false].flatMap((descending) => [
    { sort, descending, limit: 100 },
    { sort, descending, limit: 100, after: { key, id: 'x' } },
  ])
}
const first = <S extends string>(sort: S): PageRequest<S> => ({ sort, descending: false, limit: 100 })

const ORDERS: readonly List[] = [
  ...EXPORT_SORTS.flatMap((sort) =>
    pages(sort, 'a').map((page): List => [`exports by ${sort}`, (db) => pageExports(db, {}, page)]),
  ),
  ...pages('created', WHEN).map((page): List => ['runs', (db) => pageRuns(db, {}, page)]),
  ...pages('created', WHEN).flatMap((page): List[] => [
    ['runs of an export', (db) => pageRuns(db, { exportId: 'exp_a' as never }, page)],
    ['runs of a status', (db) => pageRuns(db, { status: 'held' }, page)],
    ['runs by what started them', (db) => pageRuns(db, { startedBy: 'retry' }, page)],
  ]),
  ...(['name', 'created', 'updated'] as const).flatMap((sort) =>
    pages(sort, sort === 'name' ? 'a' : WHEN).flatMap((page): List[] => [
      [`segments by ${sort}`, (db) => pageSegments(db, {}, page)],
      [`tables by ${sort}`, (db) => pageTables(db, {}, page)],
    ]),
  ),
  ...[true, false].flatMap((descending): List[] => [
    ['the log', (db) => pageAudit(db, {}, { descending, limit: 100 })],
    ['the log of a thing', (db) => pageAudit(db, { subject: 'x' }, { descending, limit: 100, after: 9 })],
    ['the log of somebody', (db) => pageAudit(db, { actor: 'x' }, { descending, limit: 100 })],
  ]),
  ['the feed', (db) => readChanges(db, { tx: '0', seq: '0' })],
]

const EXPORT_FILTERS: readonly ExportFilter[] = [
  { search: 'a' },
  { connectionId: 'con_a' as never },
  { connectorId: 'x' },
  { kind: 'segment' },
  { status: 'failed' },
  { status: 'never' },
  { schedule: 'on' },
  { schedule: 'none' },
  { schedule: 'paused' },
  { isAttached: false },
]
const RUN_FILTERS: readonly RunFilter[] = [
  { search: 'export' },
  { purpose: 'preview' },
  { since: DAY, until: DAY },
  { exportId: 'exp_a' as never, status: 'failed', startedBy: 'schedule' },
]
const FILTERS: readonly List[] = [
  ...EXPORT_FILTERS.map((filter): List => [
    `exports with ${JSON.stringify(filter)}`,
    (db) => pageExports(db, filter, first('name')),
  ]),
  ...RUN_FILTERS.map((filter): List => [
    `runs with ${JSON.stringify(filter)}`,
    (db) => pageRuns(db, filter, first('created')),
  ]),
  ['segments found', (db) => pageSegments(db, { search: 'a' }, first('name'))],
  ['tables found', (db) => pageTables(db, { search: 'a' }, first('name'))],
  ['the log by action', (db) => pageAudit(db, { action: 'export.created' }, { descending: true, limit: 9 })],
  ['the log by noun', (db) => pageAudit(db, { action: 'export.' }, { descending: true, limit: 9 })],
  ['the log of a day', (db) => pageAudit(db, { since: DAY, until: DAY }, { descending: true, limit: 9 })],
]

for (const kind of STORES) {
  describe.skipIf(kind.skip)(`lists on ${kind.name}`, () => {
    let store: TestStore
    let stop: () => Promise<void>
    beforeAll(async () => {
      const started = await kind.start()
      stop = () => started.stop()
      store = await started.open()
      await store.db.transaction().execute(async (tx) => {
        await createPeople(tx)
        for (let count = 0; count < 3; count += 1)
          await createExportOfPeople(tx, count === 0 ? {} : { schedule: daily('06:00') })
      })
    })
    afterAll(async () => {
      await store.remove()
      await stop()
    })

    /** The kinds of steps of each statement, where the database goes through a whole table, or sorts, only if it knows no other way. */
    const plansOf = (read: List[1]): Promise<readonly (readonly string[])[]> =>
      store.db.transaction().execute(async (tx) => {
        for (const way of ['seqscan', 'sort', 'bitmapscan'])
          await tx.executeQuery(CompiledQuery.raw(`SET LOCAL enable_${way} = off`))
        const asked = await statementsOf(tx, read)
        const plans = []
        for (const { sql, parameters } of asked) {
          const explained = CompiledQuery.raw(`EXPLAIN (FORMAT JSON) ${sql}`, [...parameters])
          const { rows } = await tx.executeQuery<{ 'QUERY PLAN': readonly [{ Plan: Step }] }>(explained)
          plans.push(stepsOf(rows[0]?.['QUERY PLAN'][0].Plan))
        }
        return plans
      })

    test.each(ORDERS)('%s: an index gives the order', async (_, read) => {
      const plans = await plansOf(read)
      expect(plans.length).toBeGreaterThan(0)
      for (const steps of plans) {
        expect(steps.filter((step) => step.includes('Seq Scan'))).toEqual([])
        expect(steps.filter((step) => step.startsWith('Sort'))).toEqual([])
      }
    })

    test.each(FILTERS)('%s: an index finds it', async (_, read) => {
      const plans = await plansOf(read)
      expect(plans.length).toBeGreaterThan(0)
      for (const steps of plans) expect(steps.filter((step) => step.includes('Seq Scan'))).toEqual([])
    })

    test('a list without an index is found out', async () => {
      const [steps] = await plansOf((db) => db.selectFrom('run').selectAll().orderBy('reason').limit(5).execute())
      expect(steps).toContain('Sort')
      const [unindexed] = await plansOf((db) => db.selectFrom('run').select('id').where('reason', '=', 'x').execute())
      expect(unindexed?.some((step) => step.includes('Seq Scan'))).toBe(true)
    })
  })
}

interface Step {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly Plans?: readonly Step[]
}

function stepsOf(step: Step | undefined): readonly string[] {
  if (step === undefined) throw new Error('The database explained nothing')
  const { 'Node Type': type, 'Relation Name': relation, Plans: below = [] } = step
  return [relation === undefined ? type : `${type} on ${relation}`, ...below.flatMap(stepsOf)]
}

/** What the list asks the database, as it does. */
async function statementsOf(tx: Tx, read: List[1]): Promise<readonly CompiledQuery[]> {
  const asked = new WeakMap<object, RootOperationNode>()
  const nodes: RootOperationNode[] = []
  const listen: KyselyPlugin = {
    transformQuery({ node, queryId }) {
      asked.set(queryId, node)
      return node
    },
    // A part of a statement is asked about as well, and never sent by itself.
    transformResult({ result, queryId }) {
      const node = asked.get(queryId)
      if (node !== undefined) nodes.push(node)
      return Promise.resolve(result)
    },
  }
  await read(tx.withPlugin(listen))
  return nodes.map((node) => tx.getExecutor().compileQuery(node, { queryId: 'explained' }))
}
