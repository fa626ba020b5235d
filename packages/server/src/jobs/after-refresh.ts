import type { TableId } from '../domain/ids.ts'
import { referencesOfRule, referencesOfSource, sameName } from '../domain/references.ts'
import { blackoutEnd } from '../domain/schedule-slots.ts'
import type { Segment } from '../domain/segment.ts'
import type { Table } from '../domain/table.ts'
import type { By } from '../store/by.ts'
import { readExport, type ScheduledExport } from '../store/export.ts'
import { findOpenRun } from '../store/run.ts'
import { listAfterRefresh, setNextSlot, setRefreshPending } from '../store/schedule.ts'
import type { Tx } from '../store/schema.ts'
import { listSegments } from '../store/segment.ts'
import { readTable } from '../store/table.ts'
import { enqueueByItself } from './enqueue-run.ts'
import type { Queue } from './queue.ts'

/**
 * Starts the exports that run after a refresh of a table that they read: any one of their tables, in the transaction that
 * makes the new version current. Call `queue.wake()` after the commit.
 */
export async function tableRefreshed(tx: Tx, queue: Queue, id: TableId, by: By): Promise<void> {
  const waiting = await listAfterRefresh(tx)
  if (waiting.length === 0) return
  const table = await readTable(tx, id)
  const segments = await listSegments(tx)
  for (const { exportId } of waiting) {
    const target = await readExport(tx, exportId)
    if (readsTable(target, table, segments)) await startAfterRefresh(tx, queue, target, by)
  }
}

/** At once; where a run is going on, when that is over; in a blackout, when it ends. */
export async function startAfterRefresh(tx: Tx, queue: Queue, target: ScheduledExport, by: By): Promise<void> {
  const { id, schedule } = target
  if (schedule === null) return
  const later = blackoutEnd(schedule, by.now)
  if (later !== null) {
    await setNextSlot(tx, id, later)
    return
  }
  if ((await findOpenRun(tx, id)) !== undefined) {
    await setRefreshPending(tx, id)
    return
  }
  await enqueueByItself(
    tx,
    queue,
    { exportId: id, startedBy: 'refresh', slot: null, late: false },
    { ...by, actor: target.createdBy },
  )
}

function readsTable(target: ScheduledExport, table: Table, segments: readonly Segment[]): boolean {
  const { source } = target
  if (source.kind === 'data-out') {
    return referencesOfSource(source).tables.some((name) => sameName(name, table.name))
  }
  if (table.isProfile) return true
  const seen = new Set<string>()
  const reads = (name: string): boolean => {
    const segment = segments.find((candidate) => sameName(candidate.name, name))
    if (segment === undefined || seen.has(segment.id)) return false
    seen.add(segment.id)
    const references = referencesOfRule(segment.rule)
    return references.tables.some((other) => sameName(other, table.name)) || references.segments.some(reads)
  }
  return source.segments.some(reads)
}
