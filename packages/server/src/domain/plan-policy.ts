/**
 * The policy held against a plan that was frozen before: a run that goes on, is approved or is resumed sends by the policy of
 * that moment and not by the one of its beginning.
 */
import type { DataPolicy } from './connection.ts'
import type { Plan, PlanSource } from './plan.ts'
import { checkPolicy, type PolicyUse } from './policy.ts'
import { Problem } from './problem.ts'
import { sameName } from './references.ts'
import { fieldsUsed } from './segment-rule.ts'
import type { PinnedTable } from './table.ts'

/** Null, or a sentence that says what may not leave any more. */
export function policyRefusal(policy: DataPolicy, plan: Pick<Plan, 'sources' | 'delivers'>): string | null {
  const asks = policy.consentField ?? null
  const without = plan.sources.find(({ consentField }) => asks !== null && consentField !== asks)
  if (without !== undefined)
    return `The connection's policy asks consent by "${asks}" now, and this run was planned before. Run it again`
  try {
    checkPolicy(
      policy,
      plan.sources.flatMap((source) => usesOf(source, plan.delivers)),
    )
    return null
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    return `${error.message}. ${error.cure}`
  }
}

function usesOf(source: PlanSource, delivers: Plan['delivers']): readonly PolicyUse[] {
  const { table, columns, where, related, merge } = source
  const use = (of: PinnedTable, name: string, transforms: PolicyUse['transforms']): PolicyUse => {
    const field = of.fields.find((candidate) => candidate.name === name)
    return { table: of.name, field: field ?? { name, tags: ['personal'] }, path: '', transforms }
  }
  const filters = where === null ? [] : fieldsUsed(where, table.key)
  return [
    ...columns.map(({ from, transforms, hash }) => use(table, from, hash === undefined ? transforms : ['hash'])),
    ...filters.map((filter) => {
      const of = filter.table === null ? table : related.find(({ name }) => sameName(name, filter.table ?? ''))
      return use(of ?? table, filter.field, null)
    }),
    ...(merge.by === 'newest' ? [use(table, merge.field, null)] : []),
    { ...use(table, table.key, delivers === 'rows' ? [] : null), isKey: true as const },
  ]
}
