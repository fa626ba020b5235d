/**
 * Takes secrets and personal data out of texts that services, drivers and connectors made, before they reach a log, a
 * notification or a screen. Secrets are known, so they are found by value in every encoding in which an error text has
 * been seen to carry one. Personal data is not known and is found by shape, too much rather than too little.
 * The limit: a secret that the far end has cut or changed (`sk_live_abc…`) is not recognised.
 */

const SECRET = '[secret]'
const LENGTH_MAX = 300
/** Longer texts are cut before they are looked at, so that a hostile answer costs no time. */
const READ_MAX = 20_000
/** Shorter than this, an encoded form would be found in ordinary words. */
const ENCODED_MIN = 6
const LINE_MIN = 16
/** Cut so that the last piece is not a short one. */
const PIECE = /[^]{200}(?=[^]{100})|[^]+/gu

export interface Redactor {
  /** For logs, notifications and errors: without secrets, personal data and control characters, at most 300 characters. */
  readonly redact: (text: string) => string
  /** For the rejects of a run, which people who may see its rows read: the service's own words, without secrets. */
  readonly hideSecrets: (text: string) => string
}

/**
 * Building the patterns costs more than using them: keep the redactor as long as the secrets. `hideMore` takes out what is no
 * secret and still not for everybody, before anything is cut.
 */
export function makeRedactor(
  secrets: readonly string[],
  hideMore: (text: string) => string = (text) => text,
): Redactor {
  const pattern = secretPattern(secrets)
  const hide = (text: string): string => {
    const read = text.length > READ_MAX ? `${text.slice(0, READ_MAX)}…` : text
    return hideMore(pattern === undefined ? read : read.replace(pattern, SECRET))
  }
  return {
    redact: (text) => cut(withoutControls(withoutPersonal(hide(text))), LENGTH_MAX),
    hideSecrets: (text) => cut(withoutControls(hide(text)), 1000),
  }
}

export interface GrowingRedactor extends Redactor {
  /** Another secret that has to be hidden from now on, such as a token that was just handed out. */
  readonly add: (secret: string) => void
}

export function makeGrowingRedactor(
  secrets: readonly string[],
  hideMore: (text: string) => string = (text) => text,
): GrowingRedactor {
  const known = new Set(secrets)
  let built: Redactor | undefined
  const redactor = (): Redactor => (built ??= makeRedactor([...known], hideMore))
  return {
    redact: (text) => redactor().redact(text),
    hideSecrets: (text) => redactor().hideSecrets(text),
    add(secret) {
      if (known.has(secret)) return
      known.add(secret)
      built = undefined
    },
  }
}

export function redact(text: string, secrets: readonly string[]): string {
  return makeRedactor(secrets).redact(text)
}

function secretPattern(secrets: readonly string[]): RegExp | undefined {
  const parts = [...new Set(secrets.flatMap(partsOf))].toSorted((x, y) => y.length - x.length)
  if (parts.length === 0) return undefined
  // Hexadecimal and percent escapes come in either case; telling letters apart would only let more through.
  return new RegExp(parts.flatMap(patternsOf).join('|'), 'giu')
}

/** A key of several lines is quoted line by line in messages, and a long one in part: each piece counts as a secret. */
function partsOf(secret: string): readonly string[] {
  const text = secret.toWellFormed()
  const lines = text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line.length >= LINE_MIN && !line.startsWith('-----'))
  return [text, ...(lines.length > 1 ? lines : [])].flatMap((part) => part.match(PIECE) ?? [])
}

/** The longest first: a text that holds another must not be left in pieces. */
function patternsOf(part: string): readonly string[] {
  const bytes = Buffer.from(part, 'utf8')
  const encoded = bytes.length < ENCODED_MIN ? [] : [bytes.toString('hex'), ...base64Forms(bytes)]
  return [...encoded.map(escapeRegExp), Array.from(part, anyFormOf).join('')]
}

/** One character, as it is or as URLs, JSON or HTML may write it; encoders differ in what they escape, so each may vary. */
function anyFormOf(character: string): string {
  const code = character.codePointAt(0) ?? 0
  const bytes = [...Buffer.from(character, 'utf8')]
  const units = character.split('').map((unit) => unit.charCodeAt(0))
  const forms = [
    escapeRegExp(character),
    bytes.map((byte) => `%${hex(byte, 2)}`).join(''),
    units.map((unit) => `\\\\u${hex(unit, 4)}`).join(''),
    `&#(?:0*${code}|x0*${hex(code, 1)});`,
    ...(ESCAPED[character] ?? []),
  ]
  return `(?:${forms.join('|')})`
}

const ESCAPED: Readonly<Record<string, readonly string[]>> = {
  ' ': [String.raw`\+`],
  '"': [String.raw`\\"`, '&quot;'],
  "'": [String.raw`\\'`, '&apos;'],
  '/': [String.raw`\\\/`],
  '\\': [String.raw`\\\\`],
  '\n': [String.raw`\\n`],
  '\r': [String.raw`\\r`],
  '\t': [String.raw`\\t`],
  '&': ['&amp;'],
  '<': ['&lt;'],
  '>': ['&gt;'],
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0')
}

function escapeRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
}

/** A secret inside a longer base64 text, such as `user:password`, starts at any of three places of a group. */
function base64Forms(bytes: Buffer): readonly string[] {
  const whole = bytes.toString('base64')
  const inside = [0, 1, 2].map((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), bytes])
      .toString('base64')
      .replace(/=+$/, '')
    // The characters at either edge also hold bits of what stands beside the secret, so they are left out.
    const from = Math.ceil((offset * 8) / 6)
    const to = Math.floor(((offset + bytes.length) * 8) / 6)
    const inner = text.slice(from, to)
    return inner
  })
  return [whole, ...inside].flatMap((form) => [form, form.replaceAll('+', '-').replaceAll('/', '_')])
}

const EMAIL = /[^\s@<>"'(),;:=[\]{}]{1,64}(?:@|%40|\\u0040)[^\s@<>"'(),;:=[\]{}]{1,255}/gi
/** Seven digits or more, however they are grouped: telephone, card and account numbers, and also dates and ids. */
const NUMBER = /\+?\d[\d\s()./-]{5,40}\d/g

function withoutPersonal(text: string): string {
  return text.replace(EMAIL, '[e-mail]').replace(NUMBER, (found) => {
    const digits = found.replace(/\D/g, '').length
    const isAddress = /^\d{1,3}(?:\.\d{1,3}){3}$/.test(found)
    return digits < 7 || isAddress ? found : '[number]'
  })
}

/** Also what changes the direction of a text or breaks a line in some reader: encoded, so that no log line is forged. */
function withoutControls(text: string): string {
  return text
    .toWellFormed()
    .replace(/[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/gu, (sign) =>
      sign === '\n' || sign === '\t' ? ' ' : `\\u{${sign.codePointAt(0)?.toString(16)}}`,
    )
}

function cut(text: string, max: number): string {
  return text.length <= max
    ? text
    : `${text
        .slice(0, max - 1)
        .toWellFormed()
        .replace(/\ufffd$/, '')}…`
}
