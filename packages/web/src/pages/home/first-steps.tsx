import { Button, makeStyles, Text, tokens } from '@fluentui/react-components'
import { CheckmarkCircle24Filled, Circle24Regular } from '@fluentui/react-icons'
import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { ask } from '../../api/ask.ts'
import { t } from '../../messages/index.ts'
import { Card } from '../../ui/card.tsx'

const useStyles = makeStyles({
  steps: {
    listStyleType: 'none',
    margin: 0,
    padding: 0,
    display: 'grid',
    gridTemplateColumns: 'repeat(auto-fit, minmax(min(14rem, 100%), 1fr))',
    gap: tokens.spacingHorizontalL,
  },
  step: { display: 'flex', gap: tokens.spacingHorizontalM, alignItems: 'start' },
  words: { display: 'flex', flexDirection: 'column', gap: tokens.spacingVerticalXS, alignItems: 'start' },
  done: { color: tokens.colorStatusSuccessForeground1, flexShrink: 0 },
  open: { color: tokens.colorNeutralForeground3, flexShrink: 0 },
  detail: { color: tokens.colorNeutralForeground2 },
})

const STEPS: readonly { readonly key: 'data' | 'connect' | 'export'; readonly to: string }[] = [
  { key: 'data', to: '/data/tables' },
  { key: 'connect', to: '/admin/connections/discover' },
  { key: 'export', to: '/data/exports' },
]

/** Leads whoever begins from nothing to a first export; gone when there is one. */
export function FirstSteps() {
  const styles = useStyles()
  const navigate = useNavigate()
  const one = { query: { limit: 1 } }
  const tables = useQuery(ask('tables', 'list', one))
  const connections = useQuery(ask('connections', 'list', one))
  const exports = useQuery(ask('exports', 'list', one))
  if (tables.data === undefined || connections.data === undefined || exports.data === undefined) return null
  const isDone = {
    data: tables.data.items.length > 0,
    connect: connections.data.items.length > 0,
    export: exports.data.items.length > 0,
  }
  if (isDone.data && isDone.connect && isDone.export) return null
  const next = STEPS.find(({ key }) => !isDone[key])
  return (
    <Card title={t('start.title')}>
      <ol className={styles.steps}>
        {STEPS.map(({ key, to }) => (
          <li key={key} className={styles.step}>
            {isDone[key] ? (
              <CheckmarkCircle24Filled className={styles.done} aria-label={t('start.done')} />
            ) : (
              <Circle24Regular className={styles.open} aria-label={t('start.open')} />
            )}
            <div className={styles.words}>
              <Text weight="semibold">{t(`start.${key}`)}</Text>
              <Text size={200} className={styles.detail}>
                {t(`start.${key}.detail`)}
              </Text>
              {isDone[key] ? null : (
                <Button appearance={next?.key === key ? 'primary' : 'secondary'} onClick={() => void navigate({ to })}>
                  {t(`start.${key}.action`)}
                </Button>
              )}
            </div>
          </li>
        ))}
      </ol>
    </Card>
  )
}
