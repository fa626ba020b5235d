/**
 * Upsert and mirror: lines go into a temporary table first and are merged in the commit. Nobody else sees it. Its columns
 * are c1, c2, … of the very types of the target, so a value that the target cannot take fails here, with its line.
 */
import { DestinationInvalid, type TableOutcome, type TableShape } from '@patchbay/connector-sdk'
import type { ExistingTable } from './columns.ts'
import { quote, sameName } from './names.ts'
import type { Session } from './session.ts'

export const STAGING = 'patchbay_staging'

export interface TargetColumn {
  readonly name: string
  readonly baseType: string
  readonly sql: string
}

/** The columns of the export as they stand in the table. */
export function targetColumns(existing: ExistingTable, shape: TableShape): readonly TargetColumn[] {
  return shape.columns.map(({ name }) => {
    const found = existing.columns.find((column) => sameName(column.name, name))
    if (found === undefined) throw new Error(`No column ${name}, which was looked for before`)
    return { name: found.name, baseType: found.baseType, sql: `${found.shownType}${found.collation}` }
  })
}

/** Outside of the transaction: some servers refuse it within one. */
export async function createStaging(
  session: Session,
  columns: readonly TargetColumn[],
  shape: TableShape,
): Promise<void> {
  const cells = columns.map(({ sql }, index) => {
    // An index lets NULLs stand beside each other: a row without a key would be added anew by every run.
    const isKey = shape.key.includes(shape.columns[index]?.name ?? '')
    return `c${index + 1} ${sql} ${isKey ? 'NOT NULL' : 'NULL'}`
  })
  await session.run(
    `CREATE TEMPORARY TABLE ${STAGING} (\`change\` varchar(10) CHARACTER SET ascii NOT NULL, ${cells.join(', ')}) ENGINE = InnoDB`,
  )
}

/**
 * Gives the numbers of lines by their change. Each added or changed line has been seen to touch one row of the table;
 * a removed row that was gone already counts as removed, because the table is as it should be.
 *
 * UPDATE and INSERT, and not INSERT … ON DUPLICATE KEY UPDATE: that one would also overwrite the row that has the same
 * value in any *other* unique index.
 */
export async function mergeStaging(
  session: Session,
  table: string,
  columns: readonly TargetColumn[],
  shape: TableShape,
): Promise<TableOutcome> {
  const outcome = await countLines(session)
  const isKey = (index: number): boolean => shape.key.includes(shape.columns[index]?.name ?? '')
  const onKey = columns
    .flatMap(({ name }, index) => (isKey(index) ? [`t.${quote(name)} = s.c${index + 1}`] : []))
    .join(' AND ')
  const target = quote(table)
  if (outcome.removed > 0)
    await session.run(`DELETE t FROM ${STAGING} s STRAIGHT_JOIN ${target} t ON ${onKey} WHERE s.\`change\` = 'removed'`)
  const sent = outcome.added + outcome.changed
  if (sent === 0) return outcome
  const firstKey = quote(columns.find((_, index) => isKey(index))?.name ?? '')
  const sets = columns.flatMap(({ name }, index) => (isKey(index) ? [] : [`t.${quote(name)} = s.c${index + 1}`]))
  const updated = await updateRows(session, sets, `${STAGING} s STRAIGHT_JOIN ${target} t ON ${onKey}`)
  const inserted = await session.run(
    `INSERT INTO ${target} (${columns.map(({ name }) => quote(name)).join(', ')})
     SELECT ${columns.map((_, index) => `s.c${index + 1}`).join(', ')}
     FROM ${STAGING} s LEFT JOIN ${target} t ON ${onKey} WHERE s.\`change\` <> 'removed' AND t.${firstKey} IS NULL`,
  )
  if (updated + inserted.count !== sent)
    throw new DestinationInvalid(
      'table',
      `${target} took ${updated + inserted.count} of ${sent} rows: two rows of the export are one row to the table (their ` +
        'keys differ, and its unique index holds them equal), or a trigger of the table holds rows back',
    )
  return outcome
}

/** Rows that were there already. */
async function updateRows(session: Session, sets: readonly string[], joined: string): Promise<number> {
  if (sets.length > 0) {
    const { count } = await session.run(`UPDATE ${joined} SET ${sets.join(', ')} WHERE s.\`change\` <> 'removed'`)
    return count
  }
  // A table of nothing but its key.
  const [row] = await session.query<{ found: string | number }>(
    `SELECT count(*) AS found FROM ${joined} WHERE s.\`change\` <> 'removed'`,
  )
  return Number(row?.found ?? 0)
}

async function countLines(session: Session): Promise<TableOutcome> {
  const rows = await session.query<{ change: string; lines: string | number }>(
    `SELECT \`change\`, count(*) AS \`lines\` FROM ${STAGING} GROUP BY \`change\``,
  )
  const outcome = { added: 0, changed: 0, removed: 0 }
  for (const { change, lines } of rows) {
    if (change !== 'added' && change !== 'changed' && change !== 'removed')
      throw new Error(`${lines} lines are neither added, changed nor removed`)
    outcome[change] = Number(lines)
  }
  return outcome
}
