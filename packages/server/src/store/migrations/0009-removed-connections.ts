import { sql, type Kysely } from 'kysely'

/** Connections that were removed, as they were but without their secrets, until their time for being put back is over. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
}

const STATEMENTS = [
  `CREATE TABLE removed_connection (
    id text PRIMARY KEY,
    name text NOT NULL,
    connector_id text NOT NULL,
    settings jsonb NOT NULL,
    policy jsonb NOT NULL,
    sharing jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    revision integer NOT NULL,
    detached jsonb NOT NULL,
    removed_at timestamptz NOT NULL,
    removed_by text NOT NULL
  )`,
  `CREATE INDEX removed_connection_at ON removed_connection (removed_at, id)`,
  // Who removed an export while a run of it went on: it goes when that run has ended.
  `ALTER TABLE export ADD COLUMN leaving_by text`,
]
