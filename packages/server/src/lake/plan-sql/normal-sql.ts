/**
 * The forms in which services want values (`NORMAL_FORMS` of the SDK) as SQL, so that all rows are brought into them in the
 * statement that selects them. Each form is a list of branches: what most values look like comes first and costs one
 * look; what is written in other ways is worked out for those rows alone.
 */
import type { NormalForm } from '@patchbay/connector-sdk'
import { quoteText } from '../sql-text.ts'
import { COUNTRY_NAMES, STATE_NAMES, type NamedPlace } from './place-names.ts'

/**
 * What stands in a cell whose value cannot be sent: the mark, and a hash of the value, so that two people with bad values
 * do not become one. No form begins with it. Such a row is never sent, and so is in no ledger.
 */
export const UNSENDABLE_MARK = 'chr(1)'

const SPACE = String.raw`[\s\p{Z}\x{85}\x{feff}\x{200b}]`
/** All but letters, marks and digits. */
const NOT_BARE = String.raw`[^\p{L}\p{M}\p{N}]`

/** The first branch whose condition holds gives the value in its form; NULL or '' where it says nothing. No branch: it cannot be had. */
interface Branch {
  readonly when: string
  readonly gives: string
}

/** The cell: in its form and hashed where that is asked, NULL where there is nothing, marked where it cannot be sent. */
export function normalisedCell(value: string, form: NormalForm, isHashed: boolean): string {
  const branches = formOf(form, value).map(({ when, gives }) => {
    const given = `nullif(${gives}, '')`
    return ` WHEN ${when} THEN ${isHashed ? `sha256(${given})` : given}`
  })
  const hashed = isHashed
    ? ` WHEN length(${value}) >= 64 AND ${matches(trimmed(value), '[0-9A-Fa-f]{64}')} THEN lower(${trimmed(value)})`
    : ''
  return `CASE WHEN ${value} IS NULL THEN NULL${hashed}${branches.join('')}
    WHEN ${matches(value, `(${SPACE}|\\x00)*`)} THEN NULL ELSE concat(${UNSENDABLE_MARK}, sha256(${value})) END`
}

function formOf(form: NormalForm, value: string): readonly Branch[] {
  switch (form) {
    case 'email':
      return [{ when: matches(value, PLAIN_EMAIL), gives: `lower(${value})` }, ...otherEmail(value)]
    case 'gmail-email':
      return gmailEmail(value)
    case 'e164':
      return phoneDigits(value).map(({ when, gives }) => ({ when, gives: `'+' || ${gives}` }))
    case 'phone-digits':
      return phoneDigits(value)
    case 'name':
      return name(value)
    case 'bare-name':
      return bare(value)
    case 'initial':
      return bare(value).map(({ when, gives }) => ({ when, gives: `left(${gives}, 1)` }))
    case 'bare-region':
      return bare(value).map(({ when, gives }) => ({
        when,
        gives: `CASE WHEN strlen(${value}) = 2 THEN ${gives} ELSE coalesce(${codeOf(STATE_NAMES, gives)}, ${gives}) END`,
      }))
    case 'postal-code':
      return [{ when: matches(value, '[!-~]+'), gives: value }, whole(value, trimmed(value))]
    case 'bare-postal-code':
      return barePostalCode(value)
    case 'country-upper':
      return country(value, 'upper')
    case 'country-lower':
      return country(value, 'lower')
    case 'birth-date':
      return birthDate(value, '%Y%m%d')
    case 'birth-year':
      return birthDate(value, '%Y')
    case 'birth-month':
      return birthDate(value, '%m')
    case 'birth-day':
      return birthDate(value, '%d')
    case 'gender':
      return gender(value)
    case 'device-id':
      return deviceId(value)
  }
}

// ---- pieces --------------------------------------------------------------------------------------------------------

function matches(value: string, pattern: string): string {
  return `regexp_full_match(${value}, ${quoteText(pattern)})`
}

function contains(value: string, pattern: string): string {
  return `regexp_matches(${value}, ${quoteText(pattern)})`
}

function without(value: string, pattern: string): string {
  return `regexp_replace(${value}, ${quoteText(pattern)}, '', 'g')`
}

/** Without some ASCII characters, which is several times faster than a pattern. */
function withoutChars(value: string, chars: string): string {
  return `translate(${value}, ${quoteText(chars)}, '')`
}

function trimmed(value: string): string {
  return without(value, `^${SPACE}+|${SPACE}+$`)
}

/** A branch for whatever is left, of a form that every value has. Blank values come out as ''. */
function whole(value: string, gives: string): Branch {
  return { when: `${value} IS NOT NULL`, gives }
}

/** The same letter written in two ways must have one hash. */
function composed(value: string): string {
  return `nfc_normalize(${value})`
}

/** A sigma with a cased letter before it and none after it, by Unicode's rule, which looks past marks and dots. */
const IGNORED = String.raw`\p{M}\p{Cf}\p{Lm}\p{Sk}'.:·‘’․﹒＇．`
const CASED = String.raw`\p{Lu}\p{Ll}\p{Lt}`
const LAST_SIGMA = `([${CASED}][${IGNORED}]*)Σ([${IGNORED}]*(?:[^${CASED}${IGNORED}]|$))`

/**
 * Small letters as other languages make them, which services' own tools do: DuckDB knows neither the sigma at the end of a
 * word nor the dotted capital I. `made` is what is made of `value`; only where one of those letters is in it, it is made twice.
 */
function lowered(value: string, made: string): string {
  const special = `regexp_replace(${made}, ${quoteText(LAST_SIGMA)}, '\\1ς\\2', 'g')`
  const isSpecial = `contains(${value}, 'Σ') OR contains(${value}, 'İ') OR contains(${value}, 'I' || chr(775))`
  return `CASE WHEN ${isSpecial} THEN lower(replace(${special}, 'İ', 'i̇')) ELSE lower(${made}) END`
}

function codeOf(places: readonly NamedPlace[], bareName: string): string {
  const list = (texts: readonly string[]): string => `[${texts.map(quoteText).join(', ')}]`
  return `MAP(${list(places.map((place) => place.name))}, ${list(places.map(({ code }) => code))})[strip_accents(${bareName})]`
}

// ---- e-mail --------------------------------------------------------------------------------------------------------

/** One @ between visible ASCII characters. */
const PLAIN_EMAIL = '[!-?A-~]+@[!-?A-~]+'
const GMAIL = '(gmail|googlemail)\\.com'

function otherEmail(value: string): readonly Branch[] {
  const address = lowered(value, without(value, SPACE))
  return [{ when: matches(address, '[^@]+@[^@]+'), gives: address }]
}

function gmailEmail(value: string): readonly Branch[] {
  const plain = `lower(${value})`
  const rest = lowered(value, without(value, SPACE))
  /** Something must be left of the local part. */
  const isGmail = (address: string): string => matches(address, `\\.*[^.+@][^@]*@${GMAIL}`)
  const bareGmail = (address: string): string =>
    `replace(regexp_replace(split_part(${address}, '@', 1), '\\+.*', ''), '.', '') || '@' || split_part(${address}, '@', 2)`
  return [
    { when: `${matches(value, PLAIN_EMAIL)} AND NOT ends_with(${plain}, 'mail.com')`, gives: plain },
    { when: `${matches(value, PLAIN_EMAIL)} AND ${isGmail(plain)}`, gives: bareGmail(plain) },
    { when: isGmail(rest), gives: bareGmail(rest) },
    { when: `${matches(rest, '[^@]+@[^@]+')} AND NOT ${matches(rest, `[^@]+@${GMAIL}`)}`, gives: rest },
  ]
}

// ---- phone ---------------------------------------------------------------------------------------------------------

/**
 * Digits that begin with the country's code. A number that begins with a single 0 is one within a country that we do not
 * know; one with letters has an extension or a word in it, whose digits belong to no number.
 */
function phoneDigits(value: string): readonly Branch[] {
  const compact = withoutChars(value, '+ .-/()')
  const digits = '[1-9][0-9]{6,14}'
  const number = `translate(regexp_replace(${trimmed(value)}, '^(?i:tel:)', ''), ${quoteText(OTHER_DIGITS)}, ${quoteText(ASCII_DIGITS)})`
  const isAbroad = contains(number, String.raw`^[\s(]*(\+|00)`)
  const abroad = `regexp_replace(${without(number, String.raw`\(0\)|[^0-9]`)}, '^0+', '')`
  const home = without(number, '[^0-9]')
  const isOne = `NOT ${contains(number, String.raw`\p{L}|\p{N}.*\+|[,;]`)}`
  return [
    { when: matches(value, digits), gives: value },
    {
      when: `${matches(value, String.raw`\+[1-9][0-9 ().\-/]*`)} AND NOT contains(${value}, '(0)') AND length(${compact}) BETWEEN 7 AND 15`,
      gives: compact,
    },
    { when: `${isAbroad} AND ${isOne} AND ${matches(abroad, digits)}`, gives: abroad },
    { when: `NOT ${isAbroad} AND ${isOne} AND ${matches(home, digits)}`, gives: home },
  ]
}
const OTHER_DIGITS = '０１２３４５６７８９٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹＋'
const ASCII_DIGITS = '012345678901234567890123456789+'

// ---- names and places ----------------------------------------------------------------------------------------------

function name(value: string): readonly Branch[] {
  return [
    { when: matches(value, '[!-~]([ -~]*[!-~])?'), gives: `lower(${value})` },
    whole(value, lowered(value, trimmed(composed(value)))),
  ]
}

function bare(value: string): readonly Branch[] {
  return [
    { when: matches(value, '[A-Za-z0-9]+'), gives: `lower(${value})` },
    { when: matches(value, String.raw`[A-Za-z0-9 '.\-]+`), gives: `lower(${withoutChars(value, " '.-")})` },
    whole(value, lowered(value, without(composed(value), NOT_BARE))),
  ]
}

function barePostalCode(value: string): readonly Branch[] {
  return [
    { when: matches(value, '[A-Za-z0-9]{1,8}'), gives: `lower(${value})` },
    { when: matches(trimmed(value), '[0-9]{5}-?[0-9]{4}'), gives: `left(${trimmed(value)}, 5)` },
    whole(value, lowered(value, without(value, String.raw`[\s\p{Z}\p{Pd}]`))),
  ]
}

function country(value: string, letters: 'upper' | 'lower'): readonly Branch[] {
  const codes = `(?i:${[...new Set(COUNTRY_NAMES.map(({ code }) => code))].join('|')})`
  const named = (bareName: string): string => codeOf(COUNTRY_NAMES, bareName)
  return [
    { when: matches(value, codes), gives: `${letters}(${value})` },
    { when: matches(trimmed(value), codes), gives: `${letters}(${trimmed(value)})` },
    ...bare(value).map(({ when, gives }) => ({
      when: `${when} AND ${named(gives)} IS NOT NULL`,
      gives: `${letters}(${named(gives)})`,
    })),
  ]
}

// ---- the rest ------------------------------------------------------------------------------------------------------

/** Dates with dots have the day first. With slashes, day and month are told apart where one of them is above 12, or both are the same. */
function birthDate(value: string, format: string): readonly Branch[] {
  const text = trimmed(value)
  const part = (pattern: string, group: number): string =>
    `regexp_extract(${text}, ${quoteText(`^${pattern}$`)}, ${group})`
  const dateOf = (year: string, month: string, day: string): string =>
    `try_cast(concat(${year}, '-', ${month}, '-', ${day}) AS DATE)`
  const inTime = (date: string): string => `${date} BETWEEN DATE '1900-01-01' AND DATE '2099-12-31'`
  const given = (date: string): string => `strftime(${date}, '${format}')`
  const iso = String.raw`(\d{4})[-./]?(\d{2})[-./]?(\d{2})(?:[T ].*)?`
  const dots = String.raw`(\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4})`
  const slashes = String.raw`(\d{1,2})[/-](\d{1,2})[/-](\d{4})`
  const [first, second, year] = [part(slashes, 1), part(slashes, 2), part(slashes, 3)]
  const [dayFirst, monthFirst] = [dateOf(year, second, first), dateOf(year, first, second)]
  const plain = `try_cast(${value} AS DATE)`
  const isoDate = dateOf(part(iso, 1), part(iso, 2), part(iso, 3))
  const dotsDate = dateOf(part(dots, 3), part(dots, 2), part(dots, 1))
  const isClear = `(${dayFirst} IS NULL OR ${monthFirst} IS NULL OR ${dayFirst} = ${monthFirst})`
  const slashesDate = `coalesce(${dayFirst}, ${monthFirst})`
  return [
    { when: `${matches(value, String.raw`\d{4}-\d{2}-\d{2}`)} AND ${inTime(plain)}`, gives: given(plain) },
    { when: `${matches(text, iso)} AND ${inTime(isoDate)}`, gives: given(isoDate) },
    { when: `${matches(text, dots)} AND ${inTime(dotsDate)}`, gives: given(dotsDate) },
    { when: `${matches(text, slashes)} AND ${isClear} AND ${inTime(slashesDate)}`, gives: given(slashesDate) },
  ]
}

function gender(value: string): readonly Branch[] {
  const word = `lower(${without(value, NOT_BARE)})`
  return [
    { when: matches(word, 'f|female|woman|girl|w|weiblich|frau'), gives: "'f'" },
    { when: matches(word, 'm|male|man|boy|männlich|mann|herr'), gives: "'m'" },
    whole(value, "''"),
  ]
}

function deviceId(value: string): readonly Branch[] {
  const id = `lower(${trimmed(value)})`
  const isId = matches(id, '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}')
  return [{ when: `${isId} AND NOT ${matches(id, '[0-]+')}`, gives: id }]
}
