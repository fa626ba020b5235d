import { ROLES, type Role } from '@patchbay/contract'
import { listApiKeys, type ApiKey } from '../store/api-key.ts'
import type { Db } from '../store/schema.ts'
import { findUser } from '../store/user.ts'
import { actorUserId, keyNameOf } from './identity.ts'

/** Keys make keys; nobody makes a chain of them this long by hand. */
const STEPS_MAX = 20

/**
 * What a key may do now: never more than the user who made it may, also where they made it by another key. Undefined where
 * its maker is gone. Whoever is removed leaves their keys to the owner, and a key that is removed leaves those it made to
 * its own maker, so that nobody keeps rights by a key that they have lost themselves.
 */
export async function roleOfKey(db: Db, key: Pick<ApiKey, 'role' | 'createdBy'>): Promise<Role | undefined> {
  let role = knownRole(key.role)
  let maker = key.createdBy
  for (let step = 0; step < STEPS_MAX && role !== undefined; step += 1) {
    const userId = actorUserId(maker)
    if (userId !== undefined) return lesser(role, knownRole((await findUser(db, userId))?.role))
    const name = keyNameOf(maker)
    if (name === undefined) return role
    const other = (await listApiKeys(db)).find((candidate) => candidate.name === name)
    if (other === undefined) return undefined
    role = lesser(role, knownRole(other.role))
    maker = other.createdBy
  }
  return undefined
}

function knownRole(text: string | undefined): Role | undefined {
  return ROLES.find((known) => known === text)
}

/** `ROLES` begins with the one that may do everything, and each may do what the next may. */
function lesser(a: Role, b: Role | undefined): Role | undefined {
  if (b === undefined) return undefined
  return ROLES.indexOf(a) > ROLES.indexOf(b) ? a : b
}
