import { makeStyles, tokens } from '@fluentui/react-components'
import { PageHead } from '../../app/page-head.tsx'
import { useMay } from '../../app/session.ts'
import { Attention } from './attention.tsx'
import { DeliveredRows } from './delivered-rows.tsx'
import { FirstSteps } from './first-steps.tsx'
import { LatestRuns } from './latest-runs.tsx'
import { NextRuns } from './next-runs.tsx'

const useStyles = makeStyles({
  cards: {
    display: 'grid',
    gridTemplateColumns: 'repeat(auto-fit, minmax(min(22rem, 100%), 1fr))',
    gap: tokens.spacingHorizontalL,
    alignItems: 'start',
  },
})

/** What wants somebody, what was done, and what comes next. */
export function Home() {
  const styles = useStyles()
  const may = useMay()
  return (
    <>
      <PageHead />
      {may('table.write') ? <FirstSteps /> : null}
      <div className={styles.cards}>
        <Attention />
        <DeliveredRows />
        <LatestRuns />
        <NextRuns />
      </div>
    </>
  )
}
