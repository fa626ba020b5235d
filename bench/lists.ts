/**
 * The first page of every list, asked for by 50 users at once, with 10,000 connections, 10,000 exports and a million runs in
 * the store; on both stores. A user looks at a list, and a second later at another: that is what "at once" means of people, and
 * what the aim is for. What 50 programs get that never pause is measured beside it, without an aim.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { makeClient } from '@patchbay/contract'
import { sql } from 'kysely'
import { startPostgresql } from '../packages/connectors/test-servers/postgresql.ts'
import { openPatchbay } from '../packages/server/src/main.ts'
import { readSettings } from '../packages/server/src/settings.ts'
import type { Db } from '../packages/server/src/store/schema.ts'
import type { Case, Figure } from './cases.ts'
import { watchMemory } from './process-memory.ts'

const PROGRAM = fileURLToPath(new URL('../packages/server/src/cli/patchbay.ts', import.meta.url))
const USERS = 50
const AIM_SECONDS = 0.1
const PAUSE_MS = 1000

/** As somebody meets them: the lists as they open, sorted by another column, searched and filtered. */
const LISTS: Readonly<Record<string, readonly string[]>> = {
  connections: ['/connections', '/connections?sort=-created', '/connections?search=77'],
  exports: [
    '/exports',
    '/exports?sort=-lastRun',
    '/exports?sort=nextRun',
    '/exports?search=77',
    '/exports?status=failed',
  ],
  runs: ['/runs', '/runs?status=failed', '/runs?search=export%207', '/runs?startedBy=schedule'],
  segments: ['/segments', '/segments?sort=-updated'],
  tables: ['/tables'],
  audit: ['/audit', '/audit?action=export.created'],
}

export const lists: Case = async (folder, scale) => {
  const server = await startPostgresql({ settings: { max_connections: '50' } })
  try {
    return [
      ...(await listsOn('PGlite', join(folder, 'embedded'), {}, scale)),
      ...(await listsOn('PostgreSQL', join(folder, 'postgresql'), { DATABASE_URL: server.url }, scale)),
    ]
  } finally {
    await server.stop()
  }
}

async function listsOn(
  store: string,
  folder: string,
  more: Readonly<Record<string, string>>,
  scale: number,
): Promise<readonly Figure[]> {
  const environment = {
    PATCHBAY_DATA: folder,
    PATCHBAY_LOG: 'error',
    PATCHBAY_REQUESTS_PER_MINUTE: '10000000',
    PORT: '0',
    ...more,
  }
  const rows = Math.max(100, Math.round(1_000_000 * scale))
  const key = await fill(environment, folder, Math.max(20, Math.round(10_000 * scale)), rows)
  const { child, url } = await serve(environment)
  const memory = watchMemory(child.pid ?? 0)
  try {
    const ask = async (path: string): Promise<number> => {
      const began = performance.now()
      const response = await fetch(`${url}/api/v1${path}`, { headers: { authorization: `Bearer ${key}` } })
      await response.arrayBuffer()
      if (response.status !== 200) throw new Error(`${path} was answered with ${response.status}`)
      return (performance.now() - began) / 1000
    }
    const paths = Object.values(LISTS).flat()
    for (const path of paths) await ask(path)
    const paused = await asUsers(ask, paths, PAUSE_MS, 20)
    const unpaused = await asUsers(ask, paths, 0, 10)
    const memoryMb = memory.stop()
    const figures: Figure[] = []
    for (const [list, of] of Object.entries(LISTS)) {
      const times = of.flatMap((path) => paused.get(path) ?? [])
      figures.push(figureOf(`${store}: ${list}, 50 users, p95`, rows, at95(times), memoryMb, 1))
    }
    const all = [...unpaused.values()].flat()
    figures.push(figureOf(`${store}: every list, 50 at once without a pause, p95`, rows, at95(all), memoryMb, 0))
    return figures
  } finally {
    memory.stop()
    child.kill('SIGTERM')
    await new Promise((resolve) => child.once('exit', resolve))
  }
}

function figureOf(name: string, rows: number, p95: number, memoryMb: number, ratioAtLeast: number): Figure {
  const ratio = AIM_SECONDS / p95
  return {
    case: name,
    rows,
    seconds: Math.round(p95 * 10_000) / 10_000,
    rowsPerSecond: Math.round(1 / p95),
    limit: '100 ms at p95',
    limitSeconds: AIM_SECONDS,
    ratio: Math.round(ratio * 1000) / 1000,
    ratioAtLeast,
    memoryMb,
    memoryMbAtMost: null,
    ok: ratio >= ratioAtLeast,
  }
}

/** Every user asks for every list in an order of their own, `rounds` times a request in all. */
async function asUsers(
  ask: (path: string) => Promise<number>,
  paths: readonly string[],
  pauseMs: number,
  rounds: number,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const times = new Map(paths.map((path): [string, number[]] => [path, []]))
  const users = Array.from({ length: USERS }, async (_, user) => {
    // Not all in the same moment of each second: people do not look at a clock.
    await sleep((pauseMs * user) / USERS)
    for (let round = 0; round < rounds; round += 1) {
      const path = paths[(round + user) % paths.length] ?? ''
      times.get(path)?.push(await ask(path))
      if (pauseMs > 0) await sleep(pauseMs * (0.5 + Math.random()))
    }
  })
  await Promise.all(users)
  return times
}

function at95(times: readonly number[]): number {
  const sorted = times.toSorted((a, b) => a - b)
  return sorted[Math.ceil(sorted.length * 0.95) - 1] ?? Number.NaN
}

async function serve(environment: Readonly<Record<string, string>>): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(process.execPath, ['--no-warnings', PROGRAM, 'serve', '--no-worker', '--json'], {
    env: { PATH: process.env['PATH'], ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  for await (const piece of child.stdout ?? []) {
    text += String(piece)
    const url = /"url":\s*"([^"]+)"/.exec(text)?.[1]
    if (url !== undefined) return { child, url }
  }
  throw new Error('The server ended before it listened')
}

/** A store as it is after years. Written by the database itself: the program would take hours for a million runs. */
async function fill(
  environment: Readonly<Record<string, string>>,
  folder: string,
  things: number,
  runs: number,
): Promise<string> {
  const patchbay = await openPatchbay(readSettings(environment, folder))
  try {
    const client = makeClient(async (request) => patchbay.app.fetch(request, { door: 'operator' }))
    const { key } = await client.keys.add({ body: { name: 'Bench', role: 'Administrator' } })
    const { db } = patchbay.store
    for (const statement of statementsFor(things, runs)) await sql.raw(statement).execute(db)
    await settle(db)
    return key
  } finally {
    await patchbay.close()
  }
}

async function settle(db: Db): Promise<void> {
  for (const table of [
    'run',
    'export',
    'export_sort',
    'export_last_run',
    'connection',
    'connection_sort',
    'schedule',
    'audit',
  ])
    await sql.raw(`VACUUM ANALYZE ${table}`).execute(db)
}

/** 20 characters that an id may have, the same for the same number. */
const idOf = (prefix: string, number: string): string =>
  `'${prefix}_' || translate(left(md5('${prefix}' || ${number}), 20), '0189', 'ghij')`

function statementsFor(things: number, runs: number): readonly string[] {
  const mapping = JSON.stringify({
    kind: 'segment',
    segments: ['Everybody'],
    fields: Array.from({ length: 12 }, (_, n) => ({ to: `F${n}`, from: `f${n}`, transforms: [], identifier: n === 0 })),
  })
  const schedule = JSON.stringify({ on: true, timeZone: 'UTC', every: { type: 'daily', at: '06:00' }, blackout: [] })
  const counts = `jsonb_build_object('read', 1000, 'unchanged', 900, 'merged', 0, 'suppressed', 0, 'uncertainBefore', 0,
    'added', 100, 'changed', 0, 'removed', 0, 'accepted', 100 - n % 3, 'rejected', n % 3, 'uncertain', 0, 'unsent', 0)`
  const status = `(ARRAY['successful', 'successful', 'successful', 'completed-with-rejects', 'failed'])[1 + n % 5]`
  const from = (count: number): string => `FROM generate_series(1, ${count}) AS n`
  const when = (of: string): string => `timestamptz '2024-01-01' + ${of} * interval '1 minute'`
  return [
    `INSERT INTO connection (id, name, connector_id, settings, policy, created_at, created_by, updated_at)
      SELECT ${idOf('con', 'n')}, 'Connection ' || n, 'local-folder', '{"path":"/tmp"}', '{"fields":"all","hashed":[]}',
             ${when('n')}, 'command line', ${when('n')} ${from(things)}`,
    `INSERT INTO export (id, name, connection_id, connector_id, destination_type, destination, mode, source, merge, format,
                         guard, created_at, created_by, updated_at, updated_by)
      SELECT ${idOf('exp', 'n')}, 'Export ' || n, ${idOf('con', 'n')}, 'local-folder', 'folder', '{"folder":"x"}', 'mirror',
             '${mapping}', '{"by":"smallest-key"}',
             '{"type":"csv","gzip":false,"delimiter":",","header":true,"neutraliseFormulas":true}',
             '{"removedShareMax":0.2,"removedRowsMin":100,"allowEmptySource":false}',
             ${when('n')}, 'command line', ${when('n')}, 'command line' ${from(things)}`,
    `INSERT INTO schedule (export_id, spec, is_on, next_at)
      SELECT ${idOf('exp', 'n')}, '${schedule}', true, ${when('n')} + interval '10 years' ${from(things)}`,
    `INSERT INTO segment (id, name, rule, created_at, updated_at)
      SELECT ${idOf('seg', 'n')}, 'Segment ' || n, '{"on":{"field":"f1"},"equals":"x"}', ${when('n')}, ${when('n')}
      ${from(Math.ceil(things / 10))}`,
    // A trigger a row is for a run that goes on; what a million of them would leave is written at once.
    `ALTER TABLE run DISABLE TRIGGER USER`,
    `INSERT INTO run (id, export_id, purpose, status, stages, started_by, actor, counts, due_at, created_at, started_at,
                      finished_at, settled_at)
      SELECT ${idOf('run', 'n')}, ${idOf('exp', `(1 + n % ${things})`)}, 'deliver', ${status},
             '[{"stage":"plan","at":"2024-01-01T00:00:00.000Z"},{"stage":"settle","at":"2024-01-01T00:00:01.000Z"}]',
             (ARRAY['schedule', 'person'])[1 + (n % 10) / 9], 'command line', ${counts},
             ${when('n')}, ${when('n')}, ${when('n')}, ${when('n')}, ${when('n')} ${from(runs)}`,
    `ALTER TABLE run ENABLE TRIGGER USER`,
    `UPDATE run SET status = status WHERE id IN (
      SELECT DISTINCT ON (export_id) id FROM run ORDER BY export_id, created_at DESC, id DESC)`,
    // Not a chain that could be verified: only as many entries as there would be.
    `INSERT INTO audit (seq, at, actor, action, subject, detail, prev_hash, hash)
      SELECT n + (SELECT max(seq) FROM audit), ${when('n')}, 'command line',
             (ARRAY['export.created', 'run.finished', 'run.finished', 'export.edited'])[1 + n % 4],
             ${idOf('exp', `(1 + n % ${things})`)}, '{}', md5(n::text), md5((n + 1)::text) ${from(Math.ceil(runs / 10))}`,
  ]
}
