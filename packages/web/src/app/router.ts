import { createRouter } from '@tanstack/react-router'
import { adminRoutes } from '../pages/admin/routes.ts'
import { dataRoutes } from '../pages/data/routes.ts'
import { homeRoutes } from '../pages/home/routes.ts'
import { signInRoutes } from '../pages/sign-in/routes.ts'
import { rootRoute, shellRoute } from './root-route.ts'

export const router = createRouter({
  routeTree: rootRoute.addChildren([
    ...signInRoutes,
    shellRoute.addChildren([...homeRoutes, ...dataRoutes, ...adminRoutes]),
  ]),
  defaultPreload: 'intent',
  scrollRestoration: true,
  // Addresses that a person can read: no quotes, no JSON.
  parseSearch: (text) => Object.fromEntries(new URLSearchParams(text)),
  stringifySearch: (search) => {
    const text = new URLSearchParams(
      Object.entries(search).flatMap(([name, value]) =>
        value === undefined || value === '' ? [] : [[name, String(value)]],
      ),
    ).toString()
    return text === '' ? '' : `?${text}`
  },
})

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}
