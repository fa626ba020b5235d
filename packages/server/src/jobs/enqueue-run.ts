import { newId, type ExportId, type RunId } from '../domain/ids.ts'
import { Problem } from '../domain/problem.ts'
import type { StartedBy } from '../domain/run.ts'
import { appendAudit } from '../store/audit.ts'
import type { By } from '../store/by.ts'
import { detachedProblem, readExport } from '../store/export.ts'
import { findOpenRun, findUnsettledRun, insertRun, insertSkippedRun, type NewRun } from '../store/run.ts'
import type { Tx } from '../store/schema.ts'
import { requeueRun } from '../store/run-request.ts'
import type { Queue } from './queue.ts'

export interface RunRequest {
  readonly exportId: ExportId
  readonly purpose: 'deliver' | 'preview'
  readonly startedBy: StartedBy
  readonly retryOf?: NewRun['retryOf']
}

/**
 * Queues a run for a person, with its job, in the caller's transaction. Call `queue.wake()` after the commit. Throws
 * `Problem`: `not-ready` for a detached export, `conflict` while another run of it is not over.
 * A run that broke off with answers in its journal is resumed instead of starting another, and its id is given.
 */
export async function enqueueRun(tx: Tx, queue: Queue, request: RunRequest, by: By): Promise<RunId> {
  const target = await readExport(tx, request.exportId)
  if (target.connectionId === null) throw detachedProblem(target.name)
  if (request.purpose === 'deliver') {
    const unsettled = await findUnsettledRun(tx, request.exportId)
    if (unsettled !== undefined) return resume(tx, queue, unsettled, target.name, by)
  }
  const run = newRun(request, by, null, false)
  const outcome = await insertRun(tx, run)
  if (outcome !== 'inserted') {
    const open = await findOpenRun(tx, request.exportId)
    throw alreadyOpen(target.name, open)
  }
  await queue.send(tx, run.id, null)
  const detail = { exportId: request.exportId, purpose: request.purpose, startedBy: request.startedBy }
  await appendAudit(tx, { at: by.now, actor: by.actor, action: 'run.requested', subject: run.id, detail })
  return run.id
}

export type StartedByItself =
  | { readonly outcome: 'queued'; readonly runId: RunId }
  | { readonly outcome: 'skipped'; readonly reason: string }
  /** The slot has had its run before; nothing was done. */
  | { readonly outcome: 'known' }

/**
 * Queues a run that the clock or a refresh starts. It never throws for what stands in its way: a slot that cannot run is
 * written down as Skipped, once, with the reason.
 */
export async function enqueueByItself(
  tx: Tx,
  queue: Queue,
  request: {
    readonly exportId: ExportId
    readonly startedBy: 'schedule' | 'refresh'
    readonly slot: Date | null
    readonly late: boolean
  },
  by: By,
): Promise<StartedByItself> {
  const unsettled = await findUnsettledRun(tx, request.exportId)
  const run = newRun({ ...request, purpose: 'deliver' }, by, request.slot, request.late)
  if (unsettled !== undefined) {
    const reason = `Run ${unsettled} broke off and was resumed instead`
    if (!(await insertSkippedRun(tx, run, reason))) return { outcome: 'known' }
    await requeueRun(tx, unsettled, { status: 'queued', now: by.now })
    await queue.send(tx, unsettled, null)
    return { outcome: 'skipped', reason }
  }
  const outcome = await insertRun(tx, run)
  if (outcome === 'slot') return { outcome: 'known' }
  if (outcome === 'open') {
    const open = await findOpenRun(tx, request.exportId)
    const reason =
      open?.status === 'held'
        ? `Run ${open.id} is held and waits for approval`
        : `Run ${open?.id ?? ''} of this export was not over`
    const isNew = await insertSkippedRun(tx, run, reason)
    return isNew ? { outcome: 'skipped', reason } : { outcome: 'known' }
  }
  await queue.send(tx, run.id, null)
  return { outcome: 'queued', runId: run.id }
}

async function resume(tx: Tx, queue: Queue, runId: RunId, exportName: string, by: By): Promise<RunId> {
  if (!(await requeueRun(tx, runId, { status: 'queued', now: by.now }))) throw alreadyOpen(exportName, undefined)
  await queue.send(tx, runId, null)
  await appendAudit(tx, { at: by.now, actor: by.actor, action: 'run.resumed', subject: runId, detail: {} })
  return runId
}

function newRun(request: RunRequest, by: By, slot: Date | null, late: boolean): NewRun {
  return {
    id: newId('run', by.randomBytes),
    exportId: request.exportId,
    purpose: request.purpose,
    startedBy: request.startedBy,
    actor: by.actor,
    slot,
    late,
    retryOf: request.retryOf ?? null,
    now: by.now,
  }
}

function alreadyOpen(name: string, open: { readonly id: RunId; readonly status: string } | undefined): Problem {
  if (open?.status === 'held') {
    return new Problem('conflict', `A run of "${name}" is held and waits for approval`, {
      cure: `Approve it (patchbay run approve ${open.id}) or cancel it`,
    })
  }
  return new Problem('conflict', `A run of "${name}" is not over yet`, {
    cure: open === undefined ? 'Try again when it is' : `Wait for it, or cancel it: patchbay run cancel ${open.id}`,
  })
}
