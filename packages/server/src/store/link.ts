/** One-time links: an address that whoever holds it can use once. Only a hash of its token is kept. */
import { createHash } from 'node:crypto'
import { newId } from '../domain/ids.ts'
import { roleOf, type Role } from '../domain/role.ts'
import { appendAudit } from './audit.ts'
import type { By } from './by.ts'
import { notFound } from './conflict.ts'
import type { Db, Tx } from './schema.ts'

export type LinkKind = 'owner' | 'invitation' | 'password'

export interface Link {
  readonly id: string
  readonly kind: LinkKind
  readonly email: string | null
  readonly role: Role | null
  readonly userId: string | null
  readonly createdAt: Date
  readonly createdBy: string
  readonly expiresAt: Date
}

/** Gives the token with the link; nothing can give it again. Older links of the same purpose are good for nothing any more. */
export async function makeLink(
  tx: Tx,
  draft: {
    readonly kind: LinkKind
    readonly email?: string
    readonly role?: Role
    readonly userId?: string
    readonly expiresAt: Date
  },
  by: By,
): Promise<{ readonly link: Link; readonly token: string }> {
  const token = Buffer.from(by.randomBytes(32)).toString('base64url')
  const { kind, email = null, role = null, userId = null, expiresAt } = draft
  await tx
    .deleteFrom('link')
    .where('kind', '=', kind)
    .where('email', 'is not distinct from', email)
    .where('user_id', 'is not distinct from', userId)
    .execute()
  const id = newId('link', by.randomBytes)
  const row = await tx
    .insertInto('link')
    .values({
      id,
      hash: hashOf(token),
      kind,
      email,
      role,
      user_id: userId,
      created_at: by.now,
      created_by: by.actor,
      expires_at: expiresAt,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  const detail = { kind, ...(role === null ? {} : { role }) }
  await appendAudit(tx, { at: by.now, actor: by.actor, action: 'link.made', subject: userId ?? id, detail })
  return { link: linkOf(row), token }
}

/** Whether it could be used: asked before work that nobody should cause without a link. */
export async function isGoodLink(db: Db, token: string, kind: LinkKind, now: Date): Promise<boolean> {
  const row = await db
    .selectFrom('link')
    .select('id')
    .where('hash', '=', hashOf(token))
    .where('kind', '=', kind)
    .where('used_at', 'is', null)
    .where('expires_at', '>', now)
    .executeTakeFirst()
  return row !== undefined
}

/** Uses it up: of any number that come with it at once, one gets it. */
export async function takeLink(tx: Tx, token: string, kind: LinkKind, now: Date): Promise<Link | undefined> {
  const row = await tx
    .updateTable('link')
    .set({ used_at: now })
    .where('hash', '=', hashOf(token))
    .where('kind', '=', kind)
    .where('used_at', 'is', null)
    .where('expires_at', '>', now)
    .returningAll()
    .executeTakeFirst()
  return row === undefined ? undefined : linkOf(row)
}

export async function listInvitations(db: Db, now: Date): Promise<readonly Link[]> {
  const rows = await db
    .selectFrom('link')
    .selectAll()
    .where('kind', '=', 'invitation')
    .where('used_at', 'is', null)
    .where('expires_at', '>', now)
    .orderBy('created_at')
    .execute()
  return rows.map(linkOf)
}

export async function removeInvitation(tx: Tx, id: string, by: By): Promise<void> {
  const gone = await tx
    .deleteFrom('link')
    .where('id', '=', id)
    .where('kind', '=', 'invitation')
    .where('used_at', 'is', null)
    .executeTakeFirst()
  if (gone.numDeletedRows === 0n) throw notFound('invitation', id)
  await appendAudit(tx, { at: by.now, actor: by.actor, action: 'invitation.removed', subject: id, detail: {} })
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex')
}

function linkOf(row: {
  readonly id: string
  readonly kind: LinkKind
  readonly email: string | null
  readonly role: string | null
  readonly user_id: string | null
  readonly created_at: Date
  readonly created_by: string
  readonly expires_at: Date
}): Link {
  return {
    id: row.id,
    kind: row.kind,
    email: row.email,
    role: roleOf(row.role) ?? null,
    userId: row.user_id,
    createdAt: row.created_at,
    createdBy: row.created_by,
    expiresAt: row.expires_at,
  }
}
