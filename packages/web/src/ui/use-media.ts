import { useSyncExternalStore } from 'react'

/** Whether a media query holds, as it changes. */
export function useMedia(query: string): boolean {
  return useSyncExternalStore(
    (changed) => {
      const list = matchMedia(query)
      list.addEventListener('change', changed)
      return () => list.removeEventListener('change', changed)
    },
    () => matchMedia(query).matches,
  )
}

/** A phone, or a window as narrow: lists show fewer columns, commands go into a menu, panes take the whole width. */
export function useNarrow(): boolean {
  return useMedia('(max-width: 719px)')
}

/** Room for a list with the details of a row beside it. */
export function useWide(): boolean {
  return useMedia('(min-width: 1100px)')
}
