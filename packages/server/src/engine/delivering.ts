import type { DeliveredFile } from '@patchbay/connector-sdk'
import type { Plan, PlanSource } from '../domain/plan.ts'
import type { Pace } from './back-off.ts'
import type { Ending } from './ending.ts'
import type {
  EnginePorts,
  JournalEntry,
  JournalKey,
  LakeSession,
  Lease,
  RunDiff,
  RunState,
  SourceDiff,
} from './ports.ts'

/** What every way of delivering works with. Frozen but for `pace`, which all requests of the run share. */
export interface Delivering {
  readonly lease: Lease
  readonly plan: Plan
  readonly diff: RunDiff
  readonly state: RunState
  /** What earlier executions of this run wrote down, by `journalText`. */
  readonly journal: ReadonlyMap<string, JournalEntry>
  readonly lake: LakeSession
  readonly ports: EnginePorts
  readonly pace: Pace
  readonly signal: AbortSignal
  /** No further execution will follow a retryable failure, so nothing may be left open. */
  readonly isLastExecution: boolean
}

/** What a delivery leaves for settling, beside what it wrote into the journal. */
export interface Delivered {
  /** Null when all was delivered. */
  readonly ending: Ending | null
  /** Files that stand at the destination now, and names that no longer do. */
  readonly standing: { readonly added: readonly DeliveredFile[]; readonly removed: readonly string[] }
}

export const NOTHING_STANDING: Delivered['standing'] = { added: [], removed: [] }

/** The sources that have something to deliver, with their differences, in the plan's order. */
export function dueSources(
  run: Delivering,
): readonly { readonly source: PlanSource; readonly diff: SourceDiff; readonly due: number }[] {
  return run.plan.sources.map((source) => {
    const diff = run.diff.sources.find((candidate) => candidate.source === source.name)
    if (diff === undefined) throw new Error(`The plan's source has no difference`)
    return { source, diff, due: diff.added + diff.changed + diff.removed }
  })
}

/** A journal key as text, to look entries up by. */
export function journalText(key: JournalKey): string {
  return `${key.kind} ${key.first} ${key.last} ${key.source}`
}
