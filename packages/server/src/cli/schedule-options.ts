import type { Schedule } from '@patchbay/contract'
import type { Command } from 'commander'
import type { Options } from './command.ts'
import { collect, text, texts, wholeNumber, wrong } from './given.ts'

export function scheduleOptions(command: Command): Command {
  return command
    .option('--every-minutes <number>', 'in whole multiples, as 15')
    .option('--hourly <minute>', 'at this minute of every hour')
    .option('--daily <HH:MM>', 'every day at this time')
    .option('--weekly <days@HH:MM>', 'as mon,thu@06:00')
    .option('--monthly <day@HH:MM>', 'as 1@06:00 or last@23:00')
    .option('--cron <fields>', 'five fields, as "30 6 * * mon-fri"')
    .option('--after-refresh', 'after the tables that it reads were imported anew')
    .option('--time-zone <name>', 'IANA name; otherwise the one of this machine')
    .option('--blackout <[days@]HH:MM-HH:MM>', 'start nothing in these hours', collect)
    .option('--on', 'turn it on again')
    .option('--off', 'turn it off, and keep it')
    .option('--none', 'take it away')
}

/** Undefined where nothing was said, null where it is to be taken away. */
export function readScheduleOptions(options: Options, before: Schedule | null): Schedule | null | undefined {
  if (options['none'] === true) return null
  const every = everyOf(options)
  const timeZone = text(options, 'timeZone')
  const blackout = texts(options, 'blackout').map(blackoutOf)
  const isSwitched = options['on'] === true || options['off'] === true
  if (every === undefined && timeZone === undefined && blackout.length === 0 && !isSwitched) return undefined
  const kept = every ?? before?.every
  if (kept === undefined)
    throw wrong(
      'schedule',
      'There is no schedule yet',
      'Say when: --daily 06:00, --hourly 15, --cron …, --after-refresh',
    )
  return {
    on: options['off'] !== true,
    timeZone: timeZone ?? before?.timeZone ?? Intl.DateTimeFormat().resolvedOptions().timeZone,
    every: kept,
    blackout: blackout.length > 0 ? blackout : (before?.blackout ?? []),
  }
}

function everyOf(options: Options): Schedule['every'] | undefined {
  const daily = text(options, 'daily')
  const weekly = text(options, 'weekly')
  const monthly = text(options, 'monthly')
  const cron = text(options, 'cron')
  const minutes = wholeNumber(text(options, 'everyMinutes'), '--every-minutes')
  const minute = wholeNumber(text(options, 'hourly'), '--hourly')
  const given: Schedule['every'][] = []
  if (minutes !== undefined) given.push({ type: 'minutes', minutes })
  if (minute !== undefined) given.push({ type: 'hourly', minute })
  if (daily !== undefined) given.push({ type: 'daily', at: daily })
  if (weekly !== undefined) {
    const [days, at] = split(weekly, '--weekly', 'mon,thu@06:00')
    given.push({ type: 'weekly', days: days.split(',') as 'mon'[], at })
  }
  if (monthly !== undefined) {
    const [day, at] = split(monthly, '--monthly', '1@06:00')
    given.push({ type: 'monthly', day: day === 'last' ? 'last' : Number(day), at })
  }
  if (cron !== undefined) given.push({ type: 'cron', cron })
  if (options['afterRefresh'] === true) given.push({ type: 'after-refresh' })
  if (given.length > 1) throw wrong('schedule', 'It is said in two ways when it runs', 'Keep one of them')
  return given[0]
}

function split(given: string, option: string, example: string): readonly [string, string] {
  const [before, after, more] = given.split('@')
  if (before !== undefined && after !== undefined && more === undefined) return [before, after]
  throw wrong(option, `"${given}" does not say day and time`, `Write it as ${option} ${example}`)
}

function blackoutOf(given: string): Schedule['blackout'][number] {
  const [, days, from = '', to = ''] = /^(?:([a-z,]+)@)?(\d\d:\d\d)-(\d\d:\d\d)$/.exec(given) ?? []
  if (from === '')
    throw wrong('--blackout', `"${given}" is no span of time`, 'Write it as sat,sun@00:00-23:59 or 22:00-06:00')
  return { days: (days === undefined ? [] : days.split(',')) as 'mon'[], from, to }
}
