import type { ConnectionId } from './ids.ts'

/** What Administrators allow over a connection. "Use" counts as leaving: filter, sort, merge and hash too. */
export interface DataPolicy {
  readonly fields: 'all' | 'not-personal' | { readonly only: readonly string[] }
  /** Source fields that may only leave hashed. */
  readonly hashed: readonly string[]
  /** A boolean field of the source; rows where it is not true are suppressed. */
  readonly consentField?: string
  readonly rowsPerRunMax?: number
}

/** Who may use a connection in an export, besides Administrators. */
export type Sharing =
  | { readonly with: 'administrators' }
  | { readonly with: 'contributors' }
  | { readonly with: 'named'; readonly users: readonly string[] }

/** Whether somebody with one of the lesser roles reaches a connection that is shared so; `userId` is null for an API key. */
export function isReached(sharing: Sharing, userId: string | null): boolean {
  if (sharing.with === 'contributors') return true
  return sharing.with === 'named' && userId !== null && sharing.users.includes(userId)
}

/** Whether the second leaves out anybody whom the first lets in. */
export function isLess(before: Sharing, after: Sharing): boolean {
  if (before.with === 'administrators' || after.with === 'contributors') return false
  if (before.with === 'contributors' || after.with === 'administrators') return true
  return before.users.some((user) => !after.users.includes(user))
}

export interface Connection {
  readonly id: ConnectionId
  readonly name: string
  readonly connectorId: string
  /** The connector's settings without its secrets. */
  readonly settings: Readonly<Record<string, string | number | boolean>>
  /** Names of the secret fields that hold one. */
  readonly secretsSet: readonly string[]
  /** Of these, the ones that name a secret of a key vault and hold none. */
  readonly vaultSecrets: readonly { readonly field: string; readonly vault: ConnectionId; readonly name: string }[]
  readonly policy: DataPolicy
  readonly sharing: Sharing
  readonly health: 'unknown' | 'healthy' | 'failing'
  readonly checkedAt: Date | null
  /** The step at which the last check failed, and the field to mend. */
  readonly failing: { readonly step: string; readonly field: string | null; readonly message: string } | null
  /** When the first of its secrets ends, or what it signed in with. */
  readonly expiresAt: Date | null
  /** How many exports are on it. */
  readonly usedBy: number
  readonly createdAt: Date
  readonly createdBy: string
  readonly revision: number
}
