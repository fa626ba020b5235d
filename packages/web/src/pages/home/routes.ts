import { createRoute, lazyRouteComponent, shellRoute } from '../../app/root-route.ts'

export const homeRoutes = [
  createRoute({
    getParentRoute: () => shellRoute,
    path: '/',
    staticData: { page: { title: 'nav.home' } },
    component: lazyRouteComponent(() => import('./home.tsx'), 'Home'),
  }),
] as const
