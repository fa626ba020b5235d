import { makeStyles, Skeleton, SkeletonItem, tokens } from '@fluentui/react-components'
import type { ReactNode } from 'react'
import { t } from '../messages/index.ts'

const useStyles = makeStyles({
  list: { listStyleType: 'none', margin: 0, padding: 0, display: 'flex', flexDirection: 'column' },
  line: {
    display: 'flex',
    alignItems: 'center',
    justifyContent: 'space-between',
    gap: tokens.spacingHorizontalM,
    paddingBlock: tokens.spacingVerticalS,
    borderBottom: `1px solid ${tokens.colorNeutralStroke3}`,
    ':last-child': { borderBottomStyle: 'none' },
  },
  main: { minWidth: 0, display: 'flex', flexDirection: 'column', gap: '2px', overflowWrap: 'anywhere' },
  end: { flexShrink: 0, color: tokens.colorNeutralForeground2, maxWidth: '50%' },
  quiet: { margin: 0, color: tokens.colorNeutralForeground2 },
  waiting: { display: 'flex', flexDirection: 'column', gap: tokens.spacingVerticalM },
})

interface Line {
  readonly key: string
  readonly main: ReactNode
  readonly end?: ReactNode
}

interface Props {
  /** Undefined while they are read. */
  readonly lines: readonly Line[] | undefined
  /** In place of an empty list. */
  readonly nothing: string
}

/** A few lines in a card: what it is, and at the end what there is to say of it. */
export function PlainList({ lines, nothing }: Props) {
  const styles = useStyles()
  if (lines === undefined)
    return (
      <Skeleton aria-label={t('list.loading')} className={styles.waiting}>
        <SkeletonItem size={16} />
        <SkeletonItem size={16} />
        <SkeletonItem size={16} />
      </Skeleton>
    )
  if (lines.length === 0) return <p className={styles.quiet}>{nothing}</p>
  return (
    <ul className={styles.list}>
      {lines.map(({ key, main, end }) => (
        <li key={key} className={styles.line}>
          <div className={styles.main}>{main}</div>
          {end === undefined ? null : <div className={styles.end}>{end}</div>}
        </li>
      ))}
    </ul>
  )
}
