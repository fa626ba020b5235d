import { sql, type Kysely } from 'kysely'

/** Forward only, and never changed once it was released: what comes after is a migration of its own. */
export async function up(db: Kysely<never>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
}

const STATEMENTS: readonly string[] = [
  `CREATE TABLE table_ (
    id text PRIMARY KEY,
    name text NOT NULL,
    is_profile boolean NOT NULL,
    key text NOT NULL,
    fields jsonb NOT NULL,
    current_version integer NOT NULL,
    last_version integer NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
  )`,
  `CREATE UNIQUE INDEX table_name ON table_ (lower(name))`,
  `CREATE UNIQUE INDEX table_profile ON table_ (is_profile) WHERE is_profile`,
  `CREATE TABLE table_version (
    table_id text NOT NULL REFERENCES table_ ON DELETE CASCADE,
    version integer NOT NULL,
    fields jsonb NOT NULL,
    files jsonb NOT NULL,
    rows bigint NOT NULL,
    bad_lines bigint NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (table_id, version)
  )`,
  `CREATE TABLE segment (
    id text PRIMARY KEY,
    name text NOT NULL,
    rule jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    revision integer NOT NULL DEFAULT 1
  )`,
  `CREATE UNIQUE INDEX segment_name ON segment (lower(name))`,
  `CREATE TABLE connection (
    id text PRIMARY KEY,
    name text NOT NULL,
    connector_id text NOT NULL,
    settings jsonb NOT NULL,
    policy jsonb NOT NULL,
    health text NOT NULL DEFAULT 'unknown',
    checked_at timestamptz,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    updated_at timestamptz NOT NULL,
    revision integer NOT NULL DEFAULT 1
  )`,
  `CREATE UNIQUE INDEX connection_name ON connection (lower(name))`,
  `CREATE TABLE secret (
    connection_id text NOT NULL REFERENCES connection ON DELETE CASCADE,
    field text NOT NULL,
    sealed text NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (connection_id, field)
  )`,
  `CREATE TABLE data_key (
    id text PRIMARY KEY,
    wrapped text NOT NULL,
    state text NOT NULL CHECK (state IN ('active', 'retired')),
    created_at timestamptz NOT NULL
  )`,
  `CREATE UNIQUE INDEX data_key_active ON data_key (state) WHERE state = 'active'`,
  `CREATE TABLE export (
    id text PRIMARY KEY,
    name text NOT NULL,
    connection_id text REFERENCES connection,
    connector_id text NOT NULL,
    destination_type text NOT NULL,
    destination jsonb NOT NULL,
    mode text NOT NULL,
    source jsonb NOT NULL,
    merge jsonb NOT NULL,
    format jsonb NOT NULL,
    guard jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    updated_at timestamptz NOT NULL,
    updated_by text NOT NULL,
    revision integer NOT NULL DEFAULT 1
  )`,
  `CREATE UNIQUE INDEX export_name ON export (lower(name))`,
  `CREATE INDEX export_connection ON export (connection_id)`,
  `CREATE TABLE schedule (
    export_id text PRIMARY KEY REFERENCES export ON DELETE CASCADE,
    spec jsonb NOT NULL,
    is_on boolean NOT NULL,
    next_at timestamptz,
    failures integer NOT NULL DEFAULT 0,
    paused_reason text,
    refresh_pending boolean NOT NULL DEFAULT false
  )`,
  `CREATE INDEX schedule_next ON schedule (next_at) WHERE next_at IS NOT NULL`,
  `CREATE TABLE ledger (
    export_id text NOT NULL REFERENCES export ON DELETE CASCADE,
    destination_digest text NOT NULL,
    source text NOT NULL,
    ref jsonb NOT NULL,
    version integer NOT NULL,
    run_id text NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (export_id, destination_digest, source)
  )`,
  `CREATE TABLE delivered_file (
    export_id text NOT NULL REFERENCES export ON DELETE CASCADE,
    destination_digest text NOT NULL,
    name text NOT NULL,
    rows bigint NOT NULL,
    size_bytes bigint NOT NULL,
    sha256 text NOT NULL,
    run_id text NOT NULL,
    PRIMARY KEY (export_id, destination_digest, name)
  )`,
  `CREATE TABLE run (
    id text PRIMARY KEY,
    export_id text NOT NULL REFERENCES export ON DELETE CASCADE,
    purpose text NOT NULL,
    status text NOT NULL,
    stage text,
    stages jsonb NOT NULL DEFAULT '[]',
    started_by text NOT NULL,
    actor text NOT NULL,
    counts jsonb,
    reason text,
    plan jsonb,
    diff jsonb,
    outbox_digest text,
    approved_digest text,
    approved_by text,
    approved_at timestamptz,
    cancel_requested_at timestamptz,
    cancel_requested_by text,
    slot timestamptz,
    late boolean NOT NULL DEFAULT false,
    epoch integer NOT NULL DEFAULT 0,
    heartbeat_at timestamptz,
    holder text,
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL,
    retry_of text,
    retry_include text,
    connection_id text,
    destination_digest text,
    created_at timestamptz NOT NULL,
    started_at timestamptz,
    finished_at timestamptz,
    settled_at timestamptz
  )`,
  // One run of an export at a time, and one run for a slot: held here, whatever the code above does.
  `CREATE UNIQUE INDEX run_open ON run (export_id)
    WHERE purpose = 'deliver' AND status IN ('queued', 'running', 'held', 'failed-retrying')`,
  `CREATE UNIQUE INDEX run_slot ON run (export_id, slot) WHERE slot IS NOT NULL`,
  `CREATE INDEX run_of_export ON run (export_id, created_at DESC, id DESC)`,
  `CREATE INDEX run_newest ON run (created_at DESC, id DESC)`,
  `CREATE INDEX run_unfinished ON run (status) WHERE status IN ('queued', 'running', 'held', 'failed-retrying')`,
  `CREATE INDEX run_unsettled ON run (export_id) WHERE status = 'failed' AND settled_at IS NULL`,
  `CREATE TABLE run_journal (
    run_id text NOT NULL REFERENCES run ON DELETE CASCADE,
    source text NOT NULL,
    kind text NOT NULL,
    first_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    state text NOT NULL,
    accepted bigint NOT NULL DEFAULT 0,
    rejected bigint NOT NULL DEFAULT 0,
    uncertain bigint NOT NULL DEFAULT 0,
    exceptions_path text,
    file jsonb,
    intended_at timestamptz NOT NULL DEFAULT now(),
    answered_at timestamptz,
    PRIMARY KEY (run_id, source, kind, first_seq, last_seq)
  )`,
  // Both are called for every batch. As functions, their plans are made once a session and not each time, which halves their
  // cost. They take the run's row, so that a take-over waits for them, or they for it and then find another epoch: no row.
  `CREATE FUNCTION run_intend(of_run text, of_epoch integer, of_source text, of_kind text, of_first bigint, of_last bigint,
                              of_file jsonb)
    RETURNS TABLE (canceled_by text, is_connected boolean, entry_state text) LANGUAGE plpgsql AS $$
    BEGIN
      SELECT CASE WHEN run.cancel_requested_at IS NOT NULL THEN coalesce(run.cancel_requested_by, '') END,
             run.connection_id IS NOT NULL AND export.connection_id IS NOT DISTINCT FROM run.connection_id
        INTO canceled_by, is_connected
        FROM run JOIN export ON export.id = run.export_id
       WHERE run.id = of_run AND run.epoch = of_epoch AND run.status = 'running'
         FOR SHARE OF run;
      IF NOT FOUND THEN RETURN; END IF;
      IF canceled_by IS NULL AND is_connected THEN
        INSERT INTO run_journal (run_id, source, kind, first_seq, last_seq, state, file)
        VALUES (of_run, of_source, of_kind, of_first, of_last, 'intended', of_file)
        ON CONFLICT (run_id, source, kind, first_seq, last_seq)
          DO UPDATE SET file = coalesce(EXCLUDED.file, run_journal.file)
        RETURNING run_journal.state INTO entry_state;
      END IF;
      RETURN NEXT;
    END $$`,
  `CREATE FUNCTION run_answer(of_run text, of_epoch integer, of_source text, of_kind text, of_first bigint, of_last bigint,
                              were_accepted bigint, were_rejected bigint, were_uncertain bigint, of_exceptions text)
    RETURNS boolean LANGUAGE plpgsql AS $$
    BEGIN
      PERFORM FROM run WHERE run.id = of_run AND run.epoch = of_epoch AND run.status = 'running' FOR SHARE;
      IF NOT FOUND THEN RETURN false; END IF;
      INSERT INTO run_journal (run_id, source, kind, first_seq, last_seq, state, accepted, rejected, uncertain,
                               exceptions_path, answered_at)
      VALUES (of_run, of_source, of_kind, of_first, of_last, 'answered', were_accepted, were_rejected, were_uncertain,
              of_exceptions, now())
      ON CONFLICT (run_id, source, kind, first_seq, last_seq)
        DO UPDATE SET state = 'answered', accepted = EXCLUDED.accepted, rejected = EXCLUDED.rejected,
                      uncertain = EXCLUDED.uncertain, exceptions_path = EXCLUDED.exceptions_path, answered_at = now()
        WHERE run_journal.state = 'intended';
      RETURN true;
    END $$`,
  `CREATE TABLE idempotency (
    scope text NOT NULL,
    key text NOT NULL,
    request_digest text NOT NULL,
    answer jsonb,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (scope, key)
  )`,
  `CREATE INDEX idempotency_age ON idempotency (created_at)`,
  `CREATE TABLE api_key (
    id text PRIMARY KEY,
    name text NOT NULL,
    role text NOT NULL,
    hash text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    expires_at timestamptz,
    last_used_at timestamptz
  )`,
  `CREATE UNIQUE INDEX api_key_name ON api_key (lower(name))`,
  `CREATE TABLE audit (
    seq bigint PRIMARY KEY,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    detail jsonb NOT NULL,
    prev_hash text NOT NULL,
    hash text NOT NULL
  )`,
  `CREATE INDEX audit_subject ON audit (subject, seq)`,
  // A first fence against a slip of our own code. Whoever owns the database can take it down; the chain then shows what they did.
  `CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN RAISE EXCEPTION ''the audit log is append-only''; END'`,
  `CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()`,
  `CREATE TABLE setting (
    key text PRIMARY KEY,
    value jsonb NOT NULL,
    updated_at timestamptz NOT NULL
  )`,
  `CREATE TABLE upload (
    id text PRIMARY KEY,
    name text NOT NULL,
    size_bytes bigint NOT NULL,
    state text NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
  )`,
]
