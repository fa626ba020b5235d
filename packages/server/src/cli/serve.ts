import type { Command } from 'commander'
import { action, type Options, type Outcome, type Run } from './command.ts'

/** After the signal: what is being answered and sent has this long to come to its end. */
const GRACE_MS = 10_000

export function addServeCommands(program: Command): void {
  program
    .command('serve')
    .description('Serve the API and the pages, and work on runs and schedules, until it is stopped')
    .option('--no-worker', 'only serve: the runs are worked on by patchbay worker')
    .action(action(serve))

  program
    .command('worker')
    .description('Only work on runs and schedules; any number of them on one PostgreSQL (DATABASE_URL)')
    .action(
      action(async ({ terminal, interrupt, settings }) => {
        const { openPatchbay } = await import('../main.ts')
        const patchbay = await openPatchbay(settings())
        try {
          await patchbay.startWorker({ withSchedules: true })
          terminal.note('Working. Stop it with ^C')
          await untilStopped(interrupt.signal)
        } finally {
          await patchbay.close()
        }
        return undefined
      }),
    )
}

async function serve(
  { terminal, interrupt, settings }: Run,
  _args: readonly string[],
  options: Options,
): Promise<Outcome> {
  const [{ openPatchbay }, { listen }, { socketPath }] = await Promise.all([
    import('../main.ts'),
    import('../http/serve.ts'),
    import('../http/socket-path.ts'),
  ])
  const { host, port, dataFolder, publicUrl } = settings()
  const patchbay = await openPatchbay(settings())
  try {
    if (options['worker'] !== false) await patchbay.startWorker({ withSchedules: true })
    const place = { host, port, socket: socketPath(dataFolder) }
    const listening = await listen(patchbay.app, place)
    patchbay.log.info({ port: listening.port }, 'serving')
    // To whoever starts it and to nobody else: it is in no log.
    const token = await patchbay.makeOwnerLink()
    const ownerLink = token === undefined ? null : `${publicUrl ?? listening.url}/owner#${token}`
    terminal.answer({ url: listening.url, socket: listening.socket, ownerLink }, () =>
      [
        `Patchbay is running on ${listening.url}, with its data in ${dataFolder}`,
        ...(ownerLink === null
          ? []
          : [`Nobody is its owner yet. Become it by this link, which is good once:\n  ${ownerLink}`]),
        'Over the network every request needs a key: npx patchbay key add "Name" --role Viewer',
        'Stop it with ^C',
      ].join('\n'),
    )
    await untilStopped(interrupt.signal)
    patchbay.log.info({}, 'stopping')
    patchbay.stopFollowing()
    await listening.close(GRACE_MS)
  } finally {
    await patchbay.close()
  }
  return undefined
}

function untilStopped(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
