import type { RunCounts } from './run.ts'

export interface RunProgress {
  readonly done: number
  readonly due: number
  readonly perSecond: number
  /** Null while nothing was answered of late: then nothing can be said. */
  readonly secondsLeft: number | null
}

/** `rate` are the rows answered of late, and over how many seconds. */
export function progressOf(counts: RunCounts, rate: { readonly rows: number; readonly seconds: number }): RunProgress {
  const due = counts.added + counts.changed + counts.removed
  const done = Math.min(due, counts.accepted + counts.rejected + counts.uncertain)
  // Less than a tenth of a second is no time to measure a rate over.
  const perSecond = rate.seconds < 0.1 ? 0 : rate.rows / rate.seconds
  return { done, due, perSecond, secondsLeft: perSecond > 0 ? (due - done) / perSecond : null }
}
