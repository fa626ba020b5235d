import type { Lease } from '../engine/ports.ts'
import type { Plan } from '../domain/plan.ts'
import { policyRefusal } from '../domain/plan-policy.ts'
import type { Db } from '../store/schema.ts'

/** What was last seen of a run's connection, and what its policy says of the run's plan. */
export interface KnownPolicy {
  readonly connectionId: string
  readonly revision: number
  /** Null, or why the policy does not let the plan's fields leave any more. */
  readonly refusal: string | null
}

export interface PolicyWatch {
  /** The plan that is carried out under this lease. */
  know(lease: Lease, plan: Plan): void
  /** As it was last seen; looks once where it was not. Whoever sends asks whether the connection is still of that revision. */
  known(lease: Lease): Promise<KnownPolicy>
  /** Looks again. */
  look(lease: Lease): Promise<KnownPolicy>
}

export function makePolicyWatch(db: Db): PolicyWatch {
  const plans = new WeakMap<Lease, Plan>()
  const seen = new WeakMap<Lease, KnownPolicy>()
  const look = async (lease: Lease): Promise<KnownPolicy> => {
    const plan = plans.get(lease)
    if (plan === undefined) throw new Error('A run sends before it has a plan')
    const row = await db
      .selectFrom('connection')
      .select(['revision', 'policy'])
      .where('id', '=', plan.connectionId)
      .executeTakeFirst()
    const { connectionId } = plan
    // Without a connection the run is stopped for that, in words of its own.
    const known =
      row === undefined
        ? { connectionId, revision: 0, refusal: null }
        : { connectionId, revision: row.revision, refusal: policyRefusal(row.policy, plan) }
    seen.set(lease, known)
    return known
  }
  return {
    know: (lease, plan) => void plans.set(lease, plan),
    known: async (lease) => seen.get(lease) ?? (await look(lease)),
    look,
  }
}
