/** `patchbay key rotate`: a new key file and data key at once, and what was sealed before sealed anew in the background. */
import type { Registry } from '../connector-host/registry.ts'
import { endpointIdentity } from '../domain/endpoint-identity.ts'
import { endpointOf } from '../domain/field-values.ts'
import { Problem } from '../domain/problem.ts'
import type { KeyRotationPort } from '../http/ports.ts'
import { appendAudit } from '../store/audit.ts'
import type { By } from '../store/by.ts'
import { readConnection } from '../store/connection.ts'
import type { Store } from '../store/open-store.ts'
import { countSealedOtherwise, listSealedOtherwise, replaceSealed, type SealedRow } from '../store/sealed.ts'
import type { RotationPoint, Vault } from '../vault/vault.ts'
import { TOKEN_FIELD } from './grants.ts'
import { keyPlace } from './send-notification.ts'

export interface KeyRotation extends KeyRotationPort {
  /** Seals anew what an earlier process left. */
  resume(): Promise<void>
  stop(): Promise<void>
}

export interface KeyRotationParts {
  readonly store: Store
  readonly vault: Vault
  readonly registry: Registry
  readonly onError: (error: unknown) => void
  readonly failpoint?: (point: RotationPoint) => void
}

const ROWS_AT_ONCE = 100
const RELOAD_MS = 30_000

export function makeKeyRotation(parts: KeyRotationParts): KeyRotation {
  const { store, vault, onError } = parts
  const { db } = store
  const stopping = new AbortController()
  let running: Promise<void> | undefined
  let unopened = 0
  // Another process may have made a new data key: what is sealed here should be under it too.
  const watching =
    store.dialect === 'pglite' ? undefined : setInterval(() => void vault.reload().catch(onError), RELOAD_MS).unref()
  const begin = (): void => {
    running ??= sealAnew(parts, stopping.signal)
      .then((left) => {
        unopened = left
      })
      .catch(onError)
      .finally(() => {
        running = undefined
      })
  }
  const settle = async (by: By): Promise<void> => {
    await vault.settleRotation()
    await audit(store, 'key.settled', by)
  }
  return {
    async rotate(by) {
      const rotated = await vault.rotate()
      await audit(store, 'key.rotated', by)
      // One process alone has the new key already. Others may have a key file of their own, on another machine.
      if (store.dialect === 'pglite') await settle(by)
      begin()
      return rotated
    },
    settle,
    async status() {
      const waiting = await countSealedOtherwise(db, vault.activeKeyId())
      return { waiting, unopened, isRunning: running !== undefined, isUnsettled: await vault.isUnsettled() }
    },
    async resume() {
      // The file was changed, and the process died before it took the old wrappings away.
      if (store.dialect === 'pglite' && (await vault.isUnsettled()))
        await vault.settleRotation().catch((error: unknown) => {
          // It died before the file was changed: the next rotation carries on.
          if (!(error instanceof Problem)) throw error
        })
      if ((await countSealedOtherwise(db, vault.activeKeyId())) > 0) begin()
    },
    async stop() {
      clearInterval(watching)
      stopping.abort()
      await running
    },
  }
}

/** Gives how many do not open: they were moved or changed in the database, and stay as they are. */
async function sealAnew({ store, vault, registry, failpoint }: KeyRotationParts, signal: AbortSignal): Promise<number> {
  let unopened = 0
  let after: SealedRow | undefined
  for (;;) {
    const rows = await listSealedOtherwise(store.db, vault.activeKeyId(), after, ROWS_AT_ONCE)
    for (const row of rows) {
      if (signal.aborted) return unopened
      const place = await placeOf(store, registry, row)
      const text = place === undefined ? undefined : await vault.open(row.sealed, place).catch(notOpened)
      if (place === undefined || text === undefined) unopened += 1
      else {
        await replaceSealed(store.db, row, vault.seal(text, place))
        failpoint?.('row-sealed-anew')
      }
    }
    after = rows.at(-1)
    if (after === undefined) return unopened
  }
}

async function placeOf({ db }: Store, registry: Registry, { connectionId, kind, field }: SealedRow) {
  if (kind === 'notification') return keyPlace({ reader: connectionId, url: field })
  const connection = await readConnection(db, connectionId).catch(notOpened)
  const connector = connection === undefined ? undefined : registry.findConnector(connection.connectorId)
  if (connection === undefined || connector === undefined) return undefined
  const identity = endpointIdentity(connector.id, endpointOf(connector.settings, connection.settings))
  return { connectionId, field: kind === 'grant' ? TOKEN_FIELD : field, endpointIdentity: identity }
}

function notOpened(error: unknown): undefined {
  if (!(error instanceof Problem)) throw error
}

async function audit({ db }: Store, action: string, by: By): Promise<void> {
  await db
    .transaction()
    .execute((tx) => appendAudit(tx, { at: by.now, actor: by.actor, action, subject: 'key', detail: {} }))
}
