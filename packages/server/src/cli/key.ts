import { ROLES, type Role } from '@patchbay/contract'
import { Option, type Command } from 'commander'
import { action } from './command.ts'
import { isOn, text, wholeNumber } from './given.ts'
import { textTable } from './text-table.ts'

export function addKeyCommands(program: Command): void {
  const key = program.command('key').description('API keys, by which other programs use the API over the network')

  key
    .command('add <name>')
    .description('Make an API key. It is shown once, on stdout')
    .addOption(new Option('--role <role>', 'what it may do').choices([...ROLES]).makeOptionMandatory())
    .option('--expires-in-days <days>', 'when it ends', '365')
    .option('--never-expires', 'it does not end by itself')
    .action(
      action(({ terminal, withSession }, [name = ''], options) => {
        const days = wholeNumber(text(options, 'expiresInDays'), '--expires-in-days') ?? 365
        const expiresInDays = isOn(options, 'neverExpires') ? null : days
        return withSession(async (client) => {
          const made = await client.keys.add({ body: { name, role: text(options, 'role') as Role, expiresInDays } })
          terminal.answer(made, () => made.key)
          if (!terminal.isJson)
            terminal.note(
              `This key is for "${made.apiKey.name}" (${made.apiKey.role}), until ${made.apiKey.expiresAt ?? 'it is removed'}. ` +
                'It is not shown again.',
            )
          return undefined
        })
      }),
    )

  key
    .command('list')
    .description('List the API keys, without the keys themselves')
    .action(
      action(({ terminal, withSession }) =>
        withSession(async (client) => {
          const { items } = await client.keys.list()
          terminal.answer({ items }, () =>
            items.length === 0
              ? 'There is no API key'
              : textTable(
                  ['name', 'role', 'created', 'expires', 'last used', 'id'],
                  items.map((item) => [item.name, item.role, item.createdAt, item.expiresAt, item.lastUsedAt, item.id]),
                ),
          )
          return undefined
        }),
      ),
    )

  key
    .command('remove <id>')
    .description('Remove an API key: the next request with it is refused')
    .action(
      action(({ terminal, withSession }, [id = '']) =>
        withSession(async (client) => {
          await client.keys.remove({ params: { key: id } })
          terminal.answer({ removed: id }, () => `Removed the API key ${id}`)
          return undefined
        }),
      ),
    )
}
