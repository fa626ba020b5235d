import { copyFile, mkdir, readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Problem } from '../domain/problem.ts'
import type { TooManyBadLines } from './import-source.ts'
import { importContent, importFiles, refusal, writeSource } from './import-test-support.ts'
import { detectFormat, inspectFile } from './inspect-file.ts'
import type { Inspection } from './inspect-file.ts'
import { SAMPLE_DATA, isThere, makeTestLake, run } from './lake-test-support.ts'
import type { TestLake } from './lake-test-support.ts'

let lake: TestLake
beforeAll(async () => {
  lake = await makeTestLake()
})
afterAll(async () => lake.remove())

describe('JSON lines', () => {
  const json = { format: 'json-lines' } as const
  const lines = (...values: readonly (string | object)[]): string =>
    values.map((value) => (typeof value === 'string' ? value : JSON.stringify(value))).join('\n')

  it('are read by what JSON says of the values', async () => {
    const result = await importContent(
      lake,
      lines(
        {
          id: 1,
          text: 'x',
          zip: '01234',
          number: 1,
          decimal: 1.5,
          yes: true,
          day: '2024-02-29',
          at: '2024-02-29T10:00:00+01:00',
        },
        '',
        { id: 2, text: null, zip: '12345', number: -5, decimal: 2, yes: null, mixed: 1, late: 'é/~"' },
        '  {"id" : 3, "mixed":"a", "number" : 9223372036854775807, "text":"\\ud83d\\ude00"}\t',
      ),
      json,
    )
    expect(result.types).toBe(
      'id:integer text:text zip:text number:integer decimal:decimal yes:boolean day:date at:timestamp mixed:text late:text',
    )
    expect(result.data).toEqual([
      [1, 'x', '01234', 1, 1.5, true, '2024-02-29', '2024-02-29T09:00:00Z', null, null],
      [2, null, '12345', -5, 2, null, null, null, '1', 'é/~"'],
      [3, '😀', null, '9223372036854775807', null, null, null, null, 'a', null],
    ])
  })

  it('keep objects and lists as JSON text, and say so', async () => {
    const result = await importContent(
      lake,
      lines({ id: 1, a: { b: [1, 'x'] } }, { id: 2, a: [] }, { id: 3, a: 'plain' }),
      json,
    )
    expect(result.data.map(([, a]) => a)).toEqual(['{"b":[1,"x"]}', '[]', 'plain'])
    expect(result.notes).toEqual(['Objects and lists in "a" are kept as JSON text.'])
  })

  it('have keys of any letters', async () => {
    const result = await importContent(
      lake,
      lines({ id: 1, 'a/b': 1, 'c~d': 2, 'e.f': 3, $: 4, 'g"h': 5, constructor: 6, "i'j": 7 }),
      json,
    )
    expect(result.data).toEqual([[1, 1, 2, 3, 4, 5, 6, 7]])
  })

  it('that are none are bad lines, each with its number', async () => {
    const text = lines(
      { id: 1 },
      '',
      'nonsense',
      '[1]',
      '{"id":2}{"id":3}',
      '{"id":4,"a":"\\ud800"}',
      '{"id":5,"a":"x\\u0000"}',
      '{"id":6,"a":"\\\\u0000"}',
      '7',
      '{"id":8',
    )
    const { badLines } = await refusal<TooManyBadLines>(importContent(lake, text, { ...json, badLinesMax: 6 }))
    expect(badLines.map(({ line, reason }) => `${line}: ${reason}`)).toEqual([
      '3: is no valid JSON',
      '4: is no JSON object',
      '5: is no valid JSON',
      '6: is no valid JSON',
      '7: "a" holds a NUL character or is longer than 10 MB',
      '9: is no JSON object',
      '10: is no valid JSON',
    ])
    const result = await importContent(lake, text, { ...json, badLinesMax: 7 })
    expect([result.badLines, result.data]).toEqual([
      7,
      [
        [1, null],
        [6, '\\u0000'],
      ],
    ])
  })

  it('NaN, and numbers that no double holds, are text', async () => {
    expect((await importContent(lake, '{"id":1,"a":NaN,"b":1e400}\n', json)).data).toEqual([['NaN', '1e400', 1]])
  })

  it.each([
    ['', 'no JSON object'],
    ['[1]\n', 'no JSON object'],
    ['{"id":1,"ID":2}\n', 'the same name'],
    ['{"id":1,"":2}\n', 'is empty'],
  ])('%j is refused', async (text, message) => {
    expect((await refusal(importContent(lake, text, json))).message).toContain(message)
  })

  it('in UTF-16, and with a line beyond 10 MB', async () => {
    expect((await importContent(lake, Buffer.from('\uFEFF{"id":1,"a":"é"}\n', 'utf16le'), json)).data).toEqual([
      [1, 'é'],
    ])
    const { badLines } = await refusal<TooManyBadLines>(
      importContent(lake, `{"id":1}\n{"id":2,"a":"${'x'.repeat(11_000_000)}"}\n`, json),
    )
    expect(badLines).toEqual([{ file: 'data.csv', line: 2, field: null, reason: 'is longer than 10 MB' }])
  })
})

describe('Parquet', () => {
  const parquet = { format: 'parquet' } as const
  const made = async (select: string, name = 'data.parquet'): Promise<{ path: string; name: string }> => {
    const file = await writeSource(lake, '', name)
    await run(lake.db, `COPY (${select}) TO '${file.path}' (FORMAT parquet)`)
    return file
  }

  it('keeps its types, and makes text of what has no counterpart', async () => {
    const file = await made(
      `SELECT 1::TINYINT AS id, 2::UINTEGER AS u, 12345678901234567890::UBIGINT AS big, 0.1::FLOAT AS f, 1.5::DOUBLE AS d, 1.25::DECIMAL(9,2) AS m,
        TRUE AS b, DATE '2024-02-29' AS day, TIMESTAMP '2024-02-29 10:00:00.5' AS ts, TIMESTAMPTZ '2024-02-29 10:00:00+02' AS tz,
        TIMESTAMP_NS '2024-02-29 10:00:00' AS ns, TIME '10:00' AS t, 'é' AS s, uuid '00000000-0000-0000-0000-000000000001' AS uuid,
        [1, 2] AS list, {'a': 1, 'b': ['x']} AS struct, MAP {'k': 1} AS map, 'ab'::BLOB AS blob`,
    )
    const result = await importFiles(lake, [file], parquet)
    expect(result.data).toEqual([
      [
        ...[
          1,
          2,
          '12345678901234567890',
          0.1,
          1.5,
          1.25,
          true,
          '2024-02-29',
          '2024-02-29T10:00:00.500000Z',
          '2024-02-29T08:00:00Z',
        ],
        ...[
          '2024-02-29T10:00:00Z',
          '10:00:00',
          'é',
          '00000000-0000-0000-0000-000000000001',
          '[1,2]',
          '{"a":1,"b":["x"]}',
          '{"k":1}',
          'YWI=',
        ],
      ],
    ])
    expect(result.types).toContain(
      'u:integer big:text f:decimal d:decimal m:decimal b:boolean day:date ts:timestamp tz:timestamp ns:timestamp',
    )
    expect(result.notes).toHaveLength(5)
  })

  it('has bad rows too: NaN, years beyond 9999, NUL', async () => {
    const file = await made(
      `SELECT * FROM (VALUES (1, 'NaN'::DOUBLE, DATE '2024-01-01', 'a'), (2, 1.5, DATE '10000-01-01', 'b'), (3, 2.5, 'infinity'::DATE, 'c'),
        (4, 3.5, DATE '2024-01-01', 'd' || chr(0)), (5, NULL, NULL, NULL)) AS v(id, n, day, s)`,
    )
    const { badLines } = await refusal<TooManyBadLines>(importFiles(lake, [file], parquet))
    expect(badLines.map(({ line, field }) => [line, field])).toEqual([
      [1, 'n'],
      [2, 'day'],
      [3, 'day'],
      [4, 's'],
    ])
    expect((await importFiles(lake, [file], { ...parquet, badLinesMax: 4 })).data).toEqual([[5, null, null, null]])
  })

  it('of another type than the table has is refused, or read as a person says', async () => {
    const file = await made(`SELECT 1 AS id, '5' AS n`)
    const previous = [
      { name: 'id', label: 'id', type: 'integer', tags: [] },
      { name: 'n', label: 'n', type: 'integer', tags: [] },
    ] as const
    const plain = await made(`SELECT 1 AS id, 1.5 AS n`)
    expect((await refusal(importFiles(lake, [plain], { ...parquet, previous }))).message).toContain(
      '"n" is decimal in the file',
    )
    expect((await importFiles(lake, [file], { ...parquet, types: { n: 'integer' } })).data).toEqual([[1, 5]])
  })

  it('that is damaged, or none, is refused', async () => {
    const none = await writeSource(lake, 'PAR1 no parquet at all PAR1', 'none.parquet')
    expect((await refusal(importFiles(lake, [none], parquet))).message).toBe(
      'none.parquet is no Parquet file, or is damaged',
    )
    const whole = await made('SELECT i AS id FROM range(1000) r(i)')
    const cut = await writeSource(lake, (await readFile(whole.path)).subarray(0, 500), 'cut.parquet')
    expect(await refusal(importFiles(lake, [cut], parquet))).toBeInstanceOf(Problem)
  })

  it('in several files of one shape', async () => {
    const files = [
      await made('SELECT 1 AS id, 2 AS a', 'one.parquet'),
      await made('SELECT 2 AS id, 3 AS a', 'two.parquet'),
    ]
    expect((await importFiles(lake, files, parquet)).data).toEqual([
      [1, 2],
      [2, 3],
    ])
    const [first] = files
    const other = await made(`SELECT 2 AS id, 'x' AS a`, 'three.parquet')
    const error = await refusal(importFiles(lake, first === undefined ? [] : [first, other], parquet))
    expect(error.message).toBe('"a" has another type in three.parquet than in the first file')
  })
})

describe('several files', () => {
  it('of one shape are one table, each in its own encoding, and bad lines say which', async () => {
    const files = [
      await writeSource(lake, 'id;näme\n1;Zoë\n', 'a.csv'),
      await writeSource(lake, Buffer.from('id;n\xe4me\n2;Zo\xeb\n', 'latin1'), 'b.csv'),
      await writeSource(lake, 'id;näme\r\n3;x\r\n', 'c.csv'),
    ]
    const result = await importFiles(lake, files)
    expect(result.data).toEqual([
      [1, 'Zoë'],
      [2, 'Zoë'],
      [3, 'x'],
    ])
    const bad = await writeSource(lake, 'id;näme\n4;x\n5\n', 'd.csv')
    const { badLines } = await refusal<TooManyBadLines>(importFiles(lake, [...files, bad]))
    expect(badLines).toEqual([{ file: 'd.csv', line: 3, field: null, reason: 'has fewer cells than the header' }])
  })

  it.each([
    ['id,b\n2,3\n', 'b.csv has "b" where the first file has "a" (column 2)'],
    ['a,id\n2,3\n', 'b.csv has "a" where the first file has "id" (column 1)'],
    ['id\n2\n', 'b.csv has no column where the first file has "a" (column 2)'],
    ['id,a,c\n2,3,4\n', 'b.csv has "c" where the first file has no column (column 3)'],
    ['', 'b.csv is empty'],
  ])('of other columns are refused: %j', async (second, message) => {
    const files = [await writeSource(lake, 'id,a\n1,2\n', 'a.csv'), await writeSource(lake, second, 'b.csv')]
    expect((await refusal(importFiles(lake, files))).message).toBe(message)
  })

  it('may be very many', async () => {
    const folder = join(lake.root, 'incoming', 'many')
    await mkdir(folder, { recursive: true })
    const first = await writeSource(lake, 'id,a\n1,2\n')
    const files = await Promise.all(
      Array.from({ length: 300 }, async (_, index) => {
        const path = join(folder, `${index}.csv`)
        await copyFile(first.path, path)
        return { path, name: `${index}.csv` }
      }),
    )
    expect((await refusal(importFiles(lake, files))).message).toBe(
      'The key "id" repeats the one of another row in 299 rows',
    )
  })
})

describe('inspectFile', () => {
  const inspected = async (content: string | Uint8Array, source: object = {}): Promise<Inspection> => {
    const file = await writeSource(lake, content)
    const workFolder = join(lake.root, 'incoming', `work-${Math.trunc(performance.now() * 1000)}`)
    await mkdir(workFolder)
    const format = await detectFormat([file])
    const result = await inspectFile({
      source: { format, files: [file], ...source },
      workFolder,
      memoryLimitMb: 256,
      signal: new AbortController().signal,
    })
    return result
  }

  it('shows what an import would make, and its first rows in order', async () => {
    const rows = Array.from({ length: 30_000 }, (_, row) => `${row};0${row};${row % 7};a${row}@example.com`)
    const found = await inspected(`n;zip;tier;Customer_ID\n${rows.join('\n')}\n`)
    expect(found.fields).toEqual([
      { name: 'n', type: 'integer', isKeyCandidate: true },
      { name: 'zip', type: 'text', isKeyCandidate: true },
      { name: 'tier', type: 'integer', isKeyCandidate: false },
      { name: 'Customer_ID', type: 'text', isKeyCandidate: true },
    ])
    expect([found.suggestedKey, found.encoding, found.dialect?.delimiter]).toEqual(['Customer_ID', 'utf-8', ';'])
    expect(found.sample).toHaveLength(20)
    expect(found.sample[1]).toEqual([1, '01', 1, 'a1@example.com'])
  })

  it('names bad lines without refusing, and shows empty files as they are', async () => {
    const found = await inspected('id,a\n1,x\n2\n3,y\n')
    expect([found.badLines.map(({ line }) => line), found.sample.length]).toEqual([[3], 2])
    const empty = await inspected('id,a\n')
    expect([empty.fields.map(({ isKeyCandidate }) => isKeyCandidate), empty.suggestedKey, empty.sample]).toEqual([
      [null, null],
      null,
      [],
    ])
  })

  it('knows JSON lines and Parquet by their first bytes', async () => {
    expect((await inspected('\uFEFF {"id":1,"a":[1]}\n')).fields.map(({ type }) => type)).toEqual(['integer', 'text'])
    const file = await writeSource(lake, '', 'x')
    await run(lake.db, `COPY (SELECT 1 AS id) TO '${file.path}' (FORMAT parquet)`)
    expect(await detectFormat([file])).toBe('parquet')
    const csv = await writeSource(lake, 'id\n1\n')
    expect((await refusal(detectFormat([file, csv]))).message).toBe('The files are of different formats')
  })
})

const samples = await isThere(SAMPLE_DATA)

describe('data that others made [needs ../shared/data]', { skip: !samples }, () => {
  const sample = async (path: string): Promise<{ path: string; name: string }> => ({
    path: join(SAMPLE_DATA, path),
    name: path,
  })

  it('customers in many alphabets: every cell as in the file', async () => {
    const { parse } = await import('csv-parse/sync')
    const file = await sample('chinook/Customer.csv')
    const expected = parse(await readFile(file.path, 'utf8')) as readonly (readonly string[])[]
    const result = await importFiles(lake, [file], { key: 'CustomerId' })
    expect([
      result.fields.map(({ name }) => name),
      ...result.data.map((row) => row.map((cell) => String(cell ?? ''))),
    ]).toEqual(expected)
    expect(result.fields.filter(({ type }) => type !== 'text').map(({ name }) => name)).toEqual([
      'CustomerId',
      'SupportRepId',
    ])
  })

  it('invoices and their lines', async () => {
    const invoices = await importFiles(lake, [await sample('chinook/Invoice.csv')], { key: 'InvoiceId' })
    expect([invoices.rows, invoices.types]).toEqual([412, expect.stringContaining('InvoiceDate:timestamp')])
    const lines = await importFiles(lake, [await sample('chinook/InvoiceLine.csv')], { key: 'InvoiceLineId' })
    expect([lines.rows, lines.types]).toEqual([
      2240,
      'InvoiceLineId:integer InvoiceId:integer TrackId:integer UnitPrice:decimal Quantity:integer',
    ])
  })

  it('customers of a telephone company: postal codes stay text', async () => {
    const people = await importFiles(lake, [await sample('telco/CustomerDemographics.csv')], { key: 'customerID' })
    expect([people.rows, people.types]).toEqual([7043, expect.stringContaining('zip:text')])
    const services = await importFiles(lake, [await sample('telco/CustomerServiceAttributes.csv')], {
      key: 'customerID',
    })
    expect([services.rows, services.types]).toEqual([7043, expect.stringContaining('tenure:integer')])
  })
})

describe('what an import leaves behind', () => {
  it('is the parts and nothing else', async () => {
    const tables = await readdir(join(lake.root, 'tables'))
    const inTables = await Promise.all(tables.map(async (table) => readdir(join(lake.root, 'tables', table))))
    expect(inTables.flat().filter((name) => name !== '1')).toEqual([])
    const parts = await Promise.all(
      tables.map(async (table, index) =>
        (inTables[index] ?? []).length === 0 ? [] : readdir(join(lake.root, 'tables', table, '1')),
      ),
    )
    expect(new Set(parts.flat())).toEqual(new Set(['part-0001.parquet']))
  })
})
