import type { GuardLimits } from './export.ts'
import type { Mode } from '@patchbay/connector-sdk'

export interface GuardedDiff {
  readonly read: number
  readonly added: number
  readonly changed: number
  readonly removed: number
  readonly ledgerRows: number
  readonly vanishing: number
  readonly fingerprintsStale: boolean
}

/**
 * Why a person must look at this difference before it is sent; null where the run may go on.
 * Sources are judged one by one, so that a large table does not hide that a small one is emptied; the policy's rows are a sum.
 */
export function holdReason(
  sources: readonly (GuardedDiff & { readonly source: string })[],
  limits: GuardLimits,
  mode: Mode,
  rowsPerRunMax: number | null,
): string | null {
  for (const diff of sources) {
    const share = diff.ledgerRows === 0 ? 0 : diff.vanishing / diff.ledgerRows
    if (diff.vanishing > limits.removedRowsMin && share > limits.removedShareMax) {
      return `${diff.source}: ${diff.vanishing} of the ${diff.ledgerRows} rows at the destination would be removed (${percent(share)}; the limit is ${percent(limits.removedShareMax)})`
    }
    const reachesFar = mode === 'mirror' || mode === 'replace' || diff.ledgerRows > 0
    if (diff.read === 0 && reachesFar && !limits.allowEmptySource) {
      return `${diff.source}: the source is empty`
    }
    if (diff.fingerprintsStale) {
      return `${diff.source}: the data engine was upgraded and what was delivered before cannot be compared; ${diff.added + diff.changed} rows would be sent again`
    }
  }
  const rows = sources.reduce((sum, diff) => sum + diff.added + diff.changed + diff.removed, 0)
  if (rowsPerRunMax !== null && rows > rowsPerRunMax) {
    return `${rows} rows would be sent; the connection's policy allows ${rowsPerRunMax} a run`
  }
  return null
}

/** Rounded down to a tenth, so that 20.04 % does not read like the limit that it exceeds. */
function percent(share: number): string {
  const tenths = Math.floor(share * 1000)
  return `${tenths % 10 === 0 ? tenths / 10 : (tenths / 10).toFixed(1)} %`
}
