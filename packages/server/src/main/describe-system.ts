/** What the program finds out about itself for `patchbay doctor`: what holds, what is worth knowing, what is wrong. */
import { access, constants, stat, statfs } from 'node:fs/promises'
import type { System } from '@patchbay/contract'
import { sql } from 'kysely'
import { describeWalls } from '../lake/duckdb-process.ts'
import type { Settings } from '../settings.ts'
import { describeStore, type Store } from '../store/open-store.ts'
import { VERSION } from './version.ts'

type Finding = System['findings'][number]

const GIGABYTE = 1_000_000_000
const SPACE_MIN_BYTES = GIGABYTE

export async function describeSystem(settings: Settings, store: Store): Promise<System> {
  const findings = await Promise.all([
    found('control store', () => storeFinding(store)),
    found('data engine', wallsFinding),
    found('key file', () => keyFinding(settings)),
    found('disk', () => diskFinding(settings.dataFolder)),
    found('data folder', () => folderFinding(settings.dataFolder)),
    ...settings.fileRoots.map((root) => found('file root', () => rootFinding(root))),
    found('egress', () => Promise.resolve(egressFinding(settings.allowHosts))),
    found('network', () => Promise.resolve(networkFinding(settings.host))),
  ])
  return {
    version: VERSION,
    node: process.versions.node,
    settings: settings.described.map((setting) => ({ ...setting })),
    findings,
    counts: await readCounts(store),
  }
}

/** A check that breaks is itself a finding: the doctor always answers. */
async function found(subject: string, look: () => Promise<Omit<Finding, 'subject'>>): Promise<Finding> {
  try {
    return { subject, ...(await look()) }
  } catch (error) {
    const code = error instanceof Error ? ('code' in error ? String(error.code) : error.name) : 'unknown reason'
    return {
      subject,
      state: 'wrong',
      detail: `It cannot be looked at (${code})`,
      cure: 'See that it is there and may be read',
    }
  }
}

async function storeFinding(store: Store): Promise<Omit<Finding, 'subject'>> {
  const { dialect, version, promise, isRestored } = await describeStore(store)
  if (isRestored)
    return {
      state: 'wrong',
      detail: 'It was put back from a backup, or lost its end: nothing is sent until somebody confirms that',
      cure: 'See what was sent since, then: patchbay restore --confirm',
    }
  return {
    state: 'good',
    detail: `${dialect === 'pglite' ? 'PGlite' : 'PostgreSQL'} ${version}, ${promise}`,
    cure: null,
  }
}

async function wallsFinding(): Promise<Omit<Finding, 'subject'>> {
  const { sandbox, reason, duckdbVersion } = await describeWalls()
  if (sandbox === 'bubblewrap')
    return {
      state: 'good',
      detail: `DuckDB ${duckdbVersion} in a bubblewrap sandbox, behind its own locks`,
      cure: null,
    }
  return {
    state: 'note',
    detail: `DuckDB ${duckdbVersion} behind its own locks, without a sandbox of the operating system: ${reason}`,
    cure: 'Install bubblewrap, or run Patchbay in a container of its own',
  }
}

async function keyFinding({ keyFile }: Settings): Promise<Omit<Finding, 'subject'>> {
  const { mode } = await stat(keyFile)
  const isOpen = (mode & 0o077) !== 0
  const shown = (mode & 0o777).toString(8).padStart(4, '0')
  if (isOpen)
    return { state: 'wrong', detail: `${keyFile} can be read by others (mode ${shown})`, cure: `chmod 400 ${keyFile}` }
  return {
    state: 'good',
    detail: `${keyFile}, mode ${shown}. Backups do not hold it: keep a copy elsewhere`,
    cure: null,
  }
}

async function diskFinding(folder: string): Promise<Omit<Finding, 'subject'>> {
  const { bavail, bsize } = await statfs(folder)
  const free = bavail * bsize
  const detail = `${(free / GIGABYTE).toFixed(1)} GB are free in the data folder`
  return free < SPACE_MIN_BYTES
    ? { state: 'wrong', detail, cure: 'Make room: imports and runs stop when it is full' }
    : { state: 'good', detail, cure: null }
}

async function folderFinding(folder: string): Promise<Omit<Finding, 'subject'>> {
  const { mode } = await stat(folder)
  if ((mode & 0o077) === 0) return { state: 'good', detail: `${folder}, open to its owner only`, cure: null }
  return {
    state: 'note',
    detail: `${folder} can be entered by others of this machine`,
    cure: `chmod 700 ${folder}`,
  }
}

async function rootFinding(root: string): Promise<Omit<Finding, 'subject'>> {
  try {
    await access(root, constants.W_OK)
    return { state: 'good', detail: `${root} can be written to`, cure: null }
  } catch {
    return {
      state: 'wrong',
      detail: `${root} cannot be written to`,
      cure: 'Make it, and let this user write there, or take it from PATCHBAY_FILE_ROOTS',
    }
  }
}

function egressFinding(allowHosts: string): Omit<Finding, 'subject'> {
  const entries = allowHosts.split(/[\s,]+/).filter((entry) => entry !== '')
  return entries.length === 0
    ? { state: 'good', detail: 'Connections reach public addresses only', cure: null }
    : { state: 'note', detail: `Connections also reach ${entries.join(', ')}`, cure: null }
}

function networkFinding(host: string): Omit<Finding, 'subject'> {
  const isLoopback = host === 'localhost' || host === '::1' || host.startsWith('127.')
  return isLoopback
    ? { state: 'good', detail: 'The API is reached from this machine only', cure: null }
    : {
        state: 'note',
        detail: `The API is reached from the network (${host}), without TLS`,
        cure: 'Put a proxy with TLS before it',
      }
}

async function readCounts(store: Store): Promise<System['counts']> {
  const { rows } = await sql<System['counts']>`
    SELECT (SELECT count(*) FROM table_) AS tables, (SELECT count(*) FROM segment) AS segments,
           (SELECT count(*) FROM connection) AS connections, (SELECT count(*) FROM export) AS exports,
           (SELECT count(*) FROM run) AS runs`.execute(store.db)
  const [counts] = rows
  if (counts === undefined) throw new Error('A count without a row')
  return counts
}
