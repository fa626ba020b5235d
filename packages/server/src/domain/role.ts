import type { Role } from '@patchbay/contract'

export type { Role } from '@patchbay/contract'

/** Complete by type: a role that the contract has and this lacks does not compile. */
const ROLES: Readonly<Record<Role, true>> = { Administrator: true, Contributor: true, Viewer: true }

export const ROLE_NAMES = Object.keys(ROLES) as readonly Role[]

export function roleOf(text: string | null): Role | undefined {
  return ROLE_NAMES.find((known) => known === text)
}
