/** Who is at the screen, and what they may do. */
import type { Me, Permission } from '@patchbay/contract'
import { useSuspenseQuery } from '@tanstack/react-query'
import { ask } from '../api/ask.ts'

export const askMe = () => ({ ...ask('me', 'show'), staleTime: 60_000 })

/** Only below the shell, which is drawn when it is known. */
export function useMe(): Me {
  return useSuspenseQuery(askMe()).data
}

/** What a person may not do is not shown. The server decides; this only keeps from offering what it would refuse. */
export function useMay(): (permission: Permission) => boolean {
  const { permissions } = useMe()
  return (permission) => permissions.includes(permission)
}

/** Where to go after signing in: a page of ours, never an address of another. */
export function placeAfterSignIn(from: string | undefined): string {
  return from !== undefined && /^\/(?![/\\])/.test(from) ? from : '/'
}
