/** Waits for a run to end, shows how far it is, and lets ^C cancel it kindly. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client, Run as ExportRun } from '@patchbay/contract'
import { SingleBar } from 'cli-progress'
import type { Run } from './command.ts'
import type { Session } from './client.ts'
import { numberText } from './text-table.ts'
import type { Terminal } from './terminal.ts'

const ENDED: readonly ExportRun['status'][] = [
  'held',
  'successful',
  'completed-with-rejects',
  'failed',
  'canceled',
  'skipped',
]
const LOOK_FIRST_MS = 50
const LOOK_LATER_MS = 500
/** Where nobody watches a bar move: a line now and then, for a log. */
const LINE_EVERY_MS = 5000

export async function watchRun(
  { terminal, interrupt }: Run,
  client: Client,
  session: Session,
  started: ExportRun,
): Promise<ExportRun> {
  await session.work()
  const shown = terminal.isInteractive && !terminal.isJson ? progressBar(terminal) : progressLines(terminal)
  let isCanceling = false
  const cancel = (): void => {
    isCanceling = true
    terminal.note('\nCanceling after the batch that is going on; ^C once more leaves at once')
    client.runs.cancel({ params: { run: started.id } }).catch(() => undefined)
  }
  try {
    return await interrupt.during(cancel, async () => {
      let run = started
      for (let wait = LOOK_FIRST_MS; !ENDED.includes(run.status); wait = Math.min(wait * 1.3, LOOK_LATER_MS)) {
        await sleep(wait, undefined, { signal: interrupt.signal })
        run = await client.runs.show({ params: { run: started.id } })
        if (!isCanceling) shown.update(run)
      }
      return run
    })
  } finally {
    shown.stop()
  }
}

interface Progress {
  readonly update: (run: ExportRun) => void
  readonly stop: () => void
}

function progressBar({ stderr }: Terminal): Progress {
  const bar = new SingleBar({
    stream: stderr,
    format: '{stage} [{bar}] {value}/{total} changes  {rate}',
    clearOnComplete: true,
    hideCursor: true,
    etaBuffer: 50,
    fps: 8,
  })
  bar.start(1, 0, { stage: 'queued', rate: '' })
  const meter = rateMeter()
  return {
    update(run) {
      const { due, answered } = amounts(run)
      bar.setTotal(Math.max(1, due))
      bar.update(answered, { stage: (run.stage ?? run.status).padEnd(8), rate: meter(answered) })
    },
    stop: () => bar.stop(),
  }
}

function progressLines(terminal: Terminal): Progress {
  let last = performance.now()
  const meter = rateMeter()
  return {
    update(run) {
      const now = performance.now()
      if (now - last < LINE_EVERY_MS) return
      last = now
      const { due, answered } = amounts(run)
      terminal.note(
        `${run.stage ?? run.status}: ${numberText(answered)} of ${numberText(due)} changes  ${meter(answered)}`,
      )
    },
    stop: () => undefined,
  }
}

function amounts({ counts }: ExportRun): { readonly due: number; readonly answered: number } {
  return {
    due: counts.added + counts.changed + counts.removed,
    answered: counts.accepted + counts.rejected + counts.uncertain,
  }
}

/** Rows a second since the first answer. */
function rateMeter(): (answered: number) => string {
  let from: { readonly at: number; readonly answered: number } | undefined
  return (answered) => {
    const at = performance.now()
    if (answered > 0) from ??= { at, answered }
    const seconds = from === undefined ? 0 : (at - from.at) / 1000
    if (from === undefined || seconds < 0.2) return ''
    return `${numberText(Math.round((answered - from.answered) / seconds))} rows/s`
  }
}
