import { useNavigate, useSearch } from '@tanstack/react-router'
import { useCallback, useMemo } from 'react'

/** All that an address says after `?`; every page reads the parts that it knows. */
export type SearchValues = { readonly [name: string]: string | undefined }

export interface UrlState {
  readonly values: SearchValues
  /** Undefined takes a part away. Replacing leaves no step for Back, as for each letter of a search. */
  set(changes: SearchValues, how?: { readonly replace?: boolean }): void
}

/** The state of a page lives in its address: a link shows another person the same, and Back undoes. */
export function useUrlState(): UrlState {
  const values: SearchValues = useSearch({ strict: false })
  const navigate = useNavigate()
  const set = useCallback(
    (changes: SearchValues, { replace = false }: { readonly replace?: boolean } = {}) => {
      void navigate({
        to: '.',
        search: (before: SearchValues) => withoutEmpty({ ...before, ...changes }),
        replace,
      } as never)
    },
    [navigate],
  )
  return useMemo(() => ({ values, set }), [values, set])
}

export interface Sort {
  readonly by: string
  readonly descending: boolean
}

export function parseSort(text: string): Sort {
  return text.startsWith('-') ? { by: text.slice(1), descending: true } : { by: text, descending: false }
}

function withoutEmpty(values: SearchValues): SearchValues {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined && value !== ''))
}
