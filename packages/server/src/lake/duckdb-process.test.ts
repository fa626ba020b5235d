import { spawn } from 'node:child_process'
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { requirement } from '../../../../checks/requirement.ts'
import type { DuckDb } from './duckdb.ts'
import { DuckDbError, duckDbError } from './duckdb-error.ts'
import { describeWalls, startDuckDb, startWithin } from './duckdb-process.ts'
import { dateText, timestampText } from './duckdb-values.ts'
import { startTestEngine } from './lake-test-support.ts'

let folder: string
let db: DuckDb
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'patchbay-duckdb-'))
  db = await startTestEngine(folder)
})
afterAll(async () => {
  await db.close()
  await rm(folder, { recursive: true, force: true })
})

/** What the statement fails with. */
async function failure(sql: string): Promise<DuckDbError> {
  const error: unknown = await db.run(sql).catch((reason: unknown) => reason)
  if (error instanceof DuckDbError) return error
  throw new Error(`did not fail: ${sql}`)
}

describe('values', () => {
  it('come as JavaScript has them, and exactly', async () => {
    const [row] = await db.rows(
      `SELECT 1 AS a, 'ab' AS b, NULL AS c, 9007199254740991 AS d, 9007199254740993 AS e, 1.25::DECIMAL(18,3) AS f, 0.1 + 0.2::DOUBLE AS g,
        DATE '2024-02-29' AS h, TIMESTAMP '2024-01-02 03:04:05.1' AS i, [1, NULL] AS j, TRUE AS k, 'NaN'::DOUBLE AS l,
        -5::HUGEINT AS m, -1.5::DECIMAL(30,10) AS n, TIMESTAMPTZ '2024-01-01 00:00:00+02' AS o, [['x'], NULL] AS p, '' AS q, 7::UTINYINT AS r`,
    )
    expect(row).toEqual({
      ...{ a: 1, b: 'ab', c: null, d: 9007199254740991, e: '9007199254740993', f: 1.25, g: 0.30000000000000004 },
      ...{ h: '2024-02-29', i: '2024-01-02T03:04:05.100000Z', j: [1, null], k: true, l: Number.NaN, m: -5, n: -1.5 },
      ...{ o: '2023-12-31T22:00:00Z', p: [['x'], null], q: '', r: 7 },
    })
  })

  it('keep every letter of a text: a byte order mark, NUL, long and short ones', async () => {
    const texts = ['\uFEFFshort', '\uFEFF with more than twelve bytes', 'a\0b', 'é'.repeat(7), '😀😀😀😀', '']
    const list = texts.map((text) => `('${text.replaceAll('\0', "' || chr(0) || '")}')`).join(', ')
    const rows = await db.rows(`SELECT v FROM (VALUES ${list}) AS t(v)`)
    expect(new Set(rows.map(({ v }) => v))).toEqual(new Set(texts))
  })

  it('stand under their column, whatever that is called', async () => {
    const [row] = await db.rows(`SELECT 1 AS "__proto__", 2 AS "constructor"`)
    expect(Object.entries(row ?? {})).toEqual([
      ['__proto__', 1],
      ['constructor', 2],
    ])
  })

  it('write dates before 1970 and beyond 9999 as ISO 8601 does', () => {
    expect([dateText(-1), dateText(2932897), dateText(-719529)]).toEqual(['1969-12-31', '10000-01-01', '-0001-12-31'])
    expect(timestampText(-1n)).toBe('1969-12-31T23:59:59.999999Z')
  })
})

describe('a stream', () => {
  it('brings every row, in chunks', async () => {
    let sum = 0
    let chunks = 0
    for await (const { rows, columns } of db.stream('SELECT i, i::VARCHAR AS t FROM range(100000) r(i)')) {
      chunks += 1
      for (let row = 0; row < rows; row += 1) sum += Number(columns[0]?.[row]) - Number(columns[1]?.[row]) + 1
    }
    expect(sum).toBe(100_000)
    expect(chunks).toBeGreaterThan(40)
  })

  it('waits for its reader, and ends when the reader has enough', async () => {
    let rows = 0
    for await (const chunk of db.stream('SELECT i FROM range(1000000000000) r(i)')) {
      rows += chunk.rows
      if (rows > 10_000) break
    }
    expect(await db.rows('SELECT 1 AS a')).toEqual([{ a: 1 }])
  })

  it('cuts chunks of very large texts smaller', async () => {
    const sizes: number[] = []
    for await (const { rows } of db.stream(`SELECT repeat('x', 100000) FROM range(500)`)) sizes.push(rows)
    expect(sizes.reduce((a, b) => a + b, 0)).toBe(500)
    expect(Math.max(...sizes.slice(1))).toBeLessThan(500)
  })

  it('fails where its statement fails', async () => {
    const read = async (): Promise<void> => {
      for await (const _ of db.stream(`SELECT CASE WHEN i < 5000 THEN i ELSE error('five') END FROM range(10000) r(i)`))
        continue
    }
    await expect(read()).rejects.toMatchObject({ kind: 'invalid-input' })
    expect(await db.rows('SELECT 1 AS a')).toEqual([{ a: 1 }])
  })
})

describe('an error', () => {
  it('says its kind, and shows no value anywhere that a log looks', async () => {
    const error = await failure(`SELECT 'canary-7391'::INTEGER`)
    expect(error.kind).toBe('conversion')
    expect(
      `${error.message} ${error.stack} ${inspect(error, { showHidden: true })} ${JSON.stringify(error)}`,
    ).not.toContain('canary-7391')
    expect(error.rawMessage()).toContain('canary-7391')
  })

  it.each([
    ['SELEC 1', 'syntax'],
    ['SELECT nothing', 'syntax'],
    ['SELECT * FROM nothing', 'syntax'],
    [`SELECT * FROM read_text('/etc/hostname')`, 'permission'],
    [`SELECT 9223372036854775807 + 1`, 'out-of-range'],
    [`SELECT * FROM read_parquet('FOLDER/none.parquet')`, 'io'],
  ])('of %s is %s', async (sql, kind) => {
    expect((await failure(sql.replace('FOLDER', folder))).kind).toBe(kind)
  })

  it('knows a full disk by either of its ways of saying so, and not by a value that says the same', () => {
    const kinds = [
      'IO Error: Could not write file "/x/part-0.parquet": No space left on device',
      `Out of Memory Error: failed to offload data block of size 256.0 KiB (1 GiB used). This limit was set by the 'max_temp_directory_size' setting.`,
      'Out of Memory Error: failed to allocate data of size 1 MiB',
      `Conversion Error: Could not convert string 'No space left on device' to INT32`,
    ].map((raw) => duckDbError(raw).kind)
    expect(kinds).toEqual(['disk-full', 'disk-full', 'out-of-memory', 'conversion'])
  })

  it('of too little memory harms nothing but its statement', async () => {
    const small = await startDuckDb({
      read: [],
      write: [folder],
      memoryLimitMb: 64,
      threads: 1,
      signal: new AbortController().signal,
    })
    await expect(small.run(`SELECT list(repeat('x', 1000) || i) FROM range(1000000) r(i)`)).rejects.toMatchObject({
      kind: 'out-of-memory',
    })
    expect(await small.rows('SELECT 1 AS a')).toEqual([{ a: 1 }])
    await small.close()
  })
})

const bubblewrap = requirement('bubblewrap')
const ENDLESS = 'SELECT sum(hash(i)) FROM range(1000000000000) r(i)'

describe('the child', () => {
  it('ends within a second of the signal, in the middle of a statement', async () => {
    const stop = new AbortController()
    const own = await startTestEngine(folder, stop.signal)
    const running = own.run(ENDLESS)
    await sleep(100)
    const from = performance.now()
    stop.abort(new Error('enough'))
    await expect(running).rejects.toThrow('enough')
    await own.close()
    expect(performance.now() - from).toBeLessThan(1000)
    await expect(own.run('SELECT 1')).rejects.toThrow('enough')
  })

  it('does not start under a signal that is over', async () => {
    await expect(startTestEngine(folder, AbortSignal.abort(new Error('over')))).rejects.toThrow('over')
  })

  it('rejects what waits when it is closed, and may be closed twice', async () => {
    const own = await startTestEngine(folder)
    const running = own.run(ENDLESS)
    await Promise.all([own.close(), own.close(), expect(running).rejects.toMatchObject({ kind: 'ended' })])
    await expect(own.rows('SELECT 1')).rejects.toMatchObject({ kind: 'ended' })
  })

  it('dies when its parent is killed, in the middle of a statement', async () => {
    expect(await orphansOf('')).toEqual({ children: 1, left: 0 })
  })

  it.skipIf(!bubblewrap.available)('does so in the sandbox too [needs bubblewrap]', async () => {
    // Bubblewrap stands twice between parent and engine.
    expect(await orphansOf(bubblewrap.path ?? '')).toEqual({ children: 3, left: 0 })
  })

  async function orphansOf(path: string): Promise<{ children: number; left: number }> {
    const own = await mkdtemp(join(tmpdir(), 'patchbay-orphan-'))
    const program = fileURLToPath(new URL('orphan-test-support.ts', import.meta.url))
    const parent = spawn(process.execPath, ['--no-warnings', program, own, path])
    await new Promise((resolve) => parent.stdout.once('data', resolve))
    const children = await descendantsOf(parent.pid ?? 0)
    parent.kill('SIGKILL')
    let left = children.length
    for (let tries = 0; left > 0 && tries < 100; tries += 1) {
      await sleep(20)
      left = (await Promise.all(children.map(isRunning))).filter(Boolean).length
    }
    await rm(own, { recursive: true, force: true })
    return { children: children.length, left }
  }

  it('inherits no environment', async () => {
    const { db: plain } = await startWithin(undefined, {
      read: [],
      write: [folder],
      memoryLimitMb: 64,
      threads: 1,
      signal: new AbortController().signal,
    })
    const children = await descendantsOf(process.pid)
    const environments = await Promise.all(
      children.map(async (pid) => readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '')),
    )
    await plain.close()
    expect(children.length).toBeGreaterThan(0)
    // Bubblewrap sets this one itself.
    expect(environments.join('').replaceAll('PWD=/\0', '')).toBe('')
  })

  it('says which walls stand', async () => {
    const walls = await describeWalls()
    expect(walls.duckdbVersion).toMatch(/^v\d+\.\d+/)
    expect(walls.sandbox).toBe(bubblewrap.available ? 'bubblewrap' : 'none')
    expect(walls.reason === '').toBe(walls.sandbox === 'bubblewrap')
  })
})

interface Process {
  readonly pid: number
  readonly parent: number
  readonly isDead: boolean
}

async function processes(): Promise<readonly Process[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const found = await Promise.all(pids.map(readProcess))
  return found.filter((each) => each !== undefined)
}

async function readProcess(pid: number): Promise<Process | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  const [, state, parent] = /\) (\S) (\d+) /.exec(stat) ?? []
  return state === undefined ? undefined : { pid, parent: Number(parent), isDead: state === 'Z' || state === 'X' }
}

async function isRunning(pid: number): Promise<boolean> {
  const found = await readProcess(pid)
  return found !== undefined && !found.isDead
}

async function descendantsOf(pid: number): Promise<readonly number[]> {
  const all = await processes()
  const below = (parent: number): number[] =>
    all.filter((each) => each.parent === parent).flatMap((each) => [each.pid, ...below(each.pid)])
  return below(pid)
}
