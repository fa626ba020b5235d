import { join } from 'node:path'
import { makeClient } from '@patchbay/contract'
import type { Command } from 'commander'
import { readSettings } from '../settings.ts'
import { action, type Outcome, type Run } from './command.ts'
import { runDemo } from './demo/demo.ts'
import { renderRuns } from './demo/run-row.ts'
import { EXIT } from './exit-code.ts'
import { watchRun } from './watch-run.ts'

export function addDemoCommand(program: Command): void {
  program
    .command('demo')
    .description(
      'Do the main job from nothing: a table, a segment, an SFTP server of its own, a folder, two runs of two exports',
    )
    .action(action(demo))
}

async function demo(run: Run): Promise<Outcome> {
  const { terminal, environment, workingFolder, interrupt } = run
  const started = performance.now()
  // The demo's SFTP server listens on loopback, which connections may not reach unless it is listed.
  const settings = readSettings({ ...environment, PATCHBAY_ALLOW_HOSTS: '127.0.0.1' }, workingFolder)
  const { openPatchbay } = await import('../main.ts')
  const patchbay = await openPatchbay(settings)
  const client = makeClient(async (request) => patchbay.app.fetch(request, { door: 'operator' }))
  const session = {
    client,
    where: 'here' as const,
    work: () => patchbay.startWorker({ withSchedules: false }),
    close: () => patchbay.close(),
  }
  try {
    const fileRoot = settings.fileRoots[0] ?? join(settings.dataFolder, 'files')
    const { steps } = await runDemo({
      client,
      fileRoot,
      engine: { memoryLimitMb: settings.memoryMb, threads: settings.threads },
      signal: interrupt.signal,
      say: (line) => terminal.note(line),
      waitForRun: async (id) => watchRun(run, client, session, await client.runs.show({ params: { run: id } })),
    })
    const { items } = await client.exports.list({ query: {} })
    const nameOf = (id: string): string => items.find((one) => one.id === id)?.name ?? id
    terminal.answer({ runs: steps.map(({ run: done }) => done) }, () =>
      [
        '',
        renderRuns(steps, nameOf),
        '',
        `${((performance.now() - started) / 1000).toFixed(1)} s, everything included. The data folder is ${settings.dataFolder}: npm start serves it.`,
        'The SFTP server ended with the demo, so its connection will be shown as not reachable.',
      ].join('\n'),
    )
    return steps.every((step) => step.run.status === 'successful') ? undefined : EXIT.failed
  } finally {
    await patchbay.close()
  }
}
