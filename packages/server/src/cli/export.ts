import type { Client, Export, ListedExport } from '@patchbay/contract'
import type { Command } from 'commander'
import { describeSchedule } from '../domain/schedule-text.ts'
import type { Session } from './client.ts'
import { action, readAll, type Options, type Outcome, type Run } from './command.ts'
import { exitCodeOfRun, EXIT } from './exit-code.ts'
import { exportOptions, mergeParts, readExportOptions } from './export-options.ts'
import { isOn, text, wrong } from './given.ts'
import { runText } from './run-text.ts'
import { addExportActCommands } from './export-acts.ts'
import { readScheduleOptions, scheduleOptions } from './schedule-options.ts'
import { textPairs, textTable } from './text-table.ts'
import { watchRun } from './watch-run.ts'

export function addExportCommands(program: Command): void {
  const group = program.command('export').description('Exports: what is sent, over which connection, to where, when')

  exportOptions(group.command('add <name>')).description('Add an export. Nothing runs').action(action(addExport))

  exportOptions(group.command('edit <export>'))
    .description('Change an export')
    .option('--name <name>', 'another name')
    .option('--detach', 'take its connection away: it keeps everything and does not run')
    .action(action(editExport))

  group
    .command('list')
    .description('List the exports')
    .action(
      action(({ terminal, withSession }) =>
        withSession(async (client) => {
          const items = await readAll((query) => client.exports.list({ query }))
          terminal.answer({ items }, () => exportsText(items))
          return undefined
        }),
      ),
    )

  group
    .command('show <export>')
    .description('Show an export')
    .action(
      action(({ terminal, withSession }, [name = '']) =>
        withSession(async (client) => {
          const found = await client.exports.show({ params: { export: name } })
          terminal.answer(found, () => exportText(found))
          return undefined
        }),
      ),
    )

  group
    .command('preview <export>')
    .description('Find out what would be sent, and send nothing')
    .option('--rows <number>', 'how many rows to show of it', '10')
    .action(action(previewExport))

  group
    .command('run <export>')
    .description('Run an export, and wait for what becomes of every row')
    .option('--no-wait', 'leave it to the server')
    .action(
      action((run, [name = ''], options) =>
        run.withSession(async (client, session) => {
          refuseNoWait(session, options)
          const started = await client.exports.run({ params: { export: name } })
          return finish(run, client, session, started, options)
        }),
      ),
    )

  scheduleOptions(group.command('schedule <export>'))
    .description('Show when an export runs, or say when it shall')
    .action(action(scheduleExport))

  group
    .command('duplicate <export> <name>')
    .description('Add an export like this one, with its schedule off and nothing delivered yet')
    .action(
      action(({ terminal, withSession }, [from = '', name = '']) =>
        withSession(async (client) => {
          const added = await client.exports.duplicate({ params: { export: from }, body: { name } })
          terminal.answer(added, () => exportText(added))
          return undefined
        }),
      ),
    )

  group
    .command('remove <export>')
    .description('Remove an export with its ledger and its runs. What it delivered stays where it is')
    .option('--yes', 'do not ask')
    .action(action(removeExport))

  addExportActCommands(group)
}

/** Shows how a run goes and what became of it; its status is the command's. */
export async function finish(
  run: Run,
  client: Client,
  session: Session,
  started: Parameters<typeof watchRun>[3],
  options: Options,
): Promise<Outcome> {
  if (options['wait'] === false) {
    run.terminal.answer(started, () => `Queued the run ${started.id}`)
    return undefined
  }
  const ended = await watchRun(run, client, session, started)
  run.terminal.answer(ended, () => runText(ended))
  if (ended.status === 'held' && !run.terminal.isJson)
    run.terminal.note(`\nTo send exactly this: patchbay run approve ${ended.id} --digest ${ended.outboxDigest ?? ''}`)
  if (ended.counts.rejected > 0 && !run.terminal.isJson)
    run.terminal.note(`\nWhich rows, and why: patchbay run rows ${ended.id}`)
  return exitCodeOfRun(ended.status)
}

/** Asked before anything is started. */
export function refuseNoWait(session: Session, options: Options): void {
  if (options['wait'] !== false || session.where !== 'here') return
  throw wrong(
    '--no-wait',
    'There is no server here that would go on with it',
    'Start one with patchbay serve, or leave --no-wait out',
  )
}

async function addExport(
  { terminal, withSession }: Run,
  [name = '']: readonly string[],
  options: Options,
): Promise<Outcome> {
  const draft = await readExportOptions(options, terminal)
  const body = { ...draft, name } as Parameters<Client['exports']['add']>[0]['body']
  return withSession(async (client) => {
    const added = await client.exports.add({ body })
    terminal.answer(
      added,
      () => `${exportText(added)}\n\nNothing was sent yet. See what would be: patchbay export preview "${added.name}"`,
    )
    return undefined
  })
}

async function editExport(
  { terminal, withSession }: Run,
  [name = '']: readonly string[],
  options: Options,
): Promise<Outcome> {
  const given = await readExportOptions(options, terminal)
  const renamed = text(options, 'name')
  return withSession(async (client) => {
    const before = await client.exports.show({ params: { export: name } })
    const change = mergeParts(before, given)
    const edited = await client.exports.edit({
      params: { export: before.id },
      revision: before.revision,
      body: {
        ...change,
        ...(renamed === undefined ? {} : { name: renamed }),
        ...(isOn(options, 'detach') ? { connection: null } : {}),
      },
    })
    terminal.answer(edited, () => exportText(edited))
    return undefined
  })
}

async function previewExport(run: Run, [name = '']: readonly string[], options: Options): Promise<Outcome> {
  const limit = Math.min(100, Math.max(1, Number(text(options, 'rows') ?? 10) || 10))
  return run.withSession(async (client, session) => {
    const started = await client.exports.preview({ params: { export: name } })
    const ended = await watchRun(run, client, session, started)
    const isDone = ended.status === 'successful'
    const { items } = isDone ? await client.runs.sample({ params: { run: ended.id }, query: { limit } }) : { items: [] }
    run.terminal.answer({ ...ended, sample: items }, () => [runText(ended), ...sampleTexts(items)].join('\n\n'))
    return exitCodeOfRun(ended.status)
  })
}

function sampleTexts(
  items: readonly { readonly source: string; readonly row: Readonly<Record<string, unknown>> }[],
): readonly string[] {
  return [...Map.groupBy(items, ({ source }) => source)].map(([source, rows]) => {
    const names = [...new Set(rows.flatMap(({ row }) => Object.keys(row)))]
    const cells = rows.map(({ row }) => names.map((name) => cellOf(row[name])))
    return `${source}, the first rows as they would be sent:\n${textTable(names, cells)}`
  })
}

function cellOf(value: unknown): string | number | boolean | null {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value
  return value === null || value === undefined ? null : JSON.stringify(value)
}

async function scheduleExport(
  { terminal, withSession }: Run,
  [name = '']: readonly string[],
  options: Options,
): Promise<Outcome> {
  return withSession(async (client) => {
    const params = { export: name }
    const before = await client.exports.show({ params })
    const schedule = readScheduleOptions(options, before.schedule)
    const found = schedule === undefined ? before : await client.exports.schedule({ params, body: { schedule } })
    const { slots } = await client.exports.slots({ params })
    terminal.answer({ schedule: found.schedule, pausedReason: found.pausedReason, slots }, () =>
      [
        `${found.name}: ${found.schedule === null ? 'no schedule' : describeSchedule(found.schedule)}`,
        ...(found.pausedReason === null ? [] : [found.pausedReason]),
        ...slots.map((slot) => `  ${slot}`),
      ].join('\n'),
    )
    return undefined
  })
}

async function removeExport(
  { terminal, withSession }: Run,
  [name = '']: readonly string[],
  options: Options,
): Promise<Outcome> {
  return withSession(async (client) => {
    const params = { export: name }
    const found = await client.exports.show({ params })
    if (!isOn(options, 'yes')) {
      const what = 'Its ledger goes with it: what it delivered is then no longer known'
      if (!terminal.isInteractive) throw wrong('--yes', what, 'Say --yes to do it')
      terminal.note(what)
      if (!/^y(?:es)?$/i.test((await terminal.ask(`Remove the export "${found.name}"? [yes/no] `)).trim()))
        return EXIT.failed
    }
    await client.exports.remove({ params })
    terminal.answer({ removed: found.name }, () => `Removed the export ${found.name}`)
    return undefined
  })
}

function exportsText(exports: readonly ListedExport[]): string {
  if (exports.length === 0) return 'There is no export yet. See: patchbay export add --help'
  return textTable(
    [
      'export',
      'connector',
      'connection',
      'kind',
      'status',
      'last run',
      'delivered',
      'rejected',
      'schedule',
      'next',
      'may',
      'by',
    ],
    exports.map((item) => [
      item.name,
      item.connectorId,
      item.connectionName ?? 'No connection',
      item.kind,
      item.lastRun?.status ?? 'never run',
      item.lastRun?.createdAt,
      item.lastRun?.delivered,
      item.lastRun?.rejected,
      item.schedule === null ? '' : describeSchedule(item.schedule),
      item.nextAt,
      item.yourPermissions,
      item.updatedBy,
    ]),
  )
}

function exportText(found: Export): string {
  const { source, format } = found
  const what =
    source.kind === 'segment'
      ? source.segments.length === 0
        ? 'every row of the profile table'
        : `members of ${source.segments.join(', ')}`
      : source.tables.map(({ table, to }) => (to === undefined ? table : `${table} as ${to}`)).join(', ')
  const fields = source.kind === 'segment' ? source.fields : source.tables.flatMap((table) => table.fields ?? [])
  const facts = textPairs([
    ['export', found.name],
    ['id', found.id],
    ['sends', what],
    ['over', found.connectionName ?? 'No connection'],
    ['connector', found.connectorId],
    ['destination', found.destinationType],
    ...Object.entries(found.destination).map(([name, value]): [string, string] => [`  ${name}`, String(value)]),
    ['mode', found.mode],
    ['format', `${format.type}${format.gzip ? ', gzip' : ''}`],
    ['same identifiers', found.merge.by === 'newest' ? `the newest by ${found.merge.field}` : 'the smallest key'],
    ['held above', `${found.guard.removedShareMax * 100} % and ${found.guard.removedRowsMin} rows removed`],
    ['schedule', found.schedule === null ? 'none' : describeSchedule(found.schedule)],
    ['next', found.nextAt],
    ['paused', found.pausedReason],
  ])
  if (fields.length === 0) return facts
  const mapping = textTable(
    ['to', 'from', 'transforms', 'identifier'],
    fields.map((field) => [field.to, field.from, field.transforms.join(', '), field.identifier]),
  )
  return `${facts}\n\n${mapping}`
}
