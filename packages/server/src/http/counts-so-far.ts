import { NO_COUNTS, type RunCounts } from '../domain/run.ts'

const FROM_DIFF = [
  'read',
  'unchanged',
  'merged',
  'suppressed',
  'uncertainBefore',
  'added',
  'changed',
  'removed',
] as const

/**
 * The counts of a run that is not over: what its difference says is due, and what the journal says was answered. The
 * difference belongs to the engine, so it is read here as what it is, stored JSON; what cannot be read counts as nothing.
 */
export function countsSoFar(
  diff: unknown,
  answered: { readonly accepted: number; readonly rejected: number; readonly uncertain: number },
): RunCounts {
  const sources = sourceDiffs(diff)
  const sum = (name: string): number =>
    sources.reduce((total, source) => total + (typeof source[name] === 'number' ? source[name] : 0), 0)
  const due = Object.fromEntries(FROM_DIFF.map((name) => [name, sum(name)]))
  const counts: RunCounts = { ...NO_COUNTS, ...due, ...answered }
  const open = counts.added + counts.changed + counts.removed - counts.accepted - counts.rejected - counts.uncertain
  return { ...counts, unsent: Math.max(0, open) }
}

/** Names of the run's sources; none before there is a difference. */
export function sourceNames(diff: unknown): readonly string[] {
  return sourceDiffs(diff).flatMap(({ source }) => (typeof source === 'string' ? [source] : []))
}

function sourceDiffs(diff: unknown): readonly Readonly<Record<string, unknown>>[] {
  return isRecord(diff) && Array.isArray(diff['sources']) ? diff['sources'].filter(isRecord) : []
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
