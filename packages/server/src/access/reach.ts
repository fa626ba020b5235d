/**
 * Which exports somebody reaches, beside what their role may do. Contributors reach exports over connections that are shared
 * with Contributors, and detached ones that are their own. Connections cannot be shared yet, so today that is the latter.
 */
import { Problem } from '../domain/problem.ts'
import { actorOf, type Identity } from './identity.ts'

export function authorizeExport(
  identity: Identity,
  target: { readonly connectionId: string | null; readonly createdBy: string },
): void {
  if (identity.role === 'Administrator') return
  if (target.connectionId === null && target.createdBy === actorOf(identity)) return
  throw new Problem('not-allowed', 'The connection of this export is not shared with you', {
    cure: 'Ask an Administrator to do it',
  })
}
