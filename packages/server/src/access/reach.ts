/**
 * Which exports somebody reaches, beside what their role may do. Contributors reach exports over connections that are shared
 * with Contributors, and detached ones that are their own. Connections cannot be shared yet, so today that is the latter.
 */
import { PERMISSIONS_OF } from '@patchbay/contract'
import { Problem } from '../domain/problem.ts'
import { actorOf, type Identity } from './identity.ts'

interface Target {
  readonly connectionId: string | null
  readonly createdBy: string
}

/** Whether they may edit and run it ("Your permissions"), their role included. */
export function reachesExport(identity: Identity, target: Target): boolean {
  if (!PERMISSIONS_OF[identity.role].has('export.write')) return false
  if (identity.role === 'Administrator') return true
  return target.connectionId === null && target.createdBy === actorOf(identity)
}

export function authorizeExport(identity: Identity, target: Target): void {
  if (reachesExport(identity, target)) return
  throw new Problem('not-allowed', 'The connection of this export is not shared with you', {
    cure: 'Ask an Administrator to do it',
  })
}
