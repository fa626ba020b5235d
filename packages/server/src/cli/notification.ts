import type { Command } from 'commander'
import { action } from './command.ts'
import { isOn } from './given.ts'
import { textTable } from './text-table.ts'

export function addNotificationCommands(program: Command): void {
  const notification = program.command('notification').description('What you are told of, once for each cause')

  notification
    .command('list')
    .description('List notifications, the newest first')
    .option('--unread', 'only those that you have not read')
    .option('--mark-read', 'mark those that are shown as read')
    .action(
      action(({ terminal, withSession }, _names, options) =>
        withSession(async (client) => {
          const { items, unread } = await client.notifications.list({
            query: { unread: isOn(options, 'unread') ? 'yes' : 'no' },
          })
          if (isOn(options, 'markRead') && items.length > 0)
            await client.notifications.read({ body: { notifications: items.map(({ id }) => id) } })
          terminal.answer({ items, unread }, () =>
            items.length === 0
              ? 'There is nothing to tell.'
              : textTable(
                  ['at', 'what', '', 'detail'],
                  items.map((item) => [item.at, item.title, item.isRead ? '' : 'unread', item.detail]),
                ),
          )
          return undefined
        }),
      ),
    )
}
