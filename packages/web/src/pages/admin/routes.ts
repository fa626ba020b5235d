import { createRoute, lazyRouteComponent, shellRoute } from '../../app/root-route.ts'

const connections = () => import('./connections/connections-page.tsx')

export const adminRoutes = [
  createRoute({
    getParentRoute: () => shellRoute,
    path: '/admin/connections',
    staticData: {
      page: { title: 'nav.connections', permission: 'connection.read', above: [{ title: 'nav.admin' }] },
    },
    component: lazyRouteComponent(connections, 'ConnectionsPivot'),
  }),
  createRoute({
    getParentRoute: () => shellRoute,
    path: '/admin/connections/discover',
    staticData: {
      page: { title: 'nav.connections', permission: 'discover.read', above: [{ title: 'nav.admin' }] },
    },
    component: lazyRouteComponent(connections, 'DiscoverPivot'),
  }),
] as const
