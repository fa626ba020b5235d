import { Tab, TabList } from '@fluentui/react-components'
import { useNavigate } from '@tanstack/react-router'
import { lazy, Suspense } from 'react'
import { PageHead } from '../../../app/page-head.tsx'
import { t } from '../../../messages/index.ts'
import { useUrlState } from '../../../ui/list-state.ts'
import { ConnectionList } from './connection-list.tsx'
import { Discover } from './discover.tsx'

/** Comes when it is opened: the lists are there sooner without it. */
const ConnectionPane = lazy(async () => ({ default: (await import('./connection-pane.tsx')).ConnectionPane }))

/** The pivot that is not Connections has an address of its own, so that it can be linked. */
export function ConnectionsPage({ pivot }: { readonly pivot: 'discover' | 'connections' }) {
  const navigate = useNavigate()
  const { values } = useUrlState()
  return (
    <>
      <PageHead />
      <TabList
        style={{ marginInlineStart: -10 }}
        selectedValue={pivot}
        onTabSelect={(_, { value }) =>
          void navigate({ to: value === 'discover' ? '/admin/connections/discover' : '/admin/connections' })
        }
      >
        <Tab value="connections">{t('connections.pivot.connections')}</Tab>
        <Tab value="discover">{t('connections.pivot.discover')}</Tab>
      </TabList>
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
