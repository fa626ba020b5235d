import { sql, type Kysely } from 'kysely'

/**
 * What the list of connections is sorted by, kept as the list of exports is (see 0002): a short text for each column, and one
 * index that answers every order. How many exports use a connection is counted as they come and go.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
}

const timeKey = (at: string): string => `to_char(${at} AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS')`

const STATEMENTS = [
  // What a connector says of itself in this version of the program, written at each start: lists are sorted by it.
  `CREATE TABLE connector_seen (
    id text PRIMARY KEY,
    direction text NOT NULL,
    category text NOT NULL
  )`,
  `ALTER TABLE connection ADD COLUMN used_by integer NOT NULL DEFAULT 0`,
  `UPDATE connection SET used_by = (SELECT count(*) FROM export WHERE export.connection_id = connection.id)`,

  `CREATE TABLE connection_sort (
    connection_id text NOT NULL REFERENCES connection ON DELETE CASCADE,
    sort text NOT NULL,
    key text COLLATE "C" NOT NULL,
    PRIMARY KEY (connection_id, sort)
  )`,
  `CREATE INDEX connection_sort_key ON connection_sort (sort, key, connection_id)`,
  `CREATE FUNCTION connection_sort_put(of_connection text, by_sort text, to_key text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO connection_sort (connection_id, sort, key) VALUES (of_connection, by_sort, to_key)
    ON CONFLICT (connection_id, sort) DO UPDATE SET key = EXCLUDED.key WHERE connection_sort.key <> EXCLUDED.key
  $$`,
  // What needs somebody comes first: failing, then unknown; never checked, then checked long ago.
  `CREATE FUNCTION connection_listed() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      PERFORM connection_sort_put(NEW.id, 'name', name_key(NEW.name));
      PERFORM connection_sort_put(NEW.id, 'connector', NEW.connector_id);
      PERFORM connection_sort_put(NEW.id, 'direction',
        coalesce((SELECT direction FROM connector_seen WHERE id = NEW.connector_id), ''));
      PERFORM connection_sort_put(NEW.id, 'category',
        coalesce((SELECT category FROM connector_seen WHERE id = NEW.connector_id), ''));
      PERFORM connection_sort_put(NEW.id, 'health',
        CASE NEW.health WHEN 'failing' THEN '0' WHEN 'unknown' THEN '1' ELSE '2' END);
      PERFORM connection_sort_put(NEW.id, 'checked', coalesce(${timeKey('NEW.checked_at')}, ''));
      PERFORM connection_sort_put(NEW.id, 'usedBy', lpad(NEW.used_by::text, 10, '0'));
      PERFORM connection_sort_put(NEW.id, 'sharing',
        CASE NEW.sharing WHEN 'administrators' THEN '0' WHEN 'named' THEN '1' ELSE '2' END);
      PERFORM connection_sort_put(NEW.id, 'created', ${timeKey('NEW.created_at')});
      PERFORM connection_sort_put(NEW.id, 'createdBy', name_key(NEW.created_by));
      RETURN NULL;
    END $$`,
  `CREATE TRIGGER connection_listed
    AFTER INSERT OR UPDATE OF name, health, checked_at, used_by, sharing ON connection
    FOR EACH ROW EXECUTE FUNCTION connection_listed()`,
  `CREATE FUNCTION connector_listed() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      UPDATE connection_sort SET key = CASE sort WHEN 'direction' THEN NEW.direction ELSE NEW.category END
       WHERE sort IN ('direction', 'category')
         AND connection_id IN (SELECT id FROM connection WHERE connector_id = NEW.id);
      RETURN NULL;
    END $$`,
  `CREATE TRIGGER connector_listed AFTER INSERT OR UPDATE ON connector_seen
    FOR EACH ROW EXECUTE FUNCTION connector_listed()`,
  `CREATE FUNCTION export_counted() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
      before text := CASE WHEN TG_OP = 'INSERT' THEN NULL ELSE OLD.connection_id END;
      after text := CASE WHEN TG_OP = 'DELETE' THEN NULL ELSE NEW.connection_id END;
    BEGIN
      IF before IS NOT DISTINCT FROM after THEN RETURN NULL; END IF;
      UPDATE connection SET used_by = used_by - 1 WHERE id = before;
      UPDATE connection SET used_by = used_by + 1 WHERE id = after;
      RETURN NULL;
    END $$`,
  `CREATE TRIGGER export_counted AFTER INSERT OR DELETE OR UPDATE OF connection_id ON export
    FOR EACH ROW EXECUTE FUNCTION export_counted()`,
  `UPDATE connection SET name = name`,

  `DROP INDEX connection_shared`,
  `CREATE INDEX connection_connector ON connection (connector_id)`,
]
