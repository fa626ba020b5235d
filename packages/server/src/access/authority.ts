import { PERMISSIONS_OF, ROLES } from '@patchbay/contract'
import { listApiKeys } from '../store/api-key.ts'
import type { Db } from '../store/schema.ts'
import { keyNameOf, OPERATOR } from './identity.ts'
import { reachesConnection } from './reach.ts'

/**
 * Whether whom a run belongs to may still send. Asked when it is planned and again before each batch, so that a key that is
 * removed or has ended, and a connection that is no longer shared, stop a run within one batch. Null, or a sentence that says why not.
 */
export async function authorityOf(
  db: Db,
  run: { readonly actor: string; readonly connectionId: string | null },
  now: Date,
): Promise<string | null> {
  if (run.actor === OPERATOR.name) return null
  const name = keyNameOf(run.actor)
  const key = name === undefined ? undefined : (await listApiKeys(db)).find((candidate) => candidate.name === name)
  if (key === undefined) return `Whoever started it (${run.actor}) is not known any more`
  if (key.expiresAt !== null && key.expiresAt <= now) return `The API key "${key.name}" has ended`
  const role = ROLES.find((known) => known === key.role)
  const isAllowed =
    role !== undefined &&
    PERMISSIONS_OF[role].has('export.run') &&
    run.connectionId !== null &&
    (await reachesConnection(db, { role, userId: null }, run.connectionId))
  return isAllowed ? null : `The API key "${key.name}" may not send over this connection (any more)`
}
