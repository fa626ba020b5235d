/** What a route says of its page, for the title, the breadcrumbs and who may see it. */
import type { Permission } from '@patchbay/contract'
import type { MessageKey } from '../messages/index.ts'

export interface PageData {
  /** The last part of the breadcrumbs, the heading and the window's title. A page about one thing sets its name itself. */
  readonly title: MessageKey
  /** Without it the page is not in the navigation, and its address says so kindly. */
  readonly permission?: Permission
  /** The pages above this one. */
  readonly above?: readonly { readonly title: MessageKey; readonly to?: string }[]
}

declare module '@tanstack/react-router' {
  interface StaticDataRouteOption {
    readonly page?: PageData
  }
}
