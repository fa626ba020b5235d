/**
 * A clock that stands still while anything works and jumps to the next moment that somebody waits for: hours of a service's
 * rate limit in seconds. Only for work that waits for nothing outside this process.
 */
export class SimulatedClock {
  #nowMs = 0
  #isArmed = false
  readonly #sleepers: { readonly atMs: number; readonly wake: () => void }[] = []

  readonly monotonicMs = (): number => this.#nowMs
  readonly now = (): Date => new Date(Date.UTC(2026, 0, 1) + this.#nowMs)

  readonly sleep = (milliseconds: number, signal: AbortSignal): Promise<void> => {
    signal.throwIfAborted()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#sleepers.push({ atMs: this.#nowMs + Math.max(0, milliseconds), wake: resolve })
    this.#arm()
    return promise
  }

  #arm(): void {
    if (this.#isArmed) return
    this.#isArmed = true
    // Everything that can go on without time has gone on when the queue comes round.
    setImmediate(() => setImmediate(() => this.#jump()))
  }

  #jump(): void {
    this.#isArmed = false
    const next = Math.min(...this.#sleepers.map(({ atMs }) => atMs))
    this.#nowMs = Math.max(this.#nowMs, next)
    for (const sleeper of this.#sleepers.filter(({ atMs }) => atMs <= next)) {
      this.#sleepers.splice(this.#sleepers.indexOf(sleeper), 1)
      sleeper.wake()
    }
    if (this.#sleepers.length > 0) this.#arm()
  }
}
