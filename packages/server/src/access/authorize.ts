import { PERMISSIONS_OF, type Permission } from '@patchbay/contract'
import { Problem } from '../domain/problem.ts'
import type { Identity } from './identity.ts'

/** Throws unless the identity's role has the permission. The one table is in the contract; a role that is not in it has nothing. */
export function authorize(identity: Identity, permission: Permission): void {
  if (mayDo(identity, permission)) return
  const who = identity.role === null ? 'Whoever is not signed in' : `The role ${identity.role}`
  throw new Problem('not-allowed', `${who} does not have the permission ${permission}`, {
    cure: 'Ask an Administrator to do it, or for another role',
  })
}

function mayDo(identity: Identity, permission: Permission): boolean {
  if (permission === 'anyone') return true
  const { role } = identity
  return role !== null && Object.hasOwn(PERMISSIONS_OF, role) && PERMISSIONS_OF[role].has(permission)
}
