import { DestinationInvalid } from './errors.ts'

/** File systems and servers differ above this; 255 bytes a part is what nearly all of them take. */
const PART_BYTES_MAX = 255
const PATH_BYTES_MAX = 1000

/** Direction marks make a name look like another one (`gpj.exe` for `exe.jpg`). */
const DECEPTIVE = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u

/**
 * Splits a path such as `exports/daily` into its parts, and refuses every one that could lead out of the folder
 * below which it is meant: nothing is repaired, because a repaired name is another name. Names are taken as they
 * are, so `%2e%2e` is an ordinary (if odd) name. Symbolic links at the far end are the `Folder`'s to judge.
 */
export function pathParts(path: string, field = 'folder'): readonly string[] {
  const refuse = (why: string): never => {
    throw new DestinationInvalid(field, `"${printable(path)}" cannot be used as a path: ${why}`)
  }
  if (path === '') refuse('it is empty')
  if (!path.isWellFormed()) refuse('it is not valid Unicode')
  if (DECEPTIVE.test(path)) refuse('it holds control characters')
  if (path.includes('\\')) refuse('write / between folders, not \\')
  if (path.startsWith('/')) refuse('it must not start with /, because it is taken below the base folder')
  if (path.normalize('NFC') !== path) refuse('its accents are written as characters of their own (not Unicode NFC)')
  if (byteLength(path) > PATH_BYTES_MAX) refuse(`it is longer than ${PATH_BYTES_MAX} bytes`)
  const parts = path.split('/')
  for (const part of parts) {
    if (part === '') refuse('it has an empty part (a / too many)')
    if (part === '.' || part === '..') refuse(`the part ${part} is not allowed`)
    if (/[ .]$/.test(part)) refuse('a part ends in a space or a dot, which Windows servers drop')
    if (byteLength(part) > PART_BYTES_MAX) refuse(`a part is longer than ${PART_BYTES_MAX} bytes`)
  }
  return parts
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length
}

/** For messages: what cannot be printed is shown as its code, and the text is cut. */
function printable(text: string): string {
  const shown = [...text.toWellFormed()].map((character) =>
    DECEPTIVE.test(character) ? `\\u{${character.codePointAt(0)?.toString(16)}}` : character,
  )
  return shown.length > 100 ? `${shown.slice(0, 100).join('')}…` : shown.join('')
}
