/** Files on the spool: what is in them by other readers' judgement, that each row is in exactly one, and what a crash leaves. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { parse } from 'csv-parse/sync'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DEFAULT_FORMAT, type FileFormat } from '../domain/export.ts'
import type { PlanSource } from '../domain/plan.ts'
import type { FieldType } from '../domain/table.ts'
import { csvHeaderCell } from './plan-sql/cell-sql.ts'
import { filesOfPart } from './session-parts.ts'
import {
  column,
  committed,
  ledgerOf,
  makeSessionLake,
  planOf,
  sourceOf,
  valuesOf,
  type SessionLake,
} from './session-test-support.ts'
import type { LakeSession, PartFormat, SourceDiff, SpoolFile } from './session-types.ts'
import { quoteText } from './sql-text.ts'

let lake: SessionLake
beforeAll(async () => {
  lake = await makeSessionLake()
})
afterAll(async () => lake.remove())

const FIELDS = {
  id: 'integer',
  note: 'text',
  spend: 'decimal',
  ok: 'boolean',
  born: 'date',
  at: 'timestamp',
} as const satisfies Record<string, FieldType>

const LOAD_CSV: PartFormat = 'csv-for-load'

async function writeAll(session: LakeSession, source: PlanSource, diff: SourceDiff, format: PartFormat, partsMax = 1) {
  const of = session.countParts(source, diff, partsMax)
  const files: SpoolFile[] = []
  for (let number = 1; number <= of; number += 1) {
    files.push(await session.writePart(source, diff, { number, of }, format))
  }
  return files
}

/** One file of a whole, over the given rows. */
async function wholeFile(
  fields: Readonly<Record<string, FieldType>>,
  rows: readonly Readonly<Record<string, string | number | boolean | null>>[],
  format: PartFormat,
): Promise<{ readonly file: SpoolFile; readonly bytes: Buffer }> {
  const table = await lake.table('cells', Object.keys(fields)[0] ?? '', fields, [valuesOf(fields, rows)])
  const source = sourceOf(table)
  const plan = planOf({ mode: 'replace', delivers: 'files', sources: [source] })
  const session = await lake.open(plan)
  const diff = await session.diff(source)
  const [file] = await writeAll(session, source, diff, format)
  await session.close()
  if (file === undefined) throw new Error('no file')
  return { file, bytes: readFileSync(file.path) }
}

// ---- CSV -----------------------------------------------------------------------------------------------------------

const ODD = [
  '"',
  '""',
  ',',
  ';',
  '\t',
  '|',
  '\n',
  '\r',
  '\r\n',
  '\0',
  '=',
  '+',
  '-',
  '@',
  '＝',
  '＋',
  '－',
  '＠',
  '\\.',
  "'",
  ' ',
]
const cell = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .array(fc.oneof(fc.constantFrom(...ODD), fc.string({ unit: 'grapheme', maxLength: 3 })), { maxLength: 4 })
      .map((parts) => parts.join('')),
  },
  { weight: 1, arbitrary: fc.constant('') },
)
const FORMULA = /^[\0\t\r\n=+\-@＝＋－＠]/

describe('CSV', () => {
  it('is read by csv-parse and by DuckDB as it was written, formulas as text', async () => {
    const cells = fc.sample(fc.option(cell), { numRuns: 4000, seed: 7 })
    const rows = cells.map((note, id) => ({ id: id - 2000, note: note?.toWellFormed() ?? null }))
    const fields = { id: 'integer', note: 'text' } as const
    for (const delimiter of [',', ';', '\t', '|'] as const) {
      for (const neutraliseFormulas of [true, false]) {
        const format: FileFormat = { ...DEFAULT_FORMAT, delimiter, neutraliseFormulas }
        const { file, bytes } = await wholeFile(fields, rows, format)
        const told = (note: string | null): string | null =>
          neutraliseFormulas && note !== null && FORMULA.test(note) ? `'${note}` : note
        const wanted = new Map(rows.map(({ id, note }) => [id, told(note)]))
        const [header, ...lines] = parse(bytes, { delimiter, recordDelimiter: '\n' })
        expect(header).toEqual(['id', 'note'])
        expect(lines.length).toBe(rows.length)
        expect(file.rows).toBe(rows.length)
        for (const [id, note] of lines) expect(note).toBe(wanted.get(Number(id)) ?? '')
        const read = await lake.db.rows(
          `SELECT id, note FROM read_csv(${quoteText(file.path)}, delim = ${quoteText(delimiter)}, header = true, auto_detect = false,
             quote = '"', escape = '"', new_line = '\\n', columns = {id: 'BIGINT', note: 'VARCHAR'}, strict_mode = true)`,
        )
        // Its reader takes both empty cells for NULL.
        for (const { id, note } of read) expect(note ?? '').toBe(wanted.get(Number(id)) ?? '')
        expect(read.length).toBe(rows.length)
      }
    }
  })

  it('tells NULL from empty text, and an end of data from a text that looks like one', async () => {
    const rows = [{ note: '' }, { note: null }, { note: '\\.' }, { note: 'a' }, { note: '=1' }]
    const { bytes } = await wholeFile({ note: 'text' }, rows.slice(2), LOAD_CSV)
    expect(bytes.toString().split('\n').toSorted()).toEqual(['', '"\\."', '=1', 'a'])
    const fields = { id: 'integer', note: 'text' } as const
    const two = await wholeFile(
      fields,
      rows.map((row, id) => ({ id, ...row })),
      LOAD_CSV,
    )
    expect(two.bytes.toString().split('\n').toSorted()).toEqual(['', '0,""', '1,', '2,\\.', '3,a', '4,=1'])
  })

  it('writes each type in its own way, and leaves numbers alone', async () => {
    const { file, bytes } = await wholeFile(
      FIELDS,
      [
        { id: -7, note: '-7', spend: -0.1, ok: true, born: '2024-02-29', at: '2024-02-29 12:34:56.789' },
        { id: 9007199254740993n.toString(), note: null, spend: 1e21, ok: false, born: null, at: null },
      ],
      DEFAULT_FORMAT,
    )
    expect(bytes.toString().split('\n').toSorted()).toEqual([
      '',
      "-7,'-7,-0.1,true,2024-02-29,2024-02-29T12:34:56.789000Z",
      '9007199254740993,,1e+21,false,,',
      'id,note,spend,ok,born,at',
    ])
    expect(file).toMatchObject({ rows: 2, sizeBytes: bytes.length, sha256: sha256(bytes) })
    expect(file.name).toBe('cells/cells_v1_001.csv')
  })

  it('has a header even without rows, quoted and neutralised like a cell', async () => {
    const { bytes } = await wholeFile({ '=id': 'integer', 'a,"b"': 'text' }, [], DEFAULT_FORMAT)
    expect(bytes.toString()).toBe(`'=id,"a,""b"""\n`)
    expect(csvHeaderCell('a,b', ';', true)).toBe('a,b')
    const { bytes: bare } = await wholeFile({ id: 'integer' }, [{ id: 1 }], { ...DEFAULT_FORMAT, header: false })
    expect(bare.toString()).toBe('1\n')
  })
})

describe('other formats', () => {
  const rows = [
    { id: 1, note: 'a"b\\c\n\u0001😀\u2028', spend: 0.1, ok: true, born: '2024-02-29', at: '2024-02-29 12:34:56.789' },
    { id: 2, note: null, spend: null, ok: null, born: null, at: null },
  ]

  it('writes JSON lines', async () => {
    const { bytes, file } = await wholeFile(FIELDS, rows, { ...DEFAULT_FORMAT, type: 'json-lines' })
    const lines = bytes.toString().trimEnd().split('\n').toSorted()
    expect(lines.map((line): unknown => JSON.parse(line))).toEqual([
      { ...rows[0], at: '2024-02-29T12:34:56.789000Z' },
      rows[1],
    ])
    expect(file.name).toBe('cells/cells_v1_001.jsonl')
  })

  it('packs with gzip', async () => {
    const { bytes, file } = await wholeFile(FIELDS, rows, { ...DEFAULT_FORMAT, gzip: true })
    expect(gunzipSync(bytes).toString().split('\n').length).toBe(5)
    expect(file).toMatchObject({
      name: 'cells/cells_v1_001.csv.gz',
      sizeBytes: bytes.length,
      sha256: sha256(bytes),
      rows: 2,
    })
  })

  it('writes Parquet with the types', async () => {
    const { file } = await wholeFile(FIELDS, rows, { ...DEFAULT_FORMAT, type: 'parquet', gzip: true })
    expect(file.name).toBe('cells/cells_v1_001.parquet')
    const read = `read_parquet(${quoteText(file.path)})`
    const types = await lake.db.rows(`SELECT column_type FROM (DESCRIBE SELECT * FROM ${read})`)
    expect(types.map((row) => row['column_type'])).toEqual([
      'BIGINT',
      'VARCHAR',
      'DOUBLE',
      'BOOLEAN',
      'DATE',
      'TIMESTAMP',
    ])
    expect((await lake.db.rows(`SELECT note FROM ${read} ORDER BY id`)).map((row) => row['note'])).toEqual([
      rows[0]?.note,
      null,
    ])
  })
})

// ---- parts ---------------------------------------------------------------------------------------------------------

describe('parts', () => {
  const numbers = (first: number, last: number, extra = "''"): string =>
    `SELECT i AS id, 'n' || i || ${extra} AS note FROM range(${first}, ${last + 1}) r(i)`
  const fields = { id: 'integer', note: 'text' } as const
  const files = [numbers(1, 40), numbers(41, 45), numbers(46, 46), numbers(47, 90), numbers(91, 100)]

  /** Parts of few rows: as if each of the table's files were large. */
  const manyParts = async (session: LakeSession, source: PlanSource, diff: SourceDiff, of: number) => {
    const parts = []
    for (let number = 1; number <= of; number += 1) {
      parts.push(await session.writePart(source, diff, { number, of }, { ...DEFAULT_FORMAT, header: false }))
    }
    return parts
  }
  const idsIn = (parts: readonly SpoolFile[], at = 0): number[] =>
    parts.flatMap(({ path }) => parse(readFileSync(path)).map((cells) => Number(cells[at])))

  it.each([1, 2, 3, 4, 5])('hold each row of a whole once, in %i', async (of) => {
    const table = await lake.table('many parts', 'id', fields, files)
    const orders = await lake.table('orders', 'no', { no: 'integer', by: 'integer' }, [
      'SELECT i AS no, i % 50 AS by FROM range(1, 101) r(i)',
    ])
    const rules: PlanSource['where'][] = [
      null,
      { on: { field: 'id' }, moreThan: 10 },
      { on: { aggregate: 'count', table: 'orders', by: 'by' }, moreThan: 1 },
    ]
    for (const [index, where] of rules.entries()) {
      const source = sourceOf(table, { where, related: [orders] })
      const session = await lake.open(planOf({ mode: 'replace', delivers: 'files', sources: [source] }))
      const diff = await session.diff(source)
      const parts = await manyParts(session, source, diff, of)
      const ids = idsIn(parts).toSorted((a, b) => a - b)
      const [from, to] =
        [
          [1, 100],
          [11, 100],
          [1, 49],
        ][index] ?? []
      expect(ids).toEqual(Array.from({ length: (to ?? 0) - (from ?? 0) + 1 }, (_, at) => at + (from ?? 0)))
      expect(diff.added).toBe(ids.length)
      expect(parts.reduce((sum, { rows }) => sum + rows, 0)).toBe(ids.length)
      await session.close()
    }
  })

  it('hold each change once, removals in the first', async () => {
    const before = await lake.table('changing', 'id', fields, files)
    const source = sourceOf(before)
    const first = await lake.open(planOf({ mode: 'mirror', delivers: 'files', sources: [source] }))
    const ledger = ledgerOf(await first.settleLedger(source, await first.diff(source), [committed(source)]))
    await first.close()
    const changed = [numbers(11, 40), numbers(41, 50, "'!'"), numbers(51, 110)]
    const after = { ...sourceOf(await lake.table('changing', 'id', fields, changed)), ledger }
    const session = await lake.open(planOf({ mode: 'mirror', delivers: 'files', sources: [after] }))
    const diff = await session.diff(after)
    expect(diff).toMatchObject({ read: 100, unchanged: 80, added: 10, changed: 10, removed: 10, ledgerRows: 100 })
    const parts = await manyParts(session, after, diff, 3)
    const lines = parts.flatMap(({ path }) => parse(readFileSync(path)))
    expect(lines.filter(([change]) => change === 'removed').map(([, id, note]) => [Number(id), note])).toEqual(
      expect.arrayContaining(Array.from({ length: 10 }, (_, index) => [index + 1, ''])),
    )
    expect(lines.map(([change, id]) => `${change} ${id}`).toSorted()).toEqual(
      [...range(1, 10, 'removed'), ...range(41, 50, 'changed'), ...range(101, 110, 'added')].toSorted(),
    )
    expect(parts.map(({ rows }) => rows)).toEqual([20, 0, 10])
    await session.close()
  })

  const range = (from: number, to: number, change: string): string[] =>
    Array.from({ length: to - from + 1 }, (_, index) => `${change} ${from + index}`)

  it('are balanced, each file in one', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(1000), { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 1, max: 12 }),
        (weights, of) => {
          const parts = Array.from({ length: of }, (_, index) => filesOfPart(weights, { number: index + 1, of }))
          expect(parts.flat()).toEqual(weights.map((_, file) => file))
        },
      ),
    )
    const even = Array.from({ length: 5 }, (_, index) =>
      filesOfPart(Array(11).fill(983_040), { number: index + 1, of: 5 }),
    )
    expect(even.map((part) => part.length)).toEqual([2, 2, 3, 2, 2])
  })

  it('are not made again by another execution, unless their bytes are not what they were', async () => {
    const source = sourceOf(await lake.table('kept', 'id', fields, files.slice(0, 2)))
    const plan = planOf({ mode: 'append', delivers: 'files', sources: [source] })
    const first = await lake.open(plan)
    const diff = await first.diff(source)
    const [made] = await writeAll(first, source, diff, DEFAULT_FORMAT)
    if (made === undefined) throw new Error('no part')
    await first.close()
    expect(made.name).toBe('kept/kept_v1_20260301T123456789Z_001.csv')
    const writtenAt = statSync(made.path).mtimeMs
    const second = await lake.open(plan)
    expect(await writeAll(second, source, diff, DEFAULT_FORMAT)).toMatchObject([{ sha256: made.sha256, rows: 45 }])
    expect(statSync(made.path).mtimeMs).toBe(writtenAt)
    await second.close()
    writeFileSync(made.path, readFileSync(made.path).subarray(0, -5))
    const third = await lake.open(plan)
    const [again] = await writeAll(third, source, diff, DEFAULT_FORMAT)
    expect(again?.sizeBytes).toBe(made.sizeBytes)
    const pieces: Uint8Array[] = []
    for await (const piece of again?.read(100) ?? []) pieces.push(piece)
    expect(sha256(Buffer.concat(pieces))).toBe(again?.sha256)
    expect(pieces.slice(0, -1).every((piece) => piece.length === 100)).toBe(true)
    await third.close()
  })

  it('are described by a model with places relative to it', async () => {
    const source = sourceOf(await lake.table('Order Items', 'id', fields, files), {
      columns: [column('id', 'integer', { identifier: true }), column('born', 'date'), column('at', 'timestamp')],
    })
    const plan = planOf({ mode: 'append', delivers: 'files', sources: [source] })
    const session = await lake.open(plan)
    const file = { name: 'Order_Items/a_001.csv', rows: 3, sizeBytes: 9, sha256: 'aa' }
    const model = await session.writeModel(plan, [{ source: source.name, file }])
    expect(model.name).toBe('model.json')
    expect(JSON.parse(readFileSync(model.path, 'utf8'))).toMatchObject({
      version: '1.0',
      entities: [
        {
          $type: 'LocalEntity',
          name: 'Order_Items',
          attributes: [
            { name: 'id', dataType: 'int64' },
            { name: 'born', dataType: 'dateTime' },
            { name: 'at', dataType: 'dateTimeOffset' },
          ],
          partitions: [
            { name: 'a_001', location: 'Order_Items/a_001.csv', fileFormatSettings: { columnHeaders: true } },
          ],
        },
      ],
    })
    await session.close()
  })
})

// ---- no room -------------------------------------------------------------------------------------------------------

const canMount = process.platform === 'linux' && process.getuid?.() === 0 && tryMount()

function tryMount(): boolean {
  try {
    execFileSync('unshare', ['-m', 'true'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

describe('a full disk', () => {
  it.skipIf(!canMount)(
    'leaves no file under a final name, and the part is written once there is room (needs root for a small tmpfs)',
    async () => {
      const own = await makeSessionLake((root) => {
        mkdirSync(join(root, 'runs'))
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', join(root, 'runs')])
      })
      const runs = join(own.root, 'runs')
      try {
        const big = "SELECT i AS id, repeat('x', 200) || i AS note FROM range(50000) r(i)"
        const source = sourceOf(await own.table('big', 'id', { id: 'integer', note: 'text' }, [big]))
        const session = await own.open(planOf({ mode: 'replace', delivers: 'files', sources: [source] }))
        const diff = await session.diff(source)
        const write = async () => session.writePart(source, diff, { number: 1, of: 1 }, DEFAULT_FORMAT)
        await expect(write()).rejects.toThrow(/No space left/)
        expect(everyFile(runs).filter((path) => !path.includes('set-aside'))).toEqual([])
        execFileSync('mount', ['-o', 'remount,size=64m', runs])
        const file = await write()
        expect(file.rows).toBe(50_000)
        expect(existsSync(file.path)).toBe(true)
        await session.close()
      } finally {
        execFileSync('umount', ['-l', runs])
        await own.remove()
      }
    },
  )

  const everyFile = (folder: string): string[] =>
    readdirSync(folder, { withFileTypes: true, recursive: true }).flatMap((entry) =>
      entry.isFile() ? [join(entry.parentPath, entry.name)] : [],
    )
})

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}
