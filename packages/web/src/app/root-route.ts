import { ApiProblem } from '@patchbay/contract'
import { createRootRoute, createRoute, lazyRouteComponent, redirect } from '@tanstack/react-router'
import { queryClient } from '../api/ask.ts'
import type { SearchValues } from '../ui/list-state.ts'
import { askMe } from './session.ts'
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
  // Nothing of the frame is drawn for somebody who is not known; where they wanted to go is not forgotten.
  async beforeLoad({ location }) {
    try {
      await queryClient.ensureQueryData(askMe())
    } catch (error) {
      if (error instanceof ApiProblem && error.code === 'not-signed-in')
        redirect({ to: '/sign-in', search: { from: location.href }, throw: true } as never)
      throw error
    }
  },
  notFoundComponent: NotFound,
})

export { createRoute, lazyRouteComponent }
