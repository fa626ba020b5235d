import { ROLES, type Client, type Role, type User } from '@patchbay/contract'
import { Option, type Command } from 'commander'
import { Problem } from '../domain/problem.ts'
import { action } from './command.ts'
import { text } from './given.ts'
import { textTable } from './text-table.ts'

export function addUserCommands(program: Command): void {
  const user = program.command('user').description('Who may sign in')
  const roles = (): Option => new Option('--role <role>', 'what they may do').choices([...ROLES]).makeOptionMandatory()

  user
    .command('list')
    .description('List the users')
    .action(
      action(({ terminal, withSession }) =>
        withSession(async (client) => {
          const { items } = await client.users.list()
          terminal.answer({ items }, () =>
            items.length === 0
              ? 'There is no user yet: patchbay serve prints the link that makes the owner'
              : textTable(
                  ['name', 'e-mail', 'role', 'last sign-in', 'id'],
                  items.map((one) => [one.name, one.email, shownRole(one), one.lastSignInAt, one.id]),
                ),
          )
          return undefined
        }),
      ),
    )

  user
    .command('invite <email>')
    .description('Invite somebody. The link is shown once, on stdout: hand it to them')
    .addOption(roles())
    .action(
      action(({ terminal, withSession }, [email = ''], options) =>
        withSession(async (client) => {
          const made = await client.invitations.add({ body: { email, role: text(options, 'role') as Role } })
          terminal.answer(made, () => made.link)
          if (!terminal.isJson) terminal.note(`Good once, until ${made.invitation.expiresAt}. It is not shown again.`)
          return undefined
        }),
      ),
    )

  user
    .command('role <user>')
    .description("Change a user's role, by e-mail or id; it holds from their next request")
    .addOption(roles())
    .action(
      action(({ terminal, withSession }, [reference = ''], options) =>
        withSession(async (client) => {
          const { id } = await findUser(client, reference)
          const changed = await client.users.changeRole({
            params: { user: id },
            body: { role: text(options, 'role') as Role },
          })
          terminal.answer(changed, () => `${changed.name} is ${changed.role} now, and has to sign in again`)
          return undefined
        }),
      ),
    )

  user
    .command('remove <user>')
    .description('Remove a user, by e-mail or id; what was theirs passes to the owner')
    .action(
      action(({ terminal, withSession }, [reference = '']) =>
        withSession(async (client) => {
          const { id, name } = await findUser(client, reference)
          const removed = await client.users.remove({ params: { user: id } })
          const passed = [...removed.exports, ...removed.apiKeys].map((one) => one.name)
          terminal.answer({ removed: id, ...removed }, () =>
            passed.length === 0
              ? `Removed ${name}`
              : `Removed ${name}. To ${removed.passedTo ?? 'the operator'} passed: ${passed.join(', ')}`,
          )
          return undefined
        }),
      ),
    )

  user
    .command('password <user>')
    .description('Make a link with which a user sets a new password, by e-mail or id. Shown once, on stdout')
    .action(
      action(({ terminal, withSession }, [reference = '']) =>
        withSession(async (client) => {
          const { id } = await findUser(client, reference)
          const made = await client.users.makePasswordLink({ params: { user: id } })
          terminal.answer(made, () => made.link)
          return undefined
        }),
      ),
    )
}

async function findUser(client: Client, reference: string): Promise<User> {
  const { items } = await client.users.list()
  const found = items.find(({ id, email }) => id === reference || email === reference.toLowerCase())
  if (found !== undefined) return found
  throw new Problem('not-found', `There is no user "${reference}"`, { cure: 'Look for them with "patchbay user list"' })
}

function shownRole({ role, isOwner }: User): string {
  return isOwner ? `${role}, owner` : role
}
