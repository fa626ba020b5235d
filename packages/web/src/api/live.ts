/** What changes on the server shows in the pages at once: one stream for all lists, opened as long as a page is in sight. */
import { API_ROOT, type PatchbayContract } from '@patchbay/contract'
import { useEffect } from 'react'
import { changed, queryClient } from './ask.ts'

/** Changes come in crowds, as a run goes on; lists are read again at most this often. */
const CALM_MS = 1_000

export function useLiveChanges(): void {
  useEffect(() => {
    const waiting = new Set<keyof PatchbayContract>()
    let timer: ReturnType<typeof setTimeout> | undefined
    const source = new EventSource(`${API_ROOT}/events`)
    source.addEventListener('change', ({ data }) => {
      const resource = resourceOf(JSON.parse(String(data)) as { readonly kind: string })
      if (resource === undefined) return
      waiting.add(resource)
      timer ??= setTimeout(() => {
        timer = undefined
        void changed(...waiting)
        waiting.clear()
      }, CALM_MS)
    })
    source.addEventListener('reset', () => void queryClient.invalidateQueries())
    return () => {
      clearTimeout(timer)
      source.close()
    }
  }, [])
}

/** `run` is of `runs`: the nouns of the contract's resources. */
function resourceOf({ kind }: { readonly kind: string }): keyof PatchbayContract | undefined {
  return RESOURCE_OF[kind]
}

const RESOURCE_OF: Readonly<Record<string, keyof PatchbayContract>> = {
  connection: 'connections',
  export: 'exports',
  run: 'runs',
  segment: 'segments',
  table: 'tables',
}
