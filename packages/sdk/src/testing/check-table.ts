/** Checks of a destination that takes a table. */
import type { TableDestination } from '../connector.ts'
import type { Context } from '../context.ts'
import { ConnectorError, Unavailable } from '../errors.ts'
import type { Fields } from '../fields.ts'
import type { OutgoingFile } from '../files.ts'
import type { TableDelivery, TableOutcome } from '../tables.ts'
import { endsSoon, kindOf, untilAborted, type Check, type TriedDestination } from './trial.ts'

type TriedTable = TriedDestination<TableDestination<Fields, Fields>>

const NO_ROWS = 'the trial gives no shape and lines'

export const TABLE_CHECKS: readonly Check<TriedTable>[] = [
  {
    name: 'load counts the rows, and commit tells what became of them',
    async run(tried) {
      const lines = tried.trial.lines ?? []
      if (tried.trial.shape === undefined || lines.length === 0) return NO_ROWS
      const { loaded, outcome } = await loadAll(tried, newRunId())
      if (loaded !== lines.length) throw new Error(`${loaded} rows were counted instead of ${lines.length}`)
      const told = outcome.added + outcome.changed
      if (told > lines.length || told < 0) throw new Error(`${told} rows were added or changed, of ${lines.length}`)
      return undefined
    },
  },
  {
    name: 'isCommitted tells what a commit did, and nothing of what was not committed',
    async run(tried) {
      if (tried.trial.shape === undefined) return NO_ROWS
      const runId = newRunId()
      const before = await ask(tried, runId)
      if (before !== undefined) throw new Error('a run that never was is committed')
      const { outcome } = await loadAll(tried, runId)
      const after = await ask(tried, runId)
      if (after === undefined) throw new Error('the committed run is not known')
      if (JSON.stringify(sorted(after)) !== JSON.stringify(sorted(outcome))) throw new Error('it tells another outcome')
      return undefined
    },
  },
  {
    name: 'abandon leaves no trace, and can be called twice',
    async run(tried) {
      const { shape, lines = [] } = tried.trial
      if (shape === undefined) return NO_ROWS
      const runId = newRunId()
      const delivery = await open(tried, tried.bench.context().context)
      await delivery.begin(shape, runId)
      await delivery.load(fileOf(lines))
      await delivery.abandon()
      await delivery.abandon()
      if ((await ask(tried, runId)) !== undefined) throw new Error('the abandoned run is committed')
      return undefined
    },
  },
  {
    name: 'an unreachable far end is told as such',
    async run(tried) {
      const fail = (): Promise<never> => Promise.reject(new Unavailable('no', 'Not reached'))
      const { context } = tried.bench.context(undefined, () => ({ fetch: fail, connect: fail, folder: fail }))
      const error = await tried.bench.failure(beginOnce(tried, context))
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
      await endsSoon(beginOnce(tried, context), () => controller.abort(new Error('canceled')))
    },
  },
]

let runs = 0
/** New over processes too: the far end may be a real database that an earlier test has used. */
function newRunId(): string {
  runs += 1
  return `run_${Date.now()}_${process.pid}_${runs}`
}

function fileOf(lines: readonly string[]): OutgoingFile {
  const bytes = new TextEncoder().encode(lines.map((line) => `${line}\n`).join(''))
  return {
    name: 'part-1.csv',
    rows: lines.length,
    sizeBytes: bytes.length,
    sha256: '',
    async *read(pieceBytes) {
      for (let at = 0; at < bytes.length; at += pieceBytes)
        yield await Promise.resolve(bytes.slice(at, at + pieceBytes))
    },
  }
}

async function open({ destination, values, mode }: TriedTable, context: Context): Promise<TableDelivery> {
  return destination.open(context, values, mode)
}

async function ask(tried: TriedTable, runId: string): Promise<TableOutcome | undefined> {
  const delivery = await open(tried, tried.bench.context().context)
  try {
    return await delivery.isCommitted(runId)
  } finally {
    await delivery.abandon()
  }
}

async function loadAll(
  tried: TriedTable,
  runId: string,
): Promise<{ readonly loaded: number; readonly outcome: TableOutcome }> {
  const { shape, lines = [] } = tried.trial
  if (shape === undefined) throw new Error(NO_ROWS)
  const delivery = await open(tried, tried.bench.context().context)
  try {
    await delivery.begin(shape, runId)
    const loaded = await delivery.load(fileOf(lines))
    return { loaded, outcome: await delivery.commit() }
  } finally {
    await delivery.abandon()
  }
}

async function beginOnce(tried: TriedTable, context: Context): Promise<void> {
  const delivery = await open(tried, context)
  await delivery.begin(tried.trial.shape ?? { columns: [], key: [], withChange: false }, newRunId())
}

function sorted({ added, changed, removed }: TableOutcome): TableOutcome {
  return { added, changed, removed }
}
