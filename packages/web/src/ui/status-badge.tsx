import { makeStyles, mergeClasses, tokens } from '@fluentui/react-components'
import {
  ArrowSyncCircle16Regular,
  CheckmarkCircle16Regular,
  Circle16Regular,
  Clock16Regular,
  DismissCircle16Regular,
  HandRight16Regular,
  Warning16Regular,
} from '@fluentui/react-icons'
import type { ReactNode } from 'react'

export type Tone = 'good' | 'bad' | 'warning' | 'busy' | 'waiting' | 'held' | 'quiet'

const ICON = {
  good: CheckmarkCircle16Regular,
  bad: DismissCircle16Regular,
  warning: Warning16Regular,
  busy: ArrowSyncCircle16Regular,
  waiting: Clock16Regular,
  held: HandRight16Regular,
  quiet: Circle16Regular,
} as const

const useStyles = makeStyles({
  badge: { display: 'inline-flex', alignItems: 'center', gap: tokens.spacingHorizontalXS, maxWidth: '100%' },
  icon: { flexShrink: 0 },
  text: { overflow: 'hidden', textOverflow: 'ellipsis', whiteSpace: 'nowrap' },
  good: { color: tokens.colorStatusSuccessForeground1 },
  bad: { color: tokens.colorStatusDangerForeground1 },
  warning: { color: tokens.colorStatusWarningForeground3 },
  held: { color: tokens.colorStatusWarningForeground3 },
  busy: { color: tokens.colorBrandForeground1 },
  waiting: { color: tokens.colorNeutralForeground3 },
  quiet: { color: tokens.colorNeutralForeground3 },
})

/** A state in a word: colour and shape say the same, so neither is needed to read it. */
export function StatusBadge({ tone, children }: { readonly tone: Tone; readonly children: ReactNode }) {
  const styles = useStyles()
  const Icon = ICON[tone]
  return (
    <span className={styles.badge}>
      <Icon className={mergeClasses(styles.icon, styles[tone])} aria-hidden />
      <span className={styles.text}>{children}</span>
    </span>
  )
}
