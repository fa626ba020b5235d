import { sql, type Kysely } from 'kysely'

/** A secret field may name a secret of a key vault, which is a connection too, instead of holding one. */
export async function up(db: Kysely<never>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
}

const STATEMENTS: readonly string[] = [
  `ALTER TABLE secret ADD COLUMN vault_id text REFERENCES connection`,
  `ALTER TABLE secret ADD COLUMN vault_secret text`,
  // One or the other, whatever the code above does.
  `ALTER TABLE secret ADD CHECK ((vault_id IS NULL) = (vault_secret IS NULL) AND (vault_id IS NULL OR sealed = ''))`,
  `CREATE INDEX secret_vault ON secret (vault_id) WHERE vault_id IS NOT NULL`,
]
