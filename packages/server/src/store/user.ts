import { isId, newId } from '../domain/ids.ts'
import { Problem } from '../domain/problem.ts'
import { ROLE_NAMES, roleOf, type Role } from '../domain/role.ts'
import { appendAudit } from './audit.ts'
import type { By } from './by.ts'
import { notFound, withUniqueName } from './conflict.ts'
import type { Db, Tx } from './schema.ts'

/** Somebody who may sign in. */
export interface User {
  readonly id: string
  readonly name: string
  readonly email: string
  readonly role: Role
  readonly isOwner: boolean
  readonly createdAt: Date
  readonly lastSignInAt: Date | null
}

export interface UserDraft {
  readonly name: string
  /** In small letters. */
  readonly email: string
  readonly role: Role
  readonly isOwner: boolean
  readonly passwordHash: string
}

/** By this name better-auth knows a sign-in with a password. */
const PASSWORD_PROVIDER = 'credential'

export async function createUser(tx: Tx, draft: UserDraft, by: By): Promise<User> {
  const { passwordHash, name, email, role, isOwner } = draft
  const id = newId('user', by.randomBytes)
  const times = { created_at: by.now, updated_at: by.now }
  await withUniqueName('user', 'user__email_key', email, () =>
    tx
      .insertInto('user_')
      .values({ id, name, email, role, is_owner: isOwner, ...times })
      .execute(),
  )
  await tx
    .insertInto('sign_in')
    .values({
      id: newId('link', by.randomBytes),
      account_id: id,
      provider_id: PASSWORD_PROVIDER,
      user_id: id,
      password: passwordHash,
      ...times,
    })
    .execute()
  const detail = { role, isOwner }
  await appendAudit(tx, { at: by.now, actor: `user:${id}`, action: 'user.created', subject: id, detail })
  return readUser(tx, id)
}

/** Nobody who was removed. */
export async function findUser(db: Db, id: string): Promise<User | undefined> {
  const row = await present(db).where('id', '=', id).executeTakeFirst()
  return row === undefined ? undefined : userOf(row)
}

export async function readUser(db: Db, id: string): Promise<User> {
  const found = isId('user', id) ? await findUser(db, id) : undefined
  if (found === undefined) throw notFound('user', id)
  return found
}

export async function listUsers(db: Db): Promise<readonly User[]> {
  return (await present(db).orderBy('name').orderBy('id').execute()).map(userOf)
}

export async function findOwner(db: Db): Promise<User | undefined> {
  const row = await present(db).where('is_owner', '=', true).executeTakeFirst()
  return row === undefined ? undefined : userOf(row)
}

/** Of everybody, removed or not: what they did is shown under it. */
export async function namesOfUsers(db: Db): Promise<ReadonlyMap<string, string>> {
  const rows = await db.selectFrom('user_').select(['id', 'name']).execute()
  return new Map(rows.map(({ id, name }) => [id, name]))
}

export async function noteSignIn(db: Db, id: string, now: Date): Promise<void> {
  await db.updateTable('user_').set({ last_sign_in_at: now }).where('id', '=', id).execute()
}

/** Ends their sessions too: what they see was made for the role they had. */
export async function changeRole(tx: Tx, id: string, role: Role, by: By): Promise<User> {
  const before = await lockUser(tx, id)
  if (before.isOwner) throw ownerStays('The owner is an Administrator for as long as they are the owner')
  await tx.updateTable('user_').set({ role, updated_at: by.now }).where('id', '=', id).execute()
  await endSessions(tx, id)
  await endLinks(tx, id)
  const detail = { from: before.role, to: role }
  await appendAudit(tx, { at: by.now, actor: by.actor, action: 'user.role-changed', subject: id, detail })
  return readUser(tx, id)
}

/** Takes sign-in, sessions and address away; the name stays for what they did. */
export async function removeUser(tx: Tx, id: string, by: By): Promise<User> {
  const person = await lockUser(tx, id)
  if (person.isOwner) throw ownerStays('The owner cannot be removed')
  await endSessions(tx, id)
  await endLinks(tx, id)
  await tx.deleteFrom('sign_in').where('user_id', '=', id).execute()
  await tx.deleteFrom('connection_user').where('user_id', '=', id).execute()
  await tx
    .updateTable('user_')
    // The address is free again, and nobody can be written to at this one.
    .set({ removed_at: by.now, updated_at: by.now, email: `${id}@removed.invalid` })
    .where('id', '=', id)
    .execute()
  await appendAudit(tx, { at: by.now, actor: by.actor, action: 'user.removed', subject: id, detail: {} })
  return person
}

export async function handOver(tx: Tx, from: string, to: string, by: By): Promise<User> {
  const [owner, next] = [await lockUser(tx, from), await lockUser(tx, to)]
  if (!owner.isOwner) throw ownerStays('Only the owner can hand this over')
  // Whoever could make a link for a user could not make one for the owner.
  await endLinks(tx, to)
  await tx.updateTable('user_').set({ is_owner: false, updated_at: by.now }).where('id', '=', from).execute()
  await tx
    .updateTable('user_')
    .set({ is_owner: true, role: 'Administrator', updated_at: by.now })
    .where('id', '=', to)
    .execute()
  const detail = { from, to }
  await appendAudit(tx, { at: by.now, actor: by.actor, action: 'owner.handed-over', subject: next.id, detail })
  return readUser(tx, to)
}

/** Sets a password and ends every session. */
export async function setPassword(tx: Tx, id: string, passwordHash: string, by: By): Promise<void> {
  await tx
    .updateTable('sign_in')
    .set({ password: passwordHash, updated_at: by.now })
    .where('user_id', '=', id)
    .where('provider_id', '=', PASSWORD_PROVIDER)
    .execute()
  await endSessions(tx, id)
  await endPasswordLinks(tx, id)
  await appendAudit(tx, { at: by.now, actor: by.actor, action: 'user.password-set', subject: id, detail: {} })
}

export async function readPasswordHash(db: Db, id: string): Promise<string | undefined> {
  const row = await db
    .selectFrom('sign_in')
    .select('password')
    .where('user_id', '=', id)
    .where('provider_id', '=', PASSWORD_PROVIDER)
    .executeTakeFirst()
  return row?.password ?? undefined
}

export async function endSessions(db: Db, id: string): Promise<void> {
  await db.deleteFrom('session').where('user_id', '=', id).execute()
}

/** What they made with rights that they have no more, and what was made for them. */
async function endLinks(tx: Tx, id: string): Promise<void> {
  await tx.deleteFrom('link').where('created_by', '=', `user:${id}`).where('used_at', 'is', null).execute()
  await endPasswordLinks(tx, id)
}

async function endPasswordLinks(tx: Tx, id: string): Promise<void> {
  await tx.deleteFrom('link').where('user_id', '=', id).where('used_at', 'is', null).execute()
}

async function lockUser(tx: Tx, id: string): Promise<User> {
  const row = await present(tx).where('id', '=', id).forUpdate().executeTakeFirst()
  if (row === undefined) throw notFound('user', id)
  return userOf(row)
}

function present(db: Db) {
  return db.selectFrom('user_').selectAll().where('removed_at', 'is', null).where('role', 'in', ROLE_NAMES)
}

function ownerStays(message: string): Problem {
  return new Problem('not-allowed', message, { cure: 'The owner can make another user the owner first' })
}

function userOf(row: {
  readonly id: string
  readonly name: string
  readonly email: string
  readonly role: string
  readonly is_owner: boolean
  readonly created_at: Date
  readonly last_sign_in_at: Date | null
}): User {
  const role = roleOf(row.role)
  if (role === undefined) throw new Error(`The store has a user with a role that there is not: ${row.id}`)
  return {
    id: row.id,
    name: row.name,
    email: row.email,
    role,
    isOwner: row.is_owner,
    createdAt: row.created_at,
    lastSignInAt: row.last_sign_in_at,
  }
}
