/** The two control stores that every test of store and jobs is run on. */
import { startPostgresql, type PostgresqlServer } from '../../../connectors/test-servers/postgresql.ts'
import { requirement } from '../../../../checks/requirement.ts'
import { openTestStore, type TestStore } from './test-store.ts'

export interface StoreUnderTest {
  readonly name: string
  readonly skip: boolean
  /** One server for a test file; each call opens another worker's store on it, over a database of its own unless one is given. */
  start(): Promise<{
    open(): Promise<TestStore>
    readonly url: string | undefined
    stop(): Promise<void>
  }>
}

export const STORES: readonly StoreUnderTest[] = [
  {
    name: 'PGlite',
    skip: false,
    start: () => Promise.resolve({ open: () => openTestStore(), url: undefined, stop: () => Promise.resolve() }),
  },
  {
    name: 'PostgreSQL [needs postgresql]',
    skip: !requirement('postgresql').available,
    start: async () => {
      const server: PostgresqlServer = await startPostgresql({ settings: { max_connections: '200' } })
      return {
        open: () => openTestStore({ databaseUrl: server.url }),
        url: server.url,
        stop: () => server.stop(),
      }
    },
  },
]
