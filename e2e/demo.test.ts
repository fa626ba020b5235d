/** The main job, as a new user starts it: one command from an empty folder, by the real command line. */
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Run } from '@patchbay/contract'

const PROGRAM = fileURLToPath(new URL('../packages/server/src/cli/patchbay.ts', import.meta.url))
const start = promisify(execFile)

let folder = ''
let runs: readonly Run[] = []
const patchbay = async (...args: readonly string[]): Promise<string> => {
  const environment = { PATH: process.env['PATH'], PATCHBAY_DATA: join(folder, 'data'), PATCHBAY_LOG: 'error' }
  const { stdout } = await start(process.execPath, ['--no-warnings', PROGRAM, ...args, '--json'], { env: environment })
  return stdout
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'patchbay-demo-test-'))
  runs = (JSON.parse(await patchbay('demo')) as { runs: Run[] }).runs
}, 240_000)
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})

describe('the demo', () => {
  it('delivers everything once, and then only the difference', () => {
    const figures = runs.map(({ purpose, counts }) => [
      purpose,
      counts.read,
      counts.unchanged,
      counts.added,
      counts.changed,
      counts.removed,
      counts.accepted,
    ])
    expect(figures).toEqual([
      ['deliver', 100_000, 0, 100_000, 0, 0, 100_000],
      ['deliver', 49_206, 0, 49_206, 0, 0, 49_206],
      ['preview', 100_349, 97_376, 599, 2_374, 250, 0],
      ['deliver', 100_349, 97_376, 599, 2_374, 250, 3_223],
      ['preview', 49_167, 47_871, 314, 982, 353, 0],
      ['deliver', 49_167, 47_871, 314, 982, 353, 1_649],
    ])
    expect(runs.map(({ status }) => status)).toEqual(Array.from({ length: 6 }, () => 'successful'))
  })

  it('leaves in the folder exactly what the runs say: a reader of the change files has the mirror', async () => {
    const root = join(folder, 'data', 'files', 'demo', 'valued')
    const names = (await readdir(root, { recursive: true })).filter((name) => name.endsWith('.jsonl')).toSorted()
    const mirror = new Map<string, string>()
    for (const name of names) {
      for (const line of (await readFile(join(root, name), 'utf8')).trimEnd().split('\n')) {
        const row = JSON.parse(line) as { change: string; Email: string }
        if (row.change === 'removed') expect(mirror.delete(row.Email)).toBe(true)
        else mirror.set(row.Email, line)
      }
    }
    expect(names.length).toBe(2)
    expect(mirror.size).toBe(runs[5]?.counts.read)
  })

  it('leaves a folder that the other commands work on, and refuses to start over it', async () => {
    const tables = JSON.parse(await patchbay('table', 'list')) as { items: { name: string; rows: number }[] }
    expect(tables.items).toMatchObject([{ name: 'customers', rows: 100_349 }])
    await expect(patchbay('demo')).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('empty data folder') as string,
    })
  })
})
