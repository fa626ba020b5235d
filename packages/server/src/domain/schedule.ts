/**
 * When an export runs by itself. Times are of `timeZone` (IANA). `on: false` keeps the rest.
 * `nextSlots` turns it into moments; a slot in the hour that daylight saving skips runs at the first moment after it,
 * one in the hour that comes twice runs once, the first time.
 */
export interface Schedule {
  readonly on: boolean
  readonly timeZone: string
  readonly every:
    | { readonly type: 'minutes'; readonly minutes: number }
    | { readonly type: 'hourly'; readonly minute: number }
    | { readonly type: 'daily'; readonly at: string }
    | { readonly type: 'weekly'; readonly days: readonly Weekday[]; readonly at: string }
    | { readonly type: 'monthly'; readonly day: number | 'last'; readonly at: string }
    | { readonly type: 'cron'; readonly cron: string }
    | { readonly type: 'after-refresh' }
  /** No run starts in these: weekdays (all when empty) from–to as `HH:MM`, over midnight when `to` is not later. */
  readonly blackout: readonly { readonly days: readonly Weekday[]; readonly from: string; readonly to: string }[]
}
export type Weekday = 'mon' | 'tue' | 'wed' | 'thu' | 'fri' | 'sat' | 'sun'
