import { BatchRejected, type Batch, type RowAnswer } from '@patchbay/connector-sdk'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { LeaseLost } from './ports.ts'
import { runExport } from './run-export.ts'
import { accept, keyOf, never, rowsDestination, run, TestWorld } from './testing.ts'

describe('services that answer later', () => {
  /** Takes batches as jobs and works on each for some questions. Batches that were sent before are other jobs: nothing is remembered. */
  function jobService(questions: number) {
    const jobs = new Map<string, readonly RowAnswer['key'][]>()
    const asked = new Map<string, number>()
    const effects = new Map<string, number>()
    return {
      jobs,
      effects,
      asked,
      destination: (change: (batch: Batch) => void = () => undefined) => {
        const deliver = (batch: Batch) => {
          change(batch)
          for (const key of batch.keys) effects.set(key, (effects.get(key) ?? 0) + 1)
          const job = `job-${jobs.size + 1}`
          jobs.set(job, batch.keys)
          return Promise.resolve({ job })
        }
        const collect = (job: string) => {
          asked.set(job, (asked.get(job) ?? 0) + 1)
          if ((asked.get(job) ?? 0) <= questions) return Promise.resolve('pending' as const)
          return Promise.resolve(accept(jobs.get(job) ?? []))
        }
        return rowsDestination(deliver, { delivery: { deliver, collect, close: () => Promise.resolve() } })
      },
    }
  }

  test('are given all batches first, and then asked until they answer', async () => {
    const world = new TestWorld(95)
    const service = jobService(3)
    const order: string[] = []
    const destination = service.destination((batch) => void order.push(batch.id))
    expect((await run(world, destination)).status).toBe('successful')
    expect(service.jobs.size).toBe(10)
    expect(order.length).toBe(10)
    expect(world.accepted.length).toBe(95)
    expect([...service.asked.values()].every((times) => times === 4)).toBe(true)
  })

  test('are asked again after a crash, and given nothing twice', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('harmless' as const, 'keyed' as const, 'blind' as const),
        fc.array(
          fc.record({ at: fc.integer({ min: 1, max: 30 }), what: fc.constantFrom('send', 'job-stored', 'collect') }),
          { maxLength: 4 },
        ),
        async (kind, crashes) => {
          const world = new TestWorld(60, {}, { repeat: { kind } })
          const service = jobService(1)
          const queue = [...crashes]
          for (let execution = 0; execution < 8 && world.settlement === null; execution++) {
            const crash = queue.shift()
            let calls = 0
            const dies = (what: string): boolean => what === crash?.what && ++calls === crash.at
            const base = service.destination()
            const lose = (): never => {
              world.isLeaseLost = true
              throw new LeaseLost('crash')
            }
            const deliver = async (batch: Batch) => {
              if (kind === 'keyed') {
                const known = [...service.jobs].find(([, keys]) => keys[0] === batch.keys[0])
                if (known !== undefined) return { job: known[0] }
              }
              const job = await base.delivery.deliver(batch)
              return dies('send') ? lose() : job
            }
            const collect = (job: string, batch: Batch) =>
              dies('collect')
                ? Promise.reject(new LeaseLost('crash')).catch(lose)
                : (base.delivery.collect?.(job, batch) ?? Promise.resolve('pending' as const))
            const destination = rowsDestination(deliver, {
              delivery: { deliver, collect, close: () => Promise.resolve() },
            })
            const ports = world.ports(() => destination)
            const failpoint = (name: string) => (name === 'job-stored' && dies('job-stored') ? lose() : undefined)
            await runExport(world.lease, { ...ports, failpoint }, never()).catch(() => undefined)
            world.isLeaseLost = false
          }
          const counts = world.settlement?.counts
          expect((counts?.accepted ?? 0) + (counts?.uncertain ?? 0)).toBe(60)
          expect(Math.max(...service.effects.values())).toBeLessThanOrEqual(kind === 'harmless' ? 5 : 1)
          if (kind !== 'blind') expect(counts?.uncertain).toBe(0)
          // A crash between the request and the journal is all that can leave a batch in doubt.
          const sends = crashes.filter(({ what }) => what === 'send').length
          expect(counts?.uncertain).toBeLessThanOrEqual(10 * sends)
        },
      ),
      { numRuns: 150 },
    )
  })

  test('that refuse a job as a whole get it in halves, which are jobs too', async () => {
    const world = new TestWorld(40)
    const jobs = new Map<string, Batch['keys']>()
    const deliver = (batch: Batch) => {
      jobs.set(batch.id, batch.keys)
      return Promise.resolve({ job: batch.id })
    }
    const collect = (job: string): Promise<RowAnswer[]> => {
      const keys = jobs.get(job) ?? []
      return keys.includes(keyOf(7))
        ? Promise.reject(new BatchRejected('a value is wrong'))
        : Promise.resolve(accept(keys))
    }
    const destination = rowsDestination(deliver, { delivery: { deliver, collect, close: () => Promise.resolve() } })
    expect((await run(world, destination)).status).toBe('completed-with-rejects')
    expect(world.exceptionsBySeq().map(({ seq, status }) => [seq, status])).toEqual([[7, 'rejected']])
    expect(world.accepted.length).toBe(39)
  })

  test('that never finish leave their rows uncertain, due again where that is harmless', async () => {
    for (const [kind, status] of [
      ['harmless', 'uncertain-due'],
      ['blind', 'uncertain'],
    ] as const) {
      const world = new TestWorld(10, {}, { repeat: { kind } })
      const outcome = await run(world, jobService(Infinity).destination())
      expect(outcome.status).toBe('completed-with-rejects')
      expect(world.settlement?.counts).toMatchObject({ accepted: 0, uncertain: 10, unsent: 0 })
      expect(new Set(world.exceptionsBySeq().map((row) => row.status))).toEqual(new Set([status]))
      expect(world.nowMs - Date.UTC(2026, 0, 1)).toBeGreaterThan(6 * 3_600_000)
    }
  })

  test('a cancel asks each job once more, and tells the rest as uncertain', async () => {
    const world = new TestWorld(30, {}, { repeat: { kind: 'keyed' } })
    const service = jobService(0)
    world.permission = (key) =>
      key.first > 20 ? { go: false, because: 'canceled', reason: 'Canceled by Ada' } : { go: true }
    expect((await run(world, service.destination())).status).toBe('canceled')
    expect(world.settlement?.counts).toMatchObject({ accepted: 20, uncertain: 0, unsent: 10 })

    const slow = new TestWorld(30, {}, { repeat: { kind: 'keyed' } })
    slow.permission = world.permission
    expect((await run(slow, jobService(5).destination())).status).toBe('canceled')
    expect(slow.settlement?.counts).toMatchObject({ accepted: 0, uncertain: 20, unsent: 10 })
  })
})
