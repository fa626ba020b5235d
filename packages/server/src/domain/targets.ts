import type { Connector, TargetField } from '@patchbay/connector-sdk'

/** A destination's fixed fields, and whether there are others. */
export interface Targets {
  readonly fixed: readonly TargetField[]
  readonly isComplete: boolean
}

export const ANY_TARGETS: Targets = { fixed: [], isComplete: false }

/** What a destination declares of its fields, so that a plan is made without asking the service. */
export function targetsOf(destination: Connector['destinations'][string] | undefined): Targets {
  if (destination?.delivers !== 'rows') return ANY_TARGETS
  return { fixed: destination.fixedFields ?? [], isComplete: destination.onlyFixedFields === true }
}
