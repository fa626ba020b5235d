import { makeStyles, Spinner, Text, tokens } from '@fluentui/react-components'
import type { System } from '@patchbay/contract'
import { useQuery } from '@tanstack/react-query'
import { ask } from '../../../api/ask.ts'
import { locale, t } from '../../../messages/index.ts'
import { Card } from '../../../ui/card.tsx'
import { PlainList } from '../../../ui/plain-list.tsx'
import { StatusBadge, type Tone } from '../../../ui/status-badge.tsx'
import { TroubleNote } from '../../../ui/trouble-note.tsx'

const useStyles = makeStyles({
  cards: {
    display: 'grid',
    gridTemplateColumns: 'repeat(auto-fit, minmax(min(24rem, 100%), 1fr))',
    gap: tokens.spacingHorizontalL,
    alignItems: 'start',
  },
  code: { fontFamily: tokens.fontFamilyMonospace, fontSize: tokens.fontSizeBase200, overflowWrap: 'anywhere' },
})

const TONE: Readonly<Record<System['findings'][number]['state'], Tone>> = {
  good: 'good',
  note: 'warning',
  wrong: 'bad',
}

/** Versions, what was found out about this server, how much there is, and how it is set. */
export function About() {
  const styles = useStyles()
  const system = useQuery(ask('system', 'show'))
  const number = new Intl.NumberFormat(locale())
  if (system.isPending) return <Spinner label={t('list.loading')} />
  if (system.data === undefined) return <TroubleNote error={system.error} onRetry={() => void system.refetch()} />
  const { version, node, findings, counts, settings } = system.data
  return (
    <div className={styles.cards}>
      <Card title={t('system.about')}>
        <PlainList
          nothing=""
          lines={[
            { key: 'version', main: 'Patchbay', end: version },
            { key: 'node', main: 'Node.js', end: node },
            ...COUNTED.map((name) => ({
              key: name,
              main: t(`system.count.${name}`),
              end: number.format(counts[name]),
            })),
          ]}
        />
      </Card>
      <Card title={t('system.findings')}>
        <PlainList
          nothing={t('system.findings.none')}
          lines={findings.map(({ subject, state, detail, cure }) => ({
            key: subject + detail,
            main: (
              <>
                <Text weight="semibold">{subject}</Text>
                <Text size={200}>{detail}</Text>
                {cure === null ? null : <Text size={200}>{cure}</Text>}
              </>
            ),
            end: <StatusBadge tone={TONE[state]}>{t(`system.finding.${state}`)}</StatusBadge>,
          }))}
        />
      </Card>
      <Card title={t('system.settings')}>
        <PlainList
          nothing=""
          lines={settings.map(({ name, value, source, description }) => ({
            key: name,
            main: (
              <>
                <Text className={styles.code}>{name}</Text>
                <Text size={200}>{description}</Text>
              </>
            ),
            end: (
              <>
                <span className={styles.code}>{value ?? t('system.setting.hidden')}</span>
                <br />
                <Text size={200}>{t(`system.source.${source}`)}</Text>
              </>
            ),
          }))}
        />
      </Card>
    </div>
  )
}

const COUNTED = ['tables', 'segments', 'connections', 'exports', 'runs'] as const
