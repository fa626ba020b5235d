/**
 * The feed of changes that open pages follow. A row says what changed and never how: whoever may see it asks for it. Numbers
 * are given before commits, so a reader goes by the transaction first and stays behind the oldest that is still open; then
 * none is missed.
 */
import { sql, type Kysely } from 'kysely'

export async function up(db: Kysely<never>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
}

const follow = (table: string, kind: string, when: string): string =>
  `CREATE TRIGGER ${table}_followed AFTER INSERT OR DELETE OR UPDATE${when} ON ${table}
    FOR EACH ROW EXECUTE FUNCTION follow_change('${kind}')`

const STATEMENTS = [
  `CREATE TABLE change (
    tx xid8 NOT NULL DEFAULT pg_current_xact_id(),
    seq bigint GENERATED ALWAYS AS IDENTITY,
    kind text NOT NULL,
    id text NOT NULL,
    what text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tx, seq)
  )`,
  `CREATE INDEX change_age ON change (at)`,
  `CREATE FUNCTION follow_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      INSERT INTO change (kind, id, what)
      VALUES (TG_ARGV[0], CASE TG_OP WHEN 'DELETE' THEN OLD.id ELSE NEW.id END,
              CASE TG_OP WHEN 'INSERT' THEN 'added' WHEN 'UPDATE' THEN 'changed' ELSE 'removed' END);
      RETURN NULL;
    END $$`,
  `CREATE FUNCTION follow_schedule() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      INSERT INTO change (kind, id, what)
      VALUES ('export', CASE TG_OP WHEN 'DELETE' THEN OLD.export_id ELSE NEW.export_id END, 'changed');
      RETURN NULL;
    END $$`,
  follow('export', 'export', ''),
  follow('segment', 'segment', ''),
  follow('table_', 'table', ''),
  follow('connection', 'connection', ''),
  // Not for a heartbeat, and not for a plan.
  follow('run', 'run', ' OF status, stage, counts, cancel_requested_at, approved_at'),
  `CREATE TRIGGER schedule_followed AFTER INSERT OR DELETE OR UPDATE ON schedule
    FOR EACH ROW EXECUTE FUNCTION follow_schedule()`,
]
