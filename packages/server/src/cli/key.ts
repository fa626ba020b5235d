import { setTimeout as sleep } from 'node:timers/promises'
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
    .command('rotate')
    .description('Make a new key file, and seal every secret anew while the server goes on')
    .option('--status', 'only say how far it is')
    .option('--finish', 'the old key file opens nothing any more; every machine must have the new one')
    .action(
      action(({ terminal, withSession, interrupt }, _names, options) =>
        withSession(async (client) => {
          const made = isOn(options, 'status') || isOn(options, 'finish') ? undefined : await client.system.rotateKey()
          if (isOn(options, 'finish')) await client.system.finishKeyRotation()
          let now = await client.system.keyRotation()
          // Without a server this very process seals anew: it waits for the end.
          while (now.isRunning && !isOn(options, 'status')) {
            await sleep(200, undefined, { signal: interrupt.signal })
            now = await client.system.keyRotation()
          }
          terminal.answer({ ...now, ...(made === undefined ? {} : { oldKeyFile: made.oldKeyFile }) }, () =>
            rotationText(now, made?.oldKeyFile),
          )
          return undefined
        }),
      ),
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

function rotationText(
  now: {
    readonly waiting: number
    readonly unopened: number
    readonly isRunning: boolean
    readonly isUnsettled: boolean
  },
  oldKeyFile: string | undefined,
): string {
  const lines = [
    ...(oldKeyFile === undefined
      ? []
      : [
          'A new key file is in place: keep a copy of it elsewhere.',
          `The old one is ${oldKeyFile}: backups of before open with it alone. Take it away when you need them no more.`,
        ]),
    now.waiting === 0
      ? 'Every secret is sealed under the new key'
      : `${now.waiting} secrets are still sealed under an earlier key${now.isRunning ? ', and it goes on' : ''}`,
    ...(now.unopened === 0
      ? []
      : [`${now.unopened} do not open, since they were moved or changed in the database: enter them again`]),
    ...(now.isUnsettled
      ? ['The old key file opens the store still. When every machine has the new one: patchbay key rotate --finish']
      : []),
  ]
  return lines.join('\n')
}
