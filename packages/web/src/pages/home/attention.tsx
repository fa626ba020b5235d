import { Text } from '@fluentui/react-components'
import type { Connection } from '@patchbay/contract'
import { useQuery } from '@tanstack/react-query'
import { ask } from '../../api/ask.ts'
import { useMay } from '../../app/session.ts'
import { t } from '../../messages/index.ts'
import { Card } from '../../ui/card.tsx'
import { PageLink } from '../../ui/page-link.tsx'
import { PlainList } from '../../ui/plain-list.tsx'
import { RelativeTime } from '../../ui/relative-time.tsx'
import { RUN_TONE, runStatusWords } from '../../ui/run-words.ts'
import { StatusBadge } from '../../ui/status-badge.tsx'
import { TroubleNote } from '../../ui/trouble-note.tsx'

/** What waits for somebody: held runs, exports that failed, connections that do not work. */
export function Attention() {
  const may = useMay()
  const held = useQuery(ask('exports', 'list', { query: { status: 'held', limit: 20 } }))
  const failed = useQuery(ask('exports', 'list', { query: { status: 'failed', limit: 20 } }))
  const failing = useQuery({
    ...ask('connections', 'list', { query: { health: 'failing', limit: 20 } }),
    enabled: may('connection.read'),
  })
  const isPending = held.isPending || failed.isPending || failing.isLoading
  const exports = [...(held.data?.items ?? []), ...(failed.data?.items ?? [])]
  const connections = (failing.data?.items ?? []) as readonly Connection[]
  return (
    <Card title={t('home.attention')}>
      <TroubleNote error={held.error ?? failed.error ?? failing.error} />
      <PlainList
        nothing={t('home.attention.none')}
        lines={
          isPending
            ? undefined
            : [
                ...exports.map(({ id, name, lastRun }) => ({
                  key: id,
                  main: (
                    <>
                      {lastRun === null ? name : <PageLink to={`/data/runs/${lastRun.id}`}>{name}</PageLink>}
                      <Text size={200}>
                        <RelativeTime at={lastRun?.finishedAt ?? lastRun?.createdAt} />
                      </Text>
                    </>
                  ),
                  end:
                    lastRun === null ? null : (
                      <StatusBadge tone={RUN_TONE[lastRun.status]}>{runStatusWords(lastRun.status)}</StatusBadge>
                    ),
                })),
                ...connections.map(({ id, name, checkedAt }) => ({
                  key: id,
                  main: (
                    <>
                      <PageLink to="/admin/connections" search={{ open: id }}>
                        {name}
                      </PageLink>
                      <Text size={200}>
                        <RelativeTime at={checkedAt} />
                      </Text>
                    </>
                  ),
                  end: <StatusBadge tone="bad">{t('health.failing')}</StatusBadge>,
                })),
              ]
        }
      />
    </Card>
  )
}
