import type { ExportId, RunId } from './ids.ts'

export type RunStatus =
  | 'queued'
  | 'running'
  | 'held'
  | 'successful'
  | 'completed-with-rejects'
  | 'failed-retrying'
  | 'failed'
  | 'canceled'
  | 'skipped'
export type Stage = 'plan' | 'select' | 'diff' | 'guard' | 'deliver' | 'settle'

/**
 * Where every row of the source ended, and what became of every change. Invariants, checked by `verdictOf`:
 * read = unchanged + merged + suppressed + uncertainBefore + added + changed;
 * added + changed + removed = accepted + rejected + uncertain + unsent.
 */
export interface RunCounts {
  /** Rows that the plan selects, counted apart from the difference. */
  readonly read: number
  readonly unchanged: number
  readonly merged: number
  readonly suppressed: number
  /** Left uncertain by an earlier run, the same since, and not sent again. */
  readonly uncertainBefore: number
  /** The outbox. */
  readonly added: number
  readonly changed: number
  readonly removed: number
  /** The answers. `unsent` is what a canceled or failed run did not get to. */
  readonly accepted: number
  readonly rejected: number
  readonly uncertain: number
  readonly unsent: number
}

export const NO_COUNTS: RunCounts = {
  read: 0,
  unchanged: 0,
  merged: 0,
  suppressed: 0,
  uncertainBefore: 0,
  added: 0,
  changed: 0,
  removed: 0,
  accepted: 0,
  rejected: 0,
  uncertain: 0,
  unsent: 0,
}

export function addCounts(a: RunCounts, b: RunCounts): RunCounts {
  const sum: Record<string, number> = {}
  for (const name of Object.keys(NO_COUNTS) as (keyof RunCounts)[]) sum[name] = a[name] + b[name]
  return sum as unknown as RunCounts
}

export type StartedBy = 'person' | 'schedule' | 'refresh' | 'retry'

export interface Run {
  readonly id: RunId
  readonly exportId: ExportId
  readonly purpose: 'deliver' | 'preview'
  readonly status: RunStatus
  readonly stage: Stage | null
  readonly startedBy: StartedBy
  /** Name of who started it or owns the schedule. */
  readonly actor: string
  readonly counts: RunCounts
  /** Why it is held, skipped, failed or canceled: words for a person, without values of rows. */
  readonly reason: string | null
  /** Digest of the outbox that a held run asks approval for. */
  readonly outboxDigest: string | null
  readonly late: boolean
  readonly slot: Date | null
  readonly createdAt: Date
  readonly startedAt: Date | null
  readonly finishedAt: Date | null
}

/**
 * The verdict over a run that delivered to its end. Sums that do not add up are a failure, whatever the destination said:
 * "successful" means that each row is known to be in exactly one place.
 */
export function verdictOf(counts: RunCounts): { readonly status: RunStatus; readonly reason: string | null } {
  const gap = sumsGap(counts)
  if (gap !== null) return { status: 'failed', reason: gap }
  if (counts.unsent > 0) return { status: 'failed', reason: `${counts.unsent} changes were not sent` }
  if (counts.rejected + counts.uncertain > 0) return { status: 'completed-with-rejects', reason: null }
  return { status: 'successful', reason: null }
}

/** Null when both sums hold, else a sentence that names the figures. */
export function sumsGap(c: RunCounts): string | null {
  const places = c.unchanged + c.merged + c.suppressed + c.uncertainBefore + c.added + c.changed
  if (places !== c.read) return `The sums do not add up: ${c.read} rows were read and ${places} are accounted for`
  const outbox = c.added + c.changed + c.removed
  const answers = c.accepted + c.rejected + c.uncertain + c.unsent
  if (outbox !== answers) return `The sums do not add up: ${outbox} changes were due and ${answers} are accounted for`
  return null
}
