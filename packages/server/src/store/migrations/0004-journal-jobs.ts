/** The journal remembers in which job a service works on a batch that it took, so that a restart asks there. */
import { sql, type Kysely } from 'kysely'

export async function up(db: Kysely<never>): Promise<void> {
  await sql`ALTER TABLE run_journal ADD COLUMN jobs jsonb NOT NULL DEFAULT '{}'`.execute(db)
}
