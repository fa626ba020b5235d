import type { Db } from './schema.ts'

/** A data key as the store holds it: wrapped by the key-encryption key, which never comes here. */
export interface DataKey {
  readonly id: string
  readonly wrapped: string
  readonly state: 'active' | 'retired'
}

export async function listDataKeys(db: Db): Promise<readonly DataKey[]> {
  return db.selectFrom('data_key').select(['id', 'wrapped', 'state']).orderBy('created_at').execute()
}

/** Adds the first key; where another process was quicker, its key stands and this one is dropped. */
export async function addFirstDataKey(
  db: Db,
  key: { readonly id: string; readonly wrapped: string },
  now: Date,
): Promise<void> {
  await db
    .insertInto('data_key')
    .values({ ...key, state: 'active', created_at: now })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}
