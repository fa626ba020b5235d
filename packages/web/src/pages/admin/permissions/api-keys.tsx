import { Button } from '@fluentui/react-components'
import { Add20Regular, Delete20Regular, KeyRegular } from '@fluentui/react-icons'
import type { ApiKey } from '@patchbay/contract'
import { useMutation, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { ask, changed } from '../../../api/ask.ts'
import { client } from '../../../api/client.ts'
import { useMay } from '../../../app/session.ts'
import { t } from '../../../messages/index.ts'
import type { Command } from '../../../ui/command-bar.tsx'
import { ConfirmDialog } from '../../../ui/confirm-dialog.tsx'
import type { Column } from '../../../ui/data-table.tsx'
import { EmptyState } from '../../../ui/empty-state.tsx'
import { ListPage } from '../../../ui/list-page.tsx'
import { useUrlState } from '../../../ui/list-state.ts'
import { RelativeTime } from '../../../ui/relative-time.tsx'
import { useToasts } from '../../../ui/toasts.tsx'
import { AddKey } from './add-key.tsx'

/** Keys for programs. Each has a role of its own and ends by itself. */
export function ApiKeys() {
  const url = useUrlState()
  const may = useMay()
  const keys = useQuery(ask('keys', 'list'))
  const [removing, setRemoving] = useState<ApiKey>()
  const add: Command = {
    key: 'add',
    label: t('keys.add'),
    icon: <Add20Regular />,
    primary: true,
    onClick: () => url.set({ pane: 'new' }),
  }
  return (
    <>
      <ListPage
        label={t('keys.title')}
        rows={keys.data?.items ?? []}
        columns={COLUMNS()}
        idOf={({ id }) => id}
        nameOf={({ name }) => name}
        firstSort="name"
        matches={({ name }, search) => name.toLocaleLowerCase().includes(search)}
        commands={may('key.write') ? [add] : []}
        commandsOf={(row) => [
          { key: 'remove', label: t('keys.remove'), icon: <Delete20Regular />, onClick: () => setRemoving(row) },
        ]}
        loading={keys.isPending}
        error={keys.error}
        onRetry={() => void keys.refetch()}
        empty={
          <EmptyState
            icon={<KeyRegular />}
            title={t('keys.empty')}
            detail={t('keys.empty.detail')}
            action={
              <Button appearance="primary" icon={<Add20Regular />} onClick={add.onClick}>
                {t('keys.add')}
              </Button>
            }
          />
        }
      />
      {url.values['pane'] === 'new' ? <AddKey onClose={() => url.set({ pane: undefined })} /> : null}
      {removing === undefined ? null : <RemoveKey apiKey={removing} onClose={() => setRemoving(undefined)} />}
    </>
  )
}

function COLUMNS(): readonly Column<ApiKey>[] {
  const byText = (part: (key: ApiKey) => string) => (a: ApiKey, b: ApiKey) => part(a).localeCompare(part(b))
  return [
    {
      key: 'name',
      title: t('keys.name'),
      width: 'minmax(10rem, 2fr)',
      sortable: true,
      compare: byText(({ name }) => name),
      render: ({ name }) => name,
    },
    {
      key: 'role',
      title: t('role.label'),
      width: 'minmax(8rem, 1fr)',
      sortable: true,
      onPhone: true,
      compare: byText(({ role }) => role),
      render: ({ role }) => t(`role.${role}`),
    },
    {
      key: 'lastUsed',
      title: t('keys.last-used'),
      width: 'minmax(8rem, 1fr)',
      sortable: true,
      compare: byText(({ lastUsedAt }) => lastUsedAt ?? ''),
      render: ({ lastUsedAt }) => <RelativeTime at={lastUsedAt} />,
    },
    {
      key: 'expires',
      title: t('keys.expires'),
      width: 'minmax(8rem, 1fr)',
      sortable: true,
      compare: byText(({ expiresAt }) => expiresAt ?? '9'),
      render: ({ expiresAt }) => <RelativeTime at={expiresAt} />,
    },
    {
      key: 'created',
      title: t('keys.created'),
      width: 'minmax(8rem, 1fr)',
      sortable: true,
      compare: byText(({ createdAt }) => createdAt),
      render: ({ createdAt }) => <RelativeTime at={createdAt} />,
    },
  ]
}

function RemoveKey({ apiKey: { id, name }, onClose }: { readonly apiKey: ApiKey; readonly onClose: () => void }) {
  const toasts = useToasts()
  const remove = useMutation({
    mutationFn: () => client.keys.remove({ params: { key: id } }),
    onSuccess: async () => {
      toasts.done({ title: t('keys.removed', { name }) })
      onClose()
      await changed('keys')
    },
  })
  return (
    <ConfirmDialog
      title={t('keys.remove.title', { name })}
      action={t('keys.remove')}
      busy={remove.isPending}
      error={remove.error}
      onConfirm={() => remove.mutate()}
      onClose={onClose}
    >
      {t('keys.remove.detail')}
    </ConfirmDialog>
  )
}
