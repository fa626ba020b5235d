/** Takes away what has had its time: files of the lake that nothing refers to, uploads and remembered answers of yesterday. */
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isId, type TableId } from '../domain/ids.ts'
import { removeUnreferenced } from '../lake/retention.ts'
import { forgetChanges } from '../store/change.ts'
import { forgetChecks } from '../store/connection-health.ts'
import { forgetRemovedConnections } from '../store/connection-removal.ts'
import { forgetIdempotency } from '../store/idempotency.ts'
import { keepSet } from '../store/keep-set.ts'
import { forgetNotifications } from '../store/notification.ts'
import { forgetRuns } from '../store/run.ts'
import { removeExpiredAttempts } from '../store/oauth-attempt.ts'
import type { Db } from '../store/schema.ts'
import { forgetVersions } from '../store/table.ts'
import { removeExpiredUploads } from '../store/upload.ts'
import type { LakeFolders } from './lake-port.ts'

const DAY_MS = 86_400_000
const EVERY_MS = 3_600_000

export interface Housekeeping {
  stop(): Promise<void>
}

export function startHousekeeping(
  db: Db,
  folders: LakeFolders,
  now: () => Date,
  onError: (error: unknown) => void,
  runDays: number,
): Housekeeping {
  let isStopped = false
  let timer: NodeJS.Timeout | undefined
  let working = Promise.resolve()
  const again = (delayMs: number): void => {
    if (isStopped) return
    timer = setTimeout(() => {
      working = cleanUp(db, folders, now(), runDays).catch(onError)
      void working.then(() => again(EVERY_MS))
    }, delayMs)
    timer.unref()
  }
  // Not in the first minute, in which everybody who starts a server waits for something else.
  again(60_000)
  return {
    async stop() {
      isStopped = true
      clearTimeout(timer)
      await working
    },
  }
}

/** Finished runs are kept for so many days, with their lists of rejected rows. */
export async function cleanUp(db: Db, folders: LakeFolders, now: Date, runDays: number): Promise<void> {
  const runsSince = new Date(now.getTime() - runDays * DAY_MS)
  await forgetRuns(db, runsSince)
  await forgetChanges(db, new Date(now.getTime() - DAY_MS))
  await forgetIdempotency(db, new Date(now.getTime() - DAY_MS))
  await removeExpiredUploads(db, now)
  await removeExpiredAttempts(db, now)
  await forgetRemovedConnections(db, now)
  await forgetChecks(db, runsSince)
  await forgetNotifications(db, runsSince)
  const kept = await db.transaction().execute((tx) => keepSet(tx, runsSince))
  const versions = new Set(
    [...kept.tableVersions].flatMap(([table, of]) => [...of].map((version) => `tables/${table}/${version}`)),
  )
  const runs = new Set([...kept.runs].map((run) => `runs/${run}`))
  const removed = await removeUnreferenced(folders.lake, { versions, ledgers: kept.ledgers, runs }, now)
  for (const path of removed) {
    const [, table = '', version = ''] = /^tables\/([^/]+)\/(\d+)$/.exec(path) ?? []
    if (table !== '') await forgetVersions(db, table as TableId, [Number(version)])
  }
  for (const name of await readdir(folders.uploads))
    if (isId('upload', name) && !kept.uploads.has(name)) await rm(join(folders.uploads, name), { force: true })
}
