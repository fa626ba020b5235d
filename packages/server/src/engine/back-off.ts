import type { Clock } from './ports.ts'

/** Doubles from half a second to half a minute, with full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter"). */
export function backOffMs(attempt: number, random: () => number): number {
  const ceiling = Math.min(30_000, 500 * 2 ** Math.min(attempt, 10))
  return Math.round(ceiling * (0.5 + random() / 2))
}

/**
 * The pause that a service asked for, kept by all batches of the run: without it, each of eight in flight would learn
 * of the limit by a refused request of its own.
 */
export class Pace {
  readonly #clock: Clock
  #until = 0
  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** At least until `milliseconds` from now; an earlier, longer pause stays. */
  pause(milliseconds: number): void {
    this.#until = Math.max(this.#until, this.#clock.now().getTime() + milliseconds)
  }

  async wait(signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted()
      const left = this.#until - this.#clock.now().getTime()
      if (left <= 0) return
      await this.#clock.sleep(left, signal)
    }
  }
}
