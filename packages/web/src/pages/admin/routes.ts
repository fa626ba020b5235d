import { createRoute, lazyRouteComponent, shellRoute } from '../../app/root-route.ts'

export const adminRoutes = [
  createRoute({
    getParentRoute: () => shellRoute,
    path: '/admin/connections',
    staticData: {
      page: { title: 'nav.connections', permission: 'connection.read', above: [{ title: 'nav.admin' }] },
    },
    component: lazyRouteComponent(() => import('./connections/connections-page.tsx'), 'ConnectionsPage'),
  }),
] as const
