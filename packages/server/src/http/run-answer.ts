/** Runs as the API says them. */
import { progressOf } from '../domain/run-progress.ts'
import { readProgress, readRate } from '../store/run-journal.ts'
import { readRun, type RunDetail } from '../store/run.ts'
import type { Db } from '../store/schema.ts'
import { countsSoFar } from './counts-so-far.ts'

/** With what is known of a run that is not over: its counts so far, and how fast it goes. */
export async function showRun(db: Db, id: string) {
  const run = await readRun(db, id)
  const isGoingOn = run.status === 'running' || run.status === 'held'
  const counts = isGoingOn ? countsSoFar(run.diff, await readProgress(db, run.id)) : run.counts
  const isDelivering = run.status === 'running' && run.stage === 'deliver'
  const progress = isDelivering ? progressOf(counts, await readRate(db, run.id)) : null
  return { ...runOf({ ...run, counts }), progress }
}

export function runOf(run: Omit<RunDetail, 'diff'>) {
  return {
    id: run.id,
    exportId: run.exportId,
    exportName: run.exportName,
    purpose: run.purpose,
    status: run.status,
    stage: run.stage,
    stages: stagesOf(run),
    progress: null,
    startedBy: run.startedBy,
    actor: run.actor,
    counts: { ...run.counts },
    reason: run.reason,
    outboxDigest: run.outboxDigest,
    late: run.late,
    slot: textOf(run.slot),
    attempts: run.attempts,
    dueAt: run.dueAt.toISOString(),
    cancelRequestedAt: textOf(run.cancelRequestedAt),
    approvedBy: run.approvedBy,
    approvedAt: textOf(run.approvedAt),
    retryOf: run.retryOf,
    createdAt: run.createdAt.toISOString(),
    startedAt: textOf(run.startedAt),
    finishedAt: textOf(run.finishedAt),
  }
}

/** A stage ends where the next begins, and the last one with the run. */
function stagesOf({ stages, finishedAt }: Omit<RunDetail, 'diff'>) {
  return stages.map(({ stage, at }, index) => {
    const next = stages[index + 1]?.at
    const end = next === undefined ? finishedAt : new Date(next)
    const seconds = end === null ? null : Math.max(0, (end.getTime() - new Date(at).getTime()) / 1000)
    return { stage, at: new Date(at).toISOString(), seconds }
  })
}

function textOf(date: Date | null): string | null {
  return date?.toISOString() ?? null
}
