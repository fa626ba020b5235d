import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startOpenssh } from '../packages/connectors/test-servers/openssh.ts'
import { startPostgresql, type PostgresqlServer } from '../packages/connectors/test-servers/postgresql.ts'
import { startDuckDb } from '../packages/server/src/lake/duckdb-process.ts'
import { bareLoop } from './bare-loop.ts'
import { runProgram, secondsOf, secondsOfStatement } from './limits.ts'
import { BenchedPatchbay, wholeTable, type RunFigures } from './patchbay.ts'
import { writeSampleTable } from './sample-table.ts'

/** One line of the result. `ratio` is the limit's time over ours: 1 is as fast as the limit, 2 twice as fast. */
export interface Figure {
  readonly case: string
  readonly rows: number
  readonly seconds: number
  readonly rowsPerSecond: number
  readonly limit: string
  readonly limitSeconds: number
  readonly ratio: number
  readonly ratioAtLeast: number
  readonly memoryMb: number
  readonly memoryMbAtMost: number | null
  readonly ok: boolean
}

interface Measured {
  readonly case: string
  readonly rows: number
  readonly seconds: number
  readonly memoryMb: number
  readonly limit: string
  readonly limitSeconds: number
  readonly ratioAtLeast: number
  readonly memoryMbAtMost?: number
}

export function figureOf(measured: Measured): Figure {
  const { rows, seconds, limitSeconds, ratioAtLeast, memoryMb, memoryMbAtMost = null } = measured
  const ratio = limitSeconds / seconds
  return {
    case: measured.case,
    rows,
    seconds: round(seconds),
    rowsPerSecond: Math.round(rows / seconds),
    limit: measured.limit,
    limitSeconds: round(limitSeconds),
    ratio: round(ratio),
    ratioAtLeast: round(ratioAtLeast),
    memoryMb,
    memoryMbAtMost,
    ok: ratio >= ratioAtLeast && (memoryMbAtMost === null || memoryMb <= memoryMbAtMost),
  }
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000
}

export type Case = (folder: string, scale: number) => Promise<readonly Figure[]>

/** Both sides take turns, and the best of each counts: a neighbour on the machine that slows one turn slows no figure. */
const TURNS = [1, 2] as const

export async function inTurns(
  limit: (turn: number) => Promise<number>,
  ours: (turn: number) => Promise<RunFigures>,
): Promise<{ readonly limitSeconds: number; readonly ours: RunFigures }> {
  const limits: number[] = []
  const figures: RunFigures[] = []
  for (const turn of TURNS) {
    limits.push(await limit(turn))
    figures.push(await ours(turn))
  }
  const [best] = figures.toSorted((a, b) => a.seconds - b.seconds)
  if (best === undefined) throw new Error('Nobody had a turn')
  return {
    limitSeconds: Math.min(...limits),
    ours: { ...best, memoryMb: Math.max(...figures.map((one) => one.memoryMb)) },
  }
}

/** Cells that a spreadsheet would run are neutralised by ours; the limit's statement does the same, so it is the same work. */
export function csvStatement(table: string, path: string): string {
  const guarded = ['first_name', 'last_name', 'email', 'city', 'country', 'phone', 'street', 'zip', 'note']
  const replaced = guarded
    .map(
      (name) =>
        `CASE WHEN regexp_matches(${name}, '^[=+\\-@\\t\\r\\n\\x00＝＋－＠]') THEN '''' || ${name} ELSE ${name} END AS ${name}`,
    )
    .join(', ')
  return `COPY (SELECT * REPLACE (${replaced}) FROM read_parquet('${table}')) TO '${path}' (FORMAT csv, HEADER)`
}

async function folderFigures(folder: string, rows: number): Promise<{ figure: Figure; copySeconds: number }> {
  const table = await writeSampleTable(folder, rows)
  const patchbay = new BenchedPatchbay(folder)
  await mkdir(join(folder, 'out'), { recursive: true })
  await patchbay.importTable(table, 'people')
  await patchbay.addConnection('Folder', 'local-folder', { path: join(folder, 'out') })
  await patchbay.addExport(wholeTable('To folder', 'people', 'Folder', { folder: 'people' }, 'replace'))
  const limitPath = join(folder, 'limit.csv')
  const { limitSeconds: copySeconds, ours } = await inTurns(
    async () => {
      const seconds = await secondsOfStatement(csvStatement(table, limitPath), { read: [], write: [folder] })
      await rm(limitPath)
      return seconds
    },
    () => patchbay.run('To folder'),
  )
  const figure = figureOf({
    case: `${rows / 1e6} M rows to CSV in a folder`,
    rows,
    ...ours,
    limit: "DuckDB's own COPY of the same statement",
    limitSeconds: copySeconds,
    ratioAtLeast: 0.85,
    memoryMbAtMost: 600,
  })
  return { figure, copySeconds }
}

export const folder: Case = async (where, scale) => [(await folderFigures(where, 10_000_000 * scale)).figure]

/** The same table in two sizes, each in a folder of its own: does anything grow faster than the rows? */
export const growth: Case = async (where, scale) => {
  const small = join(where, 'small')
  const large = join(where, 'large')
  await mkdir(small)
  await mkdir(large)
  const { figure: first } = await folderFigures(small, 1_000_000 * scale)
  await rm(small, { recursive: true })
  const { figure: second } = await folderFigures(large, 10_000_000 * scale)
  const times = second.seconds / first.seconds
  const memory = second.memoryMb / first.memoryMb
  return [
    {
      ...second,
      case: `growth from ${first.rows / 1e6} M to ${second.rows / 1e6} M rows (time ${round(times)} x, memory ${round(memory)} x)`,
      limit: 'time within 12 x, memory within 1.3 x',
      limitSeconds: round(first.seconds * 12),
      ratio: round(12 / times),
      ratioAtLeast: 1,
      memoryMbAtMost: Math.round(first.memoryMb * 1.3),
      ok: times <= 12 && memory <= 1.3,
    },
  ]
}

export const sftp: Case = async (where, scale) => {
  const rows = 10_000_000 * scale
  const table = await writeSampleTable(where, rows)
  const server = await startOpenssh()
  try {
    const patchbay = new BenchedPatchbay(where)
    const key = join(where, 'key')
    await writeFile(key, server.privateKey, { mode: 0o600 })
    await patchbay.importTable(table, 'people')
    await patchbay.addConnection(
      'SFTP',
      'sftp',
      { host: server.host, port: server.port, user: server.user, signIn: 'key' },
      ['--secret-file', `privateKey=${key}`, '--trust', server.hostKey],
    )
    await patchbay.addExport(wholeTable('To SFTP', 'people', 'SFTP', { folder: 'people' }, 'replace'))
    const csv = join(where, 'limit.csv')
    const limit = async (): Promise<number> => {
      const copySeconds = await secondsOfStatement(csvStatement(table, csv), { read: [], write: [where] })
      const putSeconds = await secondsOf(() =>
        runProgram(
          'sftp',
          [
            '-q',
            '-b',
            '-',
            '-i',
            key,
            '-P',
            String(server.port),
            '-o',
            'StrictHostKeyChecking=no',
            '-o',
            'UserKnownHostsFile=/dev/null',
            `${server.user}@${server.host}`,
          ],
          `put ${csv} limit.csv\nrm limit.csv\n`,
        ),
      )
      await rm(csv)
      return copySeconds + putSeconds
    }
    const { limitSeconds, ours } = await inTurns(limit, () => patchbay.run('To SFTP'))
    return [
      figureOf({
        case: `${rows / 1e6} M rows to SFTP`,
        rows,
        ...ours,
        limit: 'that COPY, then sftp put of the file',
        limitSeconds,
        ratioAtLeast: 1 / 1.15,
      }),
    ]
  } finally {
    await server.stop()
  }
}

const POSTGRESQL_COLUMNS = `id bigint, first_name text, last_name text, email text, age bigint, spend double precision,
  score double precision, birth_date date, last_seen timestamp, consent boolean, city text, country text, phone text,
  points bigint, tier bigint, street text, zip text, vip boolean, code bigint, note text`

export const postgresql: Case = async (where, scale) => {
  const rows = 1_000_000 * scale
  const table = await writeSampleTable(where, rows)
  const changed = await writeSampleTable(where, rows, 0.02)
  const server = await startPostgresql()
  try {
    const patchbay = new BenchedPatchbay(where, { PATCHBAY_SECRET_PASSWORD: server.password })
    await patchbay.importTable(table, 'people')
    await patchbay.addConnection('Database', 'postgresql', {
      host: server.host,
      port: server.port,
      database: server.database,
      user: server.user,
      tls: 'none',
    })
    for (const turn of TURNS) {
      await patchbay.addExport(
        wholeTable(`Append ${turn}`, 'people', 'Database', { table: `appended_${turn}` }, 'append'),
      )
    }
    await patchbay.addExport(wholeTable('Upsert', 'people', 'Database', { table: 'upserted' }, 'upsert'))
    const csv = join(where, 'rows.csv')
    await secondsOfStatement(`COPY (FROM read_parquet('${table}')) TO '${csv}' (FORMAT csv, HEADER false)`, {
      read: [],
      write: [where],
    })
    const { limitSeconds: copySeconds, ours: appended } = await inTurns(
      async (turn) => {
        await psql(server, `CREATE TABLE by_hand_${turn} (${POSTGRESQL_COLUMNS})`)
        return await secondsOf(() => psql(server, `\\copy by_hand_${turn} FROM '${csv}' (FORMAT csv)`))
      },
      (turn) => patchbay.run(`Append ${turn}`),
    )
    const first = await patchbay.run('Upsert')
    await patchbay.importTable(changed, 'people')
    const mergeSeconds = await mergeByHand(server, where, table, changed)
    const upserted = await patchbay.run('Upsert')
    const changes = upserted.counts['changed'] ?? 0
    return [
      figureOf({
        case: `${rows / 1e6} M rows to PostgreSQL, append`,
        rows,
        ...appended,
        limit: 'psql \\copy of a ready CSV into a table without a key',
        limitSeconds: copySeconds,
        ratioAtLeast: 1,
      }),
      figureOf({
        case: `${rows / 1e6} M rows to PostgreSQL, upsert of ${changes} changed (the first run took ${first.seconds} s)`,
        rows: changes,
        ...upserted,
        limit: 'finding the changed rows, staging and merge by hand',
        limitSeconds: mergeSeconds,
        ratioAtLeast: 1 / 1.3,
      }),
    ]
  } finally {
    await server.stop()
  }
}

/** What a person would do with psql: the changed rows to a file, a staging table, one INSERT … ON CONFLICT. */
async function mergeByHand(server: PostgresqlServer, where: string, before: string, after: string): Promise<number> {
  const all = join(where, 'all.csv')
  const delta = join(where, 'delta.csv')
  await secondsOfStatement(`COPY (FROM read_parquet('${before}')) TO '${all}' (FORMAT csv, HEADER false)`, {
    read: [],
    write: [where],
  })
  await psql(
    server,
    `CREATE TABLE merged (${POSTGRESQL_COLUMNS}, PRIMARY KEY (id))`,
    `\\copy merged FROM '${all}' (FORMAT csv)`,
  )
  const names = POSTGRESQL_COLUMNS.split(',').map((column) => column.trim().split(' ')[0] ?? '')
  const set = names
    .slice(1)
    .map((name) => `${name} = EXCLUDED.${name}`)
    .join(', ')
  return await secondsOf(async () => {
    await secondsOfStatement(
      `COPY (SELECT new.* FROM read_parquet('${after}') AS new JOIN read_parquet('${before}') AS old USING (id) WHERE hash(new) <> hash(old)) TO '${delta}' (FORMAT csv, HEADER false)`,
      { read: [], write: [where] },
    )
    await psql(
      server,
      'BEGIN',
      `CREATE TEMP TABLE staging (LIKE merged) ON COMMIT DROP`,
      `\\copy staging FROM '${delta}' (FORMAT csv)`,
      `INSERT INTO merged SELECT * FROM staging ON CONFLICT (id) DO UPDATE SET ${set}`,
      'COMMIT',
    )
  })
}

async function psql(server: PostgresqlServer, ...statements: readonly string[]): Promise<void> {
  const text = statements.map(
    (statement) => `${statement.startsWith('\\') ? statement.replaceAll(/\s+/g, ' ') : `${statement};`}\n`,
  )
  await runProgram('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', server.url], text.join(''))
}

export const webhook: Case = async (where, scale) => {
  const rows = 1_000_000 * scale
  const table = await writeSampleTable(where, rows)
  const receiver = await startReceiver()
  try {
    const patchbay = new BenchedPatchbay(where, {
      PATCHBAY_SECRET_SIGNING_SECRET: `whsec_${Buffer.alloc(32, 7).toString('base64')}`,
    })
    await patchbay.importTable(table, 'people')
    await patchbay.addConnection('Webhook', 'webhook', { url: receiver.url })
    for (const turn of TURNS) {
      await patchbay.addExport(wholeTable(`To webhook ${turn}`, 'people', 'Webhook', { repeat: 'harmless' }, 'upsert'))
    }
    const { limitSeconds, ours } = await inTurns(
      () => bareLoop(table, receiver.url, where),
      (turn) => patchbay.run(`To webhook ${turn}`),
    )
    return [
      figureOf({
        case: `${rows / 1e6} M rows to a webhook, 1,000 a batch, answers read row by row`,
        rows,
        ...ours,
        limit: 'a bare loop that makes the bodies in SQL, posts them eight at once and parses the answers',
        limitSeconds,
        ratioAtLeast: 0.6,
      }),
    ]
  } finally {
    await receiver.stop()
  }
}

/** In a process of its own, so that neither side pays for it. */
async function startReceiver(): Promise<{ readonly url: string; readonly stop: () => Promise<void> }> {
  const child = spawn(process.execPath, ['--no-warnings', fileURLToPath(new URL('receiver.ts', import.meta.url))], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  return {
    url: `http://127.0.0.1:${line.toString().trim()}/`,
    async stop() {
      const ended = once(child, 'close')
      child.stdin.end()
      await ended
    },
  }
}

export const difference: Case = async (where, scale) => {
  const rows = 10_000_000 * scale
  const before = await writeSampleTable(where, rows)
  const after = await writeSampleTable(where, rows, 0.02)
  const patchbay = new BenchedPatchbay(where, { PATCHBAY_MEMORY_MB: '1024' })
  await mkdir(join(where, 'out'), { recursive: true })
  await patchbay.importTable(before, 'people')
  await patchbay.addConnection('Folder', 'local-folder', { path: join(where, 'out') })
  await patchbay.addExport(wholeTable('Difference', 'people', 'Folder', { folder: 'people' }, 'upsert'))
  await patchbay.run('Difference')
  await patchbay.importTable(after, 'people')
  const rewritten = join(where, 'rewritten.parquet')
  const { limitSeconds, ours } = await inTurns(
    () =>
      secondsOfStatement(
        `COPY (FROM read_parquet('${after}')) TO '${rewritten}' (FORMAT parquet, COMPRESSION zstd)`,
        { read: [], write: [where] },
        1024,
      ),
    () => patchbay.preview('Difference'),
  )
  await stat(rewritten)
  return [
    figureOf({
      case: `plan to guard of ${rows / 1e6} M rows against a ledger, ${ours.counts['changed'] ?? 0} changed, 1 GB`,
      rows,
      ...ours,
      limit: 'DuckDB rewriting the table as Parquet (zstd)',
      limitSeconds,
      ratioAtLeast: 1 / 0.6,
    }),
  ]
}

/** Keeps the linter's promise that every engine started here is closed, and tells early where it cannot start at all. */
export async function tryEngine(folder: string): Promise<void> {
  const duckDb = await startDuckDb({
    read: [],
    write: [folder],
    memoryLimitMb: 256,
    threads: 2,
    signal: new AbortController().signal,
  })
  await duckDb.close()
}
