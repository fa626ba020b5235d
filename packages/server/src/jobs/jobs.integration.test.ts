import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { ExportId, RunId } from '../domain/ids.ts'
import { NO_COUNTS } from '../domain/run.ts'
import { Canceled, LeaseLost, ShuttingDown, type Lease, type RunOutcome } from '../engine/ports.ts'
import { pageAudit } from '../store/audit.ts'
import { editExport, readExport } from '../store/export.ts'
import { removeConnection } from '../store/connection-removal.ts'
import { pageRuns, readRun, type RunFilter } from '../store/run.ts'
import { takeRun } from '../store/run-hold.ts'
import type { Db, Tx } from '../store/schema.ts'
import { addVersion, readTable, reserveVersion } from '../store/table.ts'
import { createExportOfPeople, createPeople, daily, draftOf, findConnector } from '../test-support/fixtures.ts'
import { STORES } from '../test-support/stores.ts'
import { byTester, type TestStore } from '../test-support/test-store.ts'
import { tableRefreshed } from './after-refresh.ts'
import { approveRun, cancelRun, retryRun } from './change-run.ts'
import { enqueueRun } from './enqueue-run.ts'
import { openQueue, type Queue } from './queue.ts'
import { makeRunPort, type RunPortOptions } from './run-port.ts'
import { startScheduler } from './scheduler.ts'
import { startWorker, type ExecuteRun, type Worker, type WorkerTiming } from './worker.ts'

const by = byTester(new Date())
const listRuns = async (db: Db, filter: RunFilter, limit: number) =>
  (await pageRuns(db, filter, { sort: 'created', descending: true, limit })).items
const key = (first: number) => ({ source: 'People', kind: 'batch', first, last: first + 9 }) as const
const answered = { accepted: 10, rejected: 0, uncertain: 0, exceptionsPath: null }
const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => (signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve())))
const done: RunOutcome = { status: 'successful', reason: null, retryable: false }

for (const kind of STORES) {
  describe.skipIf(kind.skip)(`jobs on ${kind.name}`, () => {
    let store: TestStore
    let queue: Queue
    let stop: () => Promise<void>
    const workers: Worker[] = []
    const change = <T>(work: (tx: Tx) => Promise<T>): Promise<T> => store.db.transaction().execute(work)
    const errors: unknown[] = []

    const portOf = (options: Partial<RunPortOptions> = {}) =>
      makeRunPort({
        db: store.db,
        queue,
        findConnector,
        authority: () => Promise.resolve(null),
        now: () => new Date(),
        randomBytes,
        ...options,
      })
    const work = (executeRun: ExecuteRun, timing: Partial<WorkerTiming> = {}, concurrency = 2): Worker => {
      const worker = startWorker({
        ...{ store, queue, executeRun, concurrency, randomBytes },
        onError: (error) => errors.push(error),
        timing: { pollMs: 50, watchMs: 50, ...timing },
      })
      workers.push(worker)
      return worker
    }
    const settled = async (id: RunId): Promise<string> => {
      for (let tries = 0; tries < 200; tries++) {
        const { status } = await readRun(store.db, id)
        if (status !== 'queued' && status !== 'running') return status
        await sleep(25)
      }
      return 'not over'
    }
    const settle = (lease: Lease, status: RunOutcome['status'] = 'successful'): Promise<void> =>
      portOf().settle(lease, {
        status,
        reason: null,
        counts: NO_COUNTS,
        ledgers: {},
        standing: { added: [], removed: [] },
      })
    const begin = (exportId: ExportId): Promise<RunId> =>
      change((tx) => enqueueRun(tx, queue, { exportId, purpose: 'deliver', startedBy: 'person' }, by))
    /** As a worker would, without its loops. */
    const take = (id: RunId): Promise<Lease> => change((tx) => takeRun(tx, id, store.workerId))
    const target = (schedule: Parameters<typeof createExportOfPeople>[1] = {}) =>
      change((tx) => createExportOfPeople(tx, schedule))

    beforeAll(async () => {
      const server = await kind.start()
      stop = () => server.stop()
      store = await server.open()
      queue = await openQueue(store, (error) => errors.push(error))
      await change((tx) => createPeople(tx))
    })
    afterEach(async () => {
      await Promise.all(workers.splice(0).map((worker) => worker.stop()))
      const [unexpected] = errors.splice(0)
      if (unexpected !== undefined)
        throw unexpected instanceof Error ? unexpected : new Error('trouble that no test expected')
    })
    afterAll(async () => {
      await queue.close()
      await store.remove()
      await stop()
    })

    test('a run is taken within a second, planned, settled and audited', async () => {
      const { id } = await target()
      const port = portOf()
      const worker = work(async (lease) => {
        await port.setStage(lease, 'plan')
        const plan = await port.makePlan(lease)
        await port.savePlan(lease, plan)
        expect(plan.sources[0]).toMatchObject({ name: 'People', where: null, ledger: null })
        expect(plan.sources[0]?.columns).toEqual([
          {
            to: 'email',
            from: 'email',
            sourceType: 'text',
            type: 'text',
            transforms: ['trim', 'lowercase'],
            identifier: true,
          },
        ])
        expect(await port.intend(lease, key(1))).toEqual({ go: true })
        await port.answer(lease, { ...key(1), ...answered })
        const ref = { kind: 'rows', path: `ledgers/${id}/1.parquet`, rows: 10, fingerprintProbe: 'p' } as const
        const file = { name: 'a.csv', rows: 1, sizeBytes: 1, sha256: 'x' }
        const counts = { ...NO_COUNTS, read: 10, added: 10, accepted: 10 }
        await port.settle(lease, {
          status: 'successful',
          reason: null,
          counts,
          ledgers: { People: ref },
          standing: { added: [file], removed: [] },
        })
        return done
      })
      const run = await begin(id)
      queue.wake()
      expect(await settled(run)).toBe('successful')
      expect(await readRun(store.db, run)).toMatchObject({ counts: { accepted: 10 }, stages: [{ stage: 'plan' }] })
      const audit = await pageAudit(store.db, { subject: run }, { descending: true, limit: 10 })
      expect(audit.map(({ action }) => action)).toEqual(['run.finished', 'run.requested'])
      // The next plan has the ledger, and the files.
      await worker.stop()
      const lease = await take(await begin(id))
      expect((await port.makePlan(lease)).sources[0]?.ledger).toMatchObject({ rows: 10 })
      expect((await port.load(lease)).delivered).toEqual([expect.objectContaining({ name: 'a.csv' })])
      await settle(lease)
    })

    test('a request that is rolled back leaves no run and no job', async () => {
      const { id } = await target()
      let never = ''
      const failing = change(async (tx) => {
        never = await enqueueRun(tx, queue, { exportId: id, purpose: 'deliver', startedBy: 'person' }, by)
        throw new Error('undo')
      })
      await expect(failing).rejects.toThrow('undo')
      expect(await listRuns(store.db, { exportId: id }, 5)).toEqual([])
      const jobs = await change((tx) => queue.take(tx, 100))
      expect(jobs.map(({ runId }) => runId)).not.toContain(never)
    })

    test('B19 100 requests at once make one run', async () => {
      const { id } = await target()
      const outcomes = await Promise.allSettled(Array.from({ length: 100 }, () => begin(id)))
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'conflict' })
      }
      const runs = await listRuns(store.db, { exportId: id }, 5)
      expect(runs).toHaveLength(1)
      await change((tx) => cancelRun(tx, queue, runs[0]?.id ?? ('' as RunId), by))
    })

    test('two workers and many runs: each run once, no two of an export at once', async () => {
      const exports = await Promise.all(Array.from({ length: 6 }, () => target()))
      const at = new Map<string, number>()
      let clashes = 0
      const execute: ExecuteRun = async (lease) => {
        const { exportId } = await readRun(store.db, lease.runId)
        const others = at.get(exportId) ?? 0
        if (others > 0) clashes += 1
        at.set(exportId, others + 1)
        await sleep(20)
        at.set(exportId, others)
        await settle(lease)
        return done
      }
      work(execute)
      work(execute)
      for (let round = 0; round < 3; round++) {
        const runs = await Promise.all(exports.map(({ id }) => begin(id)))
        queue.wake()
        expect(await Promise.all(runs.map(settled))).toEqual(runs.map(() => 'successful'))
        for (const run of runs) {
          const row = await store.db.selectFrom('run').select('epoch').where('id', '=', run).executeTakeFirstOrThrow()
          expect(row.epoch).toBe(1)
        }
      }
      expect(clashes).toBe(0)
    })

    test('I4 cancel, removal of the connection and loss of rights each stop before the next batch', async () => {
      for (const [reason, cause] of [
        ['canceled', (run: RunId) => change((tx) => cancelRun(tx, queue, run, by))],
        [
          'connection-removed',
          async (run: RunId) => {
            const { exportId } = await readRun(store.db, run)
            const { connectionId } = await readExport(store.db, exportId)
            await change((tx) => removeConnection(tx, connectionId ?? ('' as never), { remove: new Set() }, by))
          },
        ],
        ['not-allowed', () => Promise.resolve()],
      ] as const) {
        const { id } = await target()
        let isAllowed = true
        const port = portOf({ authority: () => Promise.resolve(isAllowed ? null : 'You may not') })
        const run = await begin(id)
        const lease = await take(run)
        await port.savePlan(lease, await port.makePlan(lease))
        expect(await port.intend(lease, key(1))).toEqual({ go: true })
        await cause(run)
        isAllowed = reason !== 'not-allowed'
        expect(await port.intend(lease, key(11))).toMatchObject({ go: false, because: reason })
        expect((await port.load(lease)).journal).toHaveLength(1)
        await settle(lease, 'canceled')
      }
    })

    test('a cancel reaches the run within a second, and ends one that has not begun at once', async () => {
      const [first, second] = await Promise.all([target(), target()])
      let reason: unknown
      work(
        async (lease, signal) => {
          await aborted(signal)
          reason = signal.reason
          await settle(lease, 'canceled')
          return { ...done, status: 'canceled' }
        },
        {},
        1,
      )
      const running = await begin(first.id)
      while ((await readRun(store.db, running)).status !== 'running') await sleep(10)
      const waiting = await begin(second.id)
      await change((tx) => cancelRun(tx, queue, waiting, by))
      expect((await readRun(store.db, waiting)).status).toBe('canceled')
      const start = Date.now()
      await change((tx) => cancelRun(tx, queue, running, by))
      expect(await settled(running)).toBe('canceled')
      expect(Date.now() - start).toBeLessThan(1000)
      expect(reason).toBeInstanceOf(Canceled)
      await expect(change((tx) => cancelRun(tx, queue, running, by))).rejects.toMatchObject({ code: 'conflict' })
    })

    test('a failure that may pass is tried again with its journal, the last time settled', async () => {
      const { id } = await target()
      const last: boolean[] = []
      work(
        async (lease, _, isLast) => {
          last.push(isLast)
          if (!isLast) return { status: 'failed-retrying', reason: 'Unreachable', retryable: true }
          await settle(lease, 'failed')
          return { ...done, status: 'failed' }
        },
        { retryMs: [10, 10, 10] },
      )
      const run = await begin(id)
      await expect
        .poll(() => readRun(store.db, run), { timeout: 10_000 })
        .toMatchObject({ status: 'failed', attempts: 3 })
      expect(last).toEqual([false, false, false, true])
    })

    test('a run that broke off unsettled is resumed before anything else of its export is sent', async () => {
      const { id } = await target()
      const port = portOf()
      let isBroken = true
      work(
        async (lease) => {
          if ((await port.load(lease)).plan === null) {
            await port.savePlan(lease, await port.makePlan(lease))
            await port.intend(lease, key(1))
          }
          if (isBroken) throw Object.assign(new Error('disk'), { code: 'ENOSPC' })
          await settle(lease)
          return done
        },
        { retryMs: [] },
      )
      const run = await begin(id)
      await expect
        .poll(() => readRun(store.db, run))
        .toMatchObject({ status: 'failed', reason: expect.stringContaining('ENOSPC') })
      expect(errors.splice(0)).toHaveLength(1)
      isBroken = false
      expect(await begin(id)).toBe(run)
      expect(await settled(run)).toBe('successful')
      const next = await begin(id)
      expect(next).not.toBe(run)
      expect(await settled(next)).toBe('successful')
    })

    test('held for approval: exactly this difference, then it goes on', async () => {
      const { id } = await target()
      const port = portOf()
      const diff = { sources: [], digest: 'digest-1' }
      const digests: (string | null)[] = []
      work(async (lease) => {
        const state = await port.load(lease)
        digests.push(state.approvedDigest)
        if (state.approvedDigest === diff.digest) {
          await settle(lease)
          return done
        }
        await port.saveDiff(lease, diff)
        await port.hold(lease, 'Too many')
        return { status: 'held', reason: 'Too many', retryable: false }
      })
      const run = await begin(id)
      expect(await settled(run)).toBe('held')
      await expect(begin(id)).rejects.toMatchObject({ code: 'conflict', cure: expect.stringContaining('approve') })
      const wrong = change((tx) => approveRun(tx, queue, run, 'digest-2', by))
      await expect(wrong).rejects.toMatchObject({ code: 'conflict', path: 'outboxDigest' })
      await change((tx) => approveRun(tx, queue, run, diff.digest, by))
      expect(await settled(run)).toBe('successful')
      expect(digests).toEqual([null, 'digest-1'])
    })

    test('retry of rejected rows is a run of its own', async () => {
      const { id } = await target()
      const lease = await take(await begin(id))
      const counts = { ...NO_COUNTS, read: 2, added: 2, accepted: 1, rejected: 1 }
      await portOf().settle(lease, {
        status: 'completed-with-rejects',
        reason: null,
        counts,
        ledgers: {},
        standing: { added: [], removed: [] },
      })
      const retry = await change((tx) => retryRun(tx, queue, lease.runId, 'rejected', by))
      const retryLease = await take(retry)
      const plan = await portOf().makePlan(retryLease)
      expect(plan.retryOf).toEqual({ runId: lease.runId, include: 'rejected' })
      await settle(retryLease)
      await expect(change((tx) => retryRun(tx, queue, retry, 'rejected', by))).rejects.toMatchObject({
        code: 'not-ready',
      })
    })

    test('B20 after a take-over every write of the old lease is refused and writes nothing', async () => {
      const { id } = await target()
      const port = portOf()
      const run = await begin(id)
      const old = await take(run)
      const plan = await port.makePlan(old)
      await port.savePlan(old, plan)
      await port.intend(old, key(1))
      const fresh = await take(run)
      const before = JSON.stringify(await port.load(fresh))
      const writes = [
        () => port.load(old),
        () => port.makePlan(old),
        () => port.savePlan(old, plan),
        () => port.saveDiff(old, { sources: [], digest: 'x' }),
        () => port.setStage(old, 'deliver'),
        () => port.intend(old, key(11)),
        () => port.answer(old, { ...key(1), ...answered }),
        () => port.hold(old, 'x'),
        () => settle(old),
      ]
      for (const write of writes) await expect(write()).rejects.toBeInstanceOf(LeaseLost)
      expect(JSON.stringify(await port.load(fresh))).toBe(before)
      await settle(fresh)
    })

    test('shutting down leaves a run as it is, and the next worker goes on with it at once', async () => {
      const { id } = await target()
      const first = work(async (_, signal) => {
        await aborted(signal)
        throw signal.reason instanceof ShuttingDown ? signal.reason : new Error('another reason')
      })
      const run = await begin(id)
      while ((await readRun(store.db, run)).status !== 'running') await sleep(10)
      await first.stop()
      expect((await readRun(store.db, run)).status).toBe('running')
      work(async (lease) => {
        expect(lease.epoch).toBe(2)
        await settle(lease)
        return done
      })
      expect(await settled(run)).toBe('successful')
    })

    test('the right problem, before anything is sent, when what an export needs is gone', async () => {
      const source = (from: string, table = 'People') =>
        ({
          kind: 'data-out',
          tables: [{ table, fields: [{ to: 'x', from, transforms: [], identifier: true }] }],
        }) as const
      for (const [change_, problem] of [
        [
          { source: source('emial') },
          { code: 'not-found', path: 'source.tables[0].fields[0].from', cure: 'Did you mean "email"?' },
        ],
        [{ source: source('id', 'Persons') }, { code: 'not-found', path: 'source.tables[0].table' }],
        [{ destinationType: 'folder' }, { path: 'destinationType' }],
      ] as const) {
        const { id } = await target(change_)
        const lease = await take(await begin(id))
        await expect(portOf().makePlan(lease)).rejects.toMatchObject(problem)
        await settle(lease, 'failed')
      }
    })

    describe('schedules', () => {
      let now = new Date('2026-03-02T04:00:00Z')
      const scheduler = () =>
        startScheduler({
          store,
          queue,
          now: () => now,
          randomBytes,
          onError: (error) => errors.push(error),
          everyMs: 0,
        })
      const runsOf = async (id: ExportId) =>
        (await listRuns(store.db, { exportId: id }, 100)).map(({ slot, status, late }) => [
          slot?.toISOString(),
          status,
          late,
        ])
      const finish = async (id: ExportId, status: RunOutcome['status'] = 'successful'): Promise<void> => {
        for (const run of await listRuns(store.db, { exportId: id, status: 'queued' }, 5))
          await settle(await take(run.id), status)
      }
      const at = (time: string): Date => (now = new Date(time))
      const scheduled = (schedule = daily('06:00')) => change((tx) => createExportOfPeople(tx, { schedule }, now))

      test('a slot fires once, with two schedulers at once and through jumps of the clock', async () => {
        at('2026-03-02T04:00:00Z')
        const { id } = await scheduled({ ...daily('06:00'), every: { type: 'hourly', minute: 0 } })
        const tick = () => Promise.all([scheduler().tick(), scheduler().tick()])
        for (const time of ['05:00:00', '05:00:01', '06:00:30', '04:01:00', '05:10:00', '06:20:00', '07:00:10']) {
          at(`2026-03-02T${time}Z`)
          await tick()
          await finish(id)
        }
        const slots = ['07', '06', '05'].map((hour) => [`2026-03-02T${hour}:00:00.000Z`, 'successful', false])
        expect(await runsOf(id)).toEqual(slots)
        // Ahead by three days: one run, late; and back again: what comes then runs, once each.
        at('2026-03-05T07:30:00Z')
        await tick()
        await finish(id)
        expect((await runsOf(id))[0]).toEqual(['2026-03-05T07:00:00.000Z', 'successful', true])
        for (const time of ['2026-03-02T07:40:00Z', '2026-03-02T08:00:20Z', '2026-03-02T08:00:40Z']) {
          at(time)
          await tick()
          await finish(id)
        }
        const all = await runsOf(id)
        expect(all).toHaveLength(5)
        expect(all.map(([slot]) => slot)).toContain('2026-03-02T08:00:00.000Z')
      })

      test('slots missed while the server was down run once, late', async () => {
        at('2026-03-02T04:00:00Z')
        const { id } = await scheduled()
        at('2026-03-09T09:00:00Z')
        await scheduler().tick()
        await scheduler().tick()
        expect(await runsOf(id)).toEqual([['2026-03-09T06:00:00.000Z', 'queued', true]])
        expect((await readExport(store.db, id)).nextAt).toEqual(new Date('2026-03-10T06:00:00Z'))
        await finish(id)
      })

      test('a slot while a run is going on is skipped once, with the reason', async () => {
        at('2026-03-02T04:00:00Z')
        const { id } = await scheduled()
        const run = await begin(id)
        at('2026-03-02T06:00:05Z')
        await Promise.all([scheduler().tick(), scheduler().tick()])
        const skipped = await listRuns(store.db, { exportId: id, status: 'skipped' }, 5)
        expect(skipped).toMatchObject([{ reason: `Run ${run} of this export was not over` }])
        await finish(id)
      })

      test('off, detached and paused do nothing; ten failures in a row pause with one reason', async () => {
        at('2026-03-02T04:00:00Z')
        const off = await scheduled({ ...daily('06:00'), on: false })
        const detached = await scheduled()
        await change((tx) => removeConnection(tx, detached.connectionId ?? ('' as never), { remove: new Set() }, by))
        const failing = await scheduled({ ...daily('06:00'), every: { type: 'minutes', minutes: 10 } })
        for (let minute = 10; minute <= 150; minute += 10) {
          at(new Date(Date.UTC(2026, 2, 2, 4, minute)).toISOString())
          await scheduler().tick()
          await finish(failing.id, 'failed')
        }
        expect(await runsOf(off.id)).toEqual([])
        expect(await runsOf(detached.id)).toEqual([])
        expect(await runsOf(failing.id)).toHaveLength(10)
        const paused = await readExport(store.db, failing.id)
        expect(paused).toMatchObject({ nextAt: null, pausedReason: expect.stringContaining('10 failures in a row') })
        const reasons = await pageAudit(store.db, { subject: failing.id }, { descending: true, limit: 50 })
        expect(reasons.filter(({ action }) => action === 'schedule.paused')).toHaveLength(1)
        const again = { ...draftOf(paused.name), schedule: paused.schedule }
        const mended = await change((tx) => editExport(tx, failing.id, paused.revision, again, byTester(now)))
        expect(mended).toMatchObject({ pausedReason: null, nextAt: expect.any(Date) })
        await change((tx) => removeConnection(tx, failing.connectionId ?? ('' as never), { remove: new Set() }, by))
      })

      test('after a refresh: at once, after the run that goes on, or after the blackout', async () => {
        at('2026-03-02T04:00:00Z')
        const schedule = { ...daily('06:00'), every: { type: 'after-refresh' } as const }
        const { id } = await scheduled(schedule)
        const people = await readTable(store.db, 'People')
        const orders = await readTable(store.db, 'Orders')
        const refresh = async (table: typeof people): Promise<void> => {
          const version = await reserveVersion(store.db, table.id)
          await change(async (tx) => {
            await addVersion(
              tx,
              table.id,
              version,
              { fields: table.fields, files: [], rows: 1, badLines: 0 },
              byTester(now),
            )
            await tableRefreshed(tx, queue, table.id, byTester(now))
          })
        }
        await refresh(orders)
        expect(await runsOf(id)).toEqual([])
        await refresh(people)
        await refresh(people)
        expect(await runsOf(id)).toEqual([[undefined, 'queued', false]])
        // The second refresh came while the first run was not over: another one follows.
        await finish(id)
        expect(await runsOf(id)).toEqual([
          [undefined, 'queued', false],
          [undefined, 'successful', false],
        ])
        await finish(id)
        const { revision, name } = await readExport(store.db, id)
        const blackout = [{ days: [], from: '04:00', to: '05:00' }] as const
        await change((tx) =>
          editExport(tx, id, revision, { ...draftOf(name), schedule: { ...schedule, blackout } }, byTester(now)),
        )
        await refresh(people)
        expect(await runsOf(id)).toHaveLength(2)
        at('2026-03-02T05:00:10Z')
        await scheduler().tick()
        expect(await runsOf(id)).toContainEqual(['2026-03-02T05:00:00.000Z', 'queued', false])
        await finish(id)
      })
    })
  })
}
