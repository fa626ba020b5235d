import { ROW_LISTS, RUN_STATUSES, type Client } from '@patchbay/contract'
import { Option, type Command } from 'commander'
import { action, type Options, type Outcome, type Run } from './command.ts'
import { finish, refuseNoWait } from './export.ts'
import { EXIT } from './exit-code.ts'
import { text, wholeNumber, wrong } from './given.ts'
import { addRunHistoryCommands } from './run-history.ts'
import { runsText, runText } from './run-text.ts'
import { textTable } from './text-table.ts'
import { watchRun } from './watch-run.ts'

export function addRunCommands(program: Command): void {
  const group = program.command('run').description('Runs: what became of every row')

  group
    .command('list')
    .description('List the newest runs')
    .option('--export <export>', 'only of this export')
    .addOption(new Option('--status <status>', 'only these').choices([...RUN_STATUSES]))
    .option('--limit <number>', 'how many', '20')
    .action(
      action(({ terminal, withSession }, _args, options) =>
        withSession(async (client) => {
          const of = text(options, 'export')
          const status = text(options, 'status')
          const query = {
            limit: wholeNumber(text(options, 'limit'), '--limit') ?? 20,
            ...(of === undefined ? {} : { export: of }),
            ...(status === undefined ? {} : { status: status as 'held' }),
          }
          const { items } = await client.runs.list({ query })
          terminal.answer({ items }, () => (items.length === 0 ? 'Nothing has run yet' : runsText(items)))
          return undefined
        }),
      ),
    )

  group
    .command('show <run>')
    .description('Show a run with its sums')
    .action(
      action(({ terminal, withSession }, [id = '']) =>
        withSession(async (client) => {
          const found = await client.runs.show({ params: { run: id } })
          terminal.answer(found, () => runText(found))
          return undefined
        }),
      ),
    )

  group
    .command('rows <run>')
    .description('Show the rows that were not delivered, each with its reason')
    .addOption(new Option('--which <list>', 'of which rows').choices([...ROW_LISTS]).default('rejected'))
    .option('--limit <number>', 'how many', '100')
    .option('--all', 'every one of them')
    .action(action(showRows))

  addRunHistoryCommands(group)

  group
    .command('cancel <run>')
    .description('Ask a run to stop; it does after at most one batch')
    .action(
      action((run, [id = '']) =>
        run.withSession(async (client, session) => {
          const canceled = await client.runs.cancel({ params: { run: id } })
          // Where no server runs, a run that was broken off is only ended by somebody who takes it up.
          const ended = session.where === 'here' ? await watchRun(run, client, session, canceled) : canceled
          run.terminal.answer(ended, () => runText(ended))
          return undefined
        }),
      ),
    )

  group
    .command('approve <run>')
    .description('Let a held run go on with exactly the difference that was looked at')
    .option('--digest <digest>', 'of the difference, as the held run shows it')
    .option('--no-wait', 'leave it to the server')
    .action(action(approveRun))

  group
    .command('retry <run>')
    .description('Run only the rows again that this run could not deliver')
    .option('--uncertain', 'also those that were sent and not answered: they may arrive twice')
    .option('--no-wait', 'leave it to the server')
    .action(
      action((run, [id = ''], options) =>
        run.withSession(async (client, session) => {
          refuseNoWait(session, options)
          const include = options['uncertain'] === true ? 'rejected-and-uncertain' : 'rejected'
          const started = await client.runs.retry({ params: { run: id }, body: { include } })
          return finish(run, client, session, started, options)
        }),
      ),
    )
}

async function approveRun(run: Run, [id = '']: readonly string[], options: Options): Promise<Outcome> {
  const { terminal, withSession } = run
  return withSession(async (client, session) => {
    refuseNoWait(session, options)
    const found = await client.runs.show({ params: { run: id } })
    const digest = text(options, 'digest') ?? (await askForApproval(run, found))
    if (digest === undefined) return EXIT.held
    const approved = await client.runs.approve({ params: { run: id }, body: { outboxDigest: digest } })
    if (!terminal.isJson) terminal.note('Approved')
    return finish(run, client, session, approved, options)
  })
}

async function askForApproval(
  { terminal }: Run,
  found: Awaited<ReturnType<Client['runs']['show']>>,
): Promise<string | undefined> {
  if (found.status !== 'held' || found.outboxDigest === null)
    throw wrong('run', `This run is ${found.status}, not held`, 'There is nothing to approve')
  if (!terminal.isInteractive)
    throw wrong(
      '--digest',
      'An approval is for exactly one difference',
      `Look at it with patchbay run show, then say --digest ${found.outboxDigest}`,
    )
  terminal.note(runText(found))
  const answer = await terminal.ask('\nSend exactly this? [yes/no] ')
  return /^y(?:es)?$/i.test(answer.trim()) ? found.outboxDigest : undefined
}

async function showRows(
  { terminal, withSession }: Run,
  [id = '']: readonly string[],
  options: Options,
): Promise<Outcome> {
  const which = (text(options, 'which') ?? 'rejected') as 'rejected'
  const most = options['all'] === true ? Infinity : (wholeNumber(text(options, 'limit'), '--limit') ?? 100)
  return withSession(async (client) => {
    const items: Awaited<ReturnType<Client['runs']['rows']>>['items'] = []
    let next: string | null = null
    do {
      const limit = Math.min(500, most - items.length)
      const query: { which: typeof which; limit: number; cursor?: string } = { which, limit }
      if (next !== null) query.cursor = next
      const page = await client.runs.rows({ params: { run: id }, query })
      items.push(...page.items)
      next = page.next
    } while (next !== null && items.length < most)
    terminal.answer({ items, next }, () =>
      items.length === 0
        ? `No row of this run is ${which}`
        : textTable(
            ['source', 'key', 'change', 'reason', 'message', 'stands for'],
            items.map((row) => [row.source, row.key, row.change, row.reason, row.message, row.standsFor]),
          ),
    )
    if (next !== null && !terminal.isJson) terminal.note(`\nThere are more: --limit, or --all`)
    return undefined
  })
}
