import type { Lease } from '../engine/ports.ts'
import type { Plan } from '../domain/plan.ts'
import { policyRefusal } from '../domain/plan-policy.ts'
import type { Db } from '../store/schema.ts'

export interface PolicyWatch {
  /** The plan that is carried out under this lease. */
  know(lease: Lease, plan: Plan): void
  /** Null, or why the connection's policy does not let the plan's fields leave any more. Asked before each batch. */
  refusal(lease: Lease): Promise<string | null>
}

/** Looks at the plan again only when the connection was edited. */
export function makePolicyWatch(db: Db): PolicyWatch {
  const plans = new WeakMap<Lease, Plan>()
  const looked = new WeakMap<Lease, { readonly revision: number; readonly refusal: string | null }>()
  return {
    know: (lease, plan) => void plans.set(lease, plan),
    async refusal(lease) {
      const plan = plans.get(lease)
      if (plan === undefined) return null
      const row = await db
        .selectFrom('connection')
        .select(['revision', 'policy'])
        .where('id', '=', plan.connectionId)
        .executeTakeFirst()
      // Without a connection the run is stopped for that, in words of its own.
      if (row === undefined) return null
      const before = looked.get(lease)
      const now =
        before?.revision === row.revision
          ? before
          : { revision: row.revision, refusal: policyRefusal(row.policy, plan) }
      looked.set(lease, now)
      return now.refusal
    },
  }
}
