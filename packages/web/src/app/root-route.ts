import { createRootRoute, createRoute, lazyRouteComponent } from '@tanstack/react-router'
import type { SearchValues } from '../ui/list-state.ts'
import { Shell } from './shell.tsx'
import { NotFound, PageTrouble } from './page-trouble.tsx'

export const rootRoute = createRootRoute({
  validateSearch: (search: Record<string, unknown>): SearchValues =>
    Object.fromEntries(
      Object.entries(search).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
    ),
  notFoundComponent: NotFound,
  errorComponent: PageTrouble,
})

/** All pages for people who are signed in: with header, navigation and breadcrumbs. */
export const shellRoute = createRoute({
  getParentRoute: () => rootRoute,
  id: 'shell',
  component: Shell,
  notFoundComponent: NotFound,
})

export { createRoute, lazyRouteComponent }
