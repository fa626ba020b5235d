import { lazy, Suspense } from 'react'
import { PageHead } from '../../../app/page-head.tsx'
import { t } from '../../../messages/index.ts'
import { useUrlState } from '../../../ui/list-state.ts'
import { Pivots } from '../../../ui/pivots.tsx'
import { ConnectionList } from './connection-list.tsx'
import { Discover } from './discover.tsx'

/** Comes when it is opened: the lists are there sooner without it. */
const ConnectionPane = lazy(async () => ({ default: (await import('./connection-pane.tsx')).ConnectionPane }))

/** The pivot that is not Connections has an address of its own, so that it can be linked. */
export function ConnectionsPage({ pivot }: { readonly pivot: 'discover' | 'connections' }) {
  const { values } = useUrlState()
  return (
    <>
      <PageHead />
      <Pivots
        pivots={[
          { to: '/admin/connections', title: t('connections.pivot.connections') },
          { to: '/admin/connections/discover', title: t('connections.pivot.discover') },
        ]}
      />
      {pivot === 'discover' ? <Discover /> : <ConnectionList />}
      {values['pane'] === undefined ? null : (
        <Suspense>
          <ConnectionPane key={values['pane']} pane={values['pane']} />
        </Suspense>
      )}
    </>
  )
}

export function ConnectionsPivot() {
  return <ConnectionsPage pivot="connections" />
}

export function DiscoverPivot() {
  return <ConnectionsPage pivot="discover" />
}
