import { newId, type ConnectionId } from '../domain/ids.ts'
import type { By } from './by.ts'
import type { Db, Tx } from './schema.ts'

export type AttemptStep = 'started' | 'answered' | 'exchanging' | 'exchanged' | 'failed'

/** One try of a person to sign in at a service. Its state goes through a browser once, and is here as a hash only. */
export interface Attempt {
  readonly id: string
  readonly connectionId: ConnectionId
  /** Who started it, and by which session or key: nobody else can finish it. */
  readonly asker: string
  /** Where and as whom the connection connected when it was started. */
  readonly endpointIdentity: string
  readonly redirectUri: string
  /** What has to be kept until the next step, sealed: the verifier, then the code, then the tokens. */
  readonly sealed: string
  readonly step: AttemptStep
  readonly reason: string | null
  readonly expiresAt: Date
}

/** Of one connection and asker, an earlier one that was not finished is gone. */
export async function createAttempt(
  tx: Tx,
  draft: Pick<Attempt, 'connectionId' | 'asker' | 'endpointIdentity' | 'redirectUri' | 'sealed' | 'expiresAt'> & {
    readonly stateHash: string
  },
  by: By,
): Promise<string> {
  const { connectionId, asker } = draft
  await tx.deleteFrom('oauth_attempt').where('connection_id', '=', connectionId).where('asker', '=', asker).execute()
  const id = newId('attempt', by.randomBytes)
  await tx
    .insertInto('oauth_attempt')
    .values({
      id,
      connection_id: connectionId,
      state_hash: draft.stateHash,
      asker,
      endpoint_identity: draft.endpointIdentity,
      redirect_uri: draft.redirectUri,
      sealed: draft.sealed,
      step: 'started',
      reason: null,
      created_at: by.now,
      expires_at: draft.expiresAt,
    })
    .execute()
  return id
}

/** By the hash of its state; only while it waits for exactly this. */
export async function findStarted(db: Db, stateHash: string, now: Date): Promise<Attempt | undefined> {
  const row = await db
    .selectFrom('oauth_attempt')
    .selectAll()
    .where('state_hash', '=', stateHash)
    .where('step', '=', 'started')
    .where('expires_at', '>', now)
    .executeTakeFirst()
  return row === undefined ? undefined : attemptOf(row)
}

export async function readAttempt(db: Db, id: string, now: Date): Promise<Attempt | undefined> {
  const row = await db
    .selectFrom('oauth_attempt')
    .selectAll()
    .where('id', '=', id)
    .where('expires_at', '>', now)
    .executeTakeFirst()
  return row === undefined ? undefined : attemptOf(row)
}

export async function listAttempts(db: Db, connectionId: ConnectionId, now: Date): Promise<readonly Attempt[]> {
  const rows = await db
    .selectFrom('oauth_attempt')
    .selectAll()
    .where('connection_id', '=', connectionId)
    .where('expires_at', '>', now)
    .execute()
  return rows.map(attemptOf)
}

/** Each step is taken once: false where somebody else has taken it. */
export async function advanceAttempt(
  db: Db,
  id: string,
  from: AttemptStep,
  to: { readonly step: AttemptStep; readonly sealed?: string; readonly reason?: string },
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('oauth_attempt')
    .set({
      step: to.step,
      ...(to.sealed === undefined ? {} : { sealed: to.sealed }),
      ...(to.reason === undefined ? {} : { reason: to.reason }),
    })
    .where('id', '=', id)
    .where('step', '=', from)
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

export async function removeAttempt(db: Db, id: string): Promise<void> {
  await db.deleteFrom('oauth_attempt').where('id', '=', id).execute()
}

export async function removeExpiredAttempts(db: Db, now: Date): Promise<void> {
  await db.deleteFrom('oauth_attempt').where('expires_at', '<=', now).execute()
}

function attemptOf(row: {
  readonly id: string
  readonly connection_id: string
  readonly asker: string
  readonly endpoint_identity: string
  readonly redirect_uri: string
  readonly sealed: string
  readonly step: AttemptStep
  readonly reason: string | null
  readonly expires_at: Date
}): Attempt {
  return {
    id: row.id,
    connectionId: row.connection_id as ConnectionId,
    asker: row.asker,
    endpointIdentity: row.endpoint_identity,
    redirectUri: row.redirect_uri,
    sealed: row.sealed,
    step: row.step,
    reason: row.reason,
    expiresAt: row.expires_at,
  }
}
