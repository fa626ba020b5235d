/** Endpoints as queries: the key of each is its place in the contract and what it was asked with. */
import type { AnswerOf, CallOf, Endpoint, PatchbayContract } from '@patchbay/contract'
import {
  infiniteQueryOptions,
  QueryClient,
  queryOptions,
  type InfiniteData,
  type UseInfiniteQueryOptions,
} from '@tanstack/react-query'
import { client, Unreachable } from './client.ts'

type Resource = keyof PatchbayContract
type Name<R extends Resource> = keyof PatchbayContract[R] & string
type EndpointOf<R extends Resource, N extends Name<R>> = PatchbayContract[R][N] & Endpoint
type Call<R extends Resource, N extends Name<R>> = CallOf<EndpointOf<R, N>>
export type Answer<R extends Resource, N extends Name<R>> = AnswerOf<EndpointOf<R, N>>

type Erased = (call: unknown) => Promise<unknown>

/** What `useQuery` takes: `useQuery(ask('runs', 'show', { params: { run } }))`. */
export function ask<R extends Resource, N extends Name<R>>(
  resource: R,
  name: N,
  ...[call]: Record<never, never> extends Call<R, N> ? [call?: Call<R, N>] : [call: Call<R, N>]
) {
  return queryOptions({
    queryKey: [resource, name, call ?? {}] as const,
    queryFn: async ({ signal }) => (await endpointOf(resource, name)({ ...call, signal })) as Answer<R, N>,
  })
}

/** A list, page after page: `useInfiniteQuery(askPages('exports', 'list', { query: { sort } }))`. */
export function askPages<R extends Resource, N extends Name<R>, Item = ItemOf<Answer<R, N>>>(
  resource: R,
  name: N,
  call: Omit<Call<R, N>, 'signal'>,
): UseInfiniteQueryOptions<Page<Item>, Error, InfiniteData<Page<Item>>, readonly unknown[], string | undefined> {
  const { query = {}, ...rest } = call as { readonly query?: object }
  return infiniteQueryOptions({
    queryKey: [resource, name, 'pages', call] as readonly unknown[],
    queryFn: async ({ pageParam, signal }) =>
      (await endpointOf(
        resource,
        name,
      )({
        ...rest,
        query: { limit: PAGE_ROWS, ...query, cursor: pageParam },
        signal,
      })) as Page<Item>,
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page: Page<Item>) => page.next ?? undefined,
  })
}

const PAGE_ROWS = 200

export interface Page<Item> {
  readonly items: readonly Item[]
  readonly next: string | null
}
type ItemOf<A> = A extends { readonly items: readonly (infer Item)[] } ? Item : never

function endpointOf(resource: string, name: string): Erased {
  const endpoints = client as unknown as Readonly<Record<string, Readonly<Record<string, Erased>>>>
  const endpoint = endpoints[resource]?.[name]
  if (endpoint === undefined) throw new Error(`The contract has no ${resource}.${name}`)
  return endpoint
}

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      // Only a server that is not there is asked again: what it has answered is an answer.
      retry: (failures, error) => error instanceof Unreachable && failures < 5,
      retryDelay: (failures) => Math.min(500 * 2 ** failures, 8_000),
      networkMode: 'always',
      staleTime: 5_000,
    },
    mutations: { retry: false, networkMode: 'always' },
  },
})

/** After a change: everything of these resources is read again where it is on show. */
export async function changed(...resources: readonly Resource[]): Promise<void> {
  await Promise.all(resources.map((resource) => queryClient.invalidateQueries({ queryKey: [resource] })))
}
