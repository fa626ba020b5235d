/** What is told of a run when it ends or is held, in the transaction in which it does: once for each cause. */
import type { ExportId, RunId } from '../domain/ids.ts'
import { causeOf, type News, type NotificationKind } from '../domain/notification.ts'
import type { RunCounts, RunStatus } from '../domain/run.ts'
import { passCause, raiseCause } from '../store/notification.ts'
import type { Tx } from '../store/schema.ts'

/** Of what was due, more than this share and more than this number of rows rejected or left uncertain are worth telling. */
const REJECTS_SHARE = 0.01
const REJECTS_MIN = 10

type Random = (size: number) => Uint8Array
interface RunEnded {
  readonly id: RunId
  readonly exportId: ExportId
  readonly status: RunStatus
  readonly reason: string | null
  readonly counts: RunCounts | null
}

export async function tellOfEnd(tx: Tx, run: RunEnded, now: Date, random: Random): Promise<void> {
  const about = await readAbout(tx, run.exportId)
  if (about === undefined) return
  const news = (kind: NotificationKind, title: string, detail: string): News =>
    newsOf(about, run.id, kind, title, detail)
  const name = `"${about.name}"`
  await passCause(tx, news('run-held', `The export ${name} is not held any more`, endText(run)), now, random)
  if (run.status === 'failed') {
    // One alert for one cause: of a missing secret is told at the connection.
    if (!(await isOpen(tx, about.connectionId)))
      await raiseCause(tx, news('run-failed', `The export ${name} failed`, run.reason ?? ''), now, random)
    return
  }
  if (run.status !== 'successful' && run.status !== 'completed-with-rejects') return
  await passCause(tx, news('run-failed', `The export ${name} works again`, endText(run)), now, random)
  if (about.connectionId !== null) {
    const found = secretNews(about.connectionId, 'The missing secret is there again', `${name} has run`)
    await passCause(tx, { ...found, owner: about.owner }, now, random)
  }
  const rejects = rejectsOf(run.counts)
  if (isMany(rejects, run.counts))
    await raiseCause(
      tx,
      news('rejects', `${rejects} rows of the export ${name} were not delivered`, endText(run)),
      now,
      random,
    )
  else await passCause(tx, news('rejects', `The export ${name} delivers its rows again`, endText(run)), now, random)
}

export async function tellOfHold(
  tx: Tx,
  run: { readonly id: RunId; readonly exportId: ExportId; readonly reason: string },
  now: Date,
  random: Random,
): Promise<void> {
  const about = await readAbout(tx, run.exportId)
  if (about === undefined) return
  const title = `The export "${about.name}" is held and waits for approval`
  await raiseCause(tx, newsOf(about, run.id, 'run-held', title, run.reason), now, random)
}

/** Somebody canceled what was held, before it came to its end. */
export async function tellOfCancel(
  tx: Tx,
  run: { readonly id: RunId; readonly exportId: ExportId },
  now: Date,
  random: Random,
): Promise<void> {
  const about = await readAbout(tx, run.exportId)
  if (about === undefined) return
  const title = `The export "${about.name}" is not held any more`
  await passCause(tx, newsOf(about, run.id, 'run-held', title, 'It was canceled'), now, random)
}

export async function tellOfMissingSecret(
  tx: Tx,
  exportId: ExportId,
  reason: string,
  now: Date,
  random: Random,
): Promise<void> {
  const about = await readAbout(tx, exportId)
  if (about === undefined || about.connectionId === null) return
  const title = `The export "${about.name}" cannot run: a secret is missing`
  await raiseCause(tx, { ...secretNews(about.connectionId, title, reason), owner: about.owner }, now, random)
}

function secretNews(connectionId: string, title: string, detail: string): Omit<News, 'owner'> {
  const kind = 'secret-missing'
  return { kind, cause: causeOf(kind, connectionId), title, detail, exportId: null, connectionId, runId: null }
}

interface About {
  readonly id: string
  readonly name: string
  readonly owner: string
  readonly connectionId: string | null
}

async function readAbout(tx: Tx, exportId: ExportId): Promise<About | undefined> {
  const row = await tx
    .selectFrom('export')
    .select(['id', 'name', 'created_by', 'connection_id'])
    .where('id', '=', exportId)
    .executeTakeFirst()
  return row && { id: row.id, name: row.name, owner: row.created_by, connectionId: row.connection_id }
}

async function isOpen(tx: Tx, connectionId: string | null): Promise<boolean> {
  if (connectionId === null) return false
  const key = causeOf('secret-missing', connectionId)
  const row = await tx.selectFrom('notification_cause').select('key').where('key', '=', key).executeTakeFirst()
  return row !== undefined
}

function newsOf(about: About, runId: RunId, kind: NotificationKind, title: string, detail: string): News {
  return {
    ...{ kind, title, detail, runId },
    cause: causeOf(kind, about.id),
    exportId: about.id,
    connectionId: about.connectionId,
    owner: about.owner,
  }
}

function rejectsOf(counts: RunCounts | null): number {
  return counts === null ? 0 : counts.rejected + counts.uncertain
}

function isMany(rejects: number, counts: RunCounts | null): boolean {
  if (counts === null || rejects === 0) return false
  const due = counts.added + counts.changed + counts.removed
  return rejects === due || (rejects > REJECTS_MIN && rejects > due * REJECTS_SHARE)
}

function endText({ status, counts }: RunEnded): string {
  if (counts === null) return status
  return `${counts.accepted} rows delivered, ${counts.rejected} rejected, ${counts.uncertain} uncertain`
}
