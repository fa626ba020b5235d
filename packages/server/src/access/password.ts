/**
 * Passwords: argon2id (RFC 9106) by Node's own crypto, with the least parameters that OWASP's Password Storage Cheat Sheet
 * names for it (19 MiB, 2 passes, one lane), in the PHC string format, so that they can be raised later.
 */
import { argon2, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { PASSWORD_LENGTH_MAX, PASSWORD_LENGTH_MIN } from '@patchbay/contract'
import { Problem } from '../domain/problem.ts'

const MEMORY_KIB = 19_456
const PASSES = 2
const LANES = 1
const TAG_BYTES = 32
const FORM = /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,2}),p=(\d)\$([A-Za-z0-9+/]{22})\$([A-Za-z0-9+/]{43})$/

const derive = promisify(argon2)

export async function hashPassword(password: string, randomBytes: (size: number) => Uint8Array): Promise<string> {
  const nonce = Buffer.from(randomBytes(16))
  const tag = await tagOf(password, { nonce, memory: MEMORY_KIB, passes: PASSES, lanes: LANES })
  return `$argon2id$v=19$m=${MEMORY_KIB},t=${PASSES},p=${LANES}$${text(nonce)}$${text(tag)}`
}

/** False for whatever is no hash of ours, too. */
export async function isPassword(password: string, hash: string): Promise<boolean> {
  const [, memory, passes, lanes, nonce = '', tag = ''] = FORM.exec(hash) ?? []
  if (memory === undefined) return false
  const given = await tagOf(password, {
    nonce: Buffer.from(nonce, 'base64'),
    memory: Number(memory),
    passes: Number(passes),
    lanes: Number(lanes),
  })
  return timingSafeEqual(given, Buffer.from(tag, 'base64'))
}

/** Throws where somebody chooses one that is easily guessed. `about` is what others know of them. */
export function checkNewPassword(password: string, about: readonly string[]): void {
  const cure = `Choose ${PASSWORD_LENGTH_MIN} to ${PASSWORD_LENGTH_MAX} characters that nobody would guess; a few words in a row are good`
  const refuse = (why: string): never => {
    throw new Problem('invalid', why, { path: 'password', cure })
  }
  const { length } = [...password]
  if (length < PASSWORD_LENGTH_MIN) refuse('The password is too short')
  if (length > PASSWORD_LENGTH_MAX) refuse('The password is too long')
  const plain = password.toLowerCase().replaceAll(/[^\p{L}\p{N}]/gu, '')
  if (new Set(plain).size < 5) refuse('The password is a few characters again and again')
  if (COMMON.some((word) => plain.replace(/\d+$/, '') === word || repeats(plain, word)))
    refuse('The password is one that many people use')
  if (isRow(plain)) refuse('The password is a row of the keyboard or the alphabet')
  const known = about.flatMap((one) => one.toLowerCase().split(/[^\p{L}\p{N}]+/u)).filter((word) => word.length > 3)
  if (known.some((word) => plain.replaceAll(word, '').length < 6))
    refuse('The password is made of the name or the address')
}

/** What lists of leaked passwords begin with, as far as it can be made twelve characters long. */
const COMMON = [
  'password',
  'passwort',
  'passwordpassword',
  'changeme',
  'changemenow',
  'letmein',
  'welcome',
  'willkommen',
  'administrator',
  'iloveyou',
  'ichliebedich',
  'sunshine',
  'princess',
  'football',
  'baseball',
  'superman',
  'trustno',
  'patchbay',
  'geheim',
  'hallo',
  'schatz',
  'master',
  'monkey',
  'dragon',
  'correcthorsebatterystaple',
]
const ROWS = [
  'abcdefghijklmnopqrstuvwxyz',
  '01234567890',
  'qwertyuiopasdfghjklzxcvbnm',
  'qwertzuiopasdfghjklyxcvbnm',
  '1q2w3e4r5t6y7u8i9o0p',
]

function repeats(text: string, word: string): boolean {
  return text.replaceAll(word, '').replaceAll(/\d/g, '') === '' && text.includes(word)
}

function isRow(text: string): boolean {
  return ROWS.some((row) => `${row}${row}`.includes(text) || `${row}${row}`.includes([...text].toReversed().join('')))
}

async function tagOf(
  password: string,
  {
    nonce,
    memory,
    passes,
    lanes,
  }: { readonly nonce: Buffer; readonly memory: number; readonly passes: number; readonly lanes: number },
): Promise<Buffer> {
  // The same password typed on another keyboard.
  const message = Buffer.from(password.normalize('NFKC'))
  return derive('argon2id', { message, nonce, parallelism: lanes, tagLength: TAG_BYTES, memory, passes })
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replaceAll('=', '')
}
