import type { Connection, Connector } from '@patchbay/contract'
import { useMutation } from '@tanstack/react-query'
import { changed } from '../../../api/ask.ts'
import { client } from '../../../api/client.ts'
import { troubleOf } from '../../../api/problem.ts'
import { t } from '../../../messages/index.ts'
import { sentValues } from '../../../ui/field-values.ts'
import { useToasts } from '../../../ui/toasts.tsx'
import { changedSettings, secretsOf, type Draft } from './connection-draft.ts'

interface Saving {
  readonly draft: Draft
  /** To save over what somebody else saved. */
  readonly revision?: number
}

export function useSaveConnection(connector: Connector, stored: Connection | undefined) {
  const toasts = useToasts()
  const save = useMutation({
    mutationFn: ({ draft, revision }: Saving) =>
      stored === undefined ? add(connector, draft) : edit(connector, draft, stored, revision ?? stored.revision),
    onSuccess: ({ id, name }) => {
      toasts.done({ title: t('set-up.saved', { name }) })
      // Not waited for: what is saved is saved, and the pane may be left at once.
      void changed('connections', 'exports', 'audit')
      // So that its health is known at once, and not after an hour.
      void client.connections
        .check({ params: { connection: id } })
        .then(() => changed('connections'))
        .catch(() => undefined)
    },
  })
  return {
    mutate: save.mutate,
    reset: save.reset,
    isPending: save.isPending,
    isSuccess: save.isSuccess,
    error: save.error,
    trouble: save.error === null ? undefined : troubleOf(save.error),
    async takeTheirs(close: () => void) {
      save.reset()
      await changed('connections')
      close()
    },
  }
}

async function add(connector: Connector, draft: Draft): Promise<Connection> {
  return client.connections.add({
    body: {
      name: draft.name.trim(),
      connectorId: connector.id,
      settings: sentValues(connector.settings, draft.values),
      secrets: secretsOf(connector, draft),
      pins: draft.pins,
      policy: draft.policy,
      sharing: draft.sharing,
    },
    idempotencyKey: crypto.randomUUID(),
  })
}

async function edit(connector: Connector, draft: Draft, stored: Connection, revision: number): Promise<Connection> {
  const secrets = secretsOf(connector, draft)
  const settings = changedSettings(connector, draft, stored)
  const same = <T>(a: T, b: T): boolean => JSON.stringify(a) === JSON.stringify(b)
  const saved = await client.connections.edit({
    params: { connection: stored.id },
    revision,
    body: {
      ...(draft.name.trim() === stored.name ? {} : { name: draft.name.trim() }),
      ...(Object.keys(settings).length === 0 ? {} : { settings }),
      ...(Object.keys(secrets).length === 0 ? {} : { secrets }),
      ...(same(draft.policy, stored.policy) ? {} : { policy: draft.policy }),
      ...(same(draft.sharing, stored.sharing) ? {} : { sharing: draft.sharing }),
    },
  })
  return trustNewPins(draft, saved)
}

/** A pin is confirmed, not edited: the server looks at the far end once more before it keeps it. */
async function trustNewPins(draft: Draft, saved: Connection): Promise<Connection> {
  let connection = saved
  for (const [field, value] of Object.entries(draft.pins))
    if (connection.settings[field] !== value)
      connection = await client.connections.trust({ params: { connection: saved.id }, body: { field, value } })
  return connection
}
