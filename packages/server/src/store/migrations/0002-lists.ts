import { sql, type Kysely } from 'kysely'

/**
 * What lists are sorted by. A list of exports has columns of four tables, and no index spans tables; so the database itself
 * keeps for each export one short text per column, and one index then answers every order. Each row here is written from
 * one side only (an export, its last run, its schedule, its connection), so two writers never wait for each other crosswise.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
}

const TIME = `'YYYYMMDDHH24MISSUS'`
const nameKey = (name: string): string => `name_key(${name})`
const timeKey = (at: string): string => `to_char(${at} AT TIME ZONE 'UTC', ${TIME})`

const STATEMENTS = [
  // Upper and lower case alike, and letters with accents where those without are. In the code's own order, which no upgrade
  // of the operating system changes under an index.
  `CREATE FUNCTION name_key(name text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT regexp_replace(normalize(lower(name), NFD), '[\\u0300-\\u036F]+', '', 'g') COLLATE "C"
  $$`,
  `CREATE TABLE export_sort (
    export_id text NOT NULL REFERENCES export ON DELETE CASCADE,
    sort text NOT NULL,
    key text COLLATE "C" NOT NULL,
    PRIMARY KEY (export_id, sort)
  )`,
  `CREATE INDEX export_sort_key ON export_sort (sort, key, export_id)`,
  `CREATE TABLE export_last_run (
    export_id text PRIMARY KEY REFERENCES export ON DELETE CASCADE,
    run_id text NOT NULL,
    status text NOT NULL,
    started_by text NOT NULL,
    actor text NOT NULL,
    created_at timestamptz NOT NULL,
    finished_at timestamptz,
    delivered bigint NOT NULL,
    rejected bigint NOT NULL
  )`,
  `CREATE INDEX export_last_run_status ON export_last_run (status, export_id)`,

  `CREATE FUNCTION export_sort_put(of_export text, by_sort text, to_key text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO export_sort (export_id, sort, key) VALUES (of_export, by_sort, to_key)
    ON CONFLICT (export_id, sort) DO UPDATE SET key = EXCLUDED.key WHERE export_sort.key <> EXCLUDED.key
  $$`,
  `CREATE FUNCTION export_sorted() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      PERFORM export_sort_put(NEW.id, 'name', ${nameKey('NEW.name')});
      PERFORM export_sort_put(NEW.id, 'connector', NEW.connector_id);
      PERFORM export_sort_put(NEW.id, 'kind', NEW.source ->> 'kind');
      PERFORM export_sort_put(NEW.id, 'created', ${timeKey('NEW.created_at')});
      PERFORM export_sort_put(NEW.id, 'updated', ${timeKey('NEW.updated_at')});
      PERFORM export_sort_put(NEW.id, 'updatedBy', ${nameKey('NEW.updated_by')});
      PERFORM export_sort_put(NEW.id, 'connection',
        coalesce((SELECT ${nameKey('name')} FROM connection WHERE id = NEW.connection_id), ''));
      IF TG_OP = 'INSERT' THEN
        PERFORM export_sort_put(NEW.id, 'status', '');
        PERFORM export_sort_put(NEW.id, 'lastRun', '');
        PERFORM export_sort_put(NEW.id, 'delivered', '');
        PERFORM export_sort_put(NEW.id, 'rejected', '');
        PERFORM export_sort_put(NEW.id, 'nextRun', '9');
      END IF;
      RETURN NULL;
    END $$`,
  `CREATE FUNCTION connection_sorted() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      UPDATE export_sort SET key = ${nameKey('NEW.name')}
       WHERE sort = 'connection' AND export_id IN (SELECT id FROM export WHERE connection_id = NEW.id);
      RETURN NULL;
    END $$`,
  // Without a next run: after all that have one.
  `CREATE FUNCTION schedule_sorted() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF TG_OP = 'DELETE' THEN
        UPDATE export_sort SET key = '9' WHERE export_id = OLD.export_id AND sort = 'nextRun';
      ELSE
        PERFORM export_sort_put(NEW.export_id, 'nextRun', coalesce('0' || ${timeKey('NEW.next_at')}, '9'));
      END IF;
      RETURN NULL;
    END $$`,
  // The newest run that delivers, whatever started it: a preview is no run of the export's history in its list.
  `CREATE FUNCTION run_is_last() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
      were_delivered bigint := coalesce((NEW.counts ->> 'accepted')::bigint, 0);
      were_rejected bigint := coalesce((NEW.counts ->> 'rejected')::bigint, 0);
    BEGIN
      IF NEW.purpose <> 'deliver' THEN RETURN NULL; END IF;
      INSERT INTO export_last_run (export_id, run_id, status, started_by, actor, created_at, finished_at, delivered, rejected)
      VALUES (NEW.export_id, NEW.id, NEW.status, NEW.started_by, NEW.actor, NEW.created_at, NEW.finished_at,
              were_delivered, were_rejected)
      ON CONFLICT (export_id) DO UPDATE
        SET run_id = EXCLUDED.run_id, status = EXCLUDED.status, started_by = EXCLUDED.started_by, actor = EXCLUDED.actor,
            created_at = EXCLUDED.created_at, finished_at = EXCLUDED.finished_at, delivered = EXCLUDED.delivered,
            rejected = EXCLUDED.rejected
        WHERE (export_last_run.created_at, export_last_run.run_id) <= (EXCLUDED.created_at, EXCLUDED.run_id);
      IF FOUND THEN
        PERFORM export_sort_put(NEW.export_id, 'status', NEW.status);
        PERFORM export_sort_put(NEW.export_id, 'lastRun', ${timeKey('NEW.created_at')});
        PERFORM export_sort_put(NEW.export_id, 'delivered', lpad(were_delivered::text, 16, '0'));
        PERFORM export_sort_put(NEW.export_id, 'rejected', lpad(were_rejected::text, 16, '0'));
      END IF;
      RETURN NULL;
    END $$`,
  `CREATE TRIGGER export_sorted AFTER INSERT OR UPDATE OF name, connection_id, source, updated_at, updated_by ON export
    FOR EACH ROW EXECUTE FUNCTION export_sorted()`,
  `CREATE TRIGGER connection_sorted AFTER UPDATE OF name ON connection
    FOR EACH ROW EXECUTE FUNCTION connection_sorted()`,
  `CREATE TRIGGER schedule_sorted AFTER INSERT OR DELETE OR UPDATE OF next_at ON schedule
    FOR EACH ROW EXECUTE FUNCTION schedule_sorted()`,
  `CREATE TRIGGER run_is_last AFTER INSERT OR UPDATE OF status, counts, finished_at ON run
    FOR EACH ROW EXECUTE FUNCTION run_is_last()`,

  // What was there before: the same functions, once for each row.
  `UPDATE export SET name = name`,
  `INSERT INTO export_sort (export_id, sort, key)
    SELECT id, sort, CASE sort WHEN 'nextRun' THEN '9' ELSE '' END
      FROM export, unnest(ARRAY['status', 'lastRun', 'delivered', 'rejected', 'nextRun']) AS sort
    ON CONFLICT DO NOTHING`,
  `UPDATE schedule SET next_at = next_at`,
  `UPDATE run SET status = status WHERE id IN (
    SELECT DISTINCT ON (export_id) id FROM run WHERE purpose = 'deliver'
     ORDER BY export_id, created_at DESC, id DESC)`,

  `CREATE INDEX run_by_status ON run (status, created_at DESC, id DESC)`,
  `CREATE INDEX run_by_start ON run (started_by, created_at DESC, id DESC)`,
  `CREATE INDEX export_connector ON export (connector_id)`,
  `CREATE INDEX segment_by_name ON segment (name_key(name) COLLATE "C", id)`,
  `CREATE INDEX segment_by_created ON segment (created_at, id)`,
  `CREATE INDEX segment_by_updated ON segment (updated_at, id)`,
  `CREATE INDEX table_by_name ON table_ (name_key(name) COLLATE "C", id)`,
  `CREATE INDEX table_by_created ON table_ (created_at, id)`,
  `CREATE INDEX table_by_updated ON table_ (updated_at, id)`,
  `CREATE INDEX audit_actor ON audit (actor, seq)`,
  `CREATE INDEX audit_action ON audit (action text_pattern_ops, seq)`,
  `CREATE INDEX audit_at ON audit (at, seq)`,
  `ALTER TABLE table_ ADD COLUMN revision integer NOT NULL DEFAULT 1`,
]
