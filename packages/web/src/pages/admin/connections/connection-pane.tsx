/** The set-up pane: for a new connection (`?pane=new-sftp`) and for one that is there (`?pane=con_…`). */
import { Spinner } from '@fluentui/react-components'
import type { Connection, Connector } from '@patchbay/contract'
import { useQuery } from '@tanstack/react-query'
import { ask } from '../../../api/ask.ts'
import { t } from '../../../messages/index.ts'
import { useUrlState } from '../../../ui/list-state.ts'
import { SetUpPane } from '../../../ui/set-up-pane.tsx'
import { TroubleNote } from '../../../ui/trouble-note.tsx'
import { ConnectionForm } from './connection-form.tsx'

export function ConnectionPane({ pane }: { readonly pane: string }) {
  const url = useUrlState()
  const close = () => url.set({ pane: undefined, at: undefined })
  if (pane.startsWith('new-')) return <NewConnection connectorId={pane.slice('new-'.length)} close={close} />
  return <StoredConnection id={pane} close={close} />
}

function NewConnection({ connectorId, close }: { readonly connectorId: string; readonly close: () => void }) {
  const connector = useQuery(ask('connectors', 'show', { params: { connector: connectorId } }))
  return <Loaded connector={connector.data} stored={undefined} error={connector.error} close={close} />
}

function StoredConnection({ id, close }: { readonly id: string; readonly close: () => void }) {
  // What is edited is what was read when the pane was opened: a later change by another person is told when it is saved.
  const stored = useQuery({
    ...ask('connections', 'show', { params: { connection: id } }),
    staleTime: Infinity,
    gcTime: 0,
  })
  const connector = useQuery({
    ...ask('connectors', 'show', { params: { connector: stored.data?.connectorId ?? '' } }),
    enabled: stored.data !== undefined,
  })
  return (
    <Loaded
      connector={stored.data === undefined ? undefined : connector.data}
      stored={stored.data}
      error={stored.error ?? connector.error}
      close={close}
    />
  )
}

interface LoadedProps {
  readonly connector: Connector | undefined
  readonly stored: Connection | undefined
  readonly error: unknown
  readonly close: () => void
}

function Loaded({ connector, stored, error, close }: LoadedProps) {
  if (connector !== undefined)
    return <ConnectionForm key={stored?.revision} connector={connector} stored={stored} close={close} />
  return (
    <SetUpPane title={t('nav.connections')} unsaved={false} onClose={close} onSubmit={() => undefined} footer={null}>
      <TroubleNote error={error} />
      {error === null ? <Spinner label={t('list.loading')} /> : null}
    </SetUpPane>
  )
}
