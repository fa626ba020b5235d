import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { TooManyBadLines } from './import-source.ts'
import { importContent, refusal } from './import-test-support.ts'
import type { ImportHow, Result } from './import-test-support.ts'
import { makeTestLake } from './lake-test-support.ts'
import type { TestLake } from './lake-test-support.ts'

let lake: TestLake
beforeAll(async () => {
  lake = await makeTestLake()
})
afterAll(async () => lake.remove())

const take = async (content: string | Uint8Array, how?: ImportHow): Promise<Result> => importContent(lake, content, how)
const refuse = async (content: string | Uint8Array, how?: ImportHow): Promise<TooManyBadLines> =>
  refusal(take(content, how))

/** `place: reason` of each bad line. */
async function badLines(content: string | Uint8Array, how?: ImportHow): Promise<readonly string[]> {
  const { badLines: lines } = await refuse(content, how)
  return lines.map(({ line, reason }) => `${line}: ${reason}`)
}

/** One file of each kind of writing that Windows, spreadsheets and databases leave. */
const ZOE = [[1, 'Zoë', 'Köln – „Süd“']]
const zoe = (delimiter = ','): string =>
  `id${delimiter}näme${delimiter}city\n1${delimiter}Zoë${delimiter}Köln – „Süd“\n`
const bytes = (...parts: readonly (string | readonly number[])[]): Buffer =>
  Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from(part))))
const WINDOWS_1252 = bytes(
  'id,n',
  [0xe4],
  'me,city\n1,Zo',
  [0xeb],
  ',K',
  [0xf6],
  'ln ',
  [0x96],
  ' ',
  [0x84],
  'S',
  [0xfc],
  'd',
  [0x93],
  '\n',
)

describe('encodings', () => {
  it.each<[string, Uint8Array, string, string]>([
    ['UTF-8', Buffer.from(zoe()), 'auto', 'utf-8'],
    ['UTF-8 with BOM', Buffer.from(`\uFEFF${zoe()}`), 'auto', 'utf-8'],
    ['UTF-16 LE with BOM', Buffer.from(`\uFEFF${zoe()}`, 'utf16le'), 'auto', 'utf-16le'],
    ['UTF-16 BE with BOM', Buffer.from(`\uFEFF${zoe()}`, 'utf16le').swap16(), 'auto', 'utf-16be'],
    ['UTF-16 LE without BOM', Buffer.from(zoe(), 'utf16le'), 'auto', 'utf-16le'],
    ['UTF-16 LE, said so', Buffer.from(zoe(), 'utf16le'), 'utf-16le', 'utf-16le'],
    ['windows-1252', WINDOWS_1252, 'auto', 'windows-1252'],
    ['latin1, as people call it', WINDOWS_1252, 'latin1', 'windows-1252'],
  ])('%s', async (_, content, encoding, found) => {
    const result = await take(content, { read: { encoding } })
    expect([result.data, result.encoding, result.types]).toEqual([ZOE, found, 'id:integer näme:text city:text'])
  })

  it('of other alphabets, when said', async () => {
    const sjis = bytes('id,n\n1,', [0x93, 0xfa, 0x96, 0x7b], '\n')
    const koi8 = bytes('id,n\n1,', [0xed, 0xcf, 0xd3, 0xcb, 0xd7, 0xc1], '\n')
    expect((await take(sjis, { read: { encoding: 'shift_jis' } })).data).toEqual([[1, '日本']])
    expect((await take(koi8, { read: { encoding: 'koi8-r' } })).data).toEqual([[1, 'Москва']])
  })

  it('are refused when nobody knows them', async () => {
    expect((await refuse('id\n1\n', { read: { encoding: 'klingon' } })).path).toBe('encoding')
  })

  it('letters across the edges of what is read at once stay whole', async () => {
    const cell = '😀é日'.repeat(400_000)
    expect((await take(`id,a\n1,${cell}\n`)).data).toEqual([[1, cell]])
  })

  it('bytes that are none of the encoding are bad lines', async () => {
    const broken = bytes('id,a\n1,x\n"2\n",', [0xff, 0xfe], '\n4,', [0xc3, 0x28], '\n5,y\n')
    expect(await badLines(broken, { read: { encoding: 'utf-8' } })).toEqual([
      '3: "a" holds a NUL character or bytes that are not utf-8',
      '5: "a" holds a NUL character or bytes that are not utf-8',
    ])
    const half = bytes('id,n\n1,', [0x93, 0xfa], '\n2,', [0x93], '\n3,x\n')
    expect(await badLines(half, { read: { encoding: 'shift_jis' } })).toHaveLength(1)
    expect(
      await badLines(bytes(Buffer.from('\uFEFFid,n\n1,x\n2,').toString('latin1'), [])).catch(() => 'no text'),
    ).toBe('no text')
  })

  it('NUL is a bad line, wherever it stands', async () => {
    expect(await badLines('id,a\n1,x\n2,a\0b\n3,y\n4,"q\n\0"\n')).toEqual([
      '3: "a" holds a NUL character or bytes that are not utf-8',
      '5: "a" holds a NUL character or bytes that are not utf-8',
    ])
    expect(await badLines(Buffer.from('\uFEFFid,a\n1,x\n2,a\0b\n', 'utf16le'))).toHaveLength(1)
  })
})

describe('dialects', () => {
  it.each([',', ';', '\t', '|'])('with %j between the cells', async (delimiter) => {
    const result = await take(zoe(delimiter))
    expect([result.data, result.dialect?.delimiter]).toEqual([ZOE, delimiter])
  })

  it('quotes keep delimiters, quotes and line ends; CRLF too', async () => {
    const { data } = await take('id,a,b\r\n1,"x, ""y""","two\r\nlines"\r\n2,"a\nb",\'c\'\r\n')
    expect(data).toEqual([
      [1, 'x, "y"', 'two\r\nlines'],
      [2, 'a\nb', "'c'"],
    ])
  })

  it('single quotes, as some write them', async () => {
    expect((await take(`'id','a'\n'1','x,''y'\n`)).data).toEqual([[1, "x,'y"]])
  })

  it('quotes and delimiter as set', async () => {
    const how = { read: { csv: { delimiter: '^', quote: '' as const } }, key: 'i"d' }
    expect((await take('i"d^a\n1^"x\n', how)).data).toEqual([[1, '"x']])
    expect((await refuse('id\n1\n', { read: { csv: { delimiter: 'd' } } })).path).toBe('delimiter')
  })

  it('line ends of different kinds in one file, and a last line without one', async () => {
    const result = await take('id,a\r\n1,"x\ny"\n2,z\r\n3,w\r4,"v"')
    expect(result.data).toEqual([
      [1, 'x\ny'],
      [2, 'z'],
      [3, 'w'],
      [4, 'v'],
    ])
  })

  it('an empty cell is empty, a quoted one is a text of no letters', async () => {
    expect((await take('id,a,n\n1,,\n2,"",""\n')).data).toEqual([
      [1, null, null],
      [2, '', ''],
    ])
    expect((await take('id,a,n\n1,,4\n2,"",""\n')).data).toEqual([
      [1, null, 4],
      [2, '', null],
    ])
  })

  it('without a header, or with one that looks like values', async () => {
    const without = await take('1,a@example.com\n2,b@example.com\n', { key: 'column1' })
    expect([without.data.length, without.types, without.dialect?.hasHeader]).toEqual([
      2,
      'column1:integer column2:text',
      false,
    ])
    expect((await take('2023,2024\n1,2\n', { read: { csv: { header: true } }, key: '2023' })).types).toBe(
      '2023:integer 2024:integer',
    )
  })

  it('one column, with blank lines', async () => {
    expect((await take('id\n1\n\n2\n\n')).data).toEqual([[1], [2]])
  })

  it('a header and nothing else is a table without rows', async () => {
    const result = await take('id,a\n')
    expect([result.rows, result.files.length, result.types]).toEqual([0, 1, 'id:text a:text'])
  })
})

describe('headers', () => {
  const wide = (columns: number): string =>
    `id,${Array.from({ length: columns - 1 }, (_, index) => `c${index}`).join()}\n`
  it.each([
    ['', 'is empty'],
    ['id,a,id\n1,2,3\n', 'Columns 1 and 3 of data.csv have the same name "id"'],
    ['id,Name,name\n1,2,3\n', 'Columns 2 and 3 of data.csv have the same name "name"'],
    ['id,,a\n1,2,3\n', 'The name of column 2 of data.csv is empty'],
    ['id,a,\n1,2,3\n', 'The name of column 3 of data.csv is empty'],
    ['id,"a\nb"\n1,2\n', 'control or broken characters'],
    [`id,${'x'.repeat(129)}\n1,2\n`, 'longer than 128'],
    [wide(1001), '1001 columns'],
  ])('%j is refused', async (content, message) => {
    expect((await refuse(content)).message).toContain(message)
  })

  it('that are broken UTF-8 are refused', async () => {
    expect((await refuse(bytes('id,', [0xff], '\n1,2\n'), { read: { encoding: 'utf-8' } })).message).toContain(
      'broken characters',
    )
  })

  it('of 1,000 columns, with names that are odd, are taken', async () => {
    const row = (value: string): string => `${value},${Array.from({ length: 999 }, () => value).join()}\n`
    expect((await take(wide(1000) + row('1') + row('2'))).fields).toHaveLength(1000)
    const odd = await take(`id,"a ""b""", select ,__proto__,constructor,a.b,"x,y",é,'z'\n1,1,2,3,4,5,6,7,8\n`)
    expect(odd.fields.map(({ name }) => name)).toEqual([
      'id',
      'a "b"',
      'select',
      '__proto__',
      'constructor',
      'a.b',
      'x,y',
      'é',
      "'z'",
    ])
  })
})

describe('lines that are no lines of this table', () => {
  const RAGGED = 'id,a\n1,x\n2\n3,x,y\n"4\n",z\n5,"a"b\n6,w\n'
  it('are named by the line that an editor shows, and refuse the whole', async () => {
    expect(await badLines(RAGGED)).toEqual([
      '3: has fewer cells than the header',
      '4: has more cells than the header',
      '7: has a quote that is not closed, or text after a closing quote',
    ])
  })

  it('are left out and counted where that many are allowed', async () => {
    const result = await take(RAGGED, { badLinesMax: 3 })
    expect([result.rows, result.badLines, result.badLinesNamed.length]).toEqual([3, 3, 3])
    expect((await refuse(RAGGED, { badLinesMax: 2 })).count).toBe(3)
  })

  it('are found behind a byte order mark, and in CRLF files, at the right place', async () => {
    expect(await badLines('\uFEFFid,a\r\n1,x\r\n"2\r\n\r\n",y\r\n3\r\n')).toEqual([
      '6: has fewer cells than the header',
    ])
    expect(await badLines('\uFEFFid,a\n1,x\n2\n')).toEqual(['3: has fewer cells than the header'])
  })

  it('may be longer than memory likes: a cell of 100 MB', { timeout: 60_000 }, async () => {
    const content = Buffer.concat([Buffer.from('id,a\n1,"'), Buffer.alloc(100_000_000, 'x'), Buffer.from('"\n2,y\n')])
    const result = await take(content, { badLinesMax: 1 })
    expect(result.data).toEqual([[2, 'y']])
    expect(result.badLinesNamed).toEqual([{ file: 'data.csv', line: 2, field: null, reason: 'is longer than 10 MB' }])
  })

  it('a cell of 9 MB is taken', async () => {
    expect((await take(`id,a\n1,${'x'.repeat(9_000_000)}\n`)).rows).toBe(1)
  })

  it('a quote that is never closed does not hang the import', async () => {
    expect((await refuse('id,a\n1,x\n2,"never\n3,y\n4,z\n')).count).toBeGreaterThan(0)
  })

  it('name no value', async () => {
    const error = await refuse('id,a\n1,x\n2,canary-1,canary-2\n')
    expect(JSON.stringify([error.message, error.badLines, error.cure, String(error.cause)])).not.toContain('canary')
  })
})
