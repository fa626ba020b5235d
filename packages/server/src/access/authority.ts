import { PERMISSIONS_OF } from '@patchbay/contract'
import type { Db } from '../store/schema.ts'
import { findActor } from './actor.ts'
import { OPERATOR } from './identity.ts'
import { reachesConnection } from './reach.ts'

/**
 * Whether whom a run belongs to may still send. Asked when it is planned and again before each batch, so that a key that is
 * removed or has ended, and a connection that is no longer shared, stop a run within one batch. Null, or a sentence that says
 * why not.
 */
export async function authorityOf(
  db: Db,
  run: { readonly actor: string; readonly connectionId: string | null },
  now: Date,
): Promise<string | null> {
  if (run.actor === OPERATOR.name) return null
  const actor = await findActor(db, run.actor, now)
  if (typeof actor === 'string') return actor
  const isAllowed =
    PERMISSIONS_OF[actor.role].has('export.run') &&
    run.connectionId !== null &&
    (await reachesConnection(db, actor, run.connectionId))
  return isAllowed ? null : `${actor.shown.replace(/^the/, 'The')} may not send over this connection (any more)`
}
