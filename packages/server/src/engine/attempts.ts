import { RateLimited, Unavailable } from '@patchbay/connector-sdk'
import { backOffMs, type Pace } from './back-off.ts'
import type { EnginePorts } from './ports.ts'

/** After so many failures in a row of one request the execution ends; the run goes on later. About two minutes with the back-off. */
export const ATTEMPTS_MAX = 7
/** The longest that one request waits for a service that keeps asking for pauses. */
export const PATIENCE_MS = 20 * 60_000

/**
 * Does something that is harmless to repeat until it succeeds: pauses where the service asks for it, backs off where it
 * cannot be reached. Any other error, and the last of these, is thrown.
 */
export async function attempt<T>(
  work: () => Promise<T>,
  run: { readonly ports: Pick<EnginePorts, 'clock' | 'random'>; readonly pace: Pace; readonly signal: AbortSignal },
): Promise<T> {
  const start = run.ports.clock.now().getTime()
  for (let failures = 0; ;) {
    await run.pace.wait(run.signal)
    try {
      return await work()
    } catch (error) {
      const waited = run.ports.clock.now().getTime() - start
      if (error instanceof RateLimited && waited < PATIENCE_MS) {
        run.pace.pause(pauseMs(error, failures, run.ports.random))
      } else if (error instanceof Unavailable && failures < ATTEMPTS_MAX) {
        failures += 1
        if (error.afterSeconds !== undefined) run.pace.pause(Math.min(error.afterSeconds * 1000, PATIENCE_MS))
        await run.ports.clock.sleep(backOffMs(failures, run.ports.random), run.signal)
      } else {
        throw error
      }
    }
  }
}

/** What the service asked for, and a little more so that all do not come back in the same instant. */
export function pauseMs(error: RateLimited, failures: number, random: () => number): number {
  if (error.afterSeconds === undefined) return backOffMs(failures + 2, random)
  return Math.ceil(error.afterSeconds * 1000 + random() * 250)
}
