import { referencesOfRule, referencesOfSource, sameName } from '../domain/references.ts'
import type { Db } from './schema.ts'

/** What stands in the way of removing a segment, in words. Reads every rule: there are few, and names may be in any depth. */
export async function usersOfSegment(db: Db, name: string): Promise<readonly string[]> {
  return usersWhere(db, (references) => references.segments.some((segment) => sameName(segment, name)))
}

/** For the profile table this includes every segment, and every export of a segment. */
export async function usersOfTable(
  db: Db,
  table: { readonly name: string; readonly isProfile: boolean },
): Promise<readonly string[]> {
  return usersWhere(db, (references, kind) => {
    if (table.isProfile && kind !== 'data-out') return true
    return references.tables.some((named) => sameName(named, table.name))
  })
}

async function usersWhere(
  db: Db,
  isUser: (
    references: { readonly tables: readonly string[]; readonly segments: readonly string[] },
    kind: 'rule' | 'segment' | 'data-out',
  ) => boolean,
): Promise<readonly string[]> {
  const segments = await db.selectFrom('segment').select(['name', 'rule']).orderBy('name').execute()
  const exports = await db.selectFrom('export').select(['name', 'source']).orderBy('name').execute()
  return [
    ...segments.filter(({ rule }) => isUser(referencesOfRule(rule), 'rule')).map(({ name }) => `segment "${name}"`),
    ...exports
      .filter(({ source }) => isUser(referencesOfSource(source), source.kind))
      .map(({ name }) => `export "${name}"`),
  ]
}
