/**
 * Why a pattern could take more than linear time on a hostile text, or undefined where it cannot in the known bad way:
 * a repeated group that can split the same text in several ways. Back-references and look-behind are refused too. Stricter
 * than needed, since patterns of fields are short: rewrite one that is refused. The limit: neighbours that overlap, as
 * `\d*\d*`, cost the square of the length and pass, because texts of fields are short as well.
 */
export function patternProblem(pattern: string): string | undefined {
  try {
    new RegExp(`^(?:${pattern})$`, 'u')
  } catch {
    return 'it is not a regular expression'
  }
  if (/\\(?:[1-9]|k<)/.test(pattern)) return 'it refers back to a group'
  if (pattern.includes('(?<=') || pattern.includes('(?<!')) return 'it looks behind'
  return new PatternReader(pattern).read()
}

interface Group {
  hasRepeat: boolean
  /** It, or a group in it, has alternatives that can begin alike. */
  isAmbiguous: boolean
  /** The first character of each alternative, where it is a plain one. */
  readonly starts: (string | undefined)[]
}

class PatternReader {
  readonly #pattern: string
  #at = 0
  constructor(pattern: string) {
    this.#pattern = pattern
  }

  read(): string | undefined {
    const open: Group[] = [newGroup()]
    let last: Group | undefined
    while (this.#at < this.#pattern.length) {
      const token = this.#next()
      const group = open.at(-1) ?? newGroup()
      const repeats = repeatsOf(token)
      if (token.startsWith('(')) {
        open.push(newGroup())
        last = undefined
      } else if (token === ')') {
        last = open.pop()
        const outer = open.at(-1)
        if (last !== undefined) last.isAmbiguous ||= !areDistinct(last.starts)
        if (outer !== undefined && last?.hasRepeat === true) outer.hasRepeat = true
        if (outer !== undefined && last?.isAmbiguous === true) outer.isAmbiguous = true
        noteStart(outer, undefined)
      } else if (token === '|') {
        group.starts.push(PENDING)
        last = undefined
      } else if (repeats === undefined) {
        noteStart(group, token)
        last = undefined
      } else {
        if (repeats.max > 1 && last?.hasRepeat === true) return 'a repeated group holds a repetition'
        if (repeats.max > 1 && last?.isAmbiguous === true)
          return 'a repeated group has alternatives that can begin alike'
        group.hasRepeat ||= repeats.isVariable
        last = undefined
      }
    }
    return undefined
  }

  /** One character, escape, class, quantifier or the opening of a group. */
  #next(): string {
    const rest = this.#pattern.slice(this.#at)
    const match =
      /^\\(?:[pP]\{[^}]*\}|u\{[^}]*\}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|c[A-Za-z]|.)/su.exec(rest) ??
      /^\[(?:\\.|[^\]\\])*\]/su.exec(rest) ??
      /^\((?:\?(?:[:=!]|<[A-Za-z_]\w*>))?/.exec(rest) ??
      /^(?:[*+?]|\{\d+(?:,\d*)?\})\??/.exec(rest) ??
      /^./su.exec(rest)
    const token = match?.[0] ?? rest
    this.#at += token.length
    return token
  }
}

/** Stands for "the next token begins an alternative". */
const PENDING = '\0'

function newGroup(): Group {
  return { hasRepeat: false, isAmbiguous: false, starts: [PENDING] }
}

function noteStart(group: Group | undefined, token: string | undefined): void {
  if (group === undefined || group.starts.at(-1) !== PENDING) return
  group.starts[group.starts.length - 1] =
    token !== undefined && /^(?:[^.^$[]|\\[^a-zA-Z])$/u.test(token) ? token : undefined
}

function areDistinct(starts: readonly (string | undefined)[]): boolean {
  if (starts.length === 1) return true
  return !starts.includes(undefined) && !starts.includes(PENDING) && new Set(starts).size === starts.length
}

/** How often a quantifier repeats, and whether that leaves a choice; undefined for what is no quantifier. */
function repeatsOf(token: string): { readonly max: number; readonly isVariable: boolean } | undefined {
  if (/^[*+]/.test(token)) return { max: Infinity, isVariable: true }
  if (token.startsWith('?')) return { max: 1, isVariable: true }
  const range = /^\{(\d+)(?:(,)(\d*))?\}\??$/.exec(token)
  if (range === null) return undefined
  if (range[2] === undefined) return { max: Number(range[1]), isVariable: false }
  return { max: range[3] === '' ? Infinity : Number(range[3]), isVariable: range[1] !== range[3] }
}
