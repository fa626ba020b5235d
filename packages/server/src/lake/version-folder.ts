/**
 * A table's new version on disk: written beside the others under a name that is no version's, made durable, then renamed
 * as a whole. A crash leaves either nothing or all of it, and a broken-off folder that retention knows by its name.
 */
import { mkdir, mkdtemp, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isId } from '../domain/ids.ts'
import type { TableId } from '../domain/ids.ts'
import { Problem } from '../domain/problem.ts'

export interface VersionFolder {
  /** For copies of the source, and what the engine spills. */
  readonly work: string
  /** For the parts. */
  readonly parts: string
  /** Gives the parts their final names, in their order. */
  nameParts(): Promise<readonly string[]>
  /** Makes the named parts durable, and the version with them. */
  publish(names: readonly string[]): Promise<readonly { readonly name: string; readonly sizeBytes: number }[]>
  /** Takes away what is not published. Safe after `publish`. */
  remove(): Promise<void>
}

export async function makeVersionFolder(root: string, tableId: TableId, version: number): Promise<VersionFolder> {
  if (!isId('table', tableId) || !Number.isSafeInteger(version) || version < 1)
    throw new TypeError('no table, or no version')
  const table = join(root, 'tables', tableId)
  const target = join(table, String(version))
  await refuseExisting(target)
  await mkdir(table, { recursive: true })
  const work = await mkdtemp(join(table, 'import-'))
  const parts = join(work, 'parts')
  return {
    work,
    parts,
    nameParts: async () => namedInOrder(parts),
    async publish(names) {
      const files = []
      for (const name of names) {
        await syncPath(join(parts, name))
        files.push({ name, sizeBytes: (await stat(join(parts, name))).size })
      }
      await syncPath(parts)
      await refuseExisting(target)
      await rename(parts, target)
      for (const folder of [table, join(root, 'tables')]) await syncPath(folder)
      return files
    },
    async remove() {
      await rm(work, { recursive: true, force: true })
    },
  }
}

/** A version is never written twice: it may be what a ledger or a run refers to. */
async function refuseExisting(target: string): Promise<void> {
  const found = await stat(target).catch(() => undefined)
  if (found === undefined) return
  throw new Problem('conflict', 'This version of the table exists already', {
    cure: 'Import again: the next version is taken then.',
  })
}

/** DuckDB counts from 0 without leading zeros; part-0001.parquet and so on sort by name. */
async function namedInOrder(folder: string): Promise<readonly string[]> {
  const found = (await readdir(folder)).map((name) => ({
    name,
    number: Number(/^part-(\d+)\.parquet$/.exec(name)?.[1]),
  }))
  if (found.length === 0 || found.some(({ number }) => Number.isNaN(number)))
    throw new Error('no parts, or unknown ones')
  const sorted = found.toSorted((a, b) => b.number - a.number)
  const names: string[] = []
  // From the last on, so that a new name is never one that still waits.
  for (const { name, number } of sorted) {
    const final = `part-${String(number + 1).padStart(4, '0')}.parquet`
    await rename(join(folder, name), join(folder, final))
    names.unshift(final)
  }
  return names
}

/** Makes a file's content, or a folder's names, survive a power cut. Windows cannot open a folder for it, and does not need to. */
async function syncPath(path: string): Promise<void> {
  const isFolder = (await stat(path)).isDirectory()
  if (process.platform === 'win32' && isFolder) return
  const handle = await open(path, isFolder ? 'r' : 'r+')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
