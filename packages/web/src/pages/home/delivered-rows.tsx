import { makeStyles, Text, tokens, Tooltip } from '@fluentui/react-components'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { ask } from '../../api/ask.ts'
import { locale, t } from '../../messages/index.ts'
import { Card } from '../../ui/card.tsx'
import { TroubleNote } from '../../ui/trouble-note.tsx'

const DAYS = 14
const RUNS_MAX = 500

const useStyles = makeStyles({
  sum: {
    fontSize: tokens.fontSizeHero700,
    lineHeight: tokens.lineHeightHero700,
    fontWeight: tokens.fontWeightSemibold,
  },
  bars: {
    listStyleType: 'none',
    margin: 0,
    padding: 0,
    display: 'flex',
    alignItems: 'end',
    gap: '4px',
    height: '120px',
    borderBottom: `1px solid ${tokens.colorNeutralStroke1}`,
  },
  day: {
    flexGrow: 1,
    flexBasis: 0,
    height: '100%',
    display: 'flex',
    alignItems: 'end',
    borderRadius: tokens.borderRadiusSmall,
    ':focus-visible': { outline: `2px solid ${tokens.colorStrokeFocus2}` },
  },
  bar: {
    width: '100%',
    minHeight: '2px',
    borderRadius: `${tokens.borderRadiusSmall} ${tokens.borderRadiusSmall} 0 0`,
    backgroundColor: tokens.colorBrandBackground,
    forcedColorAdjust: 'none',
  },
  none: { backgroundColor: tokens.colorNeutralStroke2 },
  ends: { display: 'flex', justifyContent: 'space-between', color: tokens.colorNeutralForeground3 },
  quiet: { color: tokens.colorNeutralForeground3 },
})

/** Rows that destinations accepted, by the day on which their run ended, in the reader's own time. */
export function DeliveredRows() {
  const styles = useStyles()
  const [since] = useState(() => startOfDay(DAYS - 1))
  const runs = useQuery(
    ask('runs', 'list', { query: { purpose: 'deliver', since: since.toISOString(), limit: RUNS_MAX } }),
  )
  const days = Array.from({ length: DAYS }, (_, day) => startOfDay(DAYS - 1 - day))
  const byDay = new Map<string, number>()
  for (const { finishedAt, counts } of runs.data?.items ?? [])
    if (finishedAt !== null) {
      const day = new Date(finishedAt).toDateString()
      byDay.set(day, (byDay.get(day) ?? 0) + counts.accepted)
    }
  const most = Math.max(1, ...byDay.values())
  const sum = [...byDay.values()].reduce((a, b) => a + b, 0)
  const named = new Intl.DateTimeFormat(locale(), { weekday: 'short', day: 'numeric', month: 'short' })
  return (
    <Card title={t('home.delivered')}>
      <TroubleNote error={runs.error} onRetry={() => void runs.refetch()} />
      <div>
        <div className={styles.sum}>{new Intl.NumberFormat(locale()).format(sum)}</div>
        <Text size={200} className={styles.quiet}>
          {runs.data?.next === null || runs.data === undefined
            ? t('home.delivered.days', { count: DAYS })
            : t('home.delivered.newest', { count: RUNS_MAX })}
        </Text>
      </div>
      <ol className={styles.bars} aria-label={t('home.delivered')}>
        {days.map((day) => {
          const rows = byDay.get(day.toDateString()) ?? 0
          const says = `${named.format(day)}: ${t('home.rows', { count: rows })}`
          return (
            <Tooltip key={day.toISOString()} content={says} relationship="label">
              <li className={styles.day}>
                <span
                  className={rows === 0 ? `${styles.bar} ${styles.none}` : styles.bar}
                  style={{ height: `${(rows / most) * 100}%` }}
                />
              </li>
            </Tooltip>
          )
        })}
      </ol>
      <div className={styles.ends}>
        <Text size={200}>{named.format(days[0])}</Text>
        <Text size={200}>{named.format(days.at(-1))}</Text>
      </div>
    </Card>
  )
}

function startOfDay(daysAgo: number): Date {
  const day = new Date()
  day.setHours(0, 0, 0, 0)
  day.setDate(day.getDate() - daysAgo)
  return day
}
