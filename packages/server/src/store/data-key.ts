import { sql } from 'kysely'
import { Problem } from '../domain/problem.ts'
import type { Db } from './schema.ts'

/** A data key as the store holds it: wrapped by the key-encryption key, which never comes here. */
export interface DataKey {
  readonly id: string
  readonly wrapped: string
  /** By the key that is to come, while a rotation goes on. */
  readonly wrappedNext: string | null
  readonly state: 'active' | 'retired'
}

async function listDataKeys(db: Db): Promise<readonly DataKey[]> {
  const rows = await db
    .selectFrom('data_key')
    .select(['id', 'wrapped', 'wrapped_next', 'state'])
    .orderBy('created_at')
    .execute()
  return rows.map(({ wrapped_next, ...row }) => ({ ...row, wrappedNext: wrapped_next }))
}

/** Adds the first key; where another process was quicker, its key stands and this one is dropped. */
async function addFirstDataKey(
  db: Db,
  key: { readonly id: string; readonly wrapped: string },
  now: Date,
): Promise<void> {
  await db
    .insertInto('data_key')
    .values({ ...key, wrapped_next: null, state: 'active', created_at: now })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

/** Of two rotations at once, the second finds that the active key is another by now. */
async function beginKeyRotation(
  db: Db,
  retired: string,
  fresh: { readonly id: string; readonly wrapped: string; readonly wrappedNext: string },
  next: ReadonlyMap<string, string>,
  now: Date,
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const { numUpdatedRows } = await tx
      .updateTable('data_key')
      .set({ state: 'retired' })
      .where('id', '=', retired)
      .where('state', '=', 'active')
      .executeTakeFirst()
    const { count } = await tx
      .selectFrom('data_key')
      .select((select) => select.fn.countAll<number>().as('count'))
      .executeTakeFirstOrThrow()
    if (numUpdatedRows === 0n || Number(count) !== next.size)
      throw new Problem('conflict', 'Another rotation of the key was quicker', {
        cure: 'Look whether it has ended: patchbay key rotate --status',
      })
    for (const [id, wrappedNext] of next)
      await tx.updateTable('data_key').set({ wrapped_next: wrappedNext }).where('id', '=', id).execute()
    const { wrappedNext, ...key } = fresh
    await tx
      .insertInto('data_key')
      .values({ ...key, wrapped_next: wrappedNext, state: 'active', created_at: now })
      .execute()
  })
}

async function settleKeyRotation(db: Db): Promise<void> {
  await db
    .updateTable('data_key')
    .set({ wrapped: sql<string>`wrapped_next`, wrapped_next: null })
    .where('wrapped_next', 'is not', null)
    .execute()
}

/** The functions above for a vault of this store. */
export function dataKeyPlace(db: Db, now: () => Date) {
  return {
    list: () => listDataKeys(db),
    addFirst: (key: { readonly id: string; readonly wrapped: string }) => addFirstDataKey(db, key, now()),
    beginRotation: (
      retired: string,
      fresh: { readonly id: string; readonly wrapped: string; readonly wrappedNext: string },
      next: ReadonlyMap<string, string>,
    ) => beginKeyRotation(db, retired, fresh, next, now()),
    settleRotation: () => settleKeyRotation(db),
  }
}
