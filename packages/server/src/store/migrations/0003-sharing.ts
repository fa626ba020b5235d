import { sql, type Kysely } from 'kysely'

/** Who may use a connection besides Administrators. What was there before is theirs alone, as it was. */
export async function up(db: Kysely<never>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
}

const STATEMENTS: readonly string[] = [
  `ALTER TABLE connection ADD COLUMN sharing text NOT NULL DEFAULT 'administrators'
     CHECK (sharing IN ('administrators', 'contributors', 'named'))`,
  `CREATE TABLE connection_user (
    connection_id text NOT NULL REFERENCES connection ON DELETE CASCADE,
    user_id text NOT NULL,
    PRIMARY KEY (connection_id, user_id)
  )`,
  `CREATE INDEX connection_user_user ON connection_user (user_id)`,
  // What somebody with whom it is shared may choose from, in the order of its list.
  `CREATE INDEX connection_shared ON connection (sharing, lower(name), id)`,
]
