import { Button } from '@fluentui/react-components'
import {
  Add20Regular,
  CheckmarkCircle20Regular,
  Delete20Regular,
  Edit20Regular,
  PlugConnectedRegular,
  ShareAndroid20Regular,
} from '@fluentui/react-icons'
import { CATEGORIES, type Connection } from '@patchbay/contract'
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useMemo, useState } from 'react'
import { ask, askPages } from '../../../api/ask.ts'
import { useMay } from '../../../app/session.ts'
import { t } from '../../../messages/index.ts'
import type { Command } from '../../../ui/command-bar.tsx'
import { ConnectorMark } from '../../../ui/connector-mark.tsx'
import type { Column } from '../../../ui/data-table.tsx'
import { EmptyState } from '../../../ui/empty-state.tsx'
import { ListPage, type Filter } from '../../../ui/list-page.tsx'
import { useUrlState } from '../../../ui/list-state.ts'
import { RelativeTime } from '../../../ui/relative-time.tsx'
import { StatusBadge } from '../../../ui/status-badge.tsx'
import { ConnectionDetails } from './connection-details.tsx'
import { HEALTH_TONE, sharingWords } from './connection-words.ts'
import { RemoveConnection } from './remove-connection.tsx'
import { useVerify } from './use-verify.ts'

/** Every connection, with what one wants to know at a glance, and what can be done with it. */
export function ConnectionList() {
  const url = useUrlState()
  const navigate = useNavigate()
  const may = useMay()
  const verify = useVerify()
  const { q, sort, connector, category, health, sharing } = url.values
  const query = { search: q, sort, connector, category, health, sharing }
  const pages = useInfiniteQuery(askPages<'connections', 'list', Connection>('connections', 'list', { query } as never))
  const rows = useMemo(() => pages.data?.pages.flatMap(({ items }) => items) ?? [], [pages.data])
  const connectors = useQuery({ ...ask('connectors', 'list'), staleTime: Infinity })
  const nameOf = (id: string) => connectors.data?.items.find((each) => each.id === id)?.name ?? id
  const [removing, setRemoving] = useState<Connection>()

  const discover = () => void navigate({ to: '/admin/connections/discover' })
  const add: Command = {
    key: 'add',
    label: t('connections.add'),
    icon: <Add20Regular />,
    primary: true,
    onClick: discover,
  }
  const commandsOf = (row: Connection): readonly Command[] => [
    {
      key: 'edit',
      label: t('connections.edit'),
      icon: <Edit20Regular />,
      onClick: () => url.set({ pane: row.id, at: undefined }),
    },
    {
      key: 'verify',
      label: t('connections.verify'),
      icon: <CheckmarkCircle20Regular />,
      onClick: () => verify.start(row),
    },
    {
      key: 'share',
      label: t('connections.share'),
      icon: <ShareAndroid20Regular />,
      onClick: () => url.set({ pane: row.id, at: 'sharing' }),
    },
    {
      key: 'remove',
      label: t('connections.remove'),
      icon: <Delete20Regular />,
      onClick: () => setRemoving(row),
    },
  ]
  const open = rows.find(({ id }) => id === url.values['open'])
  return (
    <>
      <ListPage
        label={t('nav.connections')}
        rows={rows}
        columns={columns(nameOf)}
        filters={filters(connectors.data?.items ?? [])}
        idOf={({ id }) => id}
        nameOf={({ name }) => name}
        firstSort="name"
        byServer
        commands={may('connection.write') ? [add, ...(open === undefined ? [] : commandsOf(open))] : []}
        commandsOf={commandsOf}
        loading={pages.isPending}
        error={pages.error}
        onRetry={() => void pages.refetch()}
        hasMore={pages.hasNextPage}
        onEnd={pages.hasNextPage ? () => void pages.fetchNextPage() : undefined}
        empty={
          <EmptyState
            icon={<PlugConnectedRegular />}
            title={t('connections.empty')}
            detail={t('connections.empty.detail')}
            action={
              <Button appearance="primary" icon={<Add20Regular />} onClick={discover}>
                {t('connections.add')}
              </Button>
            }
          />
        }
        details={(row) => (
          <ConnectionDetails
            connection={row}
            connectorName={nameOf(row.connectorId)}
            verify={verify}
            onClose={() => url.set({ open: undefined })}
            onRemove={() => setRemoving(row)}
          />
        )}
      />
      {removing === undefined ? null : (
        <RemoveConnection connection={removing} onClose={() => setRemoving(undefined)} />
      )}
    </>
  )
}

function columns(nameOf: (connector: string) => string): readonly Column<Connection>[] {
  return [
    {
      key: 'name',
      title: t('connections.name'),
      width: 'minmax(11rem, 2fr)',
      sortable: true,
      render: ({ name, category }) => (
        <span style={{ display: 'inline-flex', alignItems: 'center', gap: 10, maxWidth: '100%' }}>
          <ConnectorMark category={category} small />
          <span style={{ overflow: 'hidden', textOverflow: 'ellipsis' }}>{name}</span>
        </span>
      ),
    },
    {
      key: 'connector',
      title: t('connections.connector'),
      width: 'minmax(8rem, 1fr)',
      sortable: true,
      render: ({ connectorId }) => nameOf(connectorId),
    },
    {
      key: 'health',
      title: t('connections.health'),
      width: 'minmax(7rem, 1fr)',
      sortable: true,
      onPhone: true,
      render: ({ health }) => <StatusBadge tone={HEALTH_TONE[health]}>{t(`health.${health}`)}</StatusBadge>,
    },
    {
      key: 'checked',
      title: t('connections.checked'),
      width: 'minmax(7rem, 1fr)',
      sortable: true,
      render: ({ checkedAt }) => <RelativeTime at={checkedAt} />,
    },
    {
      key: 'usedBy',
      title: t('connections.used-by'),
      width: 'minmax(6rem, 0.8fr)',
      sortable: true,
      render: ({ usedBy }) => t('connections.exports', { count: usedBy }),
    },
    {
      key: 'sharing',
      title: t('connections.sharing'),
      width: 'minmax(10rem, 1.4fr)',
      sortable: true,
      render: ({ sharing }) => sharingWords(sharing),
    },
    {
      key: 'direction',
      title: t('connections.direction'),
      width: 'minmax(6rem, 0.7fr)',
      sortable: true,
      optional: true,
      render: ({ direction }) => t(`direction.${direction}`),
    },
    {
      key: 'category',
      title: t('connections.category'),
      width: 'minmax(6rem, 0.8fr)',
      sortable: true,
      optional: true,
      render: ({ category }) => t(`category.${category}`),
    },
    {
      key: 'created',
      title: t('connections.created'),
      width: 'minmax(7rem, 1fr)',
      sortable: true,
      render: ({ createdAt }) => <RelativeTime at={createdAt} />,
    },
    {
      key: 'createdBy',
      title: t('connections.created-by'),
      width: 'minmax(7rem, 1fr)',
      sortable: true,
      optional: true,
      render: ({ createdBy }) => createdBy,
    },
  ]
}

function filters(connectors: readonly { readonly id: string; readonly name: string }[]): readonly Filter[] {
  return [
    {
      key: 'connector',
      label: t('connections.connector'),
      choices: connectors.map(({ id, name }) => ({ value: id, label: name })),
    },
    {
      key: 'category',
      label: t('connections.category'),
      choices: CATEGORIES.map((value) => ({ value, label: t(`category.${value}`) })),
    },
    {
      key: 'health',
      label: t('connections.health'),
      choices: (['healthy', 'failing', 'unknown'] as const).map((value) => ({ value, label: t(`health.${value}`) })),
    },
    {
      key: 'sharing',
      label: t('connections.sharing'),
      choices: (['administrators', 'contributors'] as const).map((value) => ({ value, label: t(`sharing.${value}`) })),
    },
  ]
}
