import { Checkbox, makeStyles, Radio, RadioGroup, Spinner, Text, tokens } from '@fluentui/react-components'
import { ApiProblem, type Connection, type Dependents } from '@patchbay/contract'
import { useMutation, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { ask, changed } from '../../../api/ask.ts'
import { client } from '../../../api/client.ts'
import { t } from '../../../messages/index.ts'
import { ConfirmDialog } from '../../../ui/confirm-dialog.tsx'
import { useUrlState } from '../../../ui/list-state.ts'
import { useToasts } from '../../../ui/toasts.tsx'
import { TroubleNote } from '../../../ui/trouble-note.tsx'

const useStyles = makeStyles({
  body: { display: 'flex', flexDirection: 'column', gap: tokens.spacingVerticalM },
  list: {
    listStyleType: 'none',
    margin: 0,
    padding: 0,
    maxHeight: '40vh',
    overflow: 'auto',
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    borderRadius: tokens.borderRadiusMedium,
  },
  item: {
    display: 'flex',
    flexWrap: 'wrap',
    alignItems: 'center',
    justifyContent: 'space-between',
    gap: tokens.spacingHorizontalM,
    padding: `${tokens.spacingVerticalXS} ${tokens.spacingHorizontalM}`,
    borderBottom: `1px solid ${tokens.colorNeutralStroke3}`,
  },
  name: { display: 'flex', flexDirection: 'column', minWidth: 0, overflowWrap: 'anywhere' },
  quiet: { color: tokens.colorNeutralForeground3 },
})

interface Props {
  readonly connection: Connection
  readonly onClose: () => void
}

/** Lists everything that uses the connection, with a choice for each, and says in words what will happen. */
export function RemoveConnection({ connection, onClose }: Props) {
  const styles = useStyles()
  const url = useUrlState()
  const toasts = useToasts()
  const params = { connection: connection.id }
  const dependents = useQuery({ ...ask('connections', 'dependents', { params }), staleTime: 0 })
  const [removing, setRemoving] = useState<ReadonlySet<string>>(new Set())
  const [isSure, setSure] = useState(false)
  const restore = async () => {
    try {
      const { secretsNeeded, connection: back } = await client.connections.restore({ params, body: {} })
      await changed('connections', 'exports')
      toasts.done({
        title: t('remove.restored', { name: back.name }),
        ...(secretsNeeded.length === 0 ? {} : { detail: t('remove.restored.secrets') }),
        action: { label: t('connections.edit'), onClick: () => url.set({ pane: back.id }) },
      })
    } catch (error) {
      toasts.failed(t('remove.restore.failed', { name: connection.name }), error)
    }
  }
  const remove = useMutation({
    mutationFn: ({ token }: Dependents) =>
      client.connections.remove({ params, body: { confirmed: token, removeExports: [...removing] } }),
    onSuccess: async () => {
      onClose()
      url.set({ open: undefined }, { replace: true })
      toasts.done({
        title: t('remove.done', { name: connection.name }),
        detail: t('remove.done.detail'),
        action: { label: t('action.undo'), onClick: () => void restore() },
      })
      await changed('connections', 'exports', 'runs', 'audit')
    },
    onError: (error) => {
      // The list was another one by now: what is shown is read again, and nothing was removed.
      if (error instanceof ApiProblem && error.code === 'conflict') void dependents.refetch()
    },
  })
  const { exports = [], runsGoingOn = 0 } = dependents.data ?? {}
  const gone = exports.filter(({ id }) => removing.has(id)).length
  const choose = (id: string, isRemoved: boolean) => {
    const next = new Set(removing)
    if (isRemoved) next.add(id)
    else next.delete(id)
    setRemoving(next)
  }
  const needsSure = gone > 0
  return (
    <ConfirmDialog
      title={t('remove.title', { name: connection.name })}
      action={t('remove.action')}
      busy={remove.isPending || dependents.data === undefined || (needsSure && !isSure)}
      error={remove.error}
      onClose={onClose}
      onConfirm={() => dependents.data !== undefined && remove.mutate(dependents.data)}
    >
      <div className={styles.body}>
        <Text>{t('remove.secrets')}</Text>
        <TroubleNote error={dependents.error} onRetry={() => void dependents.refetch()} />
        {dependents.isPending ? <Spinner size="tiny" label={t('list.loading')} /> : null}
        {dependents.data === undefined ? null : (
          <Text weight="semibold">{whatHappens(exports.length, gone, runsGoingOn)}</Text>
        )}
        {exports.length === 0 ? null : (
          <ul className={styles.list} aria-label={t('remove.list')}>
            {exports.map(({ id, name, createdBy, isScheduled, isRunning }) => (
              <li key={id} className={styles.item}>
                <span className={styles.name}>
                  <Text>{name}</Text>
                  <Text size={200} className={styles.quiet}>
                    {[
                      createdBy,
                      ...(isScheduled ? [t('remove.scheduled')] : []),
                      ...(isRunning ? [t('remove.running')] : []),
                    ].join(' · ')}
                  </Text>
                </span>
                <RadioGroup
                  layout="horizontal"
                  aria-label={t('remove.choice', { name })}
                  value={removing.has(id) ? 'remove' : 'detach'}
                  onChange={(_, { value }) => choose(id, value === 'remove')}
                >
                  <Radio value="detach" label={t('remove.detach')} />
                  <Radio value="remove" label={t('remove.remove')} />
                </RadioGroup>
              </li>
            ))}
          </ul>
        )}
        {needsSure ? (
          <Checkbox
            label={t('remove.sure', { count: gone })}
            checked={isSure}
            onChange={(_, { checked }) => setSure(checked === true)}
          />
        ) : null}
      </div>
    </ConfirmDialog>
  )
}

function whatHappens(exports: number, gone: number, running: number): string {
  if (exports === 0) return t('remove.says.nothing')
  return [
    ...(exports > gone ? [t('remove.says.detached', { count: exports - gone })] : []),
    ...(gone > 0 ? [t('remove.says.removed', { count: gone })] : []),
    ...(running > 0 ? [t('remove.says.running', { count: running })] : []),
  ].join(' ')
}
