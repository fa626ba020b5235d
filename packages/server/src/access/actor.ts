import type { Role } from '@patchbay/contract'
import { listApiKeys } from '../store/api-key.ts'
import type { Db } from '../store/schema.ts'
import { findUser, namesOfUsers } from '../store/user.ts'
import { actorUserId, keyNameOf, OPERATOR } from './identity.ts'
import { roleOfKey } from './key-role.ts'

/** Whom a name in the store stands for now: what is written down of who did something outlives them. */
export interface Actor {
  /** In words, for messages. */
  readonly shown: string
  readonly role: Role
  /** By which connections are shared with named users; null for whoever is no user. */
  readonly userId: string | null
}

/** Or a sentence that says why nobody stands behind it any more. */
export async function findActor(db: Db, actor: string, now: Date): Promise<Actor | string> {
  if (actor === OPERATOR.name) return { shown: 'the operator', role: OPERATOR.role, userId: null }
  const userId = actorUserId(actor)
  if (userId !== undefined) {
    const user = await findUser(db, userId)
    if (user === undefined) return 'The user who started it was removed'
    return { shown: user.name, role: user.role, userId }
  }
  const name = keyNameOf(actor)
  const key = name === undefined ? undefined : (await listApiKeys(db)).find((candidate) => candidate.name === name)
  const role = key === undefined ? undefined : await roleOfKey(db, key)
  if (key === undefined || role === undefined) return `Whoever started it (${actor}) is not known any more`
  const shown = `the API key "${key.name}"`
  if (key.expiresAt !== null && key.expiresAt <= now) return `${shown.replace('the', 'The')} has ended`
  return { shown, role, userId: null }
}

const USER = /user:(usr_[a-z2-7]{20})/g

/** An answer as JSON text, with the names of users where it says who did something. */
export async function withNamesOfActors(db: Db, json: string): Promise<string> {
  if (json.search(USER) < 0) return json
  const names = await namesOfUsers(db)
  return json.replaceAll(USER, (whole, id: string) => JSON.stringify(names.get(id) ?? whole).slice(1, -1))
}
