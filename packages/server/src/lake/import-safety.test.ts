/** All or nothing: whatever stops an import, the versions before it stand as they were, and nothing half is ever in sight. */
import { spawn, spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { newId } from '../domain/ids.ts'
import type { TableId } from '../domain/ids.ts'
import type { TooManyBadLines } from './import-source.ts'
import { importTable } from './import-table.ts'
import { importContent, importFiles, refusal, writeSource } from './import-test-support.ts'
import { makeTestLake } from './lake-test-support.ts'
import type { TestLake } from './lake-test-support.ts'
import { parquetFiles } from './sql-text.ts'
import { removeUnreferenced } from './retention.ts'

let lake: TestLake
beforeAll(async () => {
  lake = await makeTestLake()
})
afterAll(async () => lake.remove())

const newTable = (): TableId => newId('table', randomBytes)
const folderOf = (tableId: TableId): string => join(lake.root, 'tables', tableId)

describe('the key', () => {
  it.each([
    ['id,a\n1,x\n2,y\n1,z\n2,w\n1,v\n', 'id', 'The key "id" repeats the one of another row in 3 rows'],
    ['id,a\n1,x\n,y\n', 'id', 'The key "id" is empty in 1 row'],
    ['id,a\na,x\n"",y\n', 'id', 'The key "id" is empty in 1 row'],
    ['id,a\n1,1.5\n2,2.5\n', 'a', '"a" is decimal and cannot be the key'],
    ['id,a\n1,2024-01-01\n', 'a', '"a" is date and cannot be the key'],
    ['id,a\n1,x\n', 'ID', 'The file has no column "ID" to be the key'],
  ])('of %j may not be %s', async (content, key, message) => {
    const tableId = newTable()
    const error = await refusal(importContent(lake, content, { key, tableId }))
    expect([error.message, error.path]).toEqual([message, 'key'])
    expect(await readdir(folderOf(tableId))).toEqual([])
  })

  it('is compared exactly: letter case, blanks and forms of letters differ', async () => {
    expect((await importContent(lake, 'id\na\nA\n"a "\né\ne\u0301\n')).rows).toBe(5)
  })
})

describe('an import', () => {
  it('never writes a version that is there', async () => {
    const tableId = newTable()
    await importContent(lake, 'id\n1\n', { tableId })
    const error = await refusal(importContent(lake, 'id\n2\n', { tableId }))
    expect(error.code).toBe('conflict')
    expect((await importContent(lake, 'id\n2\n', { tableId, version: 2 })).data).toEqual([[2]])
    expect(await readdir(folderOf(tableId))).toEqual(['1', '2'])
  })

  it('goes nowhere but into the folder of its table', async () => {
    const tableId = '../../../etc' as TableId
    await expect(importContent(lake, 'id\n1\n', { tableId })).rejects.toThrow(TypeError)
    await expect(importContent(lake, 'id\n1\n', { version: 1.5 })).rejects.toThrow(TypeError)
  })

  it.each(["it's [a] *?", 'a=b', 'ä 日本 $(x) %41'])('into a folder called %j', async (name) => {
    const root = join(lake.root, name)
    await mkdir(root)
    const file = join(root, 'data [1].csv')
    await writeFile(file, 'id,a\n1,x\n2\n')
    const tableId = newTable()
    const source = { format: 'csv', files: [{ path: file, name: 'data.csv' }] } as const
    const limits = { memoryLimitMb: 256, threads: 1, signal: new AbortController().signal, badLinesMax: 1 }
    const made = await importTable({ root, tableId, version: 1, source, key: 'id', ...limits })
    expect([made.rows, made.badLines, made.files.map(({ rows }) => rows)]).toEqual([1, 1, [1]])
  })

  it('counts more bad lines than it names', async () => {
    const lines = Array.from({ length: 5000 }, (_, id) => (id % 2 === 0 ? `${id}` : `${id},x`))
    const content = `id,a\n${lines.join('\n')}\n`
    const error = await refusal<TooManyBadLines>(importContent(lake, content, { badLinesMax: 2499 }))
    expect([error.message.slice(0, 20), error.count, error.badLines.length]).toEqual([
      'More than 1000 lines',
      2500,
      1000,
    ])
    const made = await importContent(lake, content, { badLinesMax: 2500 })
    expect([made.rows, made.badLines, made.badLinesNamed.length]).toEqual([2500, 2500, 1000])
  })

  it('ends with the signal, and leaves nothing', async () => {
    const tableId = newTable()
    const stop = new AbortController()
    const importing = importFiles(lake, [await bigFile()], { tableId, signal: stop.signal })
    setTimeout(() => stop.abort(new Error('enough')), 300)
    await expect(importing).rejects.toThrow('enough')
    expect(await readdir(folderOf(tableId))).toEqual([])
  })

  it('that needs more memory than it may take says so, and leaves nothing', async () => {
    const tableId = newTable()
    const error = await refusal(importFiles(lake, [await bigFile()], { tableId, memoryLimitMb: 20 }))
    expect(error.message).toBe('The import needs more memory than it may take')
    expect(await readdir(folderOf(tableId))).toEqual([])
  })

  it(
    'killed at any moment leaves the version before it as it was, and a leftover that retention removes',
    { timeout: 60_000 },
    async () => {
      const tableId = newTable()
      const before = await importContent(lake, 'id,a\n1,x\n', { tableId })
      const digest = await digestOf(
        tableId,
        before.files.map(({ name }) => name),
      )
      const file = await bigFile()
      for (const afterMs of [50, 200, 350, 500, 700, 900]) {
        await killImport(tableId, file.path, afterMs)
        expect(await digestOf(tableId, ['part-0001.parquet'])).toBe(digest)
        const names = (await readdir(folderOf(tableId))).toSorted()
        expect(names.filter((name) => name !== '1' && name !== '2' && !name.startsWith('import-'))).toEqual([])
        // The whole of version 2, or nothing of it.
        if (names.includes('2')) expect(await countRows(tableId, 2)).toBe(BIG_ROWS)
        // Not while another import may be writing: only a day later.
        const keep = { versions: new Set([`tables/${tableId}/1`]), ledgers: new Set<string>(), runs: new Set<string>() }
        await removeUnreferenced(lake.root, keep, new Date(Date.now() + 25 * 3_600_000))
        expect(await readdir(folderOf(tableId))).toEqual(['1'])
      }
      expect((await importFiles(lake, [file], { tableId, version: 2 })).rows).toBe(BIG_ROWS)
    },
  )
})

describe('whatever texts the cells hold', () => {
  it('they arrive, letter by letter', { timeout: 60_000 }, async () => {
    const text = fc
      .oneof(
        fc.string({ unit: 'grapheme', maxLength: 12 }),
        fc.string({ unit: 'binary', maxLength: 6 }),
        fc.constantFrom(',', '"', '\n', '\r\n', '""', ' ', '\uFEFF', "'", '\\', 'NULL', '\\N'),
      )
      // NUL and U+FFFD are bad lines, each with its own test.
      .map((value) => value.replaceAll(/[\0\uFFFD]/g, '').toWellFormed())
    const rows = fc.array(fc.tuple(text, text, text), { minLength: 400, maxLength: 400 })
    const delimiter = fc.constantFrom(',', ';', '\t', '|')
    const lineEnd = fc.constantFrom('\n', '\r\n')
    await fc.assert(
      fc.asyncProperty(rows, delimiter, lineEnd, async (cells, between, end) => {
        const quoted = (cell: string): string => `"${cell.replaceAll('"', '""')}"`
        const lines = cells.map((row, id) => [String(id), ...row.map(quoted)].join(between))
        const content = `${['id', 'a', 'b', 'c'].join(between)}${end}${lines.join(end)}${end}`
        const types = { a: 'text', b: 'text', c: 'text' } as const
        const { data } = await importContent(lake, content, { types, read: { csv: { delimiter: between } } })
        expect(data).toEqual(cells.map((row, id) => [id, ...row]))
      }),
      { numRuns: 6, endOnFailure: true },
    )
  })
})

const canMount = process.getuid?.() === 0 && spawnSync('unshare', ['-m', 'true']).status === 0

describe('a full disk', () => {
  it.skipIf(!canMount)(
    'is said as such, leaves nothing, and does no harm once there is room (needs root for a small tmpfs)',
    async () => {
      const root = join(lake.root, 'full')
      const tables = join(root, 'tables')
      await mkdir(tables, { recursive: true })
      const mount = (...options: readonly string[]): void => {
        expect(spawnSync('mount', [...options, tables]).status).toBe(0)
      }
      mount('-t', 'tmpfs', '-o', 'size=400k', 'tmpfs')
      try {
        const tableId = newTable()
        const [plain, utf16] = [
          await bigFile(),
          await writeSource(lake, Buffer.from('id,a\n1,x\n'.padEnd(2_000_000, '2,y\n'), 'utf16le')),
        ]
        const limits = { memoryLimitMb: 256, threads: 1, signal: new AbortController().signal }
        for (const file of [plain, utf16]) {
          const source = { format: 'csv', files: [file] } as const
          const error = await refusal(importTable({ root, tableId, version: 1, source, key: 'id', ...limits }))
          expect([error.code, error.message]).toEqual(['unavailable', 'There is no more room on the disk'])
          expect(await readdir(join(tables, tableId))).toEqual([])
        }
        mount('-o', 'remount,size=64m')
        const source = { format: 'csv', files: [plain] } as const
        expect((await importTable({ root, tableId, version: 1, source, key: 'id', ...limits })).rows).toBe(BIG_ROWS)
      } finally {
        spawnSync('umount', ['-l', tables])
      }
    },
  )
})

const BIG_ROWS = 250_000
let big: { path: string; name: string } | undefined

async function bigFile(): Promise<{ path: string; name: string }> {
  const lines = (): string =>
    Array.from({ length: BIG_ROWS }, (_, id) => `${id},name ${id},${id}@example.com,${id / 4},2024-01-01\n`).join('')
  big ??= await writeSource(lake, `id,name,mail,amount,day\n${lines()}`)
  return big
}

async function killImport(tableId: TableId, path: string, afterMs: number): Promise<void> {
  const program = fileURLToPath(new URL('killed-import-test-support.ts', import.meta.url))
  const child = spawn(process.execPath, ['--no-warnings', program, lake.root, tableId, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = new Promise((resolve) => child.once('close', resolve))
  await new Promise((resolve) => child.stdout.once('data', resolve))
  await sleep(afterMs)
  child.kill('SIGKILL')
  await exited
}

async function digestOf(tableId: TableId, names: readonly string[]): Promise<string> {
  const hash = createHash('sha256')
  for (const name of names) {
    const path = join(folderOf(tableId), '1', name)
    hash.update(await readFile(path)).update(String((await stat(path)).mtimeMs))
  }
  return hash.digest('hex')
}

async function countRows(tableId: TableId, version: number): Promise<number> {
  const names = await readdir(join(folderOf(tableId), String(version)))
  const paths = names.map((name) => join(folderOf(tableId), String(version), name))
  const [row] = await lake.db.rows(`SELECT count(*) AS n FROM ${parquetFiles(paths)}`)
  return Number(row?.['n'])
}
