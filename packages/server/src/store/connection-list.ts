/** The list of connections, ordered by one index (`connection_sort`), and searched, filtered and paged in the store. */
import { sql } from 'kysely'
import type { Connection } from '../domain/connection.ts'
import { connectionOf, selectConnections } from './connection-row.ts'
import { isSharedWith, type SharedReader } from './connection-sharing.ts'
import { pageOf, paged, patternOf, type Page, type PageRequest } from './page.ts'
import type { Db } from './schema.ts'

export type ConnectionSort =
  | 'name'
  | 'connector'
  | 'direction'
  | 'category'
  | 'health'
  | 'checked'
  | 'usedBy'
  | 'sharing'
  | 'created'
  | 'createdBy'

export interface ConnectionFilter {
  /** Anywhere in the name, or in the connector's id. */
  readonly search?: string
  /** One of these connectors. */
  readonly connectorIds?: readonly string[]
  readonly health?: Connection['health']
  readonly sharing?: Connection['sharing']['with']
  readonly isUsed?: boolean
  /** Only what is shared with them. */
  readonly reader?: SharedReader
}

export async function pageConnections(
  db: Db,
  filter: ConnectionFilter,
  page: PageRequest<ConnectionSort>,
): Promise<Page<Connection>> {
  let query = selectConnections(db)
    .innerJoin('connection_sort', 'connection_sort.connection_id', 'connection.id')
    .where('connection_sort.sort', '=', page.sort)
  if (filter.search !== undefined) {
    const pattern = patternOf(filter.search)
    query = query.where(
      sql<boolean>`(lower(connection.name) LIKE ${pattern} OR connection.connector_id LIKE ${pattern})`,
    )
  }
  if (filter.connectorIds !== undefined)
    query = query.where(sql<boolean>`connection.connector_id = ANY (${[...filter.connectorIds]}::text[])`)
  if (filter.health !== undefined) query = query.where('connection.health', '=', filter.health)
  if (filter.sharing !== undefined) query = query.where('connection.sharing', '=', filter.sharing)
  if (filter.isUsed !== undefined) query = query.where('connection.used_by', filter.isUsed ? '>' : '=', 0)
  if (filter.reader !== undefined) query = query.where(isSharedWith(filter.reader))
  const order = { key: sql`connection_sort.key`, id: sql`connection_sort.connection_id`, type: 'text' } as const
  return pageOf(await paged(query, order, page).execute(), page, connectionOf, ({ id }) => id)
}

/** At each start: what the connectors of this program say of themselves. */
export async function rememberConnectors(
  db: Db,
  connectors: readonly { readonly id: string; readonly direction: string; readonly category: string }[],
): Promise<void> {
  if (connectors.length === 0) return
  const rows = connectors.map(({ id, direction, category }) => ({ id, direction, category }))
  await db
    .insertInto('connector_seen')
    .values(rows)
    .onConflict((conflict) =>
      conflict
        .column('id')
        .doUpdateSet((set) => ({ direction: set.ref('excluded.direction'), category: set.ref('excluded.category') }))
        .where(
          sql<boolean>`(connector_seen.direction, connector_seen.category) <> (excluded.direction, excluded.category)`,
        ),
    )
    .execute()
}
