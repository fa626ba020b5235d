import { makeStyles, Spinner, Text, tokens } from '@fluentui/react-components'
import { CheckmarkCircle20Regular, Delete20Regular, Edit20Regular, ShareAndroid20Regular } from '@fluentui/react-icons'
import type { Connection, ConnectorField } from '@patchbay/contract'
import { useQuery } from '@tanstack/react-query'
import { ask } from '../../../api/ask.ts'
import { t } from '../../../messages/index.ts'
import { CommandBar } from '../../../ui/command-bar.tsx'
import { DetailsPane } from '../../../ui/details-pane.tsx'
import { DetailsPart } from '../../../ui/details-part.tsx'
import { useUrlState } from '../../../ui/list-state.ts'
import { PageLink } from '../../../ui/page-link.tsx'
import { RelativeTime } from '../../../ui/relative-time.tsx'
import { StatusBadge } from '../../../ui/status-badge.tsx'
import { TroubleNote } from '../../../ui/trouble-note.tsx'
import { useWide } from '../../../ui/use-media.ts'
import { HEALTH_TONE, policyWords, sharingWords } from './connection-words.ts'
import type { Verify } from './use-verify.ts'
import { ServiceSignInPart } from './service-sign-in.tsx'
import { VerifySteps } from './verify-steps.tsx'

const useStyles = makeStyles({
  list: { margin: 0, paddingInlineStart: '1.2em', display: 'flex', flexDirection: 'column', gap: '2px' },
  settings: {
    margin: 0,
    display: 'grid',
    gridTemplateColumns: 'minmax(6rem, auto) 1fr',
    gap: `${tokens.spacingVerticalXS} ${tokens.spacingHorizontalM}`,
    overflowWrap: 'anywhere',
  },
  value: { margin: 0 },
  name: { color: tokens.colorNeutralForeground2 },
  bare: { listStyleType: 'none', margin: 0, padding: 0, display: 'flex', flexDirection: 'column', gap: '4px' },
})

interface Props {
  readonly connection: Connection
  readonly connectorName: string
  readonly verify: Verify
  readonly onClose: () => void
  readonly onRemove: () => void
}

export function ConnectionDetails({ connection, connectorName, verify, onClose, onRemove }: Props) {
  const styles = useStyles()
  const url = useUrlState()
  const connector = useQuery(ask('connectors', 'show', { params: { connector: connection.connectorId } }))
  const { id, health, checkedAt, sharing, policy, createdAt, createdBy } = connection
  const labelOf = (name: string) => connector.data?.settings.find((field) => field.name === name)?.label ?? name
  const busy = verify.busyWith === id
  // Where the pane is beside the list, the commands above the list are about it.
  const isWide = useWide()
  return (
    <DetailsPane title={connection.name} onClose={onClose}>
      {isWide ? null : (
        <CommandBar
          label={t('list.row.actions', { name: connection.name })}
          commands={[
            {
              key: 'edit',
              label: t('connections.edit'),
              icon: <Edit20Regular />,
              onClick: () => url.set({ pane: id }),
            },
            {
              key: 'verify',
              label: t('connections.verify'),
              icon: busy ? <Spinner size="tiny" /> : <CheckmarkCircle20Regular />,
              disabled: busy,
              onClick: () => verify.start(connection),
            },
            {
              key: 'share',
              label: t('connections.share'),
              icon: <ShareAndroid20Regular />,
              onClick: () => url.set({ pane: id, at: 'sharing' }),
            },
            { key: 'remove', label: t('connections.remove'), icon: <Delete20Regular />, onClick: onRemove },
          ]}
        />
      )}
      <DetailsPart title={t('connections.health')}>
        <StatusBadge tone={HEALTH_TONE[health]}>{t(`health.${health}`)}</StatusBadge>
        <Text size={200}>
          {t('connections.checked')}: <RelativeTime at={checkedAt} />
        </Text>
        <TroubleNote error={verify.errorOf(connection)} />
        <VerifySteps checked={verify.resultOf(connection)} busy={busy} />
      </DetailsPart>
      <ServiceSignInPart connection={connection} serviceName={connectorName} />
      <DetailsPart title={t('connections.connector')}>
        <Text>{connectorName}</Text>
        <dl className={styles.settings}>
          {Object.entries(connection.settings).map(([name, value]) => (
            <Fact
              key={name}
              name={labelOf(name)}
              value={said(
                value,
                connector.data?.settings.find((field) => field.name === name),
              )}
            />
          ))}
          {connection.secretsSet.map((name) => (
            <Fact key={name} name={labelOf(name)} value={t('field.secret.stored')} />
          ))}
        </dl>
      </DetailsPart>
      <DetailsPart title={t('connections.sharing')}>
        <Text>{sharingWords(sharing)}</Text>
      </DetailsPart>
      <DetailsPart title={t('connections.policy')}>
        <ul className={styles.list}>
          {policyWords(policy).map((words) => (
            <li key={words}>{words}</li>
          ))}
        </ul>
      </DetailsPart>
      <UsedBy connection={connection} />
      <DetailsPart title={t('connections.created')}>
        <Text>
          <RelativeTime at={createdAt} />, {createdBy}
        </Text>
      </DetailsPart>
      <DetailsPart title={t('connections.audit')}>
        <Happened connection={connection} />
      </DetailsPart>
    </DetailsPane>
  )
}

function Fact({ name, value }: { readonly name: string; readonly value: string }) {
  const styles = useStyles()
  return (
    <>
      <dt className={styles.name}>{name}</dt>
      <dd className={styles.value}>{value}</dd>
    </>
  )
}

function UsedBy({ connection: { id } }: { readonly connection: Connection }) {
  const styles = useStyles()
  const exports = useQuery(ask('exports', 'list', { query: { connection: id, limit: 50 } }))
  return (
    <DetailsPart title={t('connections.used-by')}>
      <TroubleNote error={exports.error} onRetry={() => void exports.refetch()} />
      {exports.data?.items.length === 0 ? <Text>{t('connections.used-by.none')}</Text> : null}
      <ul className={styles.bare}>
        {exports.data?.items.map((each) => (
          <li key={each.id}>
            <PageLink to="/data/exports" search={{ open: each.id }}>
              {each.name}
            </PageLink>
          </li>
        ))}
      </ul>
    </DetailsPart>
  )
}

/** The newest of the audit log about this connection. */
function Happened({ connection: { id } }: { readonly connection: Connection }) {
  const styles = useStyles()
  const events = useQuery(ask('audit', 'list', { query: { subject: id, limit: 5 } }))
  return (
    <>
      <TroubleNote error={events.error} onRetry={() => void events.refetch()} />
      <ul className={styles.bare}>
        {events.data?.items.map(({ seq, at, actor, action }) => (
          <li key={seq}>
            <Text size={200}>
              <RelativeTime at={at} /> · {action} · {actor}
            </Text>
          </li>
        ))}
      </ul>
      <PageLink to="/admin/system/audit" search={{ subject: id }}>
        {t('connections.audit.all')}
      </PageLink>
    </>
  )
}

function said(value: string | number | boolean, field: ConnectorField | undefined): string {
  if (typeof value === 'boolean') return value ? t('word.yes') : t('word.no')
  const choice = field?.kind === 'choice' ? field.choices.find((each) => each.value === value) : undefined
  return choice?.label ?? String(value)
}
