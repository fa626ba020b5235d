/**
 * PATCHBAY_FILE_ROOTS: the folders of this machine below which connections may write. Where none is listed, no connection
 * reaches the disk.
 */
import { realpath, stat } from 'node:fs/promises'
import { isAbsolute, normalize, parse, relative, resolve, sep } from 'node:path'
import { ConnectionRefused } from '@patchbay/connector-sdk'

/** Real paths: no symbolic link is left in them. */
export type FileRoots = readonly string[]

/** Throws an error that names the entry and says what is wrong with it. They must exist: a missing disk is not made up. */
export async function checkFileRoots(entries: readonly string[]): Promise<FileRoots> {
  return Promise.all(entries.map(checkRoot))
}

async function checkRoot(entry: string): Promise<string> {
  const fail = (why: string, cause?: unknown): never => {
    throw new TypeError(`PATCHBAY_FILE_ROOTS: "${entry}" cannot be used: ${why}`, { cause })
  }
  if (!isAbsolute(entry) || trimmed(normalize(entry)) !== trimmed(entry))
    fail('write the whole path, beginning at the top and without . or .. in it')
  const real = await realpath(entry).catch((error: unknown) => fail('the folder does not exist', error))
  if (!(await stat(real)).isDirectory()) fail('it is not a folder')
  if (real === parse(real).root) fail('this would open the whole disk; list the folders that exports are for')
  return real
}

/** The root that holds the path as it is written, and the way from it. Symbolic links are looked at when it is used. */
export function placeInRoots(
  path: string,
  roots: FileRoots,
): { readonly root: string; readonly parts: readonly string[] } {
  const isWritten = isAbsolute(path) && !path.includes('\0') && trimmed(normalize(path)) === trimmed(path)
  if (!isWritten)
    throw new ConnectionRefused('The folder must be a whole path, beginning at the top and without . or .. in it', {
      step: 'resolved',
    })
  const root = roots.find((candidate) => isInside(candidate, path))
  if (root === undefined)
    throw new ConnectionRefused(
      `The folder ${trimmed(path)} is not below one that connections may write to; the operator can list it in PATCHBAY_FILE_ROOTS`,
      { step: 'resolved' },
    )
  return {
    root,
    parts: relative(root, path)
      .split(sep)
      .filter((part) => part !== ''),
  }
}

/** Whether `path` is `folder` or below it, both without symbolic links. */
export function isInside(folder: string, path: string): boolean {
  const way = relative(folder, resolve(path))
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way))
}

function trimmed(path: string): string {
  return path.length > 1 ? path.replace(/[/\\]+$/, '') : path
}
