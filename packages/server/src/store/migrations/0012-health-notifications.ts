import { sql, type Kysely } from 'kysely'

/** Health with its history and its next check; and what people are told of, once for each cause. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
}

const STATEMENTS = [
  `ALTER TABLE connection
    ADD COLUMN check_due_at timestamptz,
    ADD COLUMN failing_step text,
    ADD COLUMN failing_field text,
    ADD COLUMN failing_message text,
    ADD COLUMN failures integer NOT NULL DEFAULT 0`,
  `CREATE INDEX connection_check_due ON connection (check_due_at) WHERE check_due_at IS NOT NULL`,
  `UPDATE connection SET check_due_at = now() + random() * interval '1 hour'`,
  `CREATE TABLE connection_check (
    connection_id text NOT NULL REFERENCES connection ON DELETE CASCADE,
    at timestamptz NOT NULL,
    started_by text NOT NULL CHECK (started_by IN ('person', 'saved', 'run', 'clock')),
    ok boolean NOT NULL,
    step text,
    field text,
    message text
  )`,
  `CREATE INDEX connection_check_of ON connection_check (connection_id, at DESC)`,
  `CREATE INDEX connection_check_at ON connection_check (at)`,
  `CREATE TABLE secret_expiry (
    connection_id text NOT NULL REFERENCES connection ON DELETE CASCADE,
    field text NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (connection_id, field)
  )`,
  `CREATE INDEX secret_expiry_at ON secret_expiry (expires_at)`,

  `CREATE TABLE notification (
    id text PRIMARY KEY,
    kind text NOT NULL,
    phase text NOT NULL CHECK (phase IN ('raised', 'recovered')),
    cause text NOT NULL,
    title text NOT NULL,
    detail text NOT NULL,
    export_id text,
    connection_id text,
    run_id text,
    owner text,
    at timestamptz NOT NULL
  )`,
  `CREATE INDEX notification_newest ON notification (at DESC, id DESC)`,
  `CREATE INDEX notification_owner ON notification (owner, at DESC, id DESC)`,
  // A cause that goes on: while its row stands, nobody is told of it again.
  `CREATE TABLE notification_cause (
    key text PRIMARY KEY,
    kind text NOT NULL,
    opened_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    times integer NOT NULL DEFAULT 1
  )`,
  `CREATE TABLE notification_read (
    notification_id text NOT NULL REFERENCES notification ON DELETE CASCADE,
    reader text NOT NULL,
    PRIMARY KEY (notification_id, reader)
  )`,
  `CREATE TABLE notification_setting (
    reader text PRIMARY KEY,
    ways jsonb NOT NULL,
    mail_to text,
    webhook_url text,
    webhook_secret text,
    updated_at timestamptz NOT NULL
  )`,
  `CREATE TABLE notification_delivery (
    notification_id text NOT NULL REFERENCES notification ON DELETE CASCADE,
    reader text NOT NULL,
    way text NOT NULL CHECK (way IN ('mail', 'webhook')),
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz,
    ended text CHECK (ended IN ('sent', 'given-up', 'not-theirs')),
    error text,
    PRIMARY KEY (notification_id, reader, way)
  )`,
  `CREATE INDEX notification_delivery_due ON notification_delivery (due_at) WHERE due_at IS NOT NULL`,

  // Counted and not added up: rows may be put back by a restore in any order. The lock lets the second of two count after the
  // first is there.
  `CREATE OR REPLACE FUNCTION export_counted() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
      before text := CASE WHEN TG_OP = 'INSERT' THEN NULL ELSE OLD.connection_id END;
      after text := CASE WHEN TG_OP = 'DELETE' THEN NULL ELSE NEW.connection_id END;
    BEGIN
      IF before IS NOT DISTINCT FROM after THEN RETURN NULL; END IF;
      PERFORM FROM connection WHERE id IN (before, after) ORDER BY id FOR NO KEY UPDATE;
      UPDATE connection SET used_by = (SELECT count(*) FROM export WHERE export.connection_id = connection.id)
       WHERE id IN (before, after);
      RETURN NULL;
    END $$`,
]
