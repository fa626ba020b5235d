/** People who are erased, by the hash of their row's key: enough to never send them again, and not their key. */
import { sql, type Kysely } from 'kysely'

export async function up(db: Kysely<never>): Promise<void> {
  await sql`CREATE TABLE erased (
    table_id text NOT NULL REFERENCES table_ ON DELETE CASCADE,
    key_hash text NOT NULL,
    erased_at timestamptz NOT NULL,
    erased_by text NOT NULL,
    PRIMARY KEY (table_id, key_hash)
  )`.execute(db)
}
