/**
 * What reaches the engine as SQL comes from our compilers alone. Suppose that one day it does not: sixty hostile
 * statements, against DuckDB's own locks, and against the sandbox with those locks off. To be run again with each
 * upgrade of DuckDB.
 */
import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { requirement } from '../../../../checks/requirement.ts'
import type { DuckDb } from './duckdb.ts'
import { DuckDbError } from './duckdb-error.ts'
import { startWithin } from './duckdb-process.ts'
import { sandboxArguments } from './duckdb-sandbox.ts'

const SECRET = 'canary-5d1c9a'

/** `OUT` is a folder with a secret beside the one that the engine may use, `IN` that one, which holds a link to the secret. */
const HOSTILE = [
  // reading
  `SELECT * FROM read_text('OUT/secret.txt')`,
  `SELECT * FROM read_blob('OUT/secret.txt')`,
  `SELECT * FROM read_csv('OUT/secret.txt', header = false, columns = {'a': 'VARCHAR'})`,
  `SELECT * FROM read_csv_auto('OUT/secret.csv')`,
  `SELECT * FROM sniff_csv('OUT/secret.csv')`,
  `SELECT * FROM 'OUT/secret.csv'`,
  `SELECT * FROM read_json('OUT/secret.json')`,
  `SELECT * FROM read_json_objects('OUT/secret.json')`,
  `SELECT * FROM read_ndjson('OUT/secret.json')`,
  `SELECT * FROM read_parquet('OUT/secret.parquet')`,
  `SELECT * FROM parquet_metadata('OUT/secret.parquet')`,
  `SELECT * FROM parquet_kv_metadata('OUT/secret.parquet')`,
  `SELECT * FROM parquet_schema('OUT/secret.parquet')`,
  `SELECT * FROM glob('OUT/*')`,
  `SELECT * FROM glob('/*')`,
  `SELECT * FROM glob('IN/../*/*')`,
  `SELECT * FROM read_text('IN/../outside/secret.txt')`,
  `SELECT * FROM read_text('IN/./../outside/./secret.txt')`,
  `SELECT * FROM read_text('IN/link.txt')`,
  `SELECT * FROM read_text('IN/linked/secret.txt')`,
  `SELECT * FROM read_text(['IN/own.txt', 'OUT/secret.txt'])`,
  `SELECT * FROM read_text('file://OUT/secret.txt')`,
  `SELECT * FROM read_text('file:OUT/secret.txt')`,
  `SELECT * FROM read_text('/proc/self/environ')`,
  `SELECT * FROM read_text('/proc/1/cmdline')`,
  `SELECT * FROM read_text('/proc/self/root/OUT/secret.txt')`,
  `SELECT * FROM read_text('/dev/fd/0')`,
  `SELECT * FROM read_text('/etc/passwd')`,
  `SELECT getenv('PATH')`,
  `CREATE TABLE stolen AS SELECT * FROM read_text('OUT/secret.txt')`,
  `COPY (SELECT 1) TO 'OUT/written.csv'`,
  `CREATE TABLE c (a VARCHAR); COPY c FROM 'OUT/secret.csv'`,
  // writing
  `COPY (SELECT 1) TO 'OUT/secret.txt' (FORMAT csv)`,
  `COPY (SELECT 1) TO 'IN/../outside/written.csv'`,
  `COPY (SELECT 1) TO 'IN/linked/written.csv'`,
  `COPY (SELECT 1) TO 'IN/link.txt' (FORMAT csv)`,
  `COPY (SELECT 1 AS a) TO 'OUT/folder' (FORMAT parquet, PARTITION_BY a)`,
  `EXPORT DATABASE 'OUT/exported'`,
  `IMPORT DATABASE 'OUT'`,
  // other databases and code
  `ATTACH 'OUT/written.db'`,
  `ATTACH 'OUT/secret.txt' AS stolen (READ_ONLY)`,
  `ATTACH 'https://127.0.0.1:9/a.db'`,
  `ATTACH 'postgres://127.0.0.1/x' AS pg (TYPE postgres)`,
  `INSTALL httpfs`,
  `INSTALL spatial FROM community`,
  `INSTALL 'OUT/evil.duckdb_extension'`,
  `LOAD httpfs`,
  `LOAD 'OUT/evil.duckdb_extension'`,
  `FORCE INSTALL httpfs FROM 'http://127.0.0.1:9'`,
  `SELECT * FROM read_csv('http://127.0.0.1:9/a.csv')`,
  `SELECT * FROM read_parquet('s3://bucket/secret')`,
  `CREATE SECRET s (TYPE s3, KEY_ID 'a', SECRET 'b')`,
  `CREATE PERSISTENT SECRET s (TYPE s3, KEY_ID 'a', SECRET 'b')`,
  `UPDATE EXTENSIONS`,
  // the locks themselves
  `SET enable_external_access = true`,
  `SET lock_configuration = false`,
  `RESET lock_configuration`,
  `SET allowed_directories = ['/']`,
  `SET GLOBAL allowed_paths = ['OUT/secret.txt']`,
  `PRAGMA enable_external_access = true`,
  `PRAGMA temp_directory = 'OUT/spilled'`,
  `SET temp_directory = 'OUT/spilled'`,
  `SET secret_directory = 'OUT'`,
  `SET extension_directory = 'OUT'`,
  `SET autoload_known_extensions = true`,
  `SET log_query_path = 'OUT/queries.log'`,
  `PRAGMA enable_profiling; SET profiling_output = 'OUT/profile.json'`,
  `SET file_search_path = 'OUT'`,
  `SET home_directory = 'OUT'`,
  `SET memory_limit = '1TB'`,
]

let base: string
let inside: string
let outside: string
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'patchbay-escape-'))
  inside = join(base, 'inside')
  outside = join(base, 'outside')
  await mkdir(inside)
  await mkdir(outside)
  await writeFile(join(outside, 'secret.txt'), SECRET)
  await writeFile(join(outside, 'secret.csv'), `a,b\n${SECRET},2\n`)
  await writeFile(join(outside, 'secret.json'), `{"a":"${SECRET}"}\n`)
  await writeFile(join(outside, 'secret.parquet'), `PAR1${SECRET}PAR1`)
  await writeFile(join(inside, 'own.txt'), 'mine')
  await symlink(join(outside, 'secret.txt'), join(inside, 'link.txt'))
  await symlink(outside, join(inside, 'linked'))
})
afterEach(async () => rm(base, { recursive: true, force: true }))

function statements(): readonly string[] {
  return HOSTILE.map((sql) => sql.replaceAll('OUT', outside).replaceAll('IN/', `${inside}/`))
}

/** The secret, its name and what the statements would have left behind. */
async function traces(outcomes: readonly string[]): Promise<readonly string[]> {
  const seen = outcomes.filter(
    (outcome) => outcome.includes(SECRET) || outcome.includes('"secret.txt') || outcome.includes('root:x:'),
  )
  const names = (await readdir(outside)).toSorted()
  const expected = ['secret.csv', 'secret.json', 'secret.parquet', 'secret.txt']
  const isWhole = (await readFile(join(outside, 'secret.txt'), 'utf8')) === SECRET
  return [
    ...seen,
    ...names.filter((name) => !expected.includes(name)),
    ...(isWhole ? [] : ['the secret was overwritten']),
  ]
}

async function outcomeOf(db: DuckDb, sql: string): Promise<string> {
  try {
    return `gave ${JSON.stringify(await db.rows(sql))}`
  } catch (error) {
    if (error instanceof DuckDbError) return `failed: ${error.rawMessage().replaceAll(/LINE \d+:[^]*$/g, '')}`
    throw error
  }
}

describe('sixty hostile statements', () => {
  it(`are ${HOSTILE.length} indeed`, () => {
    expect(new Set(HOSTILE).size).toBeGreaterThanOrEqual(60)
  })

  it("read and write nothing outside, and change no setting, under DuckDB's own locks", async () => {
    const { db } = await startWithin(undefined, {
      read: [],
      write: [inside],
      memoryLimitMb: 128,
      threads: 1,
      signal: new AbortController().signal,
    })
    const before = await settings(db)
    const outcomes: string[] = []
    for (const sql of statements()) outcomes.push(await outcomeOf(db, sql))
    expect(await traces(outcomes)).toEqual([])
    expect(await settings(db)).toEqual(before)
    // And what is allowed still works.
    expect(await db.rows(`SELECT content FROM read_text('${inside}/own.txt')`)).toEqual([{ content: 'mine' }])
    await db.close()
  })

  it(
    'read and write nothing outside in the sandbox with all locks off [needs bubblewrap]',
    { skip: !requirement('bubblewrap').available },
    async () => {
      const program = fileURLToPath(new URL('unlocked-test-support.ts', import.meta.url))
      const args = sandboxArguments({ read: [], write: [inside] }, [process.execPath, '--no-warnings', program])
      const { status, stdout, stderr } = spawnSync(requirement('bubblewrap').path ?? '', args, {
        env: {},
        encoding: 'utf8',
        input: JSON.stringify([...statements(), `SELECT content FROM read_text('${inside}/own.txt')`]),
      })
      expect([status, stderr]).toEqual([0, ''])
      const outcomes = JSON.parse(stdout) as readonly string[]
      expect(outcomes).toHaveLength(HOSTILE.length + 1)
      expect(await traces(outcomes)).toEqual([])
      // The locks were off indeed.
      expect(outcomes.at(-1)).toBe('gave [["mine"]]')
    },
  )
})

describe('a read folder', () => {
  it(
    'cannot be written to in the sandbox [needs bubblewrap]',
    { skip: !requirement('bubblewrap').available },
    async () => {
      const bubblewrap = requirement('bubblewrap').path
      const { db } = await startWithin(bubblewrap, {
        read: [outside],
        write: [inside],
        memoryLimitMb: 128,
        threads: 1,
        signal: new AbortController().signal,
      })
      expect(await outcomeOf(db, `SELECT content FROM read_text('${outside}/secret.txt')`)).toContain(SECRET)
      expect(await outcomeOf(db, `COPY (SELECT 1) TO '${outside}/secret.txt' (FORMAT csv)`)).toContain(
        'Read-only file system',
      )
      await db.close()
      expect(await traces([])).toEqual([])
    },
  )
})

describe('an instance that a statement wedged', () => {
  it('harms only itself', async () => {
    const options = { read: [], write: [inside], memoryLimitMb: 128, threads: 1, signal: new AbortController().signal }
    const [{ db: wedged }, { db: other }] = await Promise.all([
      startWithin(undefined, options),
      startWithin(undefined, options),
    ])
    await outcomeOf(wedged, `CALL enable_logging(storage = 'file', storage_config = {'path': '${outside}/logs'})`)
    await outcomeOf(wedged, 'SELECT 1')
    expect(await outcomeOf(other, 'SELECT 1 AS a')).toBe('gave [{"a":1}]')
    const { db: next } = await startWithin(undefined, options)
    expect(await outcomeOf(next, 'SELECT 1 AS a')).toBe('gave [{"a":1}]')
    await Promise.all([wedged.close(), other.close(), next.close()])
    expect(await traces([])).toEqual([])
  })
})

async function settings(db: DuckDb): Promise<readonly unknown[]> {
  return db.rows(
    `SELECT name, value FROM duckdb_settings() WHERE name NOT IN ('enable_profiling', 'profiling_mode') ORDER BY name`,
  )
}
