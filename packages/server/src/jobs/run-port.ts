import {
  Canceled,
  LeaseLost,
  type Lease,
  type Permission,
  type RunDiff,
  type RunPort,
  type RunState,
} from '../engine/ports.ts'
import type { ExportId, RunId } from '../domain/ids.ts'
import { makePlan as resolvePlan } from '../domain/make-plan.ts'
import type { Plan } from '../domain/plan.ts'
import { Problem } from '../domain/problem.ts'
import { readConnection } from '../store/connection.ts'
import { detachedProblem, readExport } from '../store/export.ts'
import { listDeliveredFiles, readLedgers, writeDeliveredFiles, writeLedgers } from '../store/ledger.ts'
import * as hold from '../store/run-hold.ts'
import { keepJob, listUnsettledFiles, readJournal, withdraw } from '../store/run-journal.ts'
import type { Db, Tx } from '../store/schema.ts'
import { finishRun } from './finish-run.ts'
import { JournalWriter } from './journal-writer.ts'
import { makePolicyWatch } from './policy-watch.ts'
import { readBasis, SECRET_PATH, type FindConnector } from './plan-basis.ts'
import type { Queue } from './queue.ts'
import { tellOfHold, tellOfMissingSecret } from './run-news.ts'

/** Whether the run's owner may still send this export over this connection: null, or a sentence that says why not. */
export type Authority = (
  db: Db,
  run: { readonly actor: string; readonly exportId: ExportId; readonly connectionId: string | null },
) => Promise<string | null>

export interface RunPortOptions {
  readonly db: Db
  readonly queue: Queue
  readonly findConnector: FindConnector
  readonly authority: Authority
  readonly now: () => Date
  readonly randomBytes: (size: number) => Uint8Array
}

/** The engine's view of the control store. Every write names the lease's epoch, and says `LeaseLost` when it is not the newest. */
export function makeRunPort(options: RunPortOptions): RunPort {
  const { db, queue, authority } = options
  const must = async (write: Promise<boolean>): Promise<void> => {
    if (!(await write)) throw new LeaseLost('Another worker has taken over this run')
  }
  /** Whose run it is does not change under a lease; what they may do is asked each time. */
  const owners = new WeakMap<Lease, Awaited<ReturnType<typeof readOwner>>>()
  const ownerOf = async (lease: Lease): Promise<Awaited<ReturnType<typeof readOwner>>> => {
    const owner = owners.get(lease) ?? (await readOwner(db, lease))
    owners.set(lease, owner)
    return owner
  }
  const policies = makePolicyWatch(db)
  const answers = new JournalWriter(db)
  return {
    load: async (lease) => {
      const state = await loadRun(db, lease)
      if (state.plan !== null) policies.know(lease, state.plan)
      return state
    },
    makePlan: (lease) => planOrTell(options, lease),
    savePlan: async (lease, plan) => {
      policies.know(lease, plan)
      await must(hold.savePlan(db, lease, plan))
    },
    saveDiff: (lease, diff) => must(hold.saveDiff(db, lease, diff)),
    setStage: (lease, stage) => must(hold.setStage(db, lease, stage)),
    intend: async (lease, entry) => {
      const refusal = await authority(db, await ownerOf(lease))
      if (refusal !== null) return { go: false, because: 'not-allowed', reason: refusal }
      for (let policy = await policies.known(lease); ; policy = await policies.look(lease)) {
        if (policy.refusal !== null) return { go: false, because: 'not-allowed', reason: policy.refusal }
        const outcome = await answers.intend(lease, entry, policy)
        if (outcome === undefined) throw new LeaseLost('Another worker has taken over this run')
        if (outcome.connectionRevision === null || outcome.connectionRevision === policy.revision) {
          return permissionOf(outcome)
        }
      }
    },
    answer: (lease, entry) => must(answers.answer(lease, entry)),
    withdraw: (lease, key) => must(withdraw(db, lease, key)),
    keepJob: (lease, key, id, job) => must(keepJob(db, lease, key, { id, job })),
    hold: async (lease, reason) => {
      const { exportId } = await ownerOf(lease)
      await db.transaction().execute(async (tx) => {
        await must(hold.holdForApproval(tx, lease, reason))
        await tellOfHold(tx, { id: lease.runId, exportId, reason }, options.now(), options.randomBytes)
      })
    },
    settle: async (lease, settlement) => {
      await db.transaction().execute(async (tx) => {
        const end = { ...settlement, settled: true }
        const finished = await finishRun(tx, queue, lease, end, options.randomBytes, async (run) => {
          if (run.destinationDigest === null) return
          const owner = { exportId: run.exportId as ExportId, destinationDigest: run.destinationDigest }
          const { ledgers, standing } = settlement
          await writeLedgers(tx, owner, { id: lease.runId, ledgers, now: run.finishedAt })
          await writeDeliveredFiles(tx, owner, { id: lease.runId, ...standing })
        })
        if (finished === undefined) throw new LeaseLost('Another worker has taken over this run')
      })
      queue.wake()
    },
  }
}

async function loadRun(db: Db, lease: Lease): Promise<RunState> {
  const row = await db
    .selectFrom('run')
    .select(['plan', 'diff', 'purpose', 'approved_digest', 'export_id', 'destination_digest'])
    .where('id', '=', lease.runId)
    .where('epoch', '=', lease.epoch)
    .executeTakeFirst()
  if (row === undefined) throw new LeaseLost('Another worker has taken over this run')
  return {
    plan: row.plan,
    diff: row.diff as RunDiff | null,
    purpose: row.purpose,
    approvedDigest: row.approved_digest,
    journal: await readJournal(db, lease.runId),
    delivered: await readDelivered(db, lease.runId, row.export_id as ExportId, row.destination_digest),
  }
}

/** The place is known from the plan on; before that, nobody asks. */
async function readDelivered(
  db: Db,
  runId: RunId,
  exportId: ExportId,
  destinationDigest: string | null,
): Promise<RunState['delivered']> {
  if (destinationDigest === null) return []
  const owner = { exportId, destinationDigest }
  const files = [...(await listUnsettledFiles(db, owner, runId)), ...(await listDeliveredFiles(db, owner))]
  return [...new Map(files.map((file) => [file.name, file])).values()]
}

/** A secret that is missing is told of at once: no run of this connection can go on without it. */
async function planOrTell(options: RunPortOptions, lease: Lease): Promise<Plan> {
  const { db, now, randomBytes } = options
  try {
    return await db.transaction().execute((tx) => planRun(tx, options, lease))
  } catch (error) {
    if (error instanceof Problem && error.path === SECRET_PATH) {
      const { exportId } = await readOwner(db, lease)
      const reason = `${error.message}. ${error.cure}`
      await db.transaction().execute((tx) => tellOfMissingSecret(tx, exportId, reason, now(), randomBytes))
    }
    throw error
  }
}

async function planRun(tx: Tx, options: RunPortOptions, lease: Lease): Promise<Plan> {
  const run = await tx
    .selectFrom('run')
    .select(['export_id', 'retry_of', 'retry_include', 'actor', 'cancel_requested_at', 'cancel_requested_by'])
    .where('id', '=', lease.runId)
    .where('epoch', '=', lease.epoch)
    .executeTakeFirst()
  if (run === undefined) throw new LeaseLost('Another worker has taken over this run')
  const target = await readExport(tx, run.export_id)
  if (run.cancel_requested_at !== null) throw new Canceled(`Canceled by ${run.cancel_requested_by ?? 'somebody'}`)
  if (target.connectionId === null) throw detachedProblem(target.name)
  const connection = await readConnection(tx, target.connectionId)
  const owner = { actor: run.actor, exportId: target.id, connectionId: connection.id }
  const refusal = await options.authority(tx, owner)
  if (refusal !== null) {
    throw new Problem('not-allowed', refusal, { cure: 'An Administrator must give the rights back, or run it' })
  }
  const { basis, repeat, destinationDigest } = await readBasis(
    tx,
    options.findConnector,
    target,
    connection,
    options.now(),
  )
  const ledgers = await readLedgers(tx, { exportId: target.id, destinationDigest })
  const retryOf =
    run.retry_of === null || run.retry_include === null
      ? null
      : { runId: run.retry_of as RunId, include: run.retry_include }
  const head = { runId: lease.runId, exportId: target.id, exportRevision: target.revision, retryOf, repeat }
  const plan = resolvePlan({ ...basis, ledgers }, head)
  if (!(await hold.setTarget(tx, lease, { connectionId: connection.id, destinationDigest }))) {
    throw new LeaseLost('Another worker has taken over this run')
  }
  return plan
}

async function readOwner(
  db: Db,
  lease: Lease,
): Promise<{ readonly actor: string; readonly exportId: ExportId; readonly connectionId: string | null }> {
  const row = await db
    .selectFrom('run')
    .select(['actor', 'export_id', 'connection_id'])
    .where('id', '=', lease.runId)
    .where('epoch', '=', lease.epoch)
    .executeTakeFirst()
  if (row === undefined) throw new LeaseLost('Another worker has taken over this run')
  return { actor: row.actor, exportId: row.export_id as ExportId, connectionId: row.connection_id }
}

function permissionOf(outcome: { readonly canceledBy: string | null; readonly isConnected: boolean }): Permission {
  if (outcome.canceledBy !== null) {
    return { go: false, because: 'canceled', reason: `Canceled by ${outcome.canceledBy}` }
  }
  if (!outcome.isConnected) {
    return { go: false, because: 'connection-removed', reason: 'The connection was taken away from the export' }
  }
  return { go: true }
}
