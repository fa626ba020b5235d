import { sql } from 'kysely'
import type { ConnectionId } from '../domain/ids.ts'
import { appendAudit } from './audit.ts'
import type { By } from './by.ts'
import { toJson } from './json.ts'
import type { Db, Tx } from './schema.ts'

/** Who consented at the service; the SDK's `Account`. */
export interface StoredAccount {
  readonly id: string
  readonly name: string
  readonly details?: Readonly<Record<string, string>>
}

export interface GrantExpiry {
  readonly refreshAt: Date | null
  readonly accessExpiresAt: Date | null
  readonly expiresAt: Date | null
}

export interface StoredGrant extends GrantExpiry {
  readonly connectionId: ConnectionId
  readonly generation: number
  readonly state: 'signed-in' | 'sign-in-again'
  readonly reason: string | null
  readonly account: StoredAccount
  readonly clientId: string
  /** The tokens, sealed. */
  readonly sealed: string
  readonly signedInAt: Date
  readonly signedInBy: string
}

export async function readGrant(db: Db, connectionId: ConnectionId): Promise<StoredGrant | undefined> {
  const row = await db
    .selectFrom('oauth_grant')
    .selectAll()
    .where('connection_id', '=', connectionId)
    .executeTakeFirst()
  return row === undefined ? undefined : grantOf(row)
}

/** A person has signed in: whatever was there before is gone, and a refresh of it that goes on will find that out. */
export async function writeGrant(
  tx: Tx,
  grant: Pick<StoredGrant, 'connectionId' | 'account' | 'clientId' | 'sealed'> & GrantExpiry,
  by: By,
): Promise<void> {
  const before = await readGrant(tx, grant.connectionId)
  const row = {
    state: 'signed-in' as const,
    reason: null,
    account: toJson(grant.account),
    client_id: grant.clientId,
    sealed: grant.sealed,
    refresh_at: grant.refreshAt,
    access_expires_at: grant.accessExpiresAt,
    expires_at: grant.expiresAt,
    signed_in_at: by.now,
    signed_in_by: by.actor,
    claimed_until: null,
    unanswered: false,
    updated_at: by.now,
  }
  await tx
    .insertInto('oauth_grant')
    .values({ connection_id: grant.connectionId, generation: 1, ...row })
    .onConflict((conflict) =>
      conflict.column('connection_id').doUpdateSet({ ...row, generation: sql<number>`oauth_grant.generation + 1` }),
    )
    .execute()
  const isOther = before !== undefined && before.account.id !== grant.account.id
  await appendAudit(tx, {
    at: by.now,
    actor: by.actor,
    action: 'connection.signed-in',
    subject: grant.connectionId,
    detail: { account: grant.account.id, ...(isOther ? { inPlaceOf: before.account.id } : {}) },
  })
}

/** Takes the right to refresh one generation, for so long; undefined where another has it, or where the generation is gone. */
export async function claimRefresh(
  db: Db,
  connectionId: ConnectionId,
  generation: number,
  seconds: number,
): Promise<{ readonly isUnanswered: boolean } | undefined> {
  const { rows } = await sql<{ before: boolean }>`
    WITH before AS (
      SELECT connection_id, unanswered FROM oauth_grant
       WHERE connection_id = ${connectionId} AND generation = ${generation} AND state = 'signed-in'
         AND (claimed_until IS NULL OR claimed_until < now())
         FOR UPDATE
    )
    UPDATE oauth_grant SET claimed_until = now() + make_interval(secs => ${seconds}), unanswered = true
      FROM before WHERE oauth_grant.connection_id = before.connection_id
    RETURNING before.unanswered AS before`.execute(db)
  return rows[0] === undefined ? undefined : { isUnanswered: rows[0].before }
}

export async function commitRefresh(
  db: Db,
  connectionId: ConnectionId,
  generation: number,
  renewed: { readonly sealed: string } & GrantExpiry,
  now: Date,
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('oauth_grant')
    .set({
      generation: generation + 1,
      sealed: renewed.sealed,
      refresh_at: renewed.refreshAt,
      access_expires_at: renewed.accessExpiresAt,
      expires_at: renewed.expiresAt,
      claimed_until: null,
      unanswered: false,
      updated_at: now,
    })
    .where('connection_id', '=', connectionId)
    .where('generation', '=', generation)
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

export async function releaseRefresh(
  db: Db,
  connectionId: ConnectionId,
  generation: number,
  isUnanswered: boolean,
): Promise<void> {
  await db
    .updateTable('oauth_grant')
    .set({ claimed_until: null, unanswered: isUnanswered })
    .where('connection_id', '=', connectionId)
    .where('generation', '=', generation)
    .execute()
}

/** The service refused: from here on a person has to sign in again. */
export async function endGrant(
  tx: Tx,
  connectionId: ConnectionId,
  generation: number,
  reason: string,
  now: Date,
): Promise<void> {
  const { numUpdatedRows } = await tx
    .updateTable('oauth_grant')
    .set({ state: 'sign-in-again', reason, claimed_until: null, updated_at: now })
    .where('connection_id', '=', connectionId)
    .where('generation', '=', generation)
    .where('state', '=', 'signed-in')
    .executeTakeFirst()
  if (numUpdatedRows === 0n) return
  const detail = { reason }
  await appendAudit(tx, {
    at: now,
    actor: 'patchbay',
    action: 'connection.sign-in-ended',
    subject: connectionId,
    detail,
  })
}

export async function removeGrant(tx: Tx, connectionId: ConnectionId, by: By): Promise<void> {
  await tx.deleteFrom('oauth_attempt').where('connection_id', '=', connectionId).execute()
  const { numDeletedRows } = await tx
    .deleteFrom('oauth_grant')
    .where('connection_id', '=', connectionId)
    .executeTakeFirst()
  if (numDeletedRows === 0n) return
  await appendAudit(tx, {
    at: by.now,
    actor: by.actor,
    action: 'connection.signed-out',
    subject: connectionId,
    detail: {},
  })
}

/** Those where somebody has to sign in before this moment, and those where somebody has to already; the first to end first. */
export async function listGrantsAtRisk(db: Db, before: Date): Promise<readonly StoredGrant[]> {
  const rows = await db
    .selectFrom('oauth_grant')
    .selectAll()
    .where((where) => where.or([where('expires_at', '<', before), where('state', '=', 'sign-in-again')]))
    .orderBy('expires_at')
    .execute()
  return rows.map(grantOf)
}

function grantOf(row: {
  readonly connection_id: string
  readonly generation: number
  readonly state: 'signed-in' | 'sign-in-again'
  readonly reason: string | null
  readonly account: StoredAccount
  readonly client_id: string
  readonly sealed: string
  readonly refresh_at: Date | null
  readonly access_expires_at: Date | null
  readonly expires_at: Date | null
  readonly signed_in_at: Date
  readonly signed_in_by: string
}): StoredGrant {
  return {
    connectionId: row.connection_id as ConnectionId,
    generation: row.generation,
    state: row.state,
    reason: row.reason,
    account: row.account,
    clientId: row.client_id,
    sealed: row.sealed,
    refreshAt: row.refresh_at,
    accessExpiresAt: row.access_expires_at,
    expiresAt: row.expires_at,
    signedInAt: row.signed_in_at,
    signedInBy: row.signed_in_by,
  }
}
