import {
  Badge,
  Button,
  makeStyles,
  SearchBox,
  Select,
  Skeleton,
  SkeletonItem,
  Text,
  tokens,
} from '@fluentui/react-components'
import { Add20Regular } from '@fluentui/react-icons'
import type { Connection, Connector } from '@patchbay/contract'
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { ask, askPages } from '../../../api/ask.ts'
import { t } from '../../../messages/index.ts'
import { ConnectorMark } from '../../../ui/connector-mark.tsx'
import { useUrlState } from '../../../ui/list-state.ts'
import { PageLink } from '../../../ui/page-link.tsx'
import { TroubleNote } from '../../../ui/trouble-note.tsx'

const useStyles = makeStyles({
  tools: { display: 'flex', flexWrap: 'wrap', gap: tokens.spacingHorizontalM },
  search: { flexGrow: 1, maxWidth: '22rem' },
  tiles: {
    listStyleType: 'none',
    margin: 0,
    padding: 0,
    display: 'grid',
    gridTemplateColumns: 'repeat(auto-fill, minmax(min(18rem, 100%), 1fr))',
    gap: tokens.spacingHorizontalL,
  },
  tile: {
    display: 'flex',
    flexDirection: 'column',
    gap: tokens.spacingVerticalM,
    padding: tokens.spacingHorizontalL,
    backgroundColor: tokens.colorNeutralBackground1,
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    borderRadius: tokens.borderRadiusXLarge,
  },
  head: { display: 'flex', alignItems: 'center', gap: tokens.spacingHorizontalM },
  name: { margin: 0, fontSize: tokens.fontSizeBase400, fontWeight: tokens.fontWeightSemibold },
  summary: { color: tokens.colorNeutralForeground2, flexGrow: 1 },
  facts: { display: 'flex', flexWrap: 'wrap', gap: tokens.spacingHorizontalXS },
  foot: { display: 'flex', alignItems: 'center', justifyContent: 'space-between', gap: tokens.spacingHorizontalS },
  count: { color: tokens.colorNeutralForeground3 },
})

export function Discover() {
  const styles = useStyles()
  const url = useUrlState()
  const connectors = useQuery({ ...ask('connectors', 'list'), staleTime: Infinity })
  const counts = useCounts()
  const { q = '', category = '', direction = '' } = url.values
  const found = (connectors.data?.items ?? []).filter(
    (connector) =>
      `${connector.name} ${connector.summary}`.toLocaleLowerCase().includes(q.toLocaleLowerCase()) &&
      (category === '' || connector.category === category) &&
      (direction === '' || connector.direction === direction || connector.direction === 'both'),
  )
  const categories = [...new Set(connectors.data?.items.map((connector) => connector.category))]
  return (
    <>
      <div className={styles.tools}>
        <SearchBox
          className={styles.search}
          aria-label={t('list.search')}
          placeholder={t('list.search')}
          value={q}
          onChange={(_, { value }) => url.set({ q: value }, { replace: true })}
        />
        <Select
          aria-label={t('connections.category')}
          value={category}
          onChange={(_, { value }) => url.set({ category: value }, { replace: true })}
        >
          <option value="">{t('discover.category.any')}</option>
          {categories.map((each) => (
            <option key={each} value={each}>
              {t(`category.${each}`)}
            </option>
          ))}
        </Select>
        <Select
          aria-label={t('connections.direction')}
          value={direction}
          onChange={(_, { value }) => url.set({ direction: value }, { replace: true })}
        >
          <option value="">{t('discover.direction.any')}</option>
          <option value="export">{t('direction.export')}</option>
          <option value="enrichment">{t('direction.enrichment')}</option>
        </Select>
      </div>
      <TroubleNote error={connectors.error} onRetry={() => void connectors.refetch()} />
      {connectors.isPending ? <Waiting /> : null}
      {connectors.isSuccess && found.length === 0 ? <Text>{t('list.nothing.detail')}</Text> : null}
      <ul className={styles.tiles}>
        {found.map((connector) => (
          <Tile key={connector.id} connector={connector} count={counts?.get(connector.id) ?? 0} />
        ))}
      </ul>
    </>
  )
}

function Tile({ connector, count }: { readonly connector: Connector; readonly count: number }) {
  const styles = useStyles()
  const url = useUrlState()
  return (
    <li className={styles.tile}>
      <div className={styles.head}>
        <ConnectorMark category={connector.category} />
        <h2 className={styles.name}>{connector.name}</h2>
      </div>
      <Text className={styles.summary}>{connector.summary}</Text>
      <div className={styles.facts}>
        <Badge appearance="tint" color="informative">
          {t(`category.${connector.category}`)}
        </Badge>
        <Badge appearance="tint" color="informative">
          {t(`direction.${connector.direction}`)}
        </Badge>
        <Badge appearance="tint" color="informative">
          {signInWords(connector)}
        </Badge>
      </div>
      <div className={styles.foot}>
        {count === 0 ? (
          <Text size={200} className={styles.count}>
            {t('discover.none')}
          </Text>
        ) : (
          <PageLink to="/admin/connections" search={{ connector: connector.id }}>
            {t('discover.count', { count })}
          </PageLink>
        )}
        <Button
          icon={<Add20Regular />}
          aria-label={t('discover.set-up.name', { name: connector.name })}
          onClick={() => url.set({ pane: `new-${connector.id}` })}
        >
          {t('discover.set-up')}
        </Button>
      </div>
    </li>
  )
}

/** A connector that declares no way to sign in may still ask for a password among its fields, as SFTP does. */
function signInWords({ auth, settings }: Connector): string {
  const hasSecret = settings.some(({ kind }) => kind === 'secret')
  return t(auth === 'none' && !hasSecret ? 'auth.nothing' : `auth.${auth}`)
}

/** How many connections there are of each connector. */
function useCounts(): ReadonlyMap<string, number> | undefined {
  const pages = useInfiniteQuery(
    askPages<'connections', 'list', Connection>('connections', 'list', { query: { limit: 500 } }),
  )
  const all = pages.data?.pages.flatMap(({ items }) => items)
  const counts = new Map<string, number>()
  for (const { connectorId } of all ?? []) counts.set(connectorId, (counts.get(connectorId) ?? 0) + 1)
  return all === undefined ? undefined : counts
}

function Waiting() {
  const styles = useStyles()
  return (
    <Skeleton aria-label={t('list.loading')} className={styles.tiles}>
      {Array.from({ length: 6 }, (_, tile) => (
        <div key={tile} className={styles.tile}>
          <SkeletonItem size={40} shape="square" />
          <SkeletonItem size={16} />
          <SkeletonItem size={16} />
        </div>
      ))}
    </Skeleton>
  )
}
