import { Button, makeStyles, MessageBar, MessageBarBody, Text, tokens } from '@fluentui/react-components'
import { ClipboardTextLtrRegular, ShieldCheckmark20Regular } from '@fluentui/react-icons'
import { useInfiniteQuery, useMutation } from '@tanstack/react-query'
import { askPages, type Answer } from '../../../api/ask.ts'
import { client } from '../../../api/client.ts'
import { t } from '../../../messages/index.ts'
import type { Column } from '../../../ui/data-table.tsx'
import { DetailsPane } from '../../../ui/details-pane.tsx'
import { DetailsPart } from '../../../ui/details-part.tsx'
import { EmptyState } from '../../../ui/empty-state.tsx'
import { ListPage } from '../../../ui/list-page.tsx'
import { useUrlState } from '../../../ui/list-state.ts'
import { exactTime, RelativeTime } from '../../../ui/relative-time.tsx'
import { TroubleNote } from '../../../ui/trouble-note.tsx'

type Event = Answer<'audit', 'list'>['items'][number]

const NOUNS = ['connection', 'export', 'run', 'segment', 'table', 'api-key', 'user', 'session'] as const

const useStyles = makeStyles({
  code: {
    margin: 0,
    fontFamily: tokens.fontFamilyMonospace,
    fontSize: tokens.fontSizeBase200,
    whiteSpace: 'pre-wrap',
    overflowWrap: 'anywhere',
  },
})

/** Everything that was done, by whom and when; nothing can be taken out of it without being seen. */
export function AuditLog() {
  const url = useUrlState()
  const { subject, actor, noun, sort } = url.values
  const query = { subject, actor, action: noun === undefined ? undefined : `${noun}.`, sort }
  const pages = useInfiniteQuery(askPages('audit', 'list', { query } as never))
  const rows: readonly Event[] = pages.data?.pages.flatMap(({ items }) => items) ?? []
  const verify = useMutation({ mutationFn: () => client.audit.verify() })
  return (
    <>
      <TroubleNote error={verify.error} />
      {verify.data === undefined ? null : (
        <MessageBar intent={verify.data.ok ? 'success' : 'error'} layout="multiline">
          <MessageBarBody>
            {verify.data.ok
              ? t('audit.whole', { count: verify.data.events })
              : t('audit.broken', { seq: verify.data.brokenAt ?? 0 })}
          </MessageBarBody>
        </MessageBar>
      )}
      {subject === undefined ? null : (
        <div>
          <Text>{t('audit.about', { subject })} </Text>
          <Button size="small" onClick={() => url.set({ subject: undefined })}>
            {t('list.clear')}
          </Button>
        </div>
      )}
      <ListPage
        label={t('system.audit')}
        rows={rows}
        columns={columns()}
        filters={[
          {
            key: 'noun',
            label: t('audit.about-what'),
            choices: NOUNS.map((value) => ({ value, label: t(`audit.noun.${value}`) })),
          },
        ]}
        idOf={({ seq }) => String(seq)}
        nameOf={({ action, seq }) => `${action} ${seq}`}
        firstSort="-seq"
        byServer
        searchable={false}
        commands={[
          {
            key: 'verify',
            label: t('audit.verify'),
            icon: <ShieldCheckmark20Regular />,
            disabled: verify.isPending,
            onClick: () => verify.mutate(),
          },
        ]}
        loading={pages.isPending}
        error={pages.error}
        onRetry={() => void pages.refetch()}
        hasMore={pages.hasNextPage}
        onEnd={pages.hasNextPage ? () => void pages.fetchNextPage() : undefined}
        empty={
          <EmptyState icon={<ClipboardTextLtrRegular />} title={t('audit.empty')} detail={t('audit.empty.detail')} />
        }
        details={(event) => <EventDetails event={event} onClose={() => url.set({ open: undefined })} />}
      />
    </>
  )
}

function columns(): readonly Column<Event>[] {
  return [
    {
      key: 'seq',
      title: t('audit.when'),
      width: 'minmax(9rem, 1fr)',
      sortable: true,
      render: ({ at }) => <RelativeTime at={at} />,
    },
    {
      key: 'action',
      title: t('audit.action'),
      width: 'minmax(10rem, 1.2fr)',
      onPhone: true,
      render: ({ action }) => action,
    },
    { key: 'actor', title: t('audit.actor'), width: 'minmax(10rem, 1.2fr)', render: ({ actor }) => actor },
    { key: 'subject', title: t('audit.subject'), width: 'minmax(14rem, 1.6fr)', render: ({ subject }) => subject },
  ]
}

function EventDetails({ event, onClose }: { readonly event: Event; readonly onClose: () => void }) {
  const styles = useStyles()
  return (
    <DetailsPane title={event.action} onClose={onClose}>
      <DetailsPart title={t('audit.when')}>
        <Text>{exactTime(event.at)}</Text>
      </DetailsPart>
      <DetailsPart title={t('audit.actor')}>
        <Text>{event.actor}</Text>
      </DetailsPart>
      <DetailsPart title={t('audit.subject')}>
        <Text>{event.subject}</Text>
      </DetailsPart>
      <DetailsPart title={t('audit.detail')}>
        <pre className={styles.code}>{JSON.stringify(event.detail, null, 2)}</pre>
      </DetailsPart>
      <DetailsPart title={t('audit.hash')}>
        <pre className={styles.code}>{event.hash}</pre>
      </DetailsPart>
    </DetailsPane>
  )
}
