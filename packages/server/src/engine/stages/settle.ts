import type { LedgerRef } from '../../domain/plan.ts'
import { addCounts, NO_COUNTS, sumsGap, verdictOf, type RunCounts } from '../../domain/run.ts'
import { dueSources, type Delivered, type Delivering } from '../delivering.ts'
import type { JournalEntry, RunOutcome, SourceDiff } from '../ports.ts'
import { closeUnanswered } from './close-unanswered.ts'

/**
 * What the journal holds now, ledger plus and minus what was accepted, sums, verdict: the new ledgers are files already when
 * one transaction makes them the current ones and ends the run. Repeated after a crash it gives the same.
 */
export async function settle(run: Delivering, delivered: Delivered): Promise<RunOutcome> {
  const journal = await closeUnanswered(run)
  const ledgers: Record<string, LedgerRef> = {}
  let counts = NO_COUNTS
  for (const { source, diff } of dueSources(run)) {
    const answered = journal.filter((entry) => entry.source === source.name)
    counts = addCounts(counts, countsOf(diff, answered))
    if (answered.length === 0) continue
    const ledger = await run.lake.settleLedger(source, diff, answered)
    if (ledger !== null) ledgers[source.name] = ledger
    await run.lake.writeRejects(source, diff, answered)
  }
  const verdict = verdictWith(delivered, counts)
  run.ports.failpoint('settle')
  await run.ports.runs.settle(run.lease, { ...verdict, counts, ledgers, standing: delivered.standing })
  return { ...verdict, retryable: false }
}

function verdictWith(delivered: Delivered, counts: RunCounts): Pick<RunOutcome, 'status' | 'reason'> {
  const { ending } = delivered
  if (ending === null) return verdictOf(counts)
  const gap = sumsGap(counts)
  return {
    status: ending.type === 'canceled' ? 'canceled' : 'failed',
    reason: gap === null ? ending.reason : `${ending.reason}. ${gap}`,
  }
}

export function countsOf(diff: SourceDiff, answered: readonly JournalEntry[]): RunCounts {
  const sum = (name: 'accepted' | 'rejected' | 'uncertain') => answered.reduce((total, entry) => total + entry[name], 0)
  const accepted = sum('accepted')
  const rejected = sum('rejected')
  const uncertain = sum('uncertain')
  return {
    read: diff.read,
    unchanged: diff.unchanged,
    merged: diff.merged,
    suppressed: diff.suppressed,
    uncertainBefore: diff.uncertainBefore,
    added: diff.added,
    changed: diff.changed,
    removed: diff.removed,
    accepted,
    rejected,
    uncertain,
    // What no answer speaks of. Never negative in a sound run: more answers than changes is a gap that the verdict tells.
    unsent: Math.max(0, diff.added + diff.changed + diff.removed - accepted - rejected - uncertain),
  }
}
