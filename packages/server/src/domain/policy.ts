import type { DataPolicy } from './connection.ts'
import type { Transform } from './export.ts'
import { Problem } from './problem.ts'
import type { TableField } from './table.ts'

/** One use of a field of one table by an export, wherever it is: mapped, filtered by, or to decide which of two rows is sent. */
export interface PolicyUse {
  readonly table: string
  readonly field: Pick<TableField, 'name' | 'tags'>
  /** The place in the export. */
  readonly path: string
  /** The transforms of a mapped field; null for a use that sends no value. */
  readonly transforms: readonly Transform[] | null
  /** The table's key: each row is known by it, and row by row it is sent as it is. */
  readonly isKey?: true
}

/**
 * Throws for the first use that the connection's policy does not allow. Looking is leaving: who may filter by a field can
 * find out what is in it. Only what is sent must be hashed, since a filter sends nothing that could be.
 * A list names fields of every table, or of one as `table.field`.
 */
export function checkPolicy(policy: DataPolicy, uses: readonly PolicyUse[]): void {
  for (const use of uses) {
    const name = `${use.table}.${use.field.name}`
    if (!mayLeave(policy, use)) {
      throw new Problem('not-allowed', `The connection's policy does not let "${name}" leave`, {
        path: use.path,
        cure:
          use.isKey === true
            ? 'Each row is known by its key, so that counts as well: ask an Administrator to allow it'
            : 'Leave the field out, or ask an Administrator to allow it. Filtering by it counts as well',
      })
    }
    const mustHash = listed(policy.hashed, use)
    if (mustHash && use.transforms !== null && !use.transforms.includes('hash')) {
      throw new Problem('not-allowed', `The connection's policy lets "${name}" leave only hashed`, {
        path: use.path,
        cure:
          use.isKey === true
            ? 'Each row is sent with its key: ask an Administrator to allow it, or give the table another key'
            : 'Add the transform "hash" to it, or leave the field out',
      })
    }
  }
}

function mayLeave(policy: DataPolicy, use: PolicyUse): boolean {
  if (policy.fields === 'all') return true
  if (policy.fields === 'not-personal') return !use.field.tags.some((tag) => tag === 'personal' || tag === 'sensitive')
  return listed(policy.fields.only, use)
}

function listed(names: readonly string[], { table, field }: PolicyUse): boolean {
  return names.includes(field.name) || names.includes(`${table}.${field.name}`)
}
