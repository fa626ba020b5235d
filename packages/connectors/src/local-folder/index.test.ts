import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { ConnectionRefused, type CheckStep, type Context } from '@patchbay/connector-sdk'
import { checkConnector, type Trial } from '@patchbay/connector-sdk/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { makeContext } from '../../test-servers/context.ts'
import { deliveredOf, fileOf, manifestOf } from '../../test-servers/files.ts'
import { localFolder } from './index.ts'

function makeFolder(): string {
  const path = mkdtempSync(join(tmpdir(), 'patchbay-local-folder-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

function filesIn(path: string): readonly string[] {
  if (!existsSync(path)) return []
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(path.length + 1))
    .toSorted()
}

function tryIn(path: string): Trial {
  return {
    settings: { path },
    destinations: {
      folder: {
        values: { folder: 'out' },
        standing: () => filesIn(join(path, 'out')),
        read: (name) => readFileSync(join(path, 'out', name), 'utf8'),
        plant: (name, text) => {
          mkdirSync(dirname(join(path, 'out', name)), { recursive: true })
          writeFileSync(join(path, 'out', name), text)
        },
      },
    },
    stop: () => undefined,
  }
}

describe('local folder', () => {
  it('does what every connector must', async () => {
    const path = makeFolder()
    const results = await checkConnector(localFolder, { makeFake: () => Promise.resolve(tryIn(path)) })
    expect(results.filter(({ outcome }) => outcome === 'failed')).toEqual([])
  })

  it('leaves nothing behind when it checks', async () => {
    const path = makeFolder()
    const steps = await Array.fromAsync(localFolder.check(makeContext({ settings: { path } })))
    expect(steps).toEqual([
      { step: 'resolved', ok: true },
      { step: 'may-write', ok: true },
    ])
    expect(readdirSync(path)).toEqual([])
  })

  it.each([
    [{ folder: (): Promise<never> => Promise.reject(new ConnectionRefused('Not opened by the operator')) }, 'resolved'],
    [{ folder: readOnly }, 'may-write'],
  ])('says by the field what the host refuses (%#)', async (change: Partial<Context>, step) => {
    const context = { ...makeContext({ settings: { path: '/etc' } }), ...change }
    const steps: readonly CheckStep[] = await Array.fromAsync(localFolder.check(context))
    expect(steps.at(-1)).toMatchObject({ step, ok: false, field: 'path' })
  })

  it('writes to its root where the export names no folder', async () => {
    const path = makeFolder()
    const destination = localFolder.destinations['folder']
    if (destination?.delivers !== 'files') throw new Error('It delivers no files')
    const file = fileOf('a.csv', 'a')
    const run = { runId: 'run_1', delivered: [deliveredOf(file)] }
    const delivery = await destination.open(makeContext({ settings: { path } }), {}, run)
    await delivery.put(file)
    await delivery.commit(manifestOf([file]))
    expect(filesIn(path)).toEqual(['a.csv', 'model.json'])
  })
})

async function readOnly(path: string): ReturnType<Context['folder']> {
  const folder = await makeContext({ settings: {} }).folder(path)
  folder.write = () => Promise.reject(new ConnectionRefused('Read only'))
  return folder
}
