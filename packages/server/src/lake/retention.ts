/**
 * Takes away what nothing refers to any more: versions of tables, ledgers, folders of runs, leftovers of imports that a crash
 * broke off. What stays is named by the caller from the control store; everything is kept that is not surely ours.
 */
import type { Dirent } from 'node:fs'
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

export interface Kept {
  /** `tables/<table>/<version>`. */
  readonly versions: ReadonlySet<string>
  /** `ledgers/<export>/<file>`. */
  readonly ledgers: ReadonlySet<string>
  /** `runs/<run>`. */
  readonly runs: ReadonlySet<string>
}

const TABLE = /^tbl_[a-z2-7]{20}$/
const EXPORT = /^exp_[a-z2-7]{20}$/
const RUN = /^run_[a-z2-7]{20}$/
const VERSION = /^\d{1,9}$/
/** An import that goes on writes all the time; one that has not for so long was broken off. */
const BROKEN_OFF_MS = 24 * 3_600_000

/** Gives the paths that were removed, relative to the root. */
export async function removeUnreferenced(root: string, kept: Kept, now: Date): Promise<readonly string[]> {
  const removed: string[] = []
  const remove = async (path: string): Promise<void> => {
    await rm(join(root, path), { recursive: true, force: true })
    removed.push(path)
  }
  for (const table of await foldersIn(join(root, 'tables'), TABLE)) {
    for (const entry of await entriesIn(join(root, 'tables', table))) {
      const path = `tables/${table}/${entry.name}`
      const isOld = VERSION.test(entry.name) ? !kept.versions.has(path) : await isBrokenOff(join(root, path), now)
      if (entry.isDirectory() && isOld) await remove(path)
    }
  }
  for (const owner of await foldersIn(join(root, 'ledgers'), EXPORT)) {
    for (const entry of await entriesIn(join(root, 'ledgers', owner))) {
      const path = `ledgers/${owner}/${entry.name}`
      if (entry.isFile() && !kept.ledgers.has(path) && (await isBrokenOff(join(root, path), now))) await remove(path)
    }
  }
  for (const run of await foldersIn(join(root, 'runs'), RUN)) {
    if (!kept.runs.has(`runs/${run}`)) await remove(`runs/${run}`)
  }
  return removed
}

/** The spool of a run that is over: its parts were delivered, or never will be. */
export async function removeSpool(root: string, runId: string): Promise<void> {
  if (!RUN.test(runId)) throw new TypeError('Not the id of a run')
  await rm(join(root, 'runs', runId, 'spool'), { recursive: true, force: true })
}

async function isBrokenOff(path: string, now: Date): Promise<boolean> {
  const found = await stat(path).catch(() => undefined)
  return found !== undefined && now.getTime() - found.mtimeMs > BROKEN_OFF_MS
}

async function foldersIn(path: string, name: RegExp): Promise<readonly string[]> {
  return (await entriesIn(path))
    .filter((entry) => entry.isDirectory() && name.test(entry.name))
    .map((entry) => entry.name)
}

async function entriesIn(path: string): Promise<readonly Dirent[]> {
  try {
    return await readdir(path, { withFileTypes: true })
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
}
