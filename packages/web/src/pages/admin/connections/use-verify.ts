import type { Checked, Connection } from '@patchbay/contract'
import { useMutation } from '@tanstack/react-query'
import { changed } from '../../../api/ask.ts'
import { client } from '../../../api/client.ts'
import { t } from '../../../messages/index.ts'
import { useToasts } from '../../../ui/toasts.tsx'

export interface Verify {
  readonly start: (connection: Connection) => void
  readonly busyWith: string | undefined
  readonly resultOf: (connection: Connection) => Checked | undefined
  readonly errorOf: (connection: Connection) => unknown
}

/** Verifies a stored connection with its stored secrets; the steps are shown in its details. */
export function useVerify(): Verify {
  const toasts = useToasts()
  const check = useMutation({
    mutationFn: ({ id }: Connection) => client.connections.check({ params: { connection: id } }),
    onSuccess: (checked, { name }) => {
      if (checked.ok) toasts.done({ title: t('verify.done', { name }) })
      return changed('connections')
    },
  })
  const isAbout = ({ id }: Connection) => check.variables?.id === id
  return {
    start: (connection) => check.mutate(connection),
    busyWith: check.isPending ? check.variables.id : undefined,
    resultOf: (connection) => (isAbout(connection) ? check.data : undefined),
    errorOf: (connection) => (isAbout(connection) ? check.error : undefined),
  }
}
