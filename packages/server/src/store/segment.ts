import { sql } from 'kysely'
import { isId, newId, type SegmentId } from '../domain/ids.ts'
import type { Rule, Segment } from '../domain/segment.ts'
import { appendAudit } from './audit.ts'
import type { By } from './by.ts'
import { inUse, notFound, stale, withUniqueName } from './conflict.ts'
import { toJson } from './json.ts'
import { nameKey, pageOf, paged, patternOf, type Order, type Page, type PageRequest } from './page.ts'
import { usersOfSegment } from './references.ts'
import type { Db, Tx } from './schema.ts'

/** A rule holds what a person typed into it ("city equals Bern"): the one place in the store where a customer's data can stand. */
export async function createSegment(
  tx: Tx,
  draft: { readonly name: string; readonly rule: Rule },
  by: By,
): Promise<Segment> {
  const id = newId('segment', by.randomBytes)
  const row = await withUniqueName('segment', 'segment_name', draft.name, () =>
    tx
      .insertInto('segment')
      .values({ id, name: draft.name, rule: toJson(draft.rule), created_at: by.now, updated_at: by.now })
      .returningAll()
      .executeTakeFirstOrThrow(),
  )
  await appendAudit(tx, { at: by.now, actor: by.actor, action: 'segment.created', subject: id, detail: {} })
  return segmentOf(row)
}

/** By id or by name. */
export async function readSegment(db: Db, reference: string): Promise<Segment> {
  const query = db.selectFrom('segment').selectAll()
  const row = await (
    isId('segment', reference)
      ? query.where('id', '=', reference)
      : query.where((where) => where(where.fn('lower', ['name']), '=', where.fn('lower', [where.val(reference)])))
  ).executeTakeFirst()
  if (row === undefined) throw notFound('segment', reference)
  return segmentOf(row)
}

/** All of them, by name: rules refer to each other by name, so whoever resolves one needs them all. */
export async function listSegments(db: Db): Promise<readonly Segment[]> {
  return (await db.selectFrom('segment').selectAll().orderBy('name').execute()).map(segmentOf)
}

export type SegmentSort = 'name' | 'created' | 'updated'

export async function pageSegments(
  db: Db,
  filter: { readonly search?: string },
  page: PageRequest<SegmentSort>,
): Promise<Page<Segment>> {
  let query = db.selectFrom('segment').selectAll()
  if (filter.search !== undefined) query = query.where(sql<boolean>`lower(name) LIKE ${patternOf(filter.search)}`)
  const order: Order =
    page.sort === 'name'
      ? { key: nameKey('name'), id: sql.ref('id'), type: 'text' }
      : { key: sql.ref(`${page.sort}_at`), id: sql.ref('id'), type: 'timestamptz' }
  return pageOf(await paged(query, order, page).execute(), page, segmentOf, ({ id }) => id)
}

/** The name stays while others refer to it by its name. */
export async function editSegment(
  tx: Tx,
  id: SegmentId,
  revision: number,
  change: { readonly name: string; readonly rule: Rule },
  by: By,
): Promise<Segment> {
  const before = await readSegment(tx, id)
  if (before.name !== change.name) {
    const users = await usersOfSegment(tx, before.name)
    if (users.length > 0) throw inUse('segment', before.name, users)
  }
  const row = await withUniqueName('segment', 'segment_name', change.name, () =>
    tx
      .updateTable('segment')
      .set({ name: change.name, rule: toJson(change.rule), updated_at: by.now, revision: revision + 1 })
      .where('id', '=', id)
      .where('revision', '=', revision)
      .returningAll()
      .executeTakeFirst(),
  )
  if (row === undefined) throw stale('segment', before.name)
  await appendAudit(tx, { at: by.now, actor: by.actor, action: 'segment.edited', subject: id, detail: {} })
  return segmentOf(row)
}

export async function removeSegment(tx: Tx, id: SegmentId, by: By): Promise<void> {
  const segment = await readSegment(tx, id)
  const users = await usersOfSegment(tx, segment.name)
  if (users.length > 0) throw inUse('segment', segment.name, users)
  await tx.deleteFrom('segment').where('id', '=', id).execute()
  await appendAudit(tx, { at: by.now, actor: by.actor, action: 'segment.removed', subject: id, detail: {} })
}

function segmentOf(row: {
  readonly id: string
  readonly name: string
  readonly rule: Rule
  readonly created_at: Date
  readonly updated_at: Date
  readonly revision: number
}): Segment {
  return {
    id: row.id as SegmentId,
    name: row.name,
    rule: row.rule,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    revision: row.revision,
  }
}
