import type { PersonPlace } from '@patchbay/contract'
import type { Command } from 'commander'
import { action, type Options, type Outcome, type Run } from './command.ts'
import { EXIT } from './exit-code.ts'
import { isOn, text, wrong } from './given.ts'
import { textTable } from './text-table.ts'

export function addPersonCommands(program: Command): void {
  const person = program.command('person').description("Where a person's data is, and erasing them")

  tableOption(person.command('show <value>'))
    .description("Say which destinations have accepted a person: by the table's key, or by a field of it")
    .option('--by <field>', 'the field that has this value, such as the e-mail address; the key otherwise')
    .action(
      action(({ terminal, withSession }, [value = ''], options) =>
        withSession(async (client) => {
          const field = text(options, 'by')
          const who = field === undefined ? { key: value } : { field, value }
          const found = await client.persons.find({ body: { ...tableOf(options), who } })
          terminal.answer(found, () =>
            [
              found.items.length === 0 ? 'No destination that is known has accepted them' : placesText(found.items),
              ...(found.erased ? ['They are erased: no run sends them'] : []),
              ...(found.removedExports.length === 0
                ? []
                : [
                    `Not known any more is what these exports sent, which were removed: ${found.removedExports
                      .map(({ name }) => name)
                      .join(', ')}`,
                  ]),
            ].join('\n\n'),
          )
          return undefined
        }),
      ),
    )

  tableOption(person.command('erase <key>'))
    .description('Send a person no more, and have them taken out where that can be done')
    .option('--yes', 'do not ask')
    .action(action(erase))

  tableOption(person.command('unerase <key>'))
    .description('Take an erasure back')
    .action(
      action(({ terminal, withSession }, [key = ''], options) =>
        withSession(async (client) => {
          await client.persons.unerase({ body: { ...tableOf(options), key } })
          terminal.answer({ unerased: true }, () => 'They are sent again where an export selects them')
          return undefined
        }),
      ),
    )
}

async function erase(run: Run, [key = '']: readonly string[], options: Options): Promise<Outcome> {
  const { terminal, withSession } = run
  if (!isOn(options, 'yes')) {
    const what = 'No run that begins from now on sends them, and exports that remove take them out'
    if (!terminal.isInteractive) throw wrong('--yes', what, 'Say --yes to do it')
    terminal.note(what)
    if (!/^y(?:es)?$/i.test((await terminal.ask('Erase this person? [yes/no] ')).trim())) return EXIT.failed
  }
  return withSession(async (client) => {
    const done = await client.persons.erase({ body: { ...tableOf(options), key } })
    terminal.answer(done, () =>
      done.items.length === 0
        ? 'Erased. No destination that is known has accepted them'
        : `Erased.\n${textTable(
            ['export', 'taken out', 'what to do'],
            done.items.map((item) => [item.place.export.name, item.removal, item.cure]),
          )}`,
    )
    return undefined
  })
}

function tableOption(command: Command): Command {
  return command.option('--table <table>', 'the profile table otherwise')
}

function tableOf(options: Options) {
  const table = text(options, 'table')
  return table === undefined ? {} : { table }
}

function placesText(places: readonly PersonPlace[]): string {
  return textTable(
    ['export', 'connection', 'connector', 'where', 'since', 'state', 'fields'],
    places.map((place) => [
      place.export.name,
      place.connection?.name ?? 'No connection',
      place.connectorId,
      Object.values(place.destination).join(' '),
      place.since,
      place.state,
      place.fields.map(({ to, hashed }) => (hashed ? `${to} (hashed)` : to)).join(', '),
    ]),
  )
}
