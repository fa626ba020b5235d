/** Checks of a destination that takes files. The far end is looked at past the connector, by what the trial can list. */
import { createHash } from 'node:crypto'
import type { FilesDestination } from '../connector.ts'
import type { Context } from '../context.ts'
import { ConnectorError, DestinationInvalid, Unavailable } from '../errors.ts'
import type { Fields } from '../fields.ts'
import type { DeliveredFile, FileDelivery, Manifest, OutgoingFile } from '../files.ts'
import { endsSoon, kindOf, untilAborted, type Check, type TriedDestination } from './trial.ts'

type TriedFiles = TriedDestination<FilesDestination<Fields, Fields>>

const BLIND = 'the trial cannot list what stands at the far end'
const FOREIGN = 'theirs, and of another size'

export const FILE_CHECKS: readonly Check<TriedFiles>[] = [
  {
    name: 'put leaves nothing under a final name, and tells the size',
    async run(tried) {
      const { trial } = tried
      if (trial.standing === undefined) return BLIND
      const file = fileOf('put.csv', 'a,b\n1,2\n')
      const delivery = await open(tried, 'run_put')
      const { sizeBytes } = await delivery.put(file)
      const names = await trial.standing()
      await delivery.abandon()
      if (sizeBytes !== file.sizeBytes) throw new Error(`${sizeBytes} bytes instead of ${file.sizeBytes}`)
      if (names.includes(file.name)) throw new Error('the file stood there before the commit')
      return undefined
    },
  },
  {
    name: 'commit shows every file, whole',
    async run(tried) {
      const { trial } = tried
      if (trial.standing === undefined || trial.read === undefined) return BLIND
      const files = [
        fileOf('whole-1.csv', 'a\n'),
        fileOf('deep/whole-2.csv', 'b'.repeat(300_000)),
        fileOf('whole-3.csv', ''),
      ]
      await publish(tried, 'run_commit', files)
      for (const file of files)
        if ((await trial.read(file.name)) !== file.text) throw new Error(`${file.name} does not hold what was sent`)
      const unfinished = (await trial.standing()).filter((name) => name.includes('run_commit'))
      if (unfinished.length > 0) throw new Error('unfinished files were left')
      return undefined
    },
  },
  {
    name: 'commit a second time, also by another process, is harmless',
    async run(tried) {
      if (tried.trial.read === undefined) return BLIND
      const file = fileOf('twice.csv', 'a\n')
      const manifest = await publish(tried, 'run_twice', [file])
      await (await open(tried, 'run_twice')).commit(manifest)
      if ((await tried.trial.read(file.name)) !== file.text) throw new Error('the file is not what was sent')
      return undefined
    },
  },
  {
    name: 'abandon removes what put left, also in another process and twice',
    async run(tried) {
      const { trial } = tried
      if (trial.standing === undefined) return BLIND
      const before = new Set(await trial.standing())
      await (await open(tried, 'run_abandon')).put(fileOf('abandoned.csv', 'a\n'))
      await (await open(tried, 'run_abandon')).abandon()
      await (await open(tried, 'run_abandon')).abandon()
      if ((await trial.standing()).some((name) => !before.has(name))) throw new Error('something was left')
      return undefined
    },
  },
  {
    name: 'a file that Patchbay did not write is not overwritten',
    async run(tried) {
      const { trial, bench } = tried
      if (trial.plant === undefined || trial.read === undefined) return BLIND
      await trial.plant('foreign.csv', FOREIGN)
      const error = await bench.failure(publish(tried, 'run_foreign', [fileOf('foreign.csv', 'ours')]))
      await (await open(tried, 'run_foreign')).abandon()
      if ((await trial.read('foreign.csv')) !== FOREIGN) throw new Error('it was overwritten')
      if (!(error instanceof DestinationInvalid)) throw new Error(`it ended in ${kindOf(error)}`)
      return undefined
    },
  },
  {
    name: 'files of earlier runs are replaced and removed, and no others',
    async run(tried) {
      const { trial } = tried
      if (trial.standing === undefined || trial.read === undefined || trial.plant === undefined) return BLIND
      const old = [fileOf('stays.csv', 'old'), fileOf('goes.csv', 'old')]
      await publish(tried, 'run_old', old)
      await trial.plant('kept.csv', FOREIGN)
      const superseded = [...old.map(described), { ...described(fileOf('kept.csv', 'was ours once')) }]
      await publish(tried, 'run_new', [fileOf('stays.csv', 'new!')], superseded)
      if ((await trial.read('stays.csv')) !== 'new!') throw new Error('a file of an earlier run was not replaced')
      const names = await trial.standing()
      if (names.includes('goes.csv')) throw new Error('a file of an earlier run was not removed')
      if (!names.includes('kept.csv')) throw new Error('a file that was changed since was removed')
      return undefined
    },
  },
  {
    name: 'names that lead out are refused',
    async run(tried) {
      const delivery = await open(tried, 'run_names')
      for (const name of ['../x.csv', 'a/../../x.csv', '/etc/x.csv', 'a\\..\\x.csv', 'a\0.csv', '']) {
        const error = await tried.bench.failure(delivery.put(fileOf(name, 'a')))
        if (!(error instanceof DestinationInvalid)) throw new Error(`${JSON.stringify(name)} ended in ${kindOf(error)}`)
      }
      await delivery.abandon()
    },
  },
  {
    name: 'an unreachable far end is told as such',
    async run(tried) {
      const fail = (): Promise<never> => Promise.reject(new Unavailable('no', 'Not reached'))
      const { context } = tried.bench.context(undefined, () => ({ fetch: fail, connect: fail, folder: fail }))
      const error = await tried.bench.failure(putOnce(tried, context))
      if (!(error instanceof ConnectorError) || error.code !== 'unavailable')
        throw new Error(`it ended in ${kindOf(error)}`)
    },
  },
  {
    name: 'the signal ends a delivery within a second',
    async run(tried) {
      const controller = new AbortController()
      const hang = (): Promise<never> => untilAborted(controller.signal)
      const { context } = tried.bench.context(controller.signal, () => ({ fetch: hang, connect: hang, folder: hang }))
      await endsSoon(putOnce(tried, context), () => controller.abort(new Error('canceled')))
    },
  },
]

interface TextFile extends OutgoingFile {
  readonly text: string
}

function fileOf(name: string, text: string): TextFile {
  const bytes = new TextEncoder().encode(text)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  return {
    name,
    text,
    rows: text.split('\n').length - 1,
    sizeBytes: bytes.length,
    sha256,
    async *read(pieceBytes) {
      for (let at = 0; at < bytes.length; at += pieceBytes)
        yield await Promise.resolve(bytes.slice(at, at + pieceBytes))
    },
  }
}

function described({ name, rows, sizeBytes, sha256 }: OutgoingFile): DeliveredFile {
  return { name, rows, sizeBytes, sha256 }
}

/** The description of every run here is the same text, so it counts as delivered before from the second on. */
const MODEL = fileOf('model.json', '{"conformance":true}')

async function open(tried: TriedFiles, runId: string, delivered: readonly DeliveredFile[] = []): Promise<FileDelivery> {
  const run = { runId, delivered: [described(MODEL), ...delivered] }
  return tried.destination.open(tried.bench.context().context, tried.values, run)
}

async function publish(
  tried: TriedFiles,
  runId: string,
  files: readonly OutgoingFile[],
  superseded: readonly DeliveredFile[] = [],
): Promise<Manifest> {
  const delivery = await open(tried, runId, superseded)
  for (const file of files) await delivery.put(file)
  const manifest: Manifest = { files: files.map(described), model: MODEL, superseded }
  await delivery.commit(manifest)
  return manifest
}

async function putOnce(tried: TriedFiles, context: Context): Promise<unknown> {
  const delivery = await tried.destination.open(context, tried.values, { runId: 'run_once', delivered: [] })
  return delivery.put(fileOf('once.csv', 'a\n'))
}
