import type { Run } from '@patchbay/contract'
import { numberText, textPairs, textTable, type Cell } from './text-table.ts'

/** What became of every row, and the sums that must hold. */
export function runText(run: Run): string {
  const { counts } = run
  const seconds =
    run.startedAt === null || run.finishedAt === null
      ? null
      : (Date.parse(run.finishedAt) - Date.parse(run.startedAt)) / 1000
  const rate =
    seconds === null || seconds < 0.05 || run.purpose === 'preview' ? null : Math.round(counts.accepted / seconds)
  const facts: [string, Cell][] = [
    ['run', run.id],
    ['export', run.exportName],
    ['what', run.purpose === 'preview' ? 'preview: nothing was sent' : 'delivery'],
    ['status', `${run.status}${run.late ? ' (late)' : ''}`],
    ['started by', `${run.startedBy}, ${run.actor}`],
    ['started', run.startedAt ?? 'not yet'],
    [
      'took',
      seconds === null ? null : `${numberText(seconds)} s${rate === null ? '' : `, ${numberText(rate)} rows/s`}`,
    ],
    ['reason', run.reason],
    ['to approve', run.status === 'held' ? run.outboxDigest : null],
  ]
  const rows: [string, number][] = [
    ['read', counts.read],
    ['  unchanged', counts.unchanged],
    ['  merged', counts.merged],
    ['  suppressed', counts.suppressed],
    ['  uncertain before', counts.uncertainBefore],
    ['  added', counts.added],
    ['  changed', counts.changed],
    ['removed', counts.removed],
  ]
  const answers: [string, number][] = [
    ['accepted', counts.accepted],
    ['rejected', counts.rejected],
    ['uncertain', counts.uncertain],
    ['unsent', counts.unsent],
  ]
  const listed = run.purpose === 'preview' ? rows : [...rows, ...answers]
  return `${textPairs(facts.filter(([, value]) => value !== null))}\n\n${textTable(['rows', 'number'], listed)}`
}

export function runsText(runs: readonly Run[]): string {
  return textTable(
    ['run', 'export', 'what', 'status', 'created', 'read', 'accepted', 'rejected', 'uncertain'],
    runs.map((run) => [
      run.id,
      run.exportName,
      run.purpose,
      run.status,
      run.createdAt,
      run.counts.read,
      run.counts.accepted,
      run.counts.rejected,
      run.counts.uncertain,
    ]),
  )
}
