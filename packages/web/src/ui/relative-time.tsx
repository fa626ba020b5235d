import { Tooltip } from '@fluentui/react-components'
import { useSyncExternalStore } from 'react'
import { locale, t } from '../messages/index.ts'

const UNITS = [
  ['year', 31_536_000],
  ['month', 2_592_000],
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
] as const

/** “3 hours ago”, “in 2 days”: one clock for the page, and the exact time on hover and for screen readers. */
export function RelativeTime({ at }: { readonly at: string | null | undefined }) {
  const now = useMinute()
  if (at === null || at === undefined) return <span>{t('time.never')}</span>
  return (
    <Tooltip content={exactTime(at)} relationship="description">
      <time dateTime={at}>{relativeTime(at, now)}</time>
    </Tooltip>
  )
}

function relativeTime(at: string, now: number): string {
  const seconds = Math.round((new Date(at).getTime() - now) / 1000)
  const unit = UNITS.find(([, size]) => Math.abs(seconds) >= size)
  if (unit === undefined) return t('time.now')
  return new Intl.RelativeTimeFormat(locale(), { numeric: 'auto' }).format(Math.trunc(seconds / unit[1]), unit[0])
}

export function exactTime(at: string): string {
  return new Intl.DateTimeFormat(locale(), { dateStyle: 'full', timeStyle: 'long' }).format(new Date(at))
}

let minute = Date.now()
const listeners = new Set<() => void>()
let timer: ReturnType<typeof setInterval> | undefined

/** All times of a page move together, twice a minute. */
function useMinute(): number {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      timer ??= setInterval(() => {
        minute = Date.now()
        for (const each of listeners) each()
      }, 30_000)
      return () => {
        listeners.delete(listener)
        if (listeners.size > 0) return
        clearInterval(timer)
        timer = undefined
      }
    },
    () => minute,
  )
}
