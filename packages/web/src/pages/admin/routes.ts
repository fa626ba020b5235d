import { createRoute, lazyRouteComponent, shellRoute } from '../../app/root-route.ts'

const connections = () => import('./connections/connections-page.tsx')

const system = () => import('./system/system-page.tsx')

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
  createRoute({
    getParentRoute: () => shellRoute,
    path: '/admin/permissions',
    staticData: { page: { title: 'nav.permissions', permission: 'key.read', above: [{ title: 'nav.admin' }] } },
    component: lazyRouteComponent(() => import('./permissions/permissions-page.tsx'), 'ApiKeysPivot'),
  }),
  createRoute({
    getParentRoute: () => shellRoute,
    path: '/admin/system',
    staticData: { page: { title: 'nav.system', permission: 'system.read', above: [{ title: 'nav.admin' }] } },
    component: lazyRouteComponent(system, 'AboutPivot'),
  }),
  createRoute({
    getParentRoute: () => shellRoute,
    path: '/admin/system/audit',
    staticData: { page: { title: 'nav.system', permission: 'audit.read', above: [{ title: 'nav.admin' }] } },
    component: lazyRouteComponent(system, 'AuditPivot'),
  }),
] as const
