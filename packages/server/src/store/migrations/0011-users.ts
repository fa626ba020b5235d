import { sql, type Kysely } from 'kysely'

/**
 * Users, in the tables that better-auth reads (`access/sign-in.ts`): `user_` is its user, with what Patchbay knows beside
 * it; `sign_in` its account, with the password's hash; `session` and `verification` its own. `link` is ours: one-time links.
 */
export async function up(db: Kysely<never>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
}

const STATEMENTS: readonly string[] = [
  `CREATE TABLE user_ (
    id text PRIMARY KEY,
    name text NOT NULL,
    email text NOT NULL UNIQUE,
    email_verified boolean NOT NULL DEFAULT true,
    image text,
    role text NOT NULL DEFAULT 'none',
    is_owner boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    last_sign_in_at timestamptz,
    removed_at timestamptz
  )`,
  // However many ask at once, one becomes the owner.
  `CREATE UNIQUE INDEX user_is_owner ON user_ (is_owner) WHERE is_owner`,
  `CREATE TABLE sign_in (
    id text PRIMARY KEY,
    account_id text NOT NULL,
    provider_id text NOT NULL,
    user_id text NOT NULL REFERENCES user_ (id) ON DELETE CASCADE,
    access_token text,
    refresh_token text,
    id_token text,
    access_token_expires_at timestamptz,
    refresh_token_expires_at timestamptz,
    scope text,
    password text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    UNIQUE (provider_id, account_id)
  )`,
  `CREATE INDEX sign_in_user ON sign_in (user_id)`,
  `CREATE TABLE session (
    id text PRIMARY KEY,
    user_id text NOT NULL REFERENCES user_ (id) ON DELETE CASCADE,
    token text NOT NULL UNIQUE,
    expires_at timestamptz NOT NULL,
    ip_address text,
    user_agent text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
  )`,
  `CREATE INDEX session_of_user ON session (user_id)`,
  `CREATE TABLE verification (
    id text PRIMARY KEY,
    identifier text NOT NULL,
    value text NOT NULL,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
  )`,
  `CREATE INDEX verification_identifier ON verification (identifier)`,
  `CREATE TABLE link (
    id text PRIMARY KEY,
    hash text NOT NULL UNIQUE,
    kind text NOT NULL,
    email text,
    role text,
    user_id text REFERENCES user_ (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
  )`,
  `CREATE INDEX link_open ON link (kind, expires_at) WHERE used_at IS NULL`,
]
