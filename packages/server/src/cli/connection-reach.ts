/** Who may use a connection, taking one away, and putting it back. Each says first what would become of the exports on it. */
import type { Connection } from '@patchbay/contract'
import type { Options, Outcome, Run } from './command.ts'
import { EXIT } from './exit-code.ts'
import { isOn, text, texts, wrong } from './given.ts'
import { printable } from './printable.ts'
import { textTable } from './text-table.ts'

export async function removeConnection(run: Run, [name = '']: readonly string[], options: Options): Promise<Outcome> {
  const { terminal, withSession } = run
  return withSession(async (client) => {
    const params = { connection: name }
    const { exports, runsGoingOn, token } = await client.connections.dependents({ params })
    const withExports = isOn(options, 'withExports')
    if (!isOn(options, 'yes') && exports.length > 0) {
      const would = withExports ? 'removed with it' : 'detached'
      if (!terminal.isInteractive)
        throw wrong(
          '--yes',
          `${exports.length} exports use this connection and would be ${would}`,
          'Say --yes to do it',
        )
      const names = exports.map((item) => printable(item.name)).join(', ')
      terminal.note(
        withExports
          ? `These exports are removed with their history, for ever: ${names}`
          : `These exports keep everything and will not run: ${names}`,
      )
      if (runsGoingOn > 0) terminal.note(`${runsGoingOn} runs of them go on, and will stop`)
      if (!/^y(?:es)?$/i.test((await terminal.ask('Remove the connection? [yes/no] ')).trim())) return EXIT.failed
    }
    const removeExports = withExports ? exports.map(({ id }) => id) : []
    const removed = await client.connections.remove({ params, body: { confirmed: token, removeExports } })
    terminal.answer(
      { connection: name, ...removed },
      () =>
        `Removed the connection ${name}; ${removed.detached.length} exports were detached, ${removed.removed.length} removed.\n` +
        `It can be put back until ${removed.restorableUntil}, without its secrets: patchbay connection restore`,
    )
    return undefined
  })
}

export async function restoreConnection(run: Run, [reference]: readonly string[], options: Options): Promise<Outcome> {
  const { terminal, withSession } = run
  return withSession(async (client) => {
    const { items } = await client.connections.removed()
    if (reference === undefined) {
      const rows = items.map((item) => [item.name, item.connectorId, item.removedAt, item.detached.length, item.id])
      terminal.answer({ items }, () =>
        items.length === 0
          ? 'There is no removed connection that could be put back.'
          : textTable(['connection', 'connector', 'removed', 'exports', 'id'], rows),
      )
      return undefined
    }
    const found = items.find((item) => item.id === reference || item.name.toLowerCase() === reference.toLowerCase())
    if (found === undefined)
      throw wrong('restore', `There is no removed connection "${reference}"`, 'See: patchbay connection restore')
    const name = text(options, 'name')
    const body = name === undefined ? {} : { name }
    const restored = await client.connections.restore({ params: { connection: found.id }, body })
    terminal.answer(
      restored,
      () =>
        `Put the connection ${restored.connection.name} back; ${restored.attached.length} exports are on it again.` +
        (restored.secretsNeeded.length === 0
          ? ''
          : `\nIts secrets are gone. Enter them: patchbay connection edit "${restored.connection.name}"`),
    )
    return undefined
  })
}

export async function shareConnection(run: Run, [name = '']: readonly string[], options: Options): Promise<Outcome> {
  const { terminal, withSession } = run
  return withSession(async (client) => {
    const before = await client.connections.show({ params: { connection: name } })
    const params = { connection: before.id }
    const sharing = sharingOf(options)
    const { losingEditors } = await client.connections.effect({ params, body: { sharing } })
    if (losingEditors.length > 0 && !isOn(options, 'yes')) {
      const stopping = losingEditors.filter(({ stops }) => stops).length
      const said =
        `${losingEditors.length} exports stay, and Contributors could not edit them any more` +
        (stopping === 0 ? '' : `; ${stopping} of them belong to Contributors and would not run any more`)
      if (!terminal.isInteractive) throw wrong('--yes', said, 'Say --yes to do it')
      terminal.note(`${said}: ${losingEditors.map((item) => printable(item.name)).join(', ')}`)
      if (!/^y(?:es)?$/i.test((await terminal.ask('Share it like that? [yes/no] ')).trim())) return EXIT.failed
    }
    const shared = await client.connections.edit({ params, revision: before.revision, body: { sharing } })
    terminal.answer({ ...shared, losingEditors }, () => `${shared.name} may be used by ${sharingText(shared.sharing)}`)
    return undefined
  })
}

function sharingOf(options: Options): Connection['sharing'] {
  const users = texts(options, 'with')
  const [first] = users
  if (first === undefined)
    throw wrong('--with', 'It is not said with whom', 'Say administrators, contributors, or ids of users')
  if (users.length === 1 && (first === 'administrators' || first === 'contributors')) return { with: first }
  return { with: 'named', users: [...users] }
}

export function sharingText(sharing: Connection['sharing']): string {
  switch (sharing.with) {
    case 'administrators':
      return 'Administrators'
    case 'contributors':
      return 'Administrators and Contributors'
    case 'named':
      return `${sharing.users.length} named`
  }
}
