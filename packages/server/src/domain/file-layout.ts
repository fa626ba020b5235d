/**
 * Where an export's files stand below its folder, as a template of the export's own, such as
 * `{table}/{yyyy}/{MM}/{dd}/{HHmm}/{table}_{part}`. Moments are those of the run's plan, in UTC; the ending comes by itself.
 */
import type { Mode } from '@patchbay/connector-sdk'

const PLACES = ['table', 'part', 'yyyy', 'MM', 'dd', 'HH', 'mm', 'HHmm'] as const
type Place = (typeof PLACES)[number]

const LENGTH_MAX = 300

export interface LaidOut {
  readonly stem: string
  /** ISO 8601 in UTC. */
  readonly now: string
  readonly mode: Mode
  /** From 1. */
  readonly part: number
}

/** Says what is wrong with a template, or undefined. */
export function layoutProblem(template: string): string | undefined {
  if (template.length > LENGTH_MAX) return `it is longer than ${LENGTH_MAX} characters`
  const unknown = [...template.matchAll(/\{([^{}]*)\}/g)].find(([, name]) => !isPlace(name ?? ''))
  if (unknown !== undefined) return `${unknown[0]} is none of ${PLACES.map((place) => `{${place}}`).join(', ')}`
  const words = template.replaceAll(/\{[^{}]*\}/g, 'x')
  if (!/^[\w. /=-]+$/.test(words)) return 'beside its places it may hold letters, digits, spaces and _ - . = / only'
  const parts = words.split('/')
  if (parts.some((part) => part === '' || /^\.|[ .]$/.test(part)))
    return 'a folder or file name in it is empty, begins with a dot, or ends in a dot or a space'
  if (!template.includes('{table}')) return '{table} is missing, without which tables would take each other’s place'
  if (!template.slice(template.lastIndexOf('/') + 1).includes('{part}'))
    return '{part} is missing in the file name, without which parts would take each other’s place'
  return undefined
}

/** The name without its ending. */
export function laidOutName(template: string, { stem, now, mode, part }: LaidOut): string {
  const [yyyy = '', MM = '', dd = '', HH = '', mm = ''] = now.split(/[-T:.]/)
  const number = String(part).padStart(3, '0')
  const values: Readonly<Record<Place, string>> = {
    ...{ table: stem, yyyy, MM, dd, HH, mm, HHmm: `${HH}${mm}` },
    // Files of several runs stand beside each other, and two can start within one minute.
    part: mode === 'replace' ? number : `${now.replaceAll(/[-:.]/g, '')}_${number}`,
  }
  return filled(template, (place) => values[place])
}

/** Whether a file, with its ending, has its name by this template from this table. */
export function isLaidOut(template: string, stem: string, name: string): boolean {
  const patterns: Readonly<Record<Place, string>> = {
    ...{ table: escaped(stem), yyyy: '\\d{4}', MM: '\\d\\d', dd: '\\d\\d', HH: '\\d\\d', mm: '\\d\\d', HHmm: '\\d{4}' },
    part: '(?:\\d{8}T\\d{9}Z_)?\\d{3,}',
  }
  return new RegExp(`^${filled(template, (place) => patterns[place], escaped)}\\.[a-z.]+$`).test(name)
}

function filled(
  template: string,
  valueOf: (place: Place) => string,
  word: (text: string) => string = (text) => text,
): string {
  return template
    .split(/(\{[^{}]*\})/)
    .map((piece) => {
      const name = piece.slice(1, -1)
      return piece.startsWith('{') && isPlace(name) ? valueOf(name) : word(piece)
    })
    .join('')
}

function isPlace(name: string): name is Place {
  return (PLACES as readonly string[]).includes(name)
}

function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')
}
