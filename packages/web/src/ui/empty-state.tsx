import { makeStyles, Text, tokens } from '@fluentui/react-components'
import type { ReactNode } from 'react'

const useStyles = makeStyles({
  empty: {
    display: 'flex',
    flexDirection: 'column',
    alignItems: 'center',
    textAlign: 'center',
    gap: tokens.spacingVerticalM,
    padding: `${tokens.spacingVerticalXXXL} ${tokens.spacingHorizontalL}`,
    maxWidth: '30rem',
    margin: '0 auto',
  },
  icon: {
    display: 'grid',
    placeItems: 'center',
    width: '4rem',
    height: '4rem',
    borderRadius: tokens.borderRadiusCircular,
    backgroundColor: tokens.colorBrandBackground2,
    color: tokens.colorBrandForeground2,
    fontSize: '2rem',
  },
  detail: { color: tokens.colorNeutralForeground2 },
})

interface Props {
  readonly icon: ReactNode
  readonly title: string
  readonly detail: string
  /** The one next step, where this person may take it. */
  readonly action?: ReactNode
}

/** Says what the page is for, and offers the one next step. */
export function EmptyState({ icon, title, detail, action }: Props) {
  const styles = useStyles()
  return (
    <div className={styles.empty}>
      <div className={styles.icon} aria-hidden>
        {icon}
      </div>
      <Text as="h2" size={500} weight="semibold" style={{ margin: 0 }}>
        {title}
      </Text>
      <Text className={styles.detail}>{detail}</Text>
      {action}
    </div>
  )
}
