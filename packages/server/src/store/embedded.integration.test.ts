/** What is particular to the embedded store: its first start, its upkeep, its memory. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { PGlite } from '@electric-sql/pglite'
import { expect, test } from 'vitest'
import { copyTemplate } from '../test-support/test-store.ts'
import { describeStore, openStore } from './open-store.ts'
import { keepUp } from './pglite-upkeep.ts'

const OPEN = new URL('open-store.ts', import.meta.url).href
const script = (body: string): string => `import { openStore } from '${OPEN}'\n${body}`

test('killed at any moment of its first start, it starts afresh', async () => {
  const dataFolder = mkdtempSync(join(tmpdir(), 'patchbay-test-'))
  for (const afterMs of [700, 1500, 2500]) {
    const source = script(`await openStore({ dataFolder: ${JSON.stringify(dataFolder)} })`)
    const child = spawn(process.execPath, ['--input-type=module-typescript', '--eval', source], { stdio: 'ignore' })
    await sleep(afterMs)
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }
  const store = await openStore({ dataFolder })
  expect(await describeStore(store)).toMatchObject({
    dialect: 'pglite',
    promise: expect.stringContaining('a power cut'),
    isRestored: false,
  })
  await store.close()
  rmSync(dataFolder, { recursive: true, force: true })
})

test('the log and the tables do not grow for ever', async () => {
  const folder = await copyTemplate()
  const database = await PGlite.create(join(folder, 'control'))
  await database.exec('CREATE TABLE big (a integer, b text)')
  for (let round = 0; round < 6; round++) {
    await database.exec(`INSERT INTO big SELECT i, repeat('x', 200) FROM generate_series(1, 60000) i; DELETE FROM big`)
    await keepUp(database)
  }
  await database.close()
  const sizes = (path: string): number =>
    readdirSync(path).reduce((sum, name) => sum + statSync(join(path, name)).size, 0)
  expect(sizes(join(folder, 'control', 'pg_wal'))).toBeLessThan(160e6)
  rmSync(folder, { recursive: true, force: true })
})

test('a process with an open store stays small', async () => {
  const dataFolder = await copyTemplate()
  const source = script(`
    import { sql } from 'kysely'
    import { readFileSync } from 'node:fs'
    const store = await openStore({ dataFolder: ${JSON.stringify(dataFolder)} })
    for (let index = 0; index < 2000; index++) {
      await sql\`INSERT INTO setting (key, value, updated_at) VALUES (\${index}::text, '1', now())\`.execute(store.db)
    }
    await store.close()
    const peak = /VmHWM:\\s+(\\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))
    console.log(peak === null ? 0 : Number(peak[1]) * 1024)`)
  // Beside its siblings, so that it finds the packages.
  const child = spawn(process.execPath, ['--input-type=module-typescript', '--eval', source], {
    cwd: new URL('.', import.meta.url).pathname,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let printed = ''
  child.stdout.on('data', (piece: Buffer) => (printed += piece.toString()))
  await once(child, 'close')
  rmSync(dataFolder, { recursive: true, force: true })
  const peakMb = Number(printed) / 1e6
  console.log(`peak of a process with the embedded store: ${Math.round(peakMb)} MB`)
  // Twice as much would be V8 compiling PGlite with its optimiser again: see pglite.ts. 0 where there is no /proc.
  expect(peakMb).toBeLessThan(300)
})
