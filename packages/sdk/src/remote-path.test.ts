import fc from 'fast-check'
import { posix, win32 } from 'node:path'
import { describe, expect, it } from 'vitest'
import { DestinationInvalid } from './errors.ts'
import { pathParts } from './remote-path.ts'

describe('pathParts', () => {
  it.each(['a', 'a/b c/d.csv', '-rf', "it's", 'ümläut/名前.csv', '%2e%2e/x', '.hidden', 'a:b', '"q" & $(x);`y`', '…'])(
    'takes %s as it is',
    (path) => expect(pathParts(path)).toEqual(path.split('/')),
  )

  it.each([
    ['', 'empty'],
    ['/etc/passwd', 'absolute'],
    ['..', 'up'],
    ['a/../b', 'up inside'],
    ['a/./b', 'here'],
    ['a//b', 'empty part'],
    ['a/', 'trailing slash'],
    ['a\\..\\b', 'backslash'],
    ['a\0b', 'NUL'],
    ['a\nb', 'line feed'],
    ['a\u007f', 'DEL'],
    ['a\u202egpj.exe', 'right-to-left override'],
    ['a\u0308', 'not NFC'],
    ['e\u0301.csv', 'NFD'],
    ['\ud800', 'lone surrogate'],
    ['a./b', 'dot at the end'],
    ['a /b', 'space at the end'],
    ['x'.repeat(256), 'part too long'],
    ['é'.repeat(128), 'part too long in bytes'],
    ['abc/'.repeat(251) + 'd', 'path too long'],
  ])('refuses %j (%s)', (path) => {
    expect(() => pathParts(path)).toThrow(DestinationInvalid)
  })

  it('lets nothing through that leads out, on any system', () => {
    const part = fc.oneof(
      fc.constantFrom('..', '.', '', '...', '..\\', 'C:', '~', '%2e%2e', '..%2f', '\0', '．．', '\u2024\u2024'),
      fc.string({ unit: 'binary', maxLength: 8 }),
    )
    const path = fc.array(part, { maxLength: 6 }).map((parts) => parts.join('/'))
    fc.assert(
      fc.property(path, (text) => {
        const parts = accepted(text)
        fc.pre(parts !== undefined)
        expect(posix.join('/base', ...parts).startsWith('/base/')).toBe(true)
        expect(win32.join('X:\\base', ...parts).startsWith('X:\\base\\')).toBe(true)
        expect(parts.join('/')).toBe(text)
      }),
      { numRuns: 3000, maxSkipsPerRun: 1000 },
    )
  })

  it('shows what cannot be printed by its code', () => {
    expect(() => pathParts('a\u202eb')).toThrow('"a\\u{202e}b"')
  })
})

function accepted(path: string): readonly string[] | undefined {
  try {
    return pathParts(path)
  } catch (error) {
    if (error instanceof DestinationInvalid) return undefined
    throw error
  }
}
