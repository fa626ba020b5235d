/** Who is at the screen, and what they may do. */
import { PERMISSIONS_OF, type Permission, type Role } from '@patchbay/contract'

export interface Me {
  readonly name: string
  readonly role: Role
}

export function useMe(): Me {
  return { name: '', role: 'Administrator' }
}

/** What a person may not do is not shown. The server decides; this only keeps from offering what it would refuse. */
export function useMay(): (permission: Permission) => boolean {
  const { role } = useMe()
  return (permission) => PERMISSIONS_OF[role].has(permission)
}
