import { useQuery } from '@tanstack/react-query'
import { ask } from '../../api/ask.ts'
import { t } from '../../messages/index.ts'
import { Card } from '../../ui/card.tsx'
import { PageLink } from '../../ui/page-link.tsx'
import { PlainList } from '../../ui/plain-list.tsx'
import { RelativeTime } from '../../ui/relative-time.tsx'
import { TroubleNote } from '../../ui/trouble-note.tsx'

export function NextRuns() {
  const exports = useQuery(ask('exports', 'list', { query: { schedule: 'on', sort: 'nextRun', limit: 8 } }))
  const planned = exports.data?.items.filter(({ nextAt }) => nextAt !== null)
  return (
    <Card title={t('home.next')}>
      <TroubleNote error={exports.error} onRetry={() => void exports.refetch()} />
      <PlainList
        nothing={t('home.next.none')}
        lines={planned?.map(({ id, name, nextAt }) => ({
          key: id,
          main: (
            <PageLink to="/data/exports" search={{ open: id }}>
              {name}
            </PageLink>
          ),
          end: <RelativeTime at={nextAt} />,
        }))}
      />
    </Card>
  )
}
