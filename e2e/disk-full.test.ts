/** The spool's disk is too small for an export: nothing half stands at the destination, and with space the run goes on. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Run } from '@patchbay/contract'
import { openTestPatchbay, type TestPatchbay } from '../packages/server/src/test-support/test-patchbay.ts'
import { mountSmallDisk, type SmallDisk } from './support/tmpfs.ts'

const ROWS = 60_000
const SMALL_MB = 8
const LARGE_MB = 256

const mayMount = ((): boolean => {
  const folder = mkdtempSync(join(tmpdir(), 'patchbay-may-mount-'))
  const disk = mountSmallDisk(folder, 1)
  disk?.unmount()
  rmSync(folder, { recursive: true })
  return disk !== undefined
})()

let patchbay: TestPatchbay
let disk: SmallDisk | undefined

beforeEach(async () => {
  // Tried again soon: the test gives the space back between two tries.
  patchbay = await openTestPatchbay({ workerTiming: { retryMs: [3000, 3000, 3000] } })
})
afterEach(async () => {
  await patchbay.close()
  disk?.unmount()
  await patchbay.remove()
})

describe.skipIf(!mayMount)('a full disk under the spool (needs a process that may mount)', () => {
  it('fails for a while with a reason, leaves nothing under a final name, and goes on when there is space', async () => {
    const { client } = patchbay
    const words = Array.from({ length: ROWS }, (_, row) => `${row},${hash(row)}${hash(row + 7)}${hash(row + 11)}`)
    const uploads = [await patchbay.upload('people.csv', `id,text\n${words.join('\n')}\n`)]
    await client.tables.import({ body: { uploads, name: 'people', key: 'id' } })
    await client.connections.add({
      body: { name: 'Folder', connectorId: 'local-folder', settings: { path: patchbay.fileRoot } },
    })
    await client.exports.add({
      body: {
        name: 'People',
        connection: 'Folder',
        destination: { folder: 'out' },
        mode: 'replace',
        source: { kind: 'data-out', tables: [{ table: 'people' }] },
      },
    })
    const spool = join(patchbay.settings.dataFolder, 'lake', 'runs')
    mkdirSync(spool, { recursive: true })
    disk = mountSmallDisk(spool, SMALL_MB)

    const started = await client.exports.run({ params: { export: 'People' } })
    await patchbay.startWorker({ withSchedules: false })
    const put = await until(started.id, ({ status }) => status !== 'queued' && status !== 'running')
    expect(put, put.reason ?? '').toMatchObject({ status: 'failed-retrying' })
    expect(put.reason).toMatch(/disk|space/i)
    expect(filesAt('out').filter(isFinal)).toEqual([])

    disk?.resize(LARGE_MB)
    const done = await until(started.id, ({ status }) => !['queued', 'running', 'failed-retrying'].includes(status))
    expect(done).toMatchObject({ id: started.id, status: 'successful', counts: { read: ROWS, accepted: ROWS } })
    const found = filesAt('out').filter((name) => name.endsWith('.csv'))
    const lines = found.flatMap((name) =>
      readFileSync(join(patchbay.fileRoot, 'out', name), 'utf8')
        .trimEnd()
        .split('\n')
        .slice(1),
    )
    expect(lines.toSorted()).toEqual(words.toSorted())
    expect(filesAt('out').filter((name) => !isFinal(name))).toEqual([])
    expect((await client.runs.list({ query: {} })).items).toHaveLength(1)
  })
})

const isFinal = (name: string): boolean => !/(^|\/)\.patchbay-/.test(name)

/** Names of files below the destination; none where the folder is not made yet. */
function filesAt(folder: string): readonly string[] {
  const entries = readdirSync(patchbay.fileRoot, { recursive: true, withFileTypes: true })
  const base = join(patchbay.fileRoot, folder)
  return entries
    .filter((entry) => entry.isFile() && entry.parentPath.startsWith(base))
    .map((entry) => join(entry.parentPath, entry.name).slice(base.length + 1))
}

async function until(id: Run['id'], isIt: (run: Run) => boolean): Promise<Run> {
  for (;;) {
    const run = await patchbay.client.runs.show({ params: { run: id } })
    if (isIt(run)) return run
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** Hardly compressible, and the same each time. */
function hash(seed: number): string {
  let [state, text] = [seed * 2_654_435_761 + 1, '']
  for (let index = 0; index < 12; index++) {
    state = (Math.imul(state ^ (state >>> 15), 0x2c_1b_3c_6d) + 0x9e_37_79_b9) >>> 0
    text += state.toString(36)
  }
  return text
}
