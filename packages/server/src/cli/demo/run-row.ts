import type { Run } from '@patchbay/contract'

export type { Run } from '@patchbay/contract'

export interface RunRow {
  readonly title: string
  readonly run: Run
}

/**
 * The table at the end of the demo: per run what was read, what became of it, and the rate. Where the sums of a run do not
 * add up there is no such table: the run is not successful, and its reason stands there instead.
 */
export function renderRuns(rows: readonly RunRow[], nameOf: (exportId: string) => string): string {
  const header = [
    '',
    'export',
    'status',
    'read',
    'unchanged',
    'added',
    'changed',
    'removed',
    'suppressed',
    'delivered',
    'rejected',
    'rows/s',
  ]
  const cells = rows.map(({ title, run }) => [
    title,
    nameOf(run.exportId),
    run.status,
    ...[
      run.counts.read,
      run.counts.unchanged,
      run.counts.added,
      run.counts.changed,
      run.counts.removed,
      run.counts.suppressed,
      run.counts.accepted,
      run.counts.rejected,
    ].map((count) => count.toLocaleString('en')),
    rateOf(run)?.toLocaleString('en') ?? '–',
  ])
  const widths = header.map((name, column) => Math.max(name.length, ...cells.map((row) => (row[column] ?? '').length)))
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (column < 3 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ')
  return [line(header), widths.map((width) => '─'.repeat(width)).join('  '), ...cells.map(line)].join('\n')
}

/** Rows read per second over the whole run, queueing left out; null for a run that delivered nothing or took no time. */
function rateOf(run: Run): number | null {
  if (run.purpose === 'preview' || run.startedAt === null || run.finishedAt === null) return null
  const seconds = (Date.parse(run.finishedAt) - Date.parse(run.startedAt)) / 1000
  return seconds > 0 ? Math.round(run.counts.read / seconds) : null
}
