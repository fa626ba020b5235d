/**
 * Data matching: which field of a table is meant by each field of a service. A guess says how sure it is and why, and a field
 * of the table is guessed once. Nothing is decided here: a person sees it before anything is saved.
 */
import type { Transform } from './export.ts'
import { meaningsOf, wordsOf } from './field-meanings.ts'
import type { FieldType, TableField } from './table.ts'

export interface TargetField {
  readonly name: string
  readonly label: string
  readonly type: 'text' | 'number' | 'boolean' | 'date' | 'email' | 'phone'
  readonly required?: boolean
  readonly identifier?: boolean
  readonly normal?: string
  readonly hash?: 'sha256'
  readonly guesses?: readonly string[]
}

export interface FieldMatch {
  readonly from: string
  readonly confidence: 'certain' | 'likely' | 'possible'
  /** Same name; same label; a name that the connector knows; the same meaning in some language; a part of the name; a tag. */
  readonly because: 'name' | 'label' | 'guess' | 'meaning' | 'part' | 'tag'
  readonly transforms: readonly Transform[]
}

export interface MatchedField {
  readonly target: TargetField
  readonly match: FieldMatch | null
  readonly others: readonly FieldMatch[]
}

const SCORE_OF = { name: 100, label: 90, guess: 80, meaning: 70, part: 40, tag: 30 } as const
type Because = keyof typeof SCORE_OF
/** More would be a list to search, not an offer. */
const OTHERS_MAX = 3

export function matchFields(
  targets: readonly TargetField[],
  fields: readonly TableField[],
): { readonly items: readonly MatchedField[]; readonly unmatched: readonly string[] } {
  const pairs = targets.flatMap((target, index) =>
    fields.flatMap((field, at) => {
      const because = becauseOf(target, field)
      // What a destination needs is served first where two are equally sure of one field.
      const first = target.required === true || target.identifier === true ? 1 : 0
      return because === undefined ? [] : [{ index, at, because, score: SCORE_OF[because] + first }]
    }),
  )
  pairs.sort((a, b) => b.score - a.score || a.index - b.index || a.at - b.at)
  const fieldOf = new Map<number, (typeof pairs)[number]>()
  const taken = new Set<number>()
  for (const pair of pairs) {
    if (fieldOf.has(pair.index) || taken.has(pair.at)) continue
    fieldOf.set(pair.index, pair)
    taken.add(pair.at)
  }
  const matchOf = (target: TargetField, { at, because }: { readonly at: number; readonly because: Because }) => ({
    from: fields[at]?.name ?? '',
    confidence: confidenceOf(because),
    because,
    transforms: transformsFor(target),
  })
  return {
    items: targets.map((target, index) => {
      const best = fieldOf.get(index)
      const others = pairs.filter((pair) => pair.index === index && pair !== best).slice(0, OTHERS_MAX)
      return {
        target,
        match: best === undefined ? null : matchOf(target, best),
        others: others.map((pair) => matchOf(target, pair)),
      }
    }),
    unmatched: fields.filter((_, at) => !taken.has(at)).map(({ name }) => name),
  }
}

function becauseOf(target: TargetField, field: TableField): Because | undefined {
  if (!fits(target.type, field.type)) return undefined
  const [name, label] = [wordsOf(field.name).join(' '), wordsOf(field.label).join(' ')]
  const wanted = [wordsOf(target.name).join(' '), wordsOf(target.label).join(' ')]
  if (name !== '' && name === wanted[0]) return 'name'
  if (wanted.some((text) => text !== '' && (text === label || text === name))) return 'label'
  const guesses = (target.guesses ?? []).map((guess) => wordsOf(guess).join(' '))
  if (guesses.some((guess) => guess !== '' && (guess === name || guess === label))) return 'guess'

  const meant = new Set(
    [target.name, target.label, ...(target.guesses ?? [])].flatMap((text) => meaningsOf(text).whole),
  )
  if (target.type === 'email' || target.type === 'phone') meant.add(target.type)
  const said = [meaningsOf(field.name), meaningsOf(field.label)]
  if (said.some(({ whole }) => whole.some((meaning) => meant.has(meaning)))) return 'meaning'
  if (said.some(({ parts }) => parts.some((meaning) => meant.has(meaning)))) return 'part'
  if (guesses.some((guess) => guess.length > 3 && ` ${name} `.includes(` ${guess} `))) return 'part'
  const isTagged = field.tags.includes('identifier') && field.type === 'text'
  return isTagged && target.identifier === true && target.type === 'text' && meant.size === 0 ? 'tag' : undefined
}

/** What a field of the table can become without losing anything: everything can become text. */
function fits(to: TargetField['type'], from: FieldType): boolean {
  switch (to) {
    case 'text':
      return true
    case 'email':
      return from === 'text'
    case 'phone':
      return from === 'text' || from === 'integer'
    case 'number':
      return from === 'integer' || from === 'decimal'
    case 'boolean':
      return from === 'boolean'
    case 'date':
      return from === 'date' || from === 'timestamp'
  }
}

function confidenceOf(because: Because): FieldMatch['confidence'] {
  if (because === 'name' || because === 'label') return 'certain'
  return because === 'guess' || because === 'meaning' ? 'likely' : 'possible'
}

/** Only where the destination declares no form of its own: what it declares, the data engine makes of every value anyway. */
function transformsFor({ type, normal, hash }: TargetField): readonly Transform[] {
  if (normal !== undefined || hash !== undefined) return []
  if (type === 'email') return ['trim', 'lowercase']
  return type === 'phone' ? ['trim'] : []
}
