/**
 * The operating system's wall around the DuckDB child, by bubblewrap where there is one: no network, no other process in
 * sight, an empty file system but for the folders it is given and the few files that Node and DuckDB are made of.
 * No `/proc`, no `/etc`, no environment. It is the wall that holds when DuckDB's own locks do not.
 */
import { existsSync, readFileSync, readlinkSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const BUBBLEWRAP_AT = [
  '/usr/bin/bwrap',
  '/usr/local/bin/bwrap',
  '/bin/bwrap',
  '/run/wrappers/bin/bwrap',
  '/run/current-system/sw/bin/bwrap',
]
/** Where the dynamic linker is looked for by its fixed name, and the libraries that DuckDB needs beside Node's own. */
const LINKERS = ['/lib64/ld-linux-x86-64.so.2', '/lib/ld-linux-aarch64.so.1']
const LIBRARY = /\/(?:ld-|lib(?:c|m|dl|rt|pthread|gcc_s|stdc\+\+|atomic|util)[.-])[^/]*$/
const MORE_LIBRARIES = ['librt.so.1', 'libdl.so.2', 'libpthread.so.0', 'libgcc_s.so.1', 'libstdc++.so.6', 'libm.so.6']

export interface SandboxFolders {
  readonly read: readonly string[]
  readonly write: readonly string[]
}

export function findBubblewrap(): string | undefined {
  return process.platform === 'linux' ? BUBBLEWRAP_AT.find((path) => existsSync(path)) : undefined
}

/** The arguments for bubblewrap that run `command` with these folders in reach, and the program's own files. */
export function sandboxArguments(folders: SandboxFolders, command: readonly string[]): string[] {
  const walls = [
    '--unshare-all',
    '--die-with-parent',
    '--new-session',
    '--cap-drop',
    'ALL',
    '--clearenv',
    '--hostname',
    'lake',
  ]
  const program = programFiles().flatMap((path) => ['--ro-bind-try', path, path])
  const read = folders.read.flatMap((path) => bind('--ro-bind-try', path))
  const write = folders.write.flatMap((path) => bind('--bind', path))
  // Folders are mounted from the outside in: a write folder may lie inside a read folder.
  return [...walls, ...program, ...read, ...write, '--remount-ro', '/', '--chdir', '/', '--', ...command]
}

/** Under the name it is asked for, and under its real one, which is where DuckDB ends up after following links. */
function bind(how: string, path: string): string[] {
  const real = existsSync(path) ? realpathSync(path) : path
  return real === path ? [how, path, path] : [how, real, real, how, real, path]
}

let cachedFiles: readonly string[] | undefined

function programFiles(): readonly string[] {
  cachedFiles ??= [...new Set([process.execPath, ...LINKERS, ...libraries(), ...sources()])]
  return cachedFiles
}

/** The shared libraries that this very Node runs with. */
function libraries(): string[] {
  const mapped = new Set<string>()
  for (const line of readFileSync('/proc/self/maps', 'latin1').split('\n')) {
    const path = line.slice(line.indexOf('/'))
    if (line.includes('/') && LIBRARY.test(path)) mapped.add(path)
  }
  const folders = new Set([...mapped].map((path) => dirname(path)))
  const named = [...folders].flatMap((folder) => MORE_LIBRARIES.map((name) => join(folder, name)))
  return [...mapped].flatMap(withLinks).concat(named)
}

/** The linker asks for `libm.so.6`, while the map of the process says what that links to. */
function withLinks(path: string): string[] {
  const soname = path.replace(/(\.so\.\d+)\..*$/, '$1')
  return soname === path ? [path] : [path, soname]
}

/** This folder (no data is in it), what makes its files ES modules, and DuckDB's packages. */
function sources(): string[] {
  const here = dirname(fileURLToPath(import.meta.url))
  const bindings = dirname(fileURLToPath(import.meta.resolve('@duckdb/node-bindings')))
  const libc = join(dirname(dirname(bindings)), 'detect-libc')
  return [here, join(here, '../../package.json'), dirname(bindings), libc].flatMap(linkAndTarget)
}

function linkAndTarget(path: string): string[] {
  try {
    readlinkSync(path)
    return [path, realpathSync(path)]
  } catch {
    return [path]
  }
}
