import { RateLimited } from '@patchbay/connector-sdk'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Pacer, type Ticks } from './pacer.ts'
import { retryAfterSeconds } from './retry-after.ts'

/** Time that passes only when everybody waits. Timers fire up to a millisecond early, as real ones do. */
class SimulatedTicks implements Ticks {
  #nowMs = 0
  readonly #timers: { at: number; fire: () => void }[] = []
  monotonicMs(): number {
    return this.#nowMs
  }
  sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#timers.push({
        at: this.#nowMs + Math.max(0.001, milliseconds > 1 ? milliseconds - Math.random() : milliseconds),
        fire: resolve,
      })
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
    })
  }
  async runUntilIdle(): Promise<void> {
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve))
      const next = this.#timers.toSorted((a, b) => a.at - b.at)[0]
      if (next === undefined) return
      this.#timers.splice(this.#timers.indexOf(next), 1)
      this.#nowMs = Math.max(this.#nowMs, next.at)
      next.fire()
    }
  }
}

const NEVER = new AbortController().signal

describe('Pacer', () => {
  it('never lets a second hold more than 2 % above the rate, nor more at once than it may', async () => {
    const traffic = fc.record({
      perSecond: fc.oneof(fc.integer({ min: 1, max: 200 }), fc.constantFrom(0.5, 2.5, 33.3)),
      inFlight: fc.integer({ min: 1, max: 10 }),
      requests: fc.array(fc.record({ arriveMs: fc.nat(5000), takesMs: fc.nat(500) }), { minLength: 1, maxLength: 120 }),
    })
    await fc.assert(
      fc.asyncProperty(traffic, async ({ perSecond, inFlight, requests }) => {
        const ticks = new SimulatedTicks()
        const pacer = new Pacer({ requestsPerSecond: perSecond, requestsInFlight: inFlight }, ticks)
        const starts: number[] = []
        let open = 0
        const all = requests.map(async ({ arriveMs, takesMs }) => {
          await ticks.sleep(arriveMs, NEVER)
          const leave = await pacer.enter(NEVER)
          starts.push(ticks.monotonicMs())
          open += 1
          expect(open).toBeLessThanOrEqual(inFlight)
          await ticks.sleep(takesMs, NEVER)
          open -= 1
          leave()
          leave()
        })
        await ticks.runUntilIdle()
        await Promise.all(all)
        expect(starts).toHaveLength(requests.length)
        const sorted = starts.toSorted((a, b) => a - b)
        // Every window of a second, and of ten, that begins with a request: half-open, so its own edge counts once.
        for (const windowMs of [1000, 10_000])
          for (const [index, start] of sorted.entries()) {
            const held = sorted.slice(index).filter((at) => at < start + windowMs - 1e-6).length
            expect(held).toBeLessThanOrEqual(Math.max(1, Math.ceil((perSecond * windowMs) / 1000)) * 1.02)
          }
      }),
      { numRuns: 60 },
    )
  })

  it('uses the whole rate', async () => {
    const ticks = new SimulatedTicks()
    const pacer = new Pacer({ requestsPerSecond: 50, requestsInFlight: 8 }, ticks)
    const all = Array.from({ length: 500 }, async () => (await pacer.enter(NEVER))())
    await ticks.runUntilIdle()
    await Promise.all(all)
    expect(ticks.monotonicMs()).toBeGreaterThan(9900)
    expect(ticks.monotonicMs()).toBeLessThan(10_100)
  })

  it('lets go of what is waited for when the signal aborts', async () => {
    const ticks = new SimulatedTicks()
    const pacer = new Pacer({ requestsInFlight: 1 }, ticks)
    const leave = await pacer.enter(NEVER)
    const controller = new AbortController()
    const waiting = pacer.enter(controller.signal)
    const behind = pacer.enter(NEVER)
    const reason = new Error('canceled')
    controller.abort(reason)
    await expect(waiting).rejects.toBe(reason)
    leave()
    ;(await behind)()
    ;(await pacer.enter(NEVER))()
  })

  it('refuses at once during a pause, and goes on after it', async () => {
    const ticks = new SimulatedTicks()
    const pacer = new Pacer({ requestsInFlight: 1 }, ticks)
    pacer.pause(30)
    pacer.pause(10)
    await expect(pacer.enter(NEVER)).rejects.toMatchObject({ afterSeconds: 30 })
    await expect(pacer.enter(NEVER)).rejects.toThrow(RateLimited)
    const slept = ticks.sleep(31_001, NEVER)
    await ticks.runUntilIdle()
    await slept
    ;(await pacer.enter(NEVER))()
  })
})

describe('retryAfterSeconds', () => {
  const now = new Date('2026-03-01T12:00:00Z')
  it.each([
    ['7', 7],
    [' 7 ', 7],
    ['0', 1],
    ['1.2', 2],
    ['3600', 3600],
    ['3601', 3600],
    ['1000000000', 3600],
    ['99999999999999999999', 3600],
    ['Sun, 01 Mar 2026 12:00:30 GMT', 30],
    ['Sunday, 01-Mar-26 12:00:30 GMT', 30],
    ['Sun Mar  1 12:00:30 2026', 30],
    ['Sun, 01 Mar 2026 11:00:00 GMT', 1],
    ['Sun, 01 Mar 2126 12:00:00 GMT', 3600],
    ['-5', undefined],
    ['', undefined],
    ['soon', undefined],
    ['1e9', undefined],
    ['0x10', undefined],
    ['7, 8', undefined],
    ['NaN', undefined],
    ['Infinity', undefined],
    ['2026-03-01T12:00:30Z', undefined],
    ['Sun, 99 Mar 2026 12:00:30 GMT', undefined],
  ])('reads %j as %s', (text, seconds) => {
    expect(retryAfterSeconds(new Headers({ 'retry-after': text }), now)).toBe(seconds)
  })

  it('measures a date by the clock of the service', () => {
    const headers = new Headers({
      date: 'Sun, 01 Mar 2026 15:00:00 GMT',
      'retry-after': 'Sun, 01 Mar 2026 15:00:10 GMT',
    })
    expect(retryAfterSeconds(headers, now)).toBe(10)
    expect(retryAfterSeconds(new Headers(), now)).toBeUndefined()
  })
})
