/**
 * Which connections and exports somebody reaches, beside what their role may do: Administrators every one, Contributors the
 * connections that are shared with them, the exports on those, and detached exports that are their own. Looked up at each
 * request and before each batch of a run, so that a change holds at once. A connection out of reach does not exist: the
 * answer is the one for a name that nothing has.
 */
import { PERMISSIONS_OF, type Role } from '@patchbay/contract'
import type { Connection } from '../domain/connection.ts'
import { Problem } from '../domain/problem.ts'
import { readConnection, readSharedConnection } from '../store/connection.ts'
import { sharedAmong } from '../store/connection-sharing.ts'
import type { Db } from '../store/schema.ts'
import { actorOf, userIdOf, type Identity } from './identity.ts'

export interface ReachTarget {
  readonly connectionId: string | null
  readonly createdBy: string
}

export async function authorizeExport(db: Db, identity: Identity, target: ReachTarget): Promise<void> {
  const [reaches] = await reachExports(db, identity, [target])
  if (reaches === true) return
  throw new Problem('not-allowed', 'The connection of this export is not shared with you', {
    cure: 'Ask an Administrator to do it',
  })
}

/** For each, in order, whether they may edit and run it. */
export async function reachExports(
  db: Db,
  identity: Identity,
  targets: readonly ReachTarget[],
): Promise<readonly boolean[]> {
  if (identity.role === 'Administrator') return targets.map(() => true)
  if (identity.role === null || !PERMISSIONS_OF[identity.role].has('export.write')) return targets.map(() => false)
  const ids = targets.flatMap(({ connectionId }) => (connectionId === null ? [] : [connectionId]))
  const shared = await sharedAmong(db, { userId: userIdOf(identity) }, ids)
  return targets.map(({ connectionId, createdBy }) =>
    connectionId === null ? createdBy === actorOf(identity) : shared.has(connectionId),
  )
}

/** To use it in an export. Whoever reaches it may read of it what planning needs, and show its name and connector. */
export async function reachConnection(db: Db, identity: Identity, reference: string): Promise<Connection> {
  return identity.role === 'Administrator'
    ? readConnection(db, reference)
    : readSharedConnection(db, { userId: userIdOf(identity) }, reference)
}

/** Of somebody who does not ask now, such as the owner of a run. */
export async function reachesConnection(
  db: Db,
  who: { readonly role: Role; readonly userId: string | null },
  connectionId: string,
): Promise<boolean> {
  if (who.role === 'Administrator') return true
  return (
    PERMISSIONS_OF[who.role].has('connection.use') && (await sharedAmong(db, who, [connectionId])).has(connectionId)
  )
}
