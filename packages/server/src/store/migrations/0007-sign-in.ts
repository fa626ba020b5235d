import { sql, type Kysely } from 'kysely'

/** Sign-in as somebody (OAuth 2.0): what was agreed to, and attempts that go on. */
export async function up(db: Kysely<never>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
}

const STATEMENTS: readonly string[] = [
  `CREATE TABLE oauth_grant (
    connection_id text PRIMARY KEY REFERENCES connection ON DELETE CASCADE,
    generation integer NOT NULL,
    state text NOT NULL CHECK (state IN ('signed-in', 'sign-in-again')),
    reason text,
    account jsonb NOT NULL,
    client_id text NOT NULL,
    sealed text NOT NULL,
    refresh_at timestamptz,
    access_expires_at timestamptz,
    expires_at timestamptz,
    signed_in_at timestamptz NOT NULL,
    signed_in_by text NOT NULL,
    claimed_until timestamptz,
    unanswered boolean NOT NULL DEFAULT false,
    updated_at timestamptz NOT NULL
  )`,
  `CREATE INDEX oauth_grant_risk ON oauth_grant (expires_at)`,
  `CREATE INDEX oauth_grant_again ON oauth_grant (connection_id) WHERE state = 'sign-in-again'`,
  `CREATE TABLE oauth_attempt (
    id text PRIMARY KEY,
    connection_id text NOT NULL REFERENCES connection ON DELETE CASCADE,
    state_hash text NOT NULL UNIQUE,
    asker text NOT NULL,
    endpoint_identity text NOT NULL,
    redirect_uri text NOT NULL,
    sealed text NOT NULL,
    step text NOT NULL CHECK (step IN ('started', 'answered', 'exchanging', 'exchanged', 'failed')),
    reason text,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
  )`,
  `CREATE INDEX oauth_attempt_connection ON oauth_attempt (connection_id)`,
  `CREATE INDEX oauth_attempt_expiry ON oauth_attempt (expires_at)`,
]
