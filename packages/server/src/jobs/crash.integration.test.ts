import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, test } from 'vitest'
import { requirement } from '../../../../checks/requirement.ts'
import { startPostgresql } from '../../../connectors/test-servers/postgresql.ts'
import type { RunId } from '../domain/ids.ts'
import type { RunOutcome } from '../engine/ports.ts'
import { verifyAudit } from '../store/audit.ts'
import { openStore } from '../store/open-store.ts'
import { readJournal } from '../store/run-journal.ts'
import { createExportOfPeople, createPeople } from '../test-support/fixtures.ts'
import { byTester, copyTemplate, openTestStore } from '../test-support/test-store.ts'
import { enqueueRun } from './enqueue-run.ts'
import { openQueue } from './queue.ts'
import { startWorker } from './worker.ts'

const CHILD = fileURLToPath(new URL('../test-support/crash-child.ts', import.meta.url))
const children = new Set<ChildProcess>()
afterEach(() => {
  for (const child of children) child.kill('SIGKILL')
  children.clear()
})

interface Child {
  readonly lines: string[]
  until(start: string): Promise<string>
  kill(signal: NodeJS.Signals): void
  readonly ended: Promise<unknown>
}

function startChild(options: { dataFolder: string; databaseUrl?: string; everyMs: number }): Child {
  const child = spawn(process.execPath, [CHILD, JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'inherit'] })
  children.add(child)
  const lines: string[] = []
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line))
  return {
    lines,
    until: async (start) => {
      for (let tries = 0; tries < 3000; tries++) {
        const found = lines.find((line) => line.startsWith(start))
        if (found !== undefined) return found
        await sleep(10)
      }
      throw new Error(`The child never said ${start}: ${lines.join(' | ')}`)
    },
    kill: (signal) => void child.kill(signal),
    ended: once(child, 'exit'),
  }
}

const answeredIn = (lines: readonly string[]): number[] =>
  lines.filter((line) => line.startsWith('answered ')).map((line) => Number(line.slice(9)))

test('SIGKILL in the middle of writing to the embedded store: nothing that was acknowledged is lost', async () => {
  const dataFolder = await copyTemplate()
  let store = await openStore({ dataFolder })
  const queue = await openQueue(store, () => undefined)
  const run = await store.db.transaction().execute(async (tx) => {
    await createPeople(tx)
    const { id } = await createExportOfPeople(tx)
    return enqueueRun(tx, queue, { exportId: id, purpose: 'deliver', startedBy: 'person' }, byTester())
  })
  await queue.close()
  await store.close()

  const acknowledged = new Set<number>()
  for (let round = 1; round <= 5; round++) {
    const child = startChild({ dataFolder, everyMs: 0 })
    await child.until('answered')
    await expect(openStore({ dataFolder })).rejects.toMatchObject({
      code: 'not-ready',
      message: expect.stringContaining('A Patchbay server is using the folder'),
    })
    await child.until(`answered ${acknowledged.size + 10 + round * 3}`)
    child.kill('SIGKILL')
    await child.ended
    expect(child.lines).toContain(`running ${round}`)
    for (const batch of answeredIn(child.lines)) {
      // Resumed from the journal, so no batch is answered twice.
      expect(acknowledged.has(batch)).toBe(false)
      acknowledged.add(batch)
    }
    store = await openStore({ dataFolder })
    const journal = await readJournal(store.db, run)
    const stored = new Set(journal.filter(({ state }) => state === 'answered').map(({ first }) => first))
    for (const batch of acknowledged) expect(stored.has(batch), `batch ${batch} after kill ${round}`).toBe(true)
    expect(await verifyAudit(store.db, null)).toMatchObject({ ok: true })
    expect(await store.isRestored()).toBe(false)
    await store.close()
  }
  expect(acknowledged.size).toBeGreaterThan(80)
  rmSync(dataFolder, { recursive: true, force: true })
})

describe.skipIf(!requirement('postgresql').available)('several workers [needs postgresql]', () => {
  const world = async () => {
    const server = await startPostgresql()
    const store = await openTestStore({ databaseUrl: server.url })
    const queue = await openQueue(store, () => undefined)
    await store.db.transaction().execute((tx) => createPeople(tx))
    const begin = () =>
      store.db.transaction().execute(async (tx) => {
        const { id } = await createExportOfPeople(tx)
        return enqueueRun(tx, queue, { exportId: id, purpose: 'deliver', startedBy: 'person' }, byTester(new Date()))
      })
    const close = async (): Promise<void> => {
      await queue.close()
      await store.remove()
      await server.stop()
    }
    return { server, store, queue, begin, close }
  }

  test('G4 a run passes to another worker within a second of SIGKILL, ten times', async () => {
    const { server, store, queue, begin, close } = await world()
    const times: number[] = []
    for (let round = 0; round < 10; round++) {
      const child = startChild({ dataFolder: store.dataFolder, databaseUrl: server.url, everyMs: 5 })
      await child.until('ready')
      const run = await begin()
      await child.until('answered')
      const taken = Promise.withResolvers<number>()
      const worker = startWorker({
        ...{ store, queue, randomBytes, concurrency: 1 },
        onError: () => undefined,
        executeRun: async (lease): Promise<RunOutcome> => {
          taken.resolve(performance.now())
          expect(lease).toMatchObject({ runId: run, epoch: 2 })
          await store.db.updateTable('run').set({ status: 'canceled' }).where('id', '=', run).execute()
          return { status: 'canceled', reason: null, retryable: false }
        },
      })
      await sleep(150)
      expect(worker.running()).toEqual([])
      const killed = performance.now()
      child.kill('SIGKILL')
      times.push((await taken.promise) - killed)
      await worker.stop()
    }
    times.sort((a, b) => a - b)
    const figures = { p50: Math.round(times[4] ?? 0), max: Math.round(times[9] ?? 0) }
    console.log(`hand-over after SIGKILL, milliseconds: ${JSON.stringify(figures)}`)
    expect(figures.max).toBeLessThan(1000)
    await close()
  })

  test('G5 B20 a worker that was stopped and wakes up again writes nothing after the take-over', async () => {
    const { server, store, queue, begin, close } = await world()
    const child = startChild({ dataFolder: store.dataFolder, databaseUrl: server.url, everyMs: 5 })
    await child.until('ready')
    const run: RunId = await begin()
    await child.until('answered 20')
    const stopped = performance.now()
    child.kill('SIGSTOP')
    const taken = Promise.withResolvers<undefined>()
    const release = Promise.withResolvers<undefined>()
    const worker = startWorker({
      ...{ store, queue, randomBytes, concurrency: 1 },
      onError: () => undefined,
      timing: { silentMs: 2000 },
      executeRun: async (): Promise<RunOutcome> => {
        taken.resolve(undefined)
        await release.promise
        return { status: 'canceled', reason: null, retryable: false }
      },
    })
    await taken.promise
    console.log(`take-over of a stopped worker with silentMs 2000: ${Math.round(performance.now() - stopped)} ms`)
    const before = await readJournal(store.db, run)
    const linesBefore = child.lines.length
    child.kill('SIGCONT')
    await child.until('ended')
    await sleep(500)
    expect(await readJournal(store.db, run)).toEqual(before)
    // At most the answer that was on its way when it was stopped.
    expect(
      answeredIn(child.lines.slice(linesBefore)).every((batch) => before.some(({ first }) => first === batch)),
    ).toBe(true)
    child.kill('SIGKILL')
    release.resolve(undefined)
    await worker.stop()
    await close()
  })
})
