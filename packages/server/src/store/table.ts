import { sql } from 'kysely'
import { isId, type TableId } from '../domain/ids.ts'
import { Problem } from '../domain/problem.ts'
import type { PinnedTable, Table, TableField, TableVersion } from '../domain/table.ts'
import { appendAudit } from './audit.ts'
import type { By } from './by.ts'
import { inUse, isUniqueViolation, notFound, stale, withUniqueName } from './conflict.ts'
import { toJson } from './json.ts'
import { nameKey, pageOf, paged, patternOf, type Order, type Page, type PageRequest } from './page.ts'
import { usersOfTable } from './references.ts'
import type { Db, Tx } from './schema.ts'

/** What an import made: its files stand under `tables/<id>/<version>/` already, flushed, before the store hears of it. */
export interface NewVersion {
  readonly fields: readonly TableField[]
  readonly files: TableVersion['files']
  readonly rows: number
  readonly badLines: number
}

/** A table comes into being with its first version, which is 1. The id is made by whoever writes the files: `newId('table', …)`. */
export async function createTable(
  tx: Tx,
  draft: {
    readonly id: TableId
    readonly name: string
    readonly isProfile: boolean
    readonly key: string
  } & NewVersion,
  by: By,
): Promise<Table> {
  await withOneProfile(() =>
    withUniqueName('table', 'table_name', draft.name, () =>
      tx
        .insertInto('table_')
        .values({
          id: draft.id,
          name: draft.name,
          is_profile: draft.isProfile,
          key: draft.key,
          fields: toJson(draft.fields),
          current_version: 1,
          last_version: 1,
          created_at: by.now,
          updated_at: by.now,
        })
        .execute(),
    ),
  )
  await insertVersion(tx, draft.id, 1, draft, by)
  const detail = { version: 1, rows: draft.rows }
  await appendAudit(tx, { at: by.now, actor: by.actor, action: 'table.created', subject: draft.id, detail })
  return readTable(tx, draft.id)
}

/** A number for the version that an import is about to write; a number whose import failed is never used again. */
export async function reserveVersion(db: Db, id: TableId): Promise<number> {
  const row = await db
    .updateTable('table_')
    .set((set) => ({ last_version: set('last_version', '+', 1) }))
    .where('id', '=', id)
    .returning('last_version')
    .executeTakeFirst()
  if (row === undefined) throw notFound('table', id)
  return row.last_version
}

/** Makes a version the current one. A version older than the current one is refused: the later import has won. */
export async function addVersion(tx: Tx, id: TableId, version: number, made: NewVersion, by: By): Promise<Table> {
  const updated = await tx
    .updateTable('table_')
    .set((set) => ({
      current_version: version,
      fields: toJson(made.fields),
      updated_at: by.now,
      revision: set('revision', '+', 1),
    }))
    .where('id', '=', id)
    .where('current_version', '<', version)
    .returning('id')
    .executeTakeFirst()
  if (updated === undefined) {
    throw new Problem('conflict', 'A newer import of this table was finished meanwhile', {
      cure: 'Import again if this one holds the newer data',
    })
  }
  await insertVersion(tx, id, version, made, by)
  const detail = { version, rows: made.rows, badLines: made.badLines }
  await appendAudit(tx, { at: by.now, actor: by.actor, action: 'table.refreshed', subject: id, detail })
  return readTable(tx, id)
}

/** Labels, tags and whether it is the profile table. Types and key are the versions' own and come with an import. */
export async function editTable(
  tx: Tx,
  id: TableId,
  revision: number,
  change: { readonly name: string; readonly isProfile: boolean; readonly fields: readonly TableField[] },
  by: By,
): Promise<Table> {
  const before = await readTable(tx, id)
  if (before.name !== change.name || (before.isProfile && !change.isProfile)) {
    const users = await usersOfTable(tx, before)
    if (users.length > 0) throw inUse('table', before.name, users)
  }
  const row = await withOneProfile(() =>
    withUniqueName('table', 'table_name', change.name, () =>
      tx
        .updateTable('table_')
        .set({
          name: change.name,
          is_profile: change.isProfile,
          fields: toJson(change.fields),
          updated_at: by.now,
          revision: revision + 1,
        })
        .where('id', '=', id)
        .where('revision', '=', revision)
        .returning('id')
        .executeTakeFirst(),
    ),
  )
  if (row === undefined) throw stale('table', before.name)
  await appendAudit(tx, { at: by.now, actor: by.actor, action: 'table.edited', subject: id, detail: {} })
  return readTable(tx, id)
}

export async function removeTable(tx: Tx, id: TableId, by: By): Promise<void> {
  const table = await readTable(tx, id)
  const users = await usersOfTable(tx, table)
  if (users.length > 0) throw inUse('table', table.name, users)
  await tx.deleteFrom('table_').where('id', '=', id).execute()
  await appendAudit(tx, { at: by.now, actor: by.actor, action: 'table.removed', subject: id, detail: {} })
}

/** By id or by name. */
export async function readTable(db: Db, reference: string): Promise<Table> {
  const table = await findTable(db, reference)
  if (table === undefined) throw notFound('table', reference)
  return table
}

export async function findTable(db: Db, reference: string): Promise<Table | undefined> {
  const query = db.selectFrom('table_').selectAll()
  const row = await (
    isId('table', reference)
      ? query.where('id', '=', reference)
      : query.where((where) => where(where.fn('lower', ['name']), '=', where.fn('lower', [where.val(reference)])))
  ).executeTakeFirst()
  return row === undefined ? undefined : tableOf(row)
}

export async function listTables(db: Db): Promise<readonly (Table & { readonly rows: number })[]> {
  const rows = await db
    .selectFrom('table_')
    .innerJoin('table_version', (join) =>
      join
        .onRef('table_version.table_id', '=', 'table_.id')
        .onRef('table_version.version', '=', 'table_.current_version'),
    )
    .selectAll('table_')
    .select('table_version.rows')
    .orderBy('table_.name')
    .execute()
  return rows.map((row) => ({ ...tableOf(row), rows: row.rows }))
}

export type TableSort = 'name' | 'created' | 'updated'

export async function pageTables(
  db: Db,
  filter: { readonly search?: string },
  page: PageRequest<TableSort>,
): Promise<Page<Table & { readonly rows: number }>> {
  let query = db
    .selectFrom('table_')
    .innerJoin('table_version', (join) =>
      join
        .onRef('table_version.table_id', '=', 'table_.id')
        .onRef('table_version.version', '=', 'table_.current_version'),
    )
    .selectAll('table_')
    .select('table_version.rows')
  if (filter.search !== undefined)
    query = query.where(sql<boolean>`lower(table_.name) LIKE ${patternOf(filter.search)}`)
  const id = sql.ref('table_.id')
  const order: Order =
    page.sort === 'name'
      ? { key: nameKey('table_.name'), id, type: 'text' }
      : { key: sql.ref(`table_.${page.sort}_at`), id, type: 'timestamptz' }
  const make = (row: TableRow & { readonly rows: number }) => ({ ...tableOf(row), rows: row.rows })
  return pageOf(await paged(query, order, page).execute(), page, make, (row) => row.id)
}

/** The newest first. */
export async function listVersions(db: Db, id: TableId): Promise<readonly TableVersion[]> {
  const rows = await db
    .selectFrom('table_version')
    .selectAll()
    .where('table_id', '=', id)
    .orderBy('version', 'desc')
    .execute()
  return rows.map((row) => ({
    tableId: id,
    version: row.version,
    fields: row.fields,
    files: row.files,
    rows: row.rows,
    badLines: row.bad_lines,
    createdAt: row.created_at,
  }))
}

/** The table as it is now, as a plan keeps it: labels and tags of today, types and files of its current version. */
export async function pinTable(db: Db, table: Table): Promise<PinnedTable> {
  const version = await db
    .selectFrom('table_version')
    .select(['fields', 'files', 'rows'])
    .where('table_id', '=', table.id)
    .where('version', '=', table.currentVersion)
    .executeTakeFirstOrThrow()
  return {
    id: table.id,
    name: table.name,
    version: table.currentVersion,
    key: table.key,
    fields: table.fields,
    files: version.files.map(({ name }) => `tables/${table.id}/${table.currentVersion}/${name}`),
    rows: version.rows,
  }
}

/** After their files are gone. */
export async function forgetVersions(db: Db, id: TableId, versions: readonly number[]): Promise<void> {
  if (versions.length === 0) return
  await db
    .deleteFrom('table_version')
    .where('table_id', '=', id)
    .where('version', 'in', [...versions])
    .execute()
}

async function insertVersion(tx: Tx, id: TableId, version: number, made: NewVersion, by: By): Promise<void> {
  await tx
    .insertInto('table_version')
    .values({
      table_id: id,
      version,
      fields: toJson(made.fields),
      files: toJson(made.files),
      rows: made.rows,
      bad_lines: made.badLines,
      created_at: by.now,
    })
    .execute()
}

async function withOneProfile<T>(write: () => Promise<T>): Promise<T> {
  try {
    return await write()
  } catch (error) {
    if (!isUniqueViolation(error, 'table_profile')) throw error
    throw new Problem('conflict', 'There is a profile table already', {
      path: 'isProfile',
      cure: 'Only one table has the row per customer; import this one as an ordinary table',
      cause: error,
    })
  }
}

interface TableRow {
  readonly id: string
  readonly name: string
  readonly is_profile: boolean
  readonly key: string
  readonly fields: readonly TableField[]
  readonly current_version: number
  readonly created_at: Date
  readonly updated_at: Date
  readonly revision: number
}

function tableOf(row: TableRow): Table {
  return {
    id: row.id as TableId,
    name: row.name,
    isProfile: row.is_profile,
    key: row.key,
    fields: row.fields,
    currentVersion: row.current_version,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    revision: row.revision,
  }
}

/** Every table as it is now, for a plan: rules may speak of any of them. */
export async function pinTables(
  db: Db,
): Promise<readonly { readonly isProfile: boolean; readonly pinned: PinnedTable }[]> {
  const rows = await db
    .selectFrom('table_')
    .innerJoin('table_version', (join) =>
      join
        .onRef('table_version.table_id', '=', 'table_.id')
        .onRef('table_version.version', '=', 'table_.current_version'),
    )
    .selectAll('table_')
    .select(['table_version.rows', 'table_version.files'])
    .execute()
  return rows.map((row) => {
    const table = tableOf(row)
    const files = row.files.map(({ name }) => `tables/${table.id}/${table.currentVersion}/${name}`)
    const { id, name, key, fields, currentVersion: version, isProfile } = table
    return { isProfile, pinned: { id, name, version, key, fields, files, rows: row.rows } }
  })
}
