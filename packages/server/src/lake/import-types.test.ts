import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { FieldType, TableField } from '../domain/table.ts'
import type { TooManyBadLines } from './import-source.ts'
import { importContent, refusal } from './import-test-support.ts'
import type { ImportHow, Result } from './import-test-support.ts'
import { makeTestLake } from './lake-test-support.ts'
import type { TestLake } from './lake-test-support.ts'
import type { DuckDbValue } from './duckdb.ts'

let lake: TestLake
beforeAll(async () => {
  lake = await makeTestLake()
})
afterAll(async () => lake.remove())

/** Imports columns under the names that are given; each cell in quotes, since all are then alike. */
async function columns(of: Readonly<Record<string, readonly string[]>>, how: ImportHow = {}): Promise<Result> {
  const names = Object.keys(of)
  const length = Math.max(...Object.values(of).map((cells) => cells.length))
  const cell = (text: string | undefined): string => `"${(text ?? '').replaceAll('"', '""')}"`
  const lines = Array.from({ length }, (_, row) =>
    [`"${row + 1}"`, ...names.map((name) => cell(of[name]?.[row]))].join(),
  )
  return importContent(lake, `${['id', ...names].map(cell).join()}\n${lines.join('\n')}\n`, how)
}

const typesOf = (result: Result): Readonly<Record<string, FieldType>> =>
  Object.fromEntries(result.fields.map(({ name, type }) => [name, type]))
const column = (result: Result, name: string): readonly (DuckDbValue | undefined)[] =>
  result.data.map((row) => row[result.fields.findIndex((field) => field.name === name)])

describe('types that are inferred', () => {
  it('are numbers, dates and truths only where nothing is lost by it', async () => {
    const result = await columns({
      whole: ['0', '-5', '9223372036854775807', ' 7 '],
      decimal: ['1.50', '-0.1', '100', '1e-05'],
      money: ['19.99', '', '5', '0.30000000000000004'],
      truth: ['true', 'FALSE', 'True', ''],
      day: ['2024-02-29', '1999-12-31', '', '0001-01-01'],
      moment: ['2024-02-29T10:00:00Z', '2024-02-29 10:00', '2024-02-29T10:00:00.123456+02:00', ''],
      zip: ['01234', '12345', '99999', '10115'],
      phone: ['+491234', '491234', '491234', '491234'],
      code: ['12E4', '12', '13', '14'],
      long: ['12345678901234567890', '1', '2', '3'],
      precise: ['1234567890123456.5', '1', '2', '3'],
      thousands: ['1,000', '2', '3', '4'],
      comma: ['1,5', '2', '3', '4'],
      nan: ['NaN', '1.5', '2', '3'],
      infinite: ['inf', '1.5', '2', '3'],
      hex: ['0x1F', '1', '2', '3'],
      underscored: ['1_000', '1', '2', '3'],
      yes: ['Yes', 'No', 'Yes', 'No'],
      flags: ['t', 'f', 't', 'f'],
      far: ['10000-01-01', '2024-01-01', '2024-01-01', '2024-01-01'],
      noDay: ['2023-02-29', '2024-01-01', '2024-01-01', '2024-01-01'],
      zero: ['0000-01-01', '2024-01-01', '2024-01-01', '2024-01-01'],
      clock: ['10:00', '11:00', '12:00', '13:00'],
      empty: ['', '', '', ''],
    })
    expect(typesOf(result)).toEqual({
      ...{
        id: 'integer',
        whole: 'integer',
        decimal: 'decimal',
        money: 'decimal',
        truth: 'boolean',
        day: 'date',
        moment: 'timestamp',
      },
      ...{
        zip: 'text',
        phone: 'text',
        code: 'text',
        long: 'text',
        precise: 'text',
        thousands: 'text',
        comma: 'text',
        nan: 'text',
      },
      ...{
        infinite: 'text',
        hex: 'text',
        underscored: 'text',
        yes: 'text',
        flags: 'text',
        far: 'text',
        noDay: 'text',
        zero: 'text',
      },
      ...{ clock: 'text', empty: 'text' },
    })
    expect(column(result, 'whole')).toEqual([0, -5, '9223372036854775807', 7])
    expect(column(result, 'decimal')).toEqual([1.5, -0.1, 100, 0.00001])
    expect(column(result, 'money')).toEqual([19.99, null, 5, 0.30000000000000004])
    expect(column(result, 'truth')).toEqual([true, false, true, null])
    expect(column(result, 'day')).toEqual(['2024-02-29', '1999-12-31', null, '0001-01-01'])
    expect(column(result, 'moment')).toEqual([
      '2024-02-29T10:00:00Z',
      '2024-02-29T10:00:00Z',
      '2024-02-29T08:00:00.123456Z',
      null,
    ])
    expect(column(result, 'zip')).toEqual(['01234', '12345', '99999', '10115'])
  })

  it('read dates as they are written, where day and month can be told apart', async () => {
    const dates = {
      dots: ['31.12.2024', '1.2.2024'],
      slashes: ['2024/12/31', '2024/2/1'],
      american: ['12/31/2024', '2/1/2024'],
      british: ['31/12/2024', '1/2/2024'],
      torn: ['10/12/2024', '1/2/2024'],
      times: ['31.12.2024 23:59', '1.2.2024 8:00'],
    }
    const result = await columns(dates)
    expect(typesOf(result)).toEqual({
      id: 'integer',
      dots: 'date',
      slashes: 'date',
      american: 'date',
      british: 'date',
      torn: 'text',
      times: 'timestamp',
    })
    for (const name of ['dots', 'slashes', 'american', 'british'])
      expect(column(result, name)).toEqual(['2024-12-31', '2024-02-01'])
    expect(column(result, 'times')).toEqual(['2024-12-31T23:59:00Z', '2024-02-01T08:00:00Z'])
    expect(result.notes).toEqual([
      '"torn" looks like dates, but day and month cannot be told apart: it stays text unless the order of dates is set.',
    ])
    const set = await columns({ torn: dates.torn }, { read: { dateOrder: 'day-first' } })
    expect(column(set, 'torn')).toEqual(['2024-12-10', '2024-02-01'])
    const other = await columns({ torn: dates.torn }, { read: { dateOrder: 'month-first' } })
    expect(column(other, 'torn')).toEqual(['2024-10-12', '2024-01-02'])
  })

  it('become text when a row far behind the sample does not fit, and keep what stood there', async () => {
    const rows = Array.from({ length: 60_000 }, (_, row) => `${row},${row},${row},x`)
    const result = await importContent(lake, `id,a,b,c\n${rows.join('\n')}\n60000,007,1.5,x\n60001,x,2,x\n`)
    expect(result.types).toBe('id:integer a:text b:decimal c:text')
    const [row] = await lake.db.rows(
      `SELECT * FROM read_parquet('${lake.root}/tables/*/1/part-0001.parquet', union_by_name = true) WHERE a = '007'`,
    )
    expect(row).toMatchObject({ id: 60_000, a: '007', b: 1.5 })
  })

  it('are text where the writer put some numbers in quotes and others not', async () => {
    const result = await importContent(lake, 'id,zip,n\n1,"77449",4\n2,"77494",5\n')
    expect(result.types).toBe('id:integer zip:text n:integer')
  })
})

describe('types that are given', () => {
  const misfits = async (
    cells: readonly string[],
    type: FieldType,
    how: ImportHow = {},
  ): Promise<readonly number[]> => {
    const { badLines } = await refusal<TooManyBadLines>(columns({ a: cells }, { types: { a: type }, ...how }))
    return badLines.map(({ line }) => line - 1)
  }

  it('are read leniently', async () => {
    const result = await columns(
      {
        n: ['007', '+5', ' 12 '],
        d: ['1.', '.5', '1E3'],
        b: ['Yes', 'N', '0'],
        t: ['2024-01-01', '2024-01-01T10:00', ''],
        s: ['1', '2', '3'],
      },
      { types: { n: 'integer', d: 'decimal', b: 'boolean', t: 'timestamp', s: 'text' } },
    )
    expect(result.data.map(([, ...cells]) => cells)).toEqual([
      [7, 1, true, '2024-01-01T00:00:00Z', '1'],
      [5, 0.5, false, '2024-01-01T10:00:00Z', '2'],
      [12, 1000, false, null, '3'],
    ])
  })

  it('make bad lines of what does not fit, each named', async () => {
    expect(await misfits(['1', '1.5', 'x', '9223372036854775808', '1e3', '', '--1'], 'integer')).toEqual([
      2, 3, 4, 5, 7,
    ])
    expect(await misfits(['1', 'NaN', 'inf', '-Infinity', '1e999', '1,5', '0x1'], 'decimal')).toEqual([
      2, 3, 4, 5, 6, 7,
    ])
    expect(await misfits(['yes', 'maybe', '2', ''], 'boolean')).toEqual([2, 3])
    expect(
      await misfits(['2024-01-01', '2024-02-30', '10000-01-01', '0000-01-01', 'infinity', 'today'], 'date'),
    ).toEqual([2, 3, 4, 5, 6])
    expect(await misfits(['2024-01-01T10:00Z', '2024-01-01T25:00Z', 'now'], 'timestamp')).toEqual([2, 3])
  })

  it('leave the misfits out where that many are allowed, together with lines that are none', async () => {
    const text = 'id,a\n1,1\n2,x\n3\n4,4\n5,y\n'
    const how: ImportHow = { types: { a: 'integer' }, badLinesMax: 3 }
    const result = await importContent(lake, text, how)
    expect([result.rows, result.badLines]).toEqual([2, 3])
    expect(result.badLinesNamed.map(({ line, field }) => [line, field])).toEqual([
      [3, 'a'],
      [4, null],
      [6, 'a'],
    ])
    expect((await refusal<TooManyBadLines>(importContent(lake, text, { ...how, badLinesMax: 2 }))).count).toBe(3)
  })

  it('ask which comes first where day and month are torn', async () => {
    const { path, cure } = await refusal(columns({ a: ['1/2/2024', '3/4/2024'] }, { types: { a: 'date' } }))
    expect([path, cure]).toEqual(['types.a', 'Set the order of dates to day-first or month-first.'])
  })

  it('of a column that is not there are refused', async () => {
    const error = await refusal(columns({ email: ['a'] }, { types: { emial: 'text' } }))
    expect([error.path, error.cure]).toEqual(['types.emial', 'Did you mean "email"?'])
  })
})

describe('the next version of a table', () => {
  const previous: readonly TableField[] = [
    { name: 'id', label: 'Customer', type: 'integer', tags: ['identifier'] },
    { name: 'zip', label: 'Postal code', type: 'text', tags: ['personal'] },
    { name: 'n', label: 'N', type: 'integer', tags: [] },
  ]

  it('keeps labels, tags and types, and takes new columns', async () => {
    const result = await importContent(lake, 'new,n,zip,id\nx,,77449,1\n', { previous, version: 7 })
    expect(result.fields).toEqual([
      { name: 'new', label: 'new', type: 'text', tags: [] },
      previous[2],
      previous[1],
      previous[0],
    ])
    expect(result.change).toEqual({ added: ['new'], removed: [], retyped: [] })
  })

  it('is refused when a column is gone, unless the table may change', async () => {
    const text = 'id,postal,n\n1,77449,x\n'
    const error = await refusal(importContent(lake, text, { previous }))
    expect(error.message).toBe('The file has no column "zip", which the table has')
    const result = await importContent(lake, text, { previous, allowSchemaChange: true })
    expect(result.change).toEqual({
      added: ['postal'],
      removed: ['zip'],
      retyped: [{ field: 'n', from: 'integer', to: 'text' }],
    })
  })

  it('has bad lines where a value does not fit the type that the table has', async () => {
    const { badLines } = await refusal<TooManyBadLines>(importContent(lake, 'id,zip,n\n1,1,2\n2,1,x\n', { previous }))
    expect(badLines).toEqual([
      { file: 'data.csv', line: 3, field: 'n', reason: '"n" is no whole number of at most 64 bits' },
    ])
  })

  it('keeps a type that still fits, even where it may change', async () => {
    const result = await importContent(lake, 'id,zip,n\n1,77449,2\n', { previous, allowSchemaChange: true })
    expect(result.types).toBe('id:integer zip:text n:integer')
  })

  it('is refused when a person gives another type', async () => {
    const { message } = await refusal(importContent(lake, 'id,zip,n\n1,1,2\n', { previous, types: { n: 'text' } }))
    expect(message).toBe('"n" is text in the file and integer in the table')
  })
})
