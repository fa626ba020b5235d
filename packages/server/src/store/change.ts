/** The feed of changes: what open pages follow. Written by the database's own triggers. */
import { sql } from 'kysely'
import type { Db } from './schema.ts'

export type ChangeKind = 'export' | 'segment' | 'table' | 'connection' | 'run'

export interface Change {
  /** Where the feed goes on after it. */
  readonly place: ChangePlace
  readonly kind: ChangeKind
  readonly id: string
  readonly what: 'added' | 'changed' | 'removed'
}

/** A transaction and a number in it, both as text: they are wider than a number of JavaScript. */
export interface ChangePlace {
  readonly tx: string
  readonly seq: string
}

const PAGE = 500

/** Only what was committed for good before everything that is still open: nothing comes later between two that were read. */
export async function readChanges(db: Db, after: ChangePlace): Promise<readonly Change[]> {
  const { rows } = await sql<{ tx: string; seq: string; kind: ChangeKind; id: string; what: Change['what'] }>`
    SELECT tx::text, seq::text, kind, id, what FROM change
     WHERE (tx, seq) > (${after.tx}::xid8, ${after.seq}::bigint) AND tx < pg_snapshot_xmin(pg_current_snapshot())
     ORDER BY change.tx, change.seq LIMIT ${PAGE}`.execute(db)
  return rows.map(({ tx, seq, kind, id, what }) => ({ place: { tx, seq }, kind, id, what }))
}

/** From now on. */
export async function currentPlace(db: Db): Promise<ChangePlace> {
  const { rows } = await sql<{ tx: string }>`SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS tx`.execute(db)
  return { tx: rows[0]?.tx ?? '0', seq: '0' }
}

/** Whether the feed still holds everything after this place: older changes are forgotten, and another store has other numbers. */
export async function holdsPlace(db: Db, place: ChangePlace): Promise<boolean> {
  const { rows } = await sql<{ holds: boolean }>`
    SELECT ${place.tx}::xid8 <= pg_snapshot_xmax(pg_current_snapshot())
       AND (${place.tx}::xid8 >= pg_snapshot_xmin(pg_current_snapshot())
            OR EXISTS (SELECT FROM change WHERE (tx, seq) <= (${place.tx}::xid8, ${place.seq}::bigint))) AS holds`.execute(
    db,
  )
  return rows[0]?.holds === true
}

export async function forgetChanges(db: Db, before: Date): Promise<void> {
  await sql`DELETE FROM change WHERE at < ${before}`.execute(db)
}
