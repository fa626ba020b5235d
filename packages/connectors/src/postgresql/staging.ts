/**
 * Upsert and mirror: lines go into a temporary table first and are merged in the commit. A temporary table asks for no
 * right on the schema, nobody else sees it, and it was as fast as an unlogged one. Its columns are c1, c2, … of the
 * very types of the target, so a value that the target cannot take fails here, with its line; none can clash with `change`.
 */
import { DestinationInvalid, type TableOutcome, type TableShape } from '@patchbay/connector-sdk'
import { DatabaseError } from 'pg'
import { quote, quoteTable, type TableName } from './names.ts'
import type { Session } from './session.ts'

export const STAGING = 'patchbay_staging'
const STAGED = `pg_temp.${STAGING}`

export function stagedColumns(shape: TableShape): ReadonlyMap<string, string> {
  return new Map([['change', 'change'], ...shape.columns.map(({ name }, index) => [`c${index + 1}`, name] as const)])
}

export async function createStaging(session: Session, target: TableName, shape: TableShape): Promise<void> {
  const columns = shape.columns.map(({ name }, index) => `${quote(name)} AS c${index + 1}`)
  const required = shape.columns.flatMap(({ name }, index) =>
    // An index lets NULLs stand beside each other: a row without a key would be added anew by every run.
    shape.key.includes(name) ? [`ALTER c${index + 1} SET NOT NULL`] : [],
  )
  try {
    await session.query(
      `CREATE TEMPORARY TABLE ${STAGING} ON COMMIT DROP AS
       SELECT ''::text AS change, ${columns.join(', ')} FROM ${quoteTable(target)} LIMIT 0`,
    )
  } catch (error) {
    if (!(error instanceof DatabaseError && error.code === '42501')) throw error
    throw new DestinationInvalid(
      'table',
      "Patchbay's role may not make temporary tables, which this mode needs: GRANT TEMPORARY ON DATABASE, and SELECT on the table",
      { cause: new Error('SQLSTATE 42501') },
    )
  }
  await session.query(`ALTER TABLE ${STAGED} ${[...required, 'ALTER change SET NOT NULL'].join(', ')}`)
}

/**
 * Gives the numbers of lines by their change. Each added or changed line has been seen to touch one row of the table;
 * a removed row that was gone already counts as removed, because the table is as it should be.
 */
export async function mergeStaging(
  session: Session,
  target: TableName,
  shape: TableShape,
  isNew: boolean,
): Promise<TableOutcome> {
  const outcome = await countLines(session)
  if (outcome.removed > 0) await session.query(deleteSql(target, shape))
  const sent = outcome.added + outcome.changed
  if (sent === 0) return outcome
  const { count } = await session.query(isNew ? insertSql(target, shape) : upsertSql(target, shape))
  if (count !== sent)
    throw new DestinationInvalid(
      'table',
      `${quoteTable(target)} took ${count} of ${sent} rows: a trigger or a rule of the table holds rows back`,
    )
  return outcome
}

async function countLines(session: Session): Promise<TableOutcome> {
  const { rows } = await session.query<{ change: string; lines: string }>(
    `SELECT change, count(*) AS lines FROM ${STAGED} GROUP BY change`,
  )
  const outcome = { added: 0, changed: 0, removed: 0 }
  for (const { change, lines } of rows) {
    if (change !== 'added' && change !== 'changed' && change !== 'removed')
      throw new Error(`${lines} lines are neither added, changed nor removed`)
    outcome[change] = Number(lines)
  }
  return outcome
}

function deleteSql(target: TableName, shape: TableShape): string {
  const isSame = shape.columns.flatMap(({ name }, index) =>
    shape.key.includes(name) ? [`t.${quote(name)} = s.c${index + 1}`] : [],
  )
  return `DELETE FROM ${quoteTable(target)} t USING ${STAGED} s WHERE s.change = 'removed' AND ${isSame.join(' AND ')}`
}

function insertSql(target: TableName, shape: TableShape): string {
  const names = shape.columns.map(({ name }) => quote(name))
  const staged = shape.columns.map((_, index) => `c${index + 1}`)
  return `INSERT INTO ${quoteTable(target)} (${names.join(', ')})
    SELECT ${staged.join(', ')} FROM ${STAGED} WHERE change <> 'removed'`
}

/**
 * `ON CONFLICT` and not `UPDATE` plus `INSERT` or `MERGE`: the fastest for a few changes in a large table, level with
 * them when all rows change, and the only one that does not fail when another program inserts the same key meanwhile.
 */
function upsertSql(target: TableName, shape: TableShape): string {
  const key = shape.key.map(quote)
  const values = shape.columns.map(({ name }) => quote(name)).filter((name) => !key.includes(name))
  // A table of nothing but its key: the row is set to itself, so that it is counted.
  const set = (values.length > 0 ? values : key).map((name) => `${name} = excluded.${name}`)
  return `${insertSql(target, shape)} ON CONFLICT (${key.join(', ')}) DO UPDATE SET ${set.join(', ')}`
}
