import fc from 'fast-check'
import { expect, it } from 'vitest'
import { nullCells } from './null-cells.ts'

async function* cut(text: string, at: readonly number[]): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text)
  const places = [0, ...at.map((place) => place % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length]
  for (const [index, end] of places.slice(1).entries())
    yield await Promise.resolve(bytes.subarray(places[index] ?? 0, end))
}

async function rewritten(text: string, at: readonly number[] = []): Promise<string> {
  return Buffer.concat(await Array.fromAsync(nullCells(cut(text, at)))).toString()
}

it.each([
  ['a,b\n', 'a,b\n'],
  [',\n', 'NULL,NULL\n'],
  ['\n', 'NULL\n'],
  ['a,,c\n,b,\n', 'a,NULL,c\nNULL,b,NULL\n'],
  ['"",""\n', '"",""\n'],
  ['NULL,null,NULLS\n', '"NULL",null,NULLS\n'],
  ['"NULL"\n', '"NULL"\n'],
  ['"a,,b\n,\n""",\n', '"a,,b\n,\n""",NULL\n'],
  ['"\n\n",x\n', '"\n\n",x\n'],
  ['\\N,\\\n', '\\N,\\\n'],
  ['', ''],
])('%j becomes %j', async (from, to) => {
  expect(await rewritten(from)).toBe(to)
})

/** Cells as the files have them, and what LOAD DATA has to be given for them. */
const cell = fc.oneof(
  fc.constant(['', 'NULL'] as const),
  fc.constant(['NULL', '"NULL"'] as const),
  fc.constant(['""', '""'] as const),
  fc.string({ unit: fc.constantFrom('a', 'ü', '😀', 'N', 'U', 'L', '\\', ' ') }).map((text) => plain(text)),
  fc
    .string({ unit: fc.constantFrom('"', ',', '\n', '\r', 'x', '名') })
    .map((text) => `"${text.replaceAll('"', '""')}"`)
    .map((quoted) => [quoted, quoted] as const),
)
function plain(text: string): readonly [string, string] {
  if (text === '') return ['', 'NULL']
  return [text, text === 'NULL' ? '"NULL"' : text]
}

it('says the same of any cells, wherever the pieces are cut', async () => {
  const lines = fc.array(fc.array(cell, { minLength: 1, maxLength: 6 }), { maxLength: 12 })
  await fc.assert(
    fc.asyncProperty(lines, fc.array(fc.nat(400), { maxLength: 8 }), async (rows, at) => {
      const textOf = (side: 0 | 1): string => rows.map((row) => `${row.map((pair) => pair[side]).join(',')}\n`).join('')
      expect(await rewritten(textOf(0), at)).toBe(textOf(1))
    }),
    { numRuns: 500 },
  )
})
