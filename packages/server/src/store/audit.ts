/**
 * The audit log: append-only, each entry hashed together with the one before it. The chain shows an edit, a removal, an
 * insertion and a change of order. It cannot show by itself that its end was cut off, or that somebody who owns the
 * database made the whole chain anew: for that its head is also kept outside (see `audit-anchor.ts`).
 * An entry names ids, counts and settings; never a secret, never a value of a row.
 */
import { createHash } from 'node:crypto'
import { sql } from 'kysely'
import { canonicalJson } from '../domain/canonical-json.ts'
import { toJson } from './json.ts'
import type { Db, Tx } from './schema.ts'

export interface AuditEntry {
  readonly at: Date
  readonly actor: string
  /** Noun and verb in the past: `export.created`, `run.approved`. */
  readonly action: string
  /** Id of what it is about. */
  readonly subject: string
  readonly detail: Readonly<Record<string, unknown>>
}
export interface StoredAuditEntry extends AuditEntry {
  readonly seq: number
  readonly prevHash: string
  readonly hash: string
}
export interface AuditHead {
  readonly seq: number
  readonly hash: string
}

export type AuditVerdict =
  | { readonly ok: true; readonly entries: number; readonly head: AuditHead }
  /** `seq` is where the chain breaks: the first entry that is not what was written. */
  | { readonly ok: false; readonly seq: number; readonly what: 'edited' | 'missing' | 'cut off' | 'rewritten' }

const EMPTY_HEAD: AuditHead = { seq: 0, hash: '0'.repeat(64) }
/** Any number that nobody else uses for an advisory lock of this database. */
const LOCK = 7_205_001
const PAGE = 2000

/**
 * Writers queue up here until their transactions end, so call it last: an entry's place in the chain is then the order of
 * the commits.
 */
export async function appendAudit(tx: Tx, entry: AuditEntry): Promise<AuditHead> {
  await sql`SELECT pg_advisory_xact_lock(${LOCK})`.execute(tx)
  const last = await readAuditHead(tx)
  const seq = last.seq + 1
  const detailText = toJson(entry.detail)
  const hash = hashOf({ ...entry, detail: JSON.parse(detailText) as AuditEntry['detail'], seq, prevHash: last.hash })
  await tx
    .insertInto('audit')
    .values({
      seq,
      at: entry.at,
      actor: entry.actor,
      action: entry.action,
      subject: entry.subject,
      detail: detailText,
      prev_hash: last.hash,
      hash,
    })
    .execute()
  return { seq, hash }
}

export async function readAuditHead(db: Db): Promise<AuditHead> {
  const row = await db.selectFrom('audit').select(['seq', 'hash']).orderBy('seq', 'desc').limit(1).executeTakeFirst()
  return row ?? EMPTY_HEAD
}

export interface AuditFilter {
  /** Id of what it is about. */
  readonly subject?: string
  readonly actor?: string
  /** One action, as `export.created`, or with a dot at its end all of a noun, as `export.`. */
  readonly action?: string
  readonly since?: Date
  readonly until?: Date
}

export async function pageAudit(
  db: Db,
  filter: AuditFilter,
  page: { readonly descending: boolean; readonly after?: number; readonly limit: number },
): Promise<readonly StoredAuditEntry[]> {
  let query = db
    .selectFrom('audit')
    .selectAll()
    .orderBy('seq', page.descending ? 'desc' : 'asc')
    .limit(page.limit)
  if (filter.subject !== undefined) query = query.where('subject', '=', filter.subject)
  if (filter.actor !== undefined) query = query.where('actor', '=', filter.actor)
  if (filter.action?.endsWith('.') === true) query = query.where('action', 'like', `${filter.action}%`)
  else if (filter.action !== undefined) query = query.where('action', '=', filter.action)
  if (filter.since !== undefined) query = query.where('at', '>=', filter.since)
  if (filter.until !== undefined) query = query.where('at', '<', filter.until)
  if (page.after !== undefined) query = query.where('seq', page.descending ? '<' : '>', page.after)
  return (await query.execute()).map(({ prev_hash, ...row }) => ({ ...row, prevHash: prev_hash }))
}

/** Reads the whole chain. `anchor` is what was kept outside, where there is one. */
export async function verifyAudit(db: Db, anchor: AuditHead | null): Promise<AuditVerdict> {
  let last = EMPTY_HEAD
  for (;;) {
    const page = await db
      .selectFrom('audit')
      .selectAll()
      .where('seq', '>', last.seq)
      .orderBy('seq')
      .limit(PAGE)
      .execute()
    for (const row of page) {
      if (row.seq !== last.seq + 1) return { ok: false, seq: last.seq + 1, what: 'missing' }
      const isWhole = row.prev_hash === last.hash && row.hash === hashOf({ ...row, prevHash: row.prev_hash })
      if (!isWhole) return { ok: false, seq: row.seq, what: 'edited' }
      if (row.seq === anchor?.seq && row.hash !== anchor.hash) return { ok: false, seq: row.seq, what: 'rewritten' }
      last = { seq: row.seq, hash: row.hash }
    }
    if (page.length < PAGE) break
  }
  if (anchor !== null && anchor.seq > last.seq) return { ok: false, seq: last.seq + 1, what: 'cut off' }
  return { ok: true, entries: last.seq, head: last }
}

function hashOf(entry: AuditEntry & { readonly seq: number; readonly prevHash: string }): string {
  const { seq, at, actor, action, subject, detail, prevHash } = entry
  const text = canonicalJson([seq, at.toISOString(), actor, action, subject, detail, prevHash])
  return createHash('sha256').update(text).digest('hex')
}
