/**
 * The key-encryption key: 32 bytes, as base64 in a file of mode 0400 that stands outside the database. Whoever has the
 * database alone, or a backup of it, cannot open a secret. There is no default key and no way to do without one.
 */
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { Problem } from '../domain/problem.ts'

export const KEY_BYTES = 32
/** Group and others. */
const FOREIGN_BITS = 0o077

export interface KeyFileOptions {
  readonly path: string
  /** Whether something in the store is sealed already: then a missing key is never made up. */
  readonly isNeeded: boolean
  readonly randomBytes: (size: number) => Uint8Array
  /** Windows has no such bits; its folder's rights have to do. */
  readonly checkMode?: boolean
}

/** Reads the key; on the first start, before anything was sealed, it makes one. */
export function readKeyFile(options: KeyFileOptions): Buffer {
  const { path } = options
  if (!existsSync(path)) {
    if (options.isNeeded) {
      throw new Problem(
        'not-ready',
        `The key file ${path} is missing, and the control store holds secrets sealed with it`,
        {
          path: 'PATCHBAY_KEY_FILE',
          cure: 'Put the key file back from where you keep its copy. Without it every secret has to be entered again: see "Lost key" in the operator guide',
        },
      )
    }
    createKeyFile(path, options.randomBytes)
  }
  const checkMode = options.checkMode ?? process.platform !== 'win32'
  if (checkMode && (statSync(path).mode & FOREIGN_BITS) !== 0) {
    throw new Problem('not-ready', `Others on this machine can read or change the key file ${path}`, {
      path: 'PATCHBAY_KEY_FILE',
      cure: `Take their rights away: chmod 0400 ${path}. If somebody may have read it, rotate the key`,
    })
  }
  return decodeKey(readFileSync(path, 'utf8'), path)
}

/** The key that is to take the place of the one in `path`, beside it; made where it is not there yet. */
export function readNextKey(path: string, options: Pick<KeyFileOptions, 'randomBytes'>): Buffer {
  const next = nextPath(path)
  if (!existsSync(next)) createKeyFile(next, options.randomBytes)
  return decodeKey(readFileSync(next, 'utf8'), next)
}

export function hasNextKey(path: string): boolean {
  return existsSync(nextPath(path))
}

/** In one step; the old key stays beside it under a name of its own, since older backups open with it alone. */
export function takeNextKey(path: string, oldName: string): string {
  const old = `${path}.${oldName}`
  if (!existsSync(old)) linkSync(path, old)
  renameSync(nextPath(path), path)
  flushFolder(dirname(path))
  return old
}

function nextPath(path: string): string {
  return `${path}.next`
}

/** So that the new name is there after a power cut, where the system can do that. */
function flushFolder(folder: string): void {
  if (process.platform === 'win32') return
  const handle = openSync(folder, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

/** Whole or not at all, flushed, and never over an existing file: of two first starts at once, one key wins. */
function createKeyFile(path: string, randomBytes: (size: number) => Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const unfinished = `${path}.${Buffer.from(randomBytes(6)).toString('hex')}.new`
  const file = openSync(unfinished, 'wx', 0o600)
  try {
    writeSync(file, `${Buffer.from(randomBytes(KEY_BYTES)).toString('base64')}\n`)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  try {
    chmodSync(unfinished, 0o400)
    linkSync(unfinished, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    rmSync(unfinished, { force: true })
  }
  flushFolder(dirname(path))
}

function decodeKey(text: string, path: string): Buffer {
  const trimmed = text.trim()
  const key = Buffer.from(trimmed, 'base64')
  if (/^[A-Za-z0-9+/]+={0,2}$/.test(trimmed) && key.length === KEY_BYTES) return key
  throw new Problem('not-ready', `The key file ${path} does not hold a key`, {
    path: 'PATCHBAY_KEY_FILE',
    cure: `It must be ${KEY_BYTES} bytes in base64, and nothing else. Put the right file back from where you keep its copy`,
  })
}
