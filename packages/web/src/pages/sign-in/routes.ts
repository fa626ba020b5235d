import { createRoute, lazyRouteComponent, rootRoute } from '../../app/root-route.ts'

const links = () => import('./link-page.tsx')

export const signInRoutes = [
  createRoute({
    getParentRoute: () => rootRoute,
    path: '/sign-in',
    component: lazyRouteComponent(() => import('./sign-in-page.tsx'), 'SignInPage'),
  }),
  createRoute({
    getParentRoute: () => rootRoute,
    path: '/owner',
    component: lazyRouteComponent(links, 'OwnerPage'),
  }),
  createRoute({
    getParentRoute: () => rootRoute,
    path: '/invitation',
    component: lazyRouteComponent(links, 'InvitationPage'),
  }),
  createRoute({
    getParentRoute: () => rootRoute,
    path: '/password',
    component: lazyRouteComponent(links, 'NewPasswordPage'),
  }),
] as const
