/** Reads what stands at the destination, and makes it where nothing does. */
import { DestinationInvalid, type TableShape } from '@patchbay/connector-sdk'
import { DatabaseError } from 'pg'
import { NEW_COLUMN_TYPES, OWNED_MARK, type ExistingTable } from './columns.ts'
import { quote, quoteTable, type TableName } from './names.ts'
import type { Session } from './session.ts'

export async function readTable(session: Session, target: TableName): Promise<ExistingTable | undefined> {
  const head = await session.query<{
    oid: string
    kind: string
    is_ours: boolean
    has_row_security: boolean
    cascades: string
    missing_rights: string[]
  }>(
    `SELECT c.oid, c.relkind AS kind,
       pg_catalog.strpos(coalesce(pg_catalog.obj_description(c.oid, 'pg_class'), ''), $3) > 0 AS is_ours,
       pg_catalog.row_security_active(c.oid) AS has_row_security,
       (SELECT count(*) FROM pg_catalog.pg_constraint f
        WHERE f.contype = 'f' AND f.confrelid = c.oid AND f.conrelid <> c.oid AND f.confdeltype IN ('c', 'n', 'd')) AS cascades,
       ARRAY(SELECT r FROM pg_catalog.unnest(ARRAY['SELECT', 'INSERT', 'UPDATE']) r
             WHERE NOT pg_catalog.has_any_column_privilege(c.oid, r)
             UNION ALL SELECT 'DELETE' WHERE NOT pg_catalog.has_table_privilege(c.oid, 'DELETE')) AS missing_rights
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relname = $2`,
    [target.schema, target.table, OWNED_MARK],
  )
  const [found] = head.rows
  if (found === undefined) return undefined
  return {
    kind: found.kind,
    isOurs: found.is_ours,
    hasRowSecurity: found.has_row_security,
    cascades: Number(found.cascades),
    missingRights: found.missing_rights,
    columns: await readColumns(session, found.oid),
    uniqueKeys: await readUniqueKeys(session, found.oid),
  }
}

async function readColumns(session: Session, oid: string): Promise<ExistingTable['columns']> {
  const { rows } = await session.query<{
    name: string
    shown_type: string
    base_type: string
    is_required: boolean
    has_default: boolean
    is_computed: boolean
  }>(
    `SELECT a.attname AS name, pg_catalog.format_type(a.atttypid, a.atttypmod) AS shown_type,
       CASE b.typtype WHEN 'e' THEN 'enum' ELSE b.typname END AS base_type,
       a.attnotnull OR t.typnotnull AS is_required,
       a.atthasdef OR a.attidentity <> '' OR t.typdefault IS NOT NULL AS has_default,
       a.attgenerated <> '' OR a.attidentity = 'a' AS is_computed
     FROM pg_catalog.pg_attribute a
     JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
     JOIN pg_catalog.pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
     WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
     ORDER BY a.attnum`,
    [oid],
  )
  return rows.map((row) => ({
    name: row.name,
    shownType: row.shown_type,
    baseType: row.base_type,
    isRequired: row.is_required,
    hasDefault: row.has_default,
    isComputed: row.is_computed,
  }))
}

async function readUniqueKeys(session: Session, oid: string): Promise<ExistingTable['uniqueKeys']> {
  const { rows } = await session.query<{ columns: string[] }>(
    `SELECT ARRAY(SELECT a.attname::text
                  FROM pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY k (attnum, place)
                  JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
                  WHERE k.place <= i.indnkeyatts ORDER BY k.place) AS columns
     FROM pg_catalog.pg_index i
     WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indisready AND i.indimmediate
       AND i.indpred IS NULL AND i.indexprs IS NULL`,
    [oid],
  )
  return rows.map(({ columns }) => columns)
}

/**
 * Makes the table with the export's columns. Only key columns are NOT NULL: that a source has no gaps today is no
 * promise for the next run. The key comes after the rows (`addKey`), which is faster than to keep it up with each row.
 */
export async function createTable(session: Session, target: TableName, shape: TableShape): Promise<void> {
  const columns = shape.columns.map(
    ({ name, type }) => `${quote(name)} ${NEW_COLUMN_TYPES[type]}${shape.key.includes(name) ? ' NOT NULL' : ''}`,
  )
  try {
    await session.query(`CREATE TABLE ${quoteTable(target)} (${columns.join(', ')})`)
  } catch (error) {
    if (!(error instanceof DatabaseError && error.code === '42501')) throw error
    throw new DestinationInvalid(
      'table',
      "The table does not exist, and Patchbay's role may not make it: create it first, or " +
        `GRANT USAGE, CREATE ON SCHEMA ${quote(target.schema)}`,
      { cause: new Error('SQLSTATE 42501') },
    )
  }
  await session.query(`COMMENT ON TABLE ${quoteTable(target)} IS 'Made by Patchbay (${OWNED_MARK})'`)
}

export async function addKey(session: Session, target: TableName, key: readonly string[]): Promise<void> {
  await session.query(`ALTER TABLE ${quoteTable(target)} ADD PRIMARY KEY (${key.map(quote).join(', ')})`)
}
