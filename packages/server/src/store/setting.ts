import { toJson } from './json.ts'
import type { Db } from './schema.ts'

/** What the program keeps about itself. A key is one of the program's own names, its value plain JSON. */
export async function readSetting(db: Db, key: string): Promise<unknown> {
  const row = await db.selectFrom('setting').select('value').where('key', '=', key).executeTakeFirst()
  return row?.value
}

export async function writeSetting(db: Db, key: string, value: unknown, now: Date): Promise<void> {
  const row = { key, value: toJson(value), updated_at: now }
  await db
    .insertInto('setting')
    .values(row)
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value: row.value, updated_at: now }))
    .execute()
}
