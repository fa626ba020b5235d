import { Text } from '@fluentui/react-components'
import { useQuery } from '@tanstack/react-query'
import { ask } from '../../api/ask.ts'
import { t } from '../../messages/index.ts'
import { Card } from '../../ui/card.tsx'
import { PageLink } from '../../ui/page-link.tsx'
import { PlainList } from '../../ui/plain-list.tsx'
import { RelativeTime } from '../../ui/relative-time.tsx'
import { RUN_TONE, runStatusWords } from '../../ui/run-words.ts'
import { StatusBadge } from '../../ui/status-badge.tsx'
import { TroubleNote } from '../../ui/trouble-note.tsx'

export function LatestRuns() {
  const runs = useQuery(ask('runs', 'list', { query: { purpose: 'deliver', limit: 8 } }))
  return (
    <Card title={t('home.latest')}>
      <TroubleNote error={runs.error} onRetry={() => void runs.refetch()} />
      <PlainList
        nothing={t('home.latest.none')}
        lines={runs.data?.items.map(({ id, exportName, status, createdAt, counts }) => ({
          key: id,
          main: (
            <>
              <PageLink to={`/data/runs/${id}`}>{exportName}</PageLink>
              <Text size={200}>
                <RelativeTime at={createdAt} /> · {t('home.rows', { count: counts.accepted })}
              </Text>
            </>
          ),
          end: <StatusBadge tone={RUN_TONE[status]}>{runStatusWords(status)}</StatusBadge>,
        }))}
      />
    </Card>
  )
}
