import {
  BatchRejected,
  ConnectionRefused,
  RateLimited,
  Unavailable,
  type Batch,
  type RowAnswer,
} from '@patchbay/connector-sdk'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Canceled, LeaseLost, ShuttingDown } from './ports.ts'
import { runExport } from './run-export.ts'
import { accept, keyOf, never, rowsDestination, run, TestWorld } from './testing.ts'

const nothingThrownAside: unknown[] = []
const note = (error: unknown): void => void nothingThrownAside.push(error)

beforeEach(() => void process.on('unhandledRejection', note))
afterEach(() => {
  process.off('unhandledRejection', note)
  const [aside] = nothingThrownAside.splice(0)
  if (aside !== undefined) throw new Error('A promise was rejected and nobody listened', { cause: aside })
})

describe('a run that goes well', () => {
  test('delivers every row once and is successful only with sums that add up', async () => {
    const world = new TestWorld(95)
    const sent: string[] = []
    const destination = rowsDestination((batch) => {
      sent.push(...batch.keys)
      return Promise.resolve(accept(batch.keys))
    })
    expect(await run(world, destination)).toEqual({ status: 'successful', reason: null, retryable: false })
    expect(new Set(sent).size).toBe(95)
    expect(sent.length).toBe(95)
    expect(world.settlement?.counts).toMatchObject({ read: 95, added: 95, accepted: 95, unsent: 0 })
    expect(destination.closed).toEqual(['finished'])
  })

  test('a difference whose sums do not add up fails the run, although all was accepted', async () => {
    const world = new TestWorld(20, { read: 21 })
    const outcome = await run(
      world,
      rowsDestination((batch) => Promise.resolve(accept(batch.keys))),
    )
    expect(outcome.status).toBe('failed')
    expect(outcome.reason).toBe('The sums do not add up: 21 rows were read and 20 are accounted for')
    expect(world.accepted.length).toBe(20)
  })

  test('never has more batches out than the destination takes', async () => {
    const world = new TestWorld(200)
    let out = 0
    let most = 0
    const destination = rowsDestination(async (batch) => {
      most = Math.max(most, ++out)
      await new Promise((resolve) => setImmediate(resolve))
      out--
      return accept(batch.keys)
    })
    await run(world, destination)
    expect(most).toBe(3)
  })
})

describe('answers', () => {
  test('a row without an answer is rejected and stays due; where a repeat is blind it is uncertain', async () => {
    for (const [kind, status] of [
      ['harmless', 'rejected'],
      ['blind', 'uncertain'],
    ] as const) {
      const world = new TestWorld(10, {}, { repeat: { kind } })
      const destination = rowsDestination((batch) => Promise.resolve(accept(batch.keys.slice(1))))
      expect((await run(world, destination)).status).toBe('completed-with-rejects')
      expect(world.exceptionsBySeq()).toMatchObject([{ seq: 1, status, reason: 'unanswered' }])
      expect(world.accepted).not.toContain(1)
    }
  })

  test('a key that was not asked is a bug of the connector; what it answered before is kept', async () => {
    const world = new TestWorld(10)
    const destination = rowsDestination((batch) =>
      Promise.resolve([...accept(batch.keys.slice(0, 4)), { key: keyOf(99), status: 'accepted' } as RowAnswer]),
    )
    const outcome = await run(world, destination)
    expect(outcome).toMatchObject({ status: 'failed', retryable: false })
    expect(outcome.reason).toContain('bug')
    expect(world.accepted).toEqual([1, 2, 3, 4])
    // The rest was sent, and what the connector says of it is worth nothing.
    expect(world.settlement?.counts).toMatchObject({ uncertain: 6, unsent: 0 })
  })

  test('rows that the service wants later are asked again, alone, and given up after some rounds', async () => {
    const world = new TestWorld(10)
    const asked: number[] = []
    const ids = new Set<string>()
    const destination = rowsDestination((batch) => {
      asked.push(batch.size)
      ids.add(batch.id)
      return Promise.resolve(
        batch.keys.map((key): RowAnswer =>
          key === keyOf(3) ? { key, status: 'retry', message: 'later', afterSeconds: 2 } : { key, status: 'accepted' },
        ),
      )
    })
    expect((await run(world, destination)).status).toBe('completed-with-rejects')
    expect(asked).toEqual([10, 1, 1, 1, 1, 1])
    expect(ids.size).toBe(6)
    expect(world.exceptionsBySeq().map((row) => row.seq)).toEqual([3])
  })
})

describe('trouble', () => {
  test('a batch refused whole is cut until the bad rows stand alone, at a bounded price', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(fc.integer({ min: 1, max: 300 }), { maxLength: 12 }), async (bad) => {
        const world = new TestWorld(300)
        let requests = 0
        const isBad = new Set<string>(bad.map(keyOf))
        const destination = rowsDestination(
          (batch) => {
            requests++
            if (batch.keys.some((key) => isBad.has(key))) return Promise.reject(new BatchRejected('a value is wrong'))
            return Promise.resolve(accept(batch.keys))
          },
          { limits: { rowsPerBatch: 100, bytesPerBatch: 1e6, batchesInFlight: 2 } },
        )
        await run(world, destination)
        expect(world.exceptionsBySeq().map((row) => row.seq)).toEqual(bad.toSorted((a, b) => a - b))
        expect(world.accepted.length).toBe(300 - bad.length)
        expect(requests).toBeLessThanOrEqual(3 + 2 * bad.length * Math.ceil(Math.log2(100)))
      }),
      { numRuns: 60 },
    )
  })

  test('a pause that the service asks for is kept by all batches, and the same batch comes again under its id', async () => {
    const world = new TestWorld(60)
    const seen: string[] = []
    let refused = 0
    const destination = rowsDestination((batch) => {
      seen.push(batch.id)
      if (seen.length === 2) {
        refused++
        return Promise.reject(new RateLimited(7))
      }
      return Promise.resolve(accept(batch.keys))
    })
    expect((await run(world, destination)).status).toBe('successful')
    expect(refused).toBe(1)
    expect(seen.length).toBe(7)
    expect(world.slept.some((milliseconds) => milliseconds >= 7000)).toBe(true)
  })

  test('a broken answer is sent again where that is harmless, read back where that can be, and uncertain where it is blind', async () => {
    const outcomes: Record<string, unknown> = {}
    for (const kind of ['harmless', 'keyed', 'readable', 'blind'] as const) {
      const world = new TestWorld(20, {}, { repeat: { kind, forHours: 24 } })
      const sent = new Map<string, number>()
      const broken = new Set<string>()
      const deliver = (batch: Batch): Promise<RowAnswer[]> => {
        sent.set(batch.id, (sent.get(batch.id) ?? 0) + 1)
        if (batch.keys.includes(keyOf(1)) && broken.size === 0) {
          broken.add(batch.id)
          return Promise.reject(new Unavailable('maybe', 'reset'))
        }
        return Promise.resolve(accept(batch.keys))
      }
      const destination = rowsDestination(deliver, {
        delivery: { deliver, readBack: (batch) => Promise.resolve(accept(batch.keys)), close: () => Promise.resolve() },
      })
      await run(world, destination)
      outcomes[kind] = [
        Math.max(...sent.values()),
        world.settlement?.counts.accepted,
        world.settlement?.counts.uncertain,
      ]
    }
    expect(outcomes).toEqual({ harmless: [2, 20, 0], keyed: [2, 20, 0], readable: [1, 20, 0], blind: [1, 10, 10] })
  })

  test('a refused connection stops the run, and what its siblings answered is kept', async () => {
    const world = new TestWorld(100)
    let call = 0
    const destination = rowsDestination(async (batch) => {
      const mine = ++call
      await new Promise((resolve) => setImmediate(resolve))
      if (mine === 2) throw new ConnectionRefused('the password is wrong')
      return accept(batch.keys)
    })
    const outcome = await run(world, destination)
    expect(outcome).toMatchObject({ status: 'failed', retryable: false })
    expect(outcome.reason).toContain('An Administrator must mend it')
    expect(world.accepted.length).toBeGreaterThanOrEqual(20)
    expect(world.settlement?.counts.unsent).toBe(100 - world.accepted.length)
    expect(destination.closed).toEqual(['abandoned'])
  })

  test('a service that is down leaves the run to go on later, and the last execution settles it', async () => {
    const world = new TestWorld(30)
    const down = rowsDestination(() => Promise.reject(new Unavailable('no', 'not reached')))
    expect(await run(world, down)).toMatchObject({ status: 'failed-retrying', retryable: true })
    expect(world.settlement).toBeNull()
    expect((await run(world, down, never(), true)).status).toBe('failed')
    expect(world.settlement?.counts).toMatchObject({ accepted: 0, unsent: 30, uncertain: 0 })
  })

  test('rows on which a living service keeps failing are found, and the others go', async () => {
    const world = new TestWorld(40)
    const destination = rowsDestination((batch) =>
      batch.keys.includes(keyOf(17))
        ? Promise.reject(new Unavailable('maybe', 'The service failed (500)'))
        : Promise.resolve(accept(batch.keys)),
    )
    expect((await run(world, destination)).status).toBe('completed-with-rejects')
    expect(world.exceptionsBySeq().map((row) => row.seq)).toEqual([17])
  })

  test('a lease that is lost stops everything and writes nothing more', async () => {
    const world = new TestWorld(100)
    let sent = 0
    const destination = rowsDestination((batch) => {
      if (++sent === 3) world.isLeaseLost = true
      return Promise.resolve(accept(batch.keys))
    })
    await expect(run(world, destination)).rejects.toThrow(LeaseLost)
    expect(world.settlement).toBeNull()
    expect(sent).toBeLessThanOrEqual(5)
  })
})

describe('stopping and going on', () => {
  test('a cancel stops within the batches in flight and settles what was accepted', async () => {
    const world = new TestWorld(500)
    let isCanceled = false
    world.permission = () => (isCanceled ? { go: false, because: 'canceled', reason: 'Canceled by Ada' } : { go: true })
    let sent = 0
    const destination = rowsDestination((batch) => {
      if (++sent === 5) isCanceled = true
      return Promise.resolve(accept(batch.keys))
    })
    expect(await run(world, destination)).toEqual({ status: 'canceled', reason: 'Canceled by Ada', retryable: false })
    expect(sent).toBeLessThanOrEqual(7)
    expect(world.settlement?.counts.unsent).toBe(500 - world.accepted.length)
    expect(world.accepted.length).toBe(sent * 10)
  })

  test('a cancel during a long pause ends the pause', async () => {
    const world = new TestWorld(10)
    const stop = new AbortController()
    const destination = rowsDestination(() => {
      stop.abort(new Canceled('Canceled by Ada'))
      return Promise.reject(new RateLimited(600))
    })
    expect((await run(world, destination, stop.signal)).status).toBe('canceled')
    expect(world.settlement?.counts.unsent).toBe(10)
  })

  test('shutting down settles nothing; the next execution goes on and sends no answered batch again', async () => {
    const world = new TestWorld(200)
    const stop = new AbortController()
    const sent: string[] = []
    const destination = rowsDestination((batch) => {
      sent.push(batch.id)
      if (sent.length === 6) stop.abort(new ShuttingDown('the server stops'))
      return Promise.resolve(accept(batch.keys))
    })
    await expect(run(world, destination, stop.signal)).rejects.toThrow(ShuttingDown)
    expect(world.settlement).toBeNull()
    expect((await run(world, destination)).status).toBe('successful')
    expect(sent.length).toBe(20)
    expect(new Set(sent).size).toBe(20)
  })

  test('held for removals; approval of that difference lets it go, of another does not', async () => {
    const world = new TestWorld(300, { added: 0, removed: 300, read: 0, ledgerRows: 1000, vanishing: 300 })
    const destination = rowsDestination((batch) => Promise.resolve(accept(batch.keys)))
    expect((await run(world, destination)).status).toBe('held')
    expect(world.held).toContain('300 of the 1000 rows')
    world.approvedDigest = 'another'
    expect((await run(world, destination)).status).toBe('held')
    world.approvedDigest = world.savedDiff?.digest ?? ''
    expect((await run(world, destination)).status).toBe('successful')
  })
})

/** The law: wherever an execution breaks off, however the far end answered, nothing is lost and nothing is doubled. */
test('crashes at any moment: every row is accepted once, or told as what it is', async () => {
  const kinds = fc.constantFrom('harmless' as const, 'keyed' as const, 'readable' as const, 'blind' as const)
  const moments = fc.constantFrom('before-send', 'after-effect', 'after-answer')
  await fc.assert(
    fc.asyncProperty(
      kinds,
      fc.array(fc.tuple(fc.integer({ min: 1, max: 8 }), moments), { maxLength: 4 }),
      async (kind, crashes) => {
        const world = new TestWorld(60, {}, { repeat: { kind, forHours: 24 } })
        /** The far end: what took effect how often, and by which batch id. */
        const effects = new Map<string, number>()
        const byId = new Map<string, readonly string[]>()
        const queue = [...crashes]
        let outcome
        for (let execution = 0; execution < 8; execution++) {
          const [at, moment] = queue.shift() ?? [Infinity, 'never']
          let calls = 0
          const crash = (): never => {
            world.isLeaseLost = true
            throw new LeaseLost('crash')
          }
          const deliver = (batch: Batch): Promise<RowAnswer[]> => {
            const isCrash = ++calls === at
            if (isCrash && moment === 'before-send') return Promise.reject(new Error('crash')).catch(crash)
            if (!(kind === 'keyed' && byId.has(batch.id))) {
              for (const key of batch.keys) effects.set(key, (effects.get(key) ?? 0) + 1)
              byId.set(batch.id, batch.keys)
            }
            if (isCrash && moment === 'after-effect') return Promise.reject(new Error('crash')).catch(crash)
            if (isCrash) world.isLeaseLost = true
            return Promise.resolve(accept(batch.keys))
          }
          const readBack = (batch: Batch): Promise<RowAnswer[] | undefined> =>
            Promise.resolve(byId.has(batch.id) ? accept(batch.keys) : undefined)
          const destination = rowsDestination(deliver, {
            delivery: { deliver, readBack, close: () => Promise.resolve() },
          })
          outcome = await run(world, destination).catch((error: unknown) => error)
          world.isLeaseLost = false
          if (world.settlement !== null) break
        }
        expect(outcome).toMatchObject({ retryable: false })
        const counts = world.settlement?.counts
        const uncertain = new Set(
          world
            .exceptionsBySeq()
            .filter((row) => row.status === 'uncertain')
            .map((row) => keyOf(row.seq)),
        )
        // Nothing lost: each row took effect, or is told as uncertain.
        for (let seq = 1; seq <= 60; seq++) expect(effects.has(keyOf(seq)) || uncertain.has(keyOf(seq))).toBe(true)
        expect((counts?.accepted ?? 0) + (counts?.uncertain ?? 0)).toBe(60)
        // Only where sending again is harmless may a row take effect twice; only where it is blind may one be uncertain.
        const effectsMax = kind === 'harmless' ? 1 + crashes.length : 1
        const uncertainMax = kind === 'blind' ? 10 * crashes.length : 0
        expect(Math.max(...effects.values())).toBeLessThanOrEqual(effectsMax)
        expect(uncertain.size).toBeLessThanOrEqual(uncertainMax)
      },
    ),
    { numRuns: 200 },
  )
})

describe('a run that ends before it could be told what became of a batch', () => {
  test('counts a batch of an earlier execution as uncertain, also where the destination cannot be opened again', async () => {
    for (const kind of ['harmless', 'keyed', 'readable', 'blind'] as const) {
      const world = new TestWorld(30, {}, { repeat: { kind } })
      const crashing = rowsDestination(() => {
        world.isLeaseLost = true
        return Promise.reject(new LeaseLost('crash'))
      })
      await expect(run(world, crashing)).rejects.toThrow(LeaseLost)
      world.isLeaseLost = false
      const mayHaveArrived = [...world.journal.values()].reduce((sum, { first, last }) => sum + last - first + 1, 0)
      expect(mayHaveArrived).toBeGreaterThan(0)
      const outcome = await runExport(
        world.lease,
        world.ports(() => {
          throw new ConnectionRefused('the password is wrong')
        }),
        never(),
      )
      expect(outcome.status).toBe('failed')
      expect(world.settlement?.counts).toMatchObject({ uncertain: mayHaveArrived, unsent: 30 - mayHaveArrived })
      const status = kind === 'harmless' ? 'uncertain-due' : 'uncertain'
      expect(new Set(world.exceptionsBySeq().map((row) => row.status))).toEqual(new Set([status]))
    }
  })

  test('knows that nothing was sent to a service that could not be reached, or that refused', async () => {
    for (const error of [new Unavailable('no', 'not reached'), new ConnectionRefused('no'), new RateLimited(3600)]) {
      const world = new TestWorld(30, {}, { repeat: { kind: 'blind' } })
      await run(
        world,
        rowsDestination(() => Promise.reject(error)),
        never(),
        true,
      )
      expect(world.settlement?.counts).toMatchObject({ accepted: 0, uncertain: 0, unsent: 30 })
    }
    // Nor is it taken for sent by the execution that goes on later.
    const world = new TestWorld(30, {}, { repeat: { kind: 'blind' } })
    const down = rowsDestination(() => Promise.reject(new Unavailable('no', 'not reached')))
    expect((await run(world, down)).retryable).toBe(true)
    const up = rowsDestination((batch) => Promise.resolve(accept(batch.keys)))
    expect((await run(world, up)).status).toBe('successful')
  })
})
