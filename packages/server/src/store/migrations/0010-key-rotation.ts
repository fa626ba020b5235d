import { sql, type Kysely } from 'kysely'

/** A data key is wrapped twice while the key-encryption key is exchanged; and what is sealed under an earlier one is found. */
export async function up(db: Kysely<never>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
}

const STATEMENTS: readonly string[] = [
  `ALTER TABLE data_key ADD COLUMN wrapped_next text`,
  `CREATE INDEX secret_key ON secret (split_part(sealed, '.', 2))`,
  `CREATE INDEX oauth_grant_key ON oauth_grant (split_part(sealed, '.', 2))`,
]
