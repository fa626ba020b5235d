/** What is done with exports beside making and running one: connections, several at once, and what a service is asked. */
import type { Client } from '@patchbay/contract'
import { Option, type Command } from 'commander'
import { action, type Options, type Outcome, type Run } from './command.ts'
import { EXIT } from './exit-code.ts'
import { collect, isOn, pairs, readJsonFile, text, texts, wrong } from './given.ts'
import { numberText, textPairs, textTable } from './text-table.ts'

export function addExportActCommands(group: Command): void {
  group
    .command('attach <export> <connection>')
    .description('Give an export another connection of the same connector: it is active, with all it had')
    .action(
      action(({ terminal, withSession }, [name = '', connection = '']) =>
        withSession(async (client) => {
          const found = await client.exports.attach({ params: { export: name }, body: { connection } })
          terminal.answer(found, () => `${found.name} is on ${found.connectionName ?? ''}`)
          return undefined
        }),
      ),
    )

  group
    .command('detach <export>')
    .description('Take the connection of an export away: it keeps everything and does not run')
    .action(
      action(({ terminal, withSession }, [name = '']) =>
        withSession(async (client) => {
          const found = await client.exports.detach({ params: { export: name } })
          terminal.answer(found, () => `${found.name} has no connection, and does not run`)
          return undefined
        }),
      ),
    )

  group
    .command('run-many <exports...>')
    .description('Start a run of each of several exports, and leave them to the server')
    .action(
      action((run, names) =>
        run.withSession(async (client) => {
          const { items } = await client.exports.runMany({ body: { exports: [...names] } })
          return told(run, items)
        }),
      ),
    )

  group
    .command('run-all')
    .description('Start a run of every export that is active and has its schedule on')
    .action(
      action((run) =>
        run.withSession(async (client) => {
          const items: Started = []
          let cursor: string | undefined
          do {
            const page = await client.exports.runAll({ body: cursor === undefined ? {} : { cursor } })
            items.push(...page.items)
            cursor = page.next ?? undefined
          } while (cursor !== undefined)
          return told(run, items)
        }),
      ),
    )

  group
    .command('schedule-many <exports...>')
    .description('Turn the schedule that each of several exports has on or off, or define one for all')
    .addOption(new Option('--turn <state>', 'each keeps its own').choices(['on', 'off']))
    .option('--none', 'take the schedules away')
    .option('--file <file>', 'one schedule for all, as JSON; - for stdin')
    .action(action(scheduleMany))

  serviceOptions(group.command('lookup <connection> <field>'))
    .description("Ask the service for its own choices of a destination's field, as its lists")
    .option('--search <text>', 'what it is called, or a part of it')
    .action(
      action((run, [connection = '', field = ''], options) =>
        run.withSession(async (client) => {
          const search = text(options, 'search') ?? ''
          const body = { ...placeOf(connection, options), field, search }
          const found = await client.exports.lookup({ body, signal: run.interrupt.signal })
          run.terminal.answer(found, () =>
            found.items.length === 0
              ? 'The service has none'
              : textTable(
                  ['value', 'name', 'what it is'],
                  found.items.map((item) => [item.value, item.label, item.help]),
                ),
          )
          if (found.isMore && !run.terminal.isJson) run.terminal.note('\nThere are more: --search')
          return undefined
        }),
      ),
    )

  serviceOptions(group.command('fields <connection>'))
    .description('Ask the service for its fields, with a guess for each which field of the table is meant')
    .option('--table <table>', 'whose fields are matched; the profile table otherwise')
    .action(
      action((run, [connection = ''], options) =>
        run.withSession(async (client) => {
          const table = text(options, 'table')
          const body = { ...placeOf(connection, options), ...(table === undefined ? {} : { table }) }
          const found = await client.exports.targetFields({ body, signal: run.interrupt.signal })
          run.terminal.answer(found, () =>
            found.anyName
              ? 'Any name goes: map fields as you like'
              : textTable(
                  ['to', 'name', 'type', 'must', 'from', 'guess', 'because'],
                  found.items.map((item) => [
                    ...[item.name, item.label, item.type, item.required],
                    ...[item.match?.from, item.match?.confidence, item.match?.because],
                  ]),
                ),
          )
          return undefined
        }),
      ),
    )

  group
    .command('count [segments...]')
    .description('Count who is in these segments now, each and together')
    .option('--connector <connector>', 'warn above and below the limits of this service')
    .option('--type <type>', 'which destination of it')
    .action(
      action((run, segments, options) =>
        run.withSession(async (client) => {
          const [connector, type] = [text(options, 'connector'), text(options, 'type')]
          const counted = await client.exports.count({
            body: {
              segments: segments.filter((name) => name !== undefined),
              ...(connector === undefined ? {} : { connector }),
              ...(type === undefined ? {} : { destinationType: type }),
            },
          })
          run.terminal.answer(counted, () =>
            textPairs([
              ...counted.each.map(({ segment, members }): [string, number] => [segment, members]),
              ['together', `${numberText(counted.members)} of ${numberText(counted.of)}`],
              ...(counted.warning === null ? [] : [['warning', counted.warning] as [string, string]]),
            ]),
          )
          return undefined
        }),
      ),
    )
}

type Started = Awaited<ReturnType<Client['exports']['runMany']>>['items']

function told({ terminal }: Run, items: Started): Outcome {
  terminal.answer({ items }, () =>
    items.length === 0
      ? 'There is none to run'
      : textTable(
          ['export', 'run', 'not done because'],
          items.map((item) => [item.name ?? item.export, item.run?.id, item.problem?.detail]),
        ),
  )
  return items.some(({ problem }) => problem !== null) ? EXIT.failed : undefined
}

async function scheduleMany(
  { terminal, withSession }: Run,
  names: readonly string[],
  options: Options,
): Promise<Outcome> {
  const [turn, file] = [text(options, 'turn'), text(options, 'file')]
  const change = isOn(options, 'none')
    ? { to: 'none' }
    : file !== undefined
      ? { to: 'this', schedule: await readJsonFile(file, '--file', terminal) }
      : turn !== undefined
        ? { to: turn }
        : undefined
  if (change === undefined)
    throw wrong('--turn', 'It is not said what becomes of the schedules', 'Say --turn on, --turn off, --none or --file')
  return withSession(async (client) => {
    const body = { exports: [...names], change } as Parameters<typeof client.exports.scheduleMany>[0]['body']
    const { items } = await client.exports.scheduleMany({ body })
    terminal.answer({ items }, () =>
      textTable(
        ['export', 'on', 'next', 'not done because'],
        items.map((item) => [item.name ?? item.export, item.schedule?.on, item.nextAt, item.problem?.detail]),
      ),
    )
    return items.some(({ problem }) => problem !== null) ? EXIT.failed : undefined
  })
}

function serviceOptions(command: Command): Command {
  return command
    .option('--type <type>', 'which destination, where the connector has several')
    .option('--set <name=value>', 'what is chosen so far', collect)
}

function placeOf(connection: string, options: Options) {
  const type = text(options, 'type')
  const destination = Object.fromEntries(pairs(texts(options, 'set'), '--set'))
  return { connection, destination, ...(type === undefined ? {} : { destinationType: type }) }
}
