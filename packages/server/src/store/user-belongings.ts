import { appendAudit } from './audit.ts'
import type { By } from './by.ts'
import type { Tx } from './schema.ts'

export interface Belongings {
  readonly exports: readonly { readonly id: string; readonly name: string }[]
  readonly apiKeys: readonly { readonly id: string; readonly name: string }[]
}

/** What a removed user had made passes to the owner, so that nothing is left without somebody who answers for it. */
export async function passOn(tx: Tx, from: string, to: string | null, by: By): Promise<Belongings> {
  const [old, next] = [`user:${from}`, to === null ? 'command line' : `user:${to}`]
  const exports = await tx
    .updateTable('export')
    .set({ created_by: next })
    .where('created_by', '=', old)
    .returning(['id', 'name'])
    .execute()
  const apiKeys = await tx
    .updateTable('api_key')
    .set({ created_by: next })
    .where('created_by', '=', old)
    .returning(['id', 'name'])
    .execute()
  for (const { id } of [...exports, ...apiKeys]) {
    await appendAudit(tx, {
      at: by.now,
      actor: by.actor,
      action: 'ownership.passed',
      subject: id,
      detail: { to: next },
    })
  }
  return { exports, apiKeys }
}
