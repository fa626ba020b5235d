/** Secret fields that name a secret of a key vault. The vault is a connection as well, so it is set up, checked and audited like one. */
import { signsInAsSomebody } from '../connector-host/sign-in-ways.ts'
import type { Connection } from '../domain/connection.ts'
import { shownSecrets } from '../domain/field-values.ts'
import { Problem } from '../domain/problem.ts'
import type { By } from '../store/by.ts'
import { readConnection } from '../store/connection.ts'
import { removeGrant } from '../store/oauth-grant.ts'
import type { Db, Tx } from '../store/schema.ts'
import { listUsersOfVault, writeVaultSecret } from '../store/secret.ts'
import type { Connector } from './connector-types.ts'
import type { HttpPorts } from './ports.ts'

export type FromVault = Readonly<Record<string, { readonly vault: string; readonly name: string }>>

/** Whether each is a secret field that these settings show, and is not typed as well. */
export function checkFromVault(
  connector: Connector,
  values: Connection['settings'],
  secrets: Readonly<Record<string, string>>,
  fromVault: FromVault,
): void {
  const shown = shownSecrets(connector.settings, values)
  for (const field of Object.keys(fromVault)) {
    const refuse = (why: string, cure: string): never => {
      throw new Problem('invalid', `fromVault.${field}: ${why}`, { path: `fromVault.${field}`, cure })
    }
    if (!shown.includes(field)) refuse('There is no such secret here', 'Name a secret field that these settings show')
    if (Object.hasOwn(secrets, field)) refuse('It is typed as well', 'Give one or the other')
    if (connector.secrets !== undefined) refuse('A key vault cannot be opened by another one', 'Type this secret')
  }
}

export async function readVault({ registry }: Pick<HttpPorts, 'registry'>, db: Db, reference: string, path: string) {
  const vault = await readConnection(db, reference)
  if (registry.findConnector(vault.connectorId)?.secrets !== undefined) return vault
  throw new Problem('invalid', `${path}: "${vault.name}" is no key vault`, {
    path,
    cure: 'Name a connection to a key vault; Discover lists them under that category',
  })
}

export async function writeFromVault(
  ports: HttpPorts,
  tx: Tx,
  connection: Connection,
  fromVault: FromVault,
  by: By,
): Promise<void> {
  for (const [field, { vault, name }] of Object.entries(fromVault)) {
    const { id } = await readVault(ports, tx, vault, `fromVault.${field}.vault`)
    await writeVaultSecret(tx, { connectionId: connection.id, field, vaultId: id, name }, by)
  }
}

export async function refuseUsedVault(tx: Tx, connection: Connection): Promise<void> {
  const users = await listUsersOfVault(tx, connection.id)
  if (users.length === 0) return
  const names = users.map(({ name }) => `"${name}"`).join(', ')
  throw new Problem('conflict', `"${connection.name}" keeps the secrets of ${names}`, {
    path: 'connection',
    cure: 'Remove these connections, or name secrets of another vault in them, first',
  })
}

/** Whoever signs in another way now is not somebody any more. */
export async function dropUnusedGrant(
  tx: Tx,
  connector: Connector,
  before: Connection,
  after: Connection,
  by: By,
): Promise<void> {
  if (signsInAsSomebody(connector, before.settings) && !signsInAsSomebody(connector, after.settings))
    await removeGrant(tx, after.id, by)
}
