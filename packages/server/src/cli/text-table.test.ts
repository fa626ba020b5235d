import { expect, test } from 'vitest'
import { printable } from './printable.ts'
import { textTable } from './text-table.ts'

test('numbers stand to the right, text to the left, and wide letters count twice', () => {
  const rows = [
    ['Ana', 1, true],
    ['株式会社', 12345, null],
  ] as const
  expect(textTable(['name', 'rows', 'ok'], rows)).toBe(
    ['name        rows  ok', '────────  ──────  ───', 'Ana            1  yes', '株式会社  12,345'].join('\n'),
  )
})

test('what would move the cursor or turn the text is shown as its code', () => {
  expect(printable('a\u001b[2Jb\u202ec\r\u0007')).toBe('a\\u{1b}[2Jb\\u{202e}c\\u{d}\\u{7}')
  expect(textTable(['x'], [['two\nlines']])).toContain('two lines')
})

test('a long cell is cut', () => {
  const [, , line = ''] = textTable(['x'], [['y'.repeat(200)]]).split('\n')
  expect(line).toHaveLength(60)
})
