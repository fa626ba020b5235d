/** Workers that all want a token of one connection at the same time, as those of one process do. */
import { randomBytes } from 'node:crypto'
import { parseAllowedHosts } from '../connector-host/allow-hosts.ts'
import { openSettings } from '../connector-host/context.ts'
import { makeConnectorHost } from '../connector-host/host.ts'
import { tokensOf } from '../connector-host/oauth/tokens-of.ts'
import { makeRegistry } from '../connector-host/registry.ts'
import { connectionAccess } from '../main/connection-access.ts'
import { readConnection } from '../store/connection.ts'
import { dataKeyPlace } from '../store/data-key.ts'
import type { Db } from '../store/schema.ts'
import { openVault } from '../vault/vault.ts'
import { oauthConnector } from './oauth-connector.ts'

export interface RefreshWorkers {
  /** Every worker asks once, so much later than now; gives how many different tokens they got. */
  askAll(aheadMs: number): Promise<number>
}

export async function makeRefreshWorkers(
  db: Db,
  options: { readonly keyFile: string; readonly connection: string; readonly workers: number },
): Promise<RefreshWorkers> {
  let ahead = 0
  const now = (): Date => new Date(Date.now() + ahead)
  const registry = makeRegistry([oauthConnector()])
  const vault = await openVault({
    keyFile: options.keyFile,
    dataKeys: dataKeyPlace(db, now),
    randomBytes,
  })
  const host = makeConnectorHost({
    rules: { allowed: parseAllowedHosts('127.0.0.1') },
    fileRoots: [],
    log: { info: () => undefined },
    now,
  })
  const stored = await readConnection(db, options.connection)
  const connector = registry.findConnector(stored.connectorId)
  if (connector === undefined) throw new Error('The connector is not there')
  const access = connectionAccess({ db, vault, registry, host, now }, stored)
  const { settings } = await openSettings(connector, access)
  const sources = await Promise.all(
    Array.from({ length: options.workers }, () =>
      tokensOf(host, connector, access, { settings, hide: () => undefined, signal: new AbortController().signal }),
    ),
  )
  return {
    async askAll(aheadMs) {
      ahead = aheadMs
      const tokens = await Promise.all(sources.map(({ accessToken }) => accessToken()))
      return new Set(tokens.map((token) => token.reveal())).size
    },
  }
}
