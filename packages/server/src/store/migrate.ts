import { sql } from 'kysely'
import { Migrator } from 'kysely/migration'
import { Problem } from '../domain/problem.ts'
import { MIGRATIONS } from './migrations/index.ts'
import type { Db } from './schema.ts'

/**
 * Brings the store's tables to this program's version. Everything happens in one transaction under a lock of the
 * database: a process killed in the middle leaves the old version, and of two that start at once one waits.
 */
export async function migrate(db: Db): Promise<readonly string[]> {
  await refuseNewer(db)
  const migrator = new Migrator({ db, provider: { getMigrations: () => Promise.resolve({ ...MIGRATIONS }) } })
  const { error, results } = await migrator.migrateToLatest()
  if (error !== undefined) {
    throw new Problem('not-ready', 'The control store could not be brought to this version; it is unchanged', {
      cure: 'Start the version that was used before, and report this',
      cause: error,
    })
  }
  return (results ?? []).map(({ migrationName }) => migrationName)
}

async function refuseNewer(db: Db): Promise<void> {
  const { rows: tables } = await sql<{ there: boolean }>`
    SELECT to_regclass('kysely_migration') IS NOT NULL AS there`.execute(db)
  if (tables[0]?.there !== true) return
  const { rows } = await sql<{ name: string }>`SELECT name FROM kysely_migration ORDER BY name`.execute(db)
  const unknown = rows.map(({ name }) => name).filter((name) => !Object.hasOwn(MIGRATIONS, name))
  if (unknown.length === 0) return
  throw new Problem('not-ready', `The control store is of a newer Patchbay (it has ${unknown.join(', ')})`, {
    cure: 'Start that version or a later one; this one would not understand what it finds, and changed nothing',
  })
}
