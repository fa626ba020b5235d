import { Problem } from '../domain/problem.ts'
import { toJson } from './json.ts'
import type { Db, Tx } from './schema.ts'

/**
 * A request that carries an idempotency key does its work once. The first caller holds the row until its transaction ends, and
 * a second one waits for that, so call it first in the transaction that does the work. Gives the stored answer of the
 * earlier request, or undefined when this is the first.
 */
export async function claimIdempotency(
  tx: Tx,
  request: { readonly scope: string; readonly key: string; readonly digest: string; readonly now: Date },
): Promise<unknown> {
  const inserted = await tx
    .insertInto('idempotency')
    .values({
      scope: request.scope,
      key: request.key,
      request_digest: request.digest,
      answer: null,
      created_at: request.now,
    })
    .onConflict((conflict) => conflict.doNothing())
    .returning('key')
    .executeTakeFirst()
  if (inserted !== undefined) return undefined
  const earlier = await tx
    .selectFrom('idempotency')
    .select(['request_digest', 'answer'])
    .where('scope', '=', request.scope)
    .where('key', '=', request.key)
    .executeTakeFirstOrThrow()
  if (earlier.request_digest !== request.digest) {
    throw new Problem('conflict', 'This idempotency key was used for another request', {
      path: 'Idempotency-Key',
      cure: 'Use a new key for a new request',
    })
  }
  return earlier.answer
}

export async function storeAnswer(tx: Tx, scope: string, key: string, answer: unknown): Promise<void> {
  await tx
    .updateTable('idempotency')
    .set({ answer: toJson(answer) })
    .where('scope', '=', scope)
    .where('key', '=', key)
    .execute()
}

export async function forgetIdempotency(db: Db, olderThan: Date): Promise<void> {
  await db.deleteFrom('idempotency').where('created_at', '<', olderThan).execute()
}
