/**
 * The audit log's newest entry, kept in a file beside the database (`<data>/audit-head`). It serves twice: an audit log
 * that was cut short or made anew does not hold it, and a control store that was put back from a backup (or lost its last
 * seconds in a power cut) does not reach it. It trails the store by about a second, so a store ahead of it is normal.
 * Who can write both the database and this file can deceive it: copy the file elsewhere where that matters.
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Problem } from '../domain/problem.ts'
import type { AuditHead } from './audit.ts'
import type { Db } from './schema.ts'

export const anchorPath = (dataFolder: string): string => join(dataFolder, 'audit-head')

export function readAnchor(path: string): AuditHead | null {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
  const match = /^(\d{1,15}) ([0-9a-f]{64})\n$/.exec(text)
  if (match?.[1] === undefined || match[2] === undefined) {
    throw new Problem('not-ready', `${path} is damaged: it should hold a number and a hash`, {
      cure: 'Put it back from a copy, or remove it if you know why it changed: the audit log is then checked without it',
    })
  }
  return { seq: Number(match[1]), hash: match[2] }
}

/** Durable before it returns: a new file, flushed, moved over the old one. */
export function writeAnchor(path: string, head: AuditHead): void {
  const next = `${path}.new`
  const file = openSync(next, 'w', 0o600)
  try {
    writeSync(file, `${head.seq} ${head.hash}\n`)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(next, path)
  const folder = openSync(dirname(path), 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

/** Whether the store still holds the entry that the anchor names: if not, it is older than it was, or another one. */
export async function holdsAnchor(db: Db, anchor: AuditHead): Promise<boolean> {
  if (anchor.seq === 0) return true
  const row = await db.selectFrom('audit').select('hash').where('seq', '=', anchor.seq).executeTakeFirst()
  return row?.hash === anchor.hash
}
