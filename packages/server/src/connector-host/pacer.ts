/**
 * Keeps one connection within its service's limits, over all that use it in this process: requests per second, requests
 * at once, and pauses that the service asked for. Requests start evenly spaced and never in bursts, so no window of any
 * length holds more than its share (plus the one at its edge). The limit: several worker processes each keep their own
 * count; one run is one job, so that matters only where exports share a connection at the same moment.
 */
import { RateLimited } from '@patchbay/connector-sdk'

export interface Limits {
  readonly requestsPerSecond?: number | undefined
  readonly requestsInFlight: number
}

/** Time that never jumps, for measuring waits. */
export interface Ticks {
  monotonicMs(): number
  /** Ends early, by throwing the signal's reason, when the signal aborts. */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>
}

export class Pacer {
  readonly #intervalMs: number
  readonly #ticks: Ticks
  #free: number
  readonly #queue: (() => void)[] = []
  #nextStartMs = 0
  #pausedUntilMs = 0

  constructor({ requestsPerSecond, requestsInFlight }: Limits, ticks: Ticks) {
    this.#intervalMs = requestsPerSecond === undefined ? 0 : 1000 / requestsPerSecond
    this.#free = requestsInFlight
    this.#ticks = ticks
  }

  /**
   * Waits for the turn of one request; call what it gives when the request has ended. While a pause lasts that the service
   * asked for, it throws `RateLimited` at once: a request known to be refused is not sent.
   */
  async enter(signal: AbortSignal): Promise<() => void> {
    this.#throwIfPaused()
    await this.#takePlace(signal)
    try {
      await this.#awaitStart(signal)
      this.#throwIfPaused()
    } catch (error) {
      this.#leave()
      throw error
    }
    let hasLeft = false
    return () => {
      if (!hasLeft) this.#leave()
      hasLeft = true
    }
  }

  /** Holds all requests back; an earlier, longer pause stays. */
  pause(seconds: number): void {
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, this.#ticks.monotonicMs() + seconds * 1000)
  }

  #throwIfPaused(): void {
    const leftMs = this.#pausedUntilMs - this.#ticks.monotonicMs()
    if (leftMs > 0) throw new RateLimited(Math.ceil(leftMs / 1000), 'The service asked for a pause, which still lasts')
  }

  async #takePlace(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#free > 0) {
      this.#free -= 1
      return
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const giveUp = (): void => {
      this.#queue.splice(this.#queue.indexOf(resolve), 1)
      reject(signal.reason as Error)
    }
    this.#queue.push(resolve)
    signal.addEventListener('abort', giveUp, { once: true })
    try {
      await promise
    } finally {
      signal.removeEventListener('abort', giveUp)
    }
  }

  /** The place goes straight to the one who waits longest. */
  #leave(): void {
    const next = this.#queue.shift()
    if (next === undefined) this.#free += 1
    else next()
  }

  async #awaitStart(signal: AbortSignal): Promise<void> {
    const startMs = Math.max(this.#nextStartMs, this.#ticks.monotonicMs())
    this.#nextStartMs = startMs + this.#intervalMs
    // Timers may fire a little early.
    for (;;) {
      const leftMs = startMs - this.#ticks.monotonicMs()
      if (leftMs <= 0) return
      await this.#ticks.sleep(leftMs, signal)
    }
  }
}
