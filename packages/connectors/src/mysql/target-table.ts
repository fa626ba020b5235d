/** Reads what stands at the destination, and makes it where nothing does. */
import type { TableShape } from '@patchbay/connector-sdk'
import { newColumnType, OWNED_MARK, type ExistingTable } from './columns.ts'
import { quote } from './names.ts'
import type { Session } from './session.ts'

/** Compares a name of a table as the server itself tells them apart; takes the name twice. */
function isNamed(column: string): string {
  return `IF(@@lower_case_table_names = 0, BINARY ${column} = BINARY ?, LOWER(${column}) = LOWER(?))`
}

export async function readTable(session: Session, table: string): Promise<ExistingTable | undefined> {
  const [found] = await session.query<{
    name: string
    kind: string
    engine: string | null
    transactions: string | null
    comment: string | null
  }>(
    `SELECT t.TABLE_NAME AS name, t.TABLE_TYPE AS kind, t.ENGINE AS engine, e.TRANSACTIONS AS transactions, t.TABLE_COMMENT AS comment
     FROM information_schema.TABLES t LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE
     WHERE t.TABLE_SCHEMA = DATABASE() AND ${isNamed('t.TABLE_NAME')}`,
    [table, table],
  )
  if (found === undefined) return undefined
  return {
    name: found.name,
    isTable: found.kind === 'BASE TABLE',
    engine: found.engine ?? 'nothing',
    isTransactional: found.transactions === 'YES',
    isOurs: found.comment?.includes(OWNED_MARK) === true,
    cascades: await countCascades(session, table),
    columns: await readColumns(session, table),
    uniqueKeys: await readUniqueKeys(session, table),
  }
}

async function countCascades(session: Session, table: string): Promise<number> {
  const [row] = await session.query<{ cascades: string | number }>(
    `SELECT count(*) AS cascades FROM information_schema.REFERENTIAL_CONSTRAINTS
     WHERE UNIQUE_CONSTRAINT_SCHEMA = DATABASE() AND DELETE_RULE IN ('CASCADE', 'SET NULL', 'SET DEFAULT')
       AND ${isNamed('REFERENCED_TABLE_NAME')}`,
    [table, table],
  )
  return Number(row?.cascades ?? 0)
}

async function readColumns(session: Session, table: string): Promise<ExistingTable['columns']> {
  const rows = await session.query<{
    name: string
    shown: string
    base: string
    charset: string | null
    collation: string | null
    nullable: string
    preset: string | null
    extra: string
  }>(
    `SELECT COLUMN_NAME AS name, COLUMN_TYPE AS shown, DATA_TYPE AS base, CHARACTER_SET_NAME AS charset,
       COLLATION_NAME AS collation, IS_NULLABLE AS nullable, COLUMN_DEFAULT AS preset, EXTRA AS extra
     FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND ${isNamed('TABLE_NAME')} ORDER BY ORDINAL_POSITION`,
    [table, table],
  )
  return rows.map(({ name, shown, base, charset, collation, nullable, preset, extra }) => ({
    name,
    shownType: shown,
    baseType: base.toLowerCase(),
    collation: charset === null || collation === null ? '' : ` CHARACTER SET ${charset} COLLATE ${collation}`,
    isRequired: nullable === 'NO',
    hasDefault: preset !== null || /auto_increment|DEFAULT_GENERATED/i.test(extra),
    isComputed: /\b(?:STORED|VIRTUAL|PERSISTENT)\b/i.test(extra),
  }))
}

async function readUniqueKeys(session: Session, table: string): Promise<ExistingTable['uniqueKeys']> {
  const rows = await session.query<{ index_name: string; column_name: string | null; part: string | number | null }>(
    `SELECT INDEX_NAME AS index_name, COLUMN_NAME AS column_name, SUB_PART AS part FROM information_schema.STATISTICS
     WHERE TABLE_SCHEMA = DATABASE() AND ${isNamed('TABLE_NAME')} AND NON_UNIQUE = 0 ORDER BY INDEX_NAME, SEQ_IN_INDEX`,
    [table, table],
  )
  const indexes = Map.groupBy(rows, ({ index_name }) => index_name)
  return [...indexes.values()]
    .filter((parts) => parts.every(({ column_name, part }) => column_name !== null && part === null))
    .map((parts) => parts.map(({ column_name }) => column_name ?? ''))
}

/**
 * Makes the table with the export's columns. Only key columns are NOT NULL: that a source has no gaps today is no promise
 * for the next run. Making a table is no part of a transaction here: until the commit, others see it empty.
 */
export async function createTable(
  session: Session,
  table: string,
  shape: TableShape,
  key: readonly string[],
): Promise<void> {
  const columns = shape.columns.map(
    (column) =>
      `${quote(column.name)} ${newColumnType(column, key, shape, session.isMariaDb)} ${key.includes(column.name) ? 'NOT NULL' : 'NULL'}`,
  )
  const primary = key.length === 0 ? [] : [`PRIMARY KEY (${key.map(quote).join(', ')})`]
  await session.run(
    `CREATE TABLE ${quote(table)} (${[...columns, ...primary].join(', ')})
     ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COMMENT = 'Made by Patchbay (${OWNED_MARK})'`,
  )
}
