/**
 * Names of the files that an export delivers: made of checked parts only, the same for the same run, and in one folder for
 * each source. What stands in a folder of that name at the destination is this source's, and nobody else's.
 */
import { createHash } from 'node:crypto'
import type { Mode } from '@patchbay/connector-sdk'
import type { FileFormat } from './export.ts'
import { isLaidOut, laidOutName } from './file-layout.ts'

const STEM_LENGTH_MAX = 64

/** Beside the folders of all sources. */
export const MODEL_FILE_NAME = 'model.json'

/**
 * A folder name for each source of a plan: its name in letters, digits, `_` and `-`. Sources whose names would give the same
 * (also but for case, since some servers do not tell) carry a part of their name's digest, all but the one that is called so.
 */
export function fileStems(names: readonly string[]): ReadonlyMap<string, string> {
  const stemOf = new Map(names.map((name) => [name, plainStem(name)]))
  const used = Map.groupBy(names, (name) => plainStem(name).toLowerCase())
  for (const same of used.values()) {
    const owner = same.find((name) => plainStem(name) === name) ?? same.find(() => same.length === 1)
    for (const name of same) if (name !== owner || LOOKS_DISTINCT.test(name)) stemOf.set(name, distinctStem(name))
  }
  return stemOf
}

/** A source may be called as another one's folder would be: it gets a digest of its own. */
const LOOKS_DISTINCT = /-[0-9a-f]{8}$/

/** Tells names apart without knowing the others: for folders of the lake, where nobody reads them. */
export function distinctStem(name: string): string {
  const digest = createHash('sha256').update(name).digest('hex').slice(0, 8)
  return `${plainStem(name).slice(0, STEM_LENGTH_MAX - 9)}-${digest}`
}

/** Accents are dropped and everything else that is not plain becomes `_`. A name never starts with `-`, which programs take for an option. */
function plainStem(name: string): string {
  const plain = name
    .normalize('NFKD')
    .replaceAll(/\p{M}/gu, '')
    .replaceAll(/[^A-Za-z0-9_-]/gu, '_')
    .replace(/^-/, '_')
    .slice(0, STEM_LENGTH_MAX)
  return plain === '' ? '_' : plain
}

export interface PartName {
  readonly stem: string
  readonly tableVersion: number
  readonly mode: Mode
  /** The plan's moment, ISO 8601 in UTC. */
  readonly now: string
  /** From 1. */
  readonly part: number
  /** A template of the export's own, in place of what is described below. */
  readonly layout?: string | undefined
}

/**
 * `<stem>/<stem>_v<version>_<part>.<ending>`, with the run's moment before the part where files of several runs stand
 * beside each other. To the millisecond: two runs of an export can start within one second.
 */
export function partFileName(name: PartName, format: FileFormat | 'csv-for-load'): string {
  if (name.layout !== undefined) return `${laidOutName(name.layout, name)}.${fileEnding(format)}`
  const moment = name.mode === 'replace' ? [] : [name.now.replaceAll(/[-:.]/g, '')]
  const parts = [name.stem, `v${name.tableVersion}`, ...moment, String(name.part).padStart(3, '0')]
  return `${name.stem}/${parts.join('_')}.${fileEnding(format)}`
}

/** Whether an earlier file is of this source, by its name: also where the export had no template then. */
export function isFileOf(stem: string, name: string, layout: string | undefined): boolean {
  return name.startsWith(`${stem}/`) || (layout !== undefined && isLaidOut(layout, stem, name))
}

function fileEnding(format: FileFormat | 'csv-for-load'): string {
  if (format === 'csv-for-load') return 'load.csv'
  switch (format.type) {
    case 'csv':
      return format.gzip ? 'csv.gz' : 'csv'
    case 'json-lines':
      return format.gzip ? 'jsonl.gz' : 'jsonl'
    case 'parquet':
      // Compressed inside; readers skip parts of it, which a compressed whole would not let them.
      return 'parquet'
  }
}
