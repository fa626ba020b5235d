import type { Connector, ConnectorField } from '@patchbay/contract'
import type { Command } from 'commander'
import { action } from './command.ts'
import { makeConnectorFolder } from './new-connector.ts'
import { textPairs, textTable } from './text-table.ts'

export function addConnectorCommands(program: Command): void {
  const connector = program.command('connector').description('Connectors: the services that exports can go to')

  connector
    .command('list')
    .description('List the connectors')
    .action(
      action(({ terminal, withSession }) =>
        withSession(async (client) => {
          const { items } = await client.connectors.list()
          terminal.answer({ items }, () =>
            textTable(
              ['connector', 'name', 'category', 'delivers', 'what it does'],
              items.map((item) => [
                item.id,
                item.name,
                item.category,
                [...new Set(item.destinations.map(({ delivers }) => delivers))].join(', '),
                item.summary,
              ]),
            ),
          )
          return undefined
        }),
      ),
    )

  connector
    .command('show <connector>')
    .description('Show what a connection of this connector and an export over it are made of')
    .action(
      action(({ terminal, withSession }, [id = '']) =>
        withSession(async (client) => {
          const found = await client.connectors.show({ params: { connector: id } })
          terminal.answer(found, () => connectorText(found))
          return undefined
        }),
      ),
    )

  connector
    .command('new <id>')
    .description('Make the folder of a new connector, in the source of Patchbay; its test fails until it is filled')
    .action(
      action(async ({ terminal }, [id = '']) => {
        const made = await makeConnectorFolder(id)
        terminal.answer(made, () => `Made ${made.folder} with ${made.files.join(', ')}.\n${made.next}`)
        return undefined
      }),
    )
}

function connectorText(connector: Connector): string {
  return [
    textPairs([
      ['connector', connector.id],
      ['name', connector.name],
      ['what it does', connector.summary],
    ]),
    `A connection is made of (--set name=value, secrets apart):\n${fieldsText(connector.settings)}`,
    ...connector.destinations.map((destination) =>
      [
        `Destination "${destination.type}" (${destination.name}), modes ${destination.modes.join(', ')}`,
        destination.removal,
        ...(destination.fields.length === 0 ? [] : [fieldsText(destination.fields)]),
      ].join('\n'),
    ),
  ].join('\n\n')
}

function fieldsText(fields: readonly ConnectorField[]): string {
  return textTable(
    ['name', 'kind', 'needed', 'default', 'label'],
    fields.map((field) => [
      field.name,
      field.kind === 'choice' ? field.choices.map(({ value }) => value).join(' | ') : field.kind,
      isNeeded(field),
      'default' in field ? String(field.default) : '',
      field.label,
    ]),
  )
}

function isNeeded(field: ConnectorField): string {
  if (field.kind === 'pin') return 'by check'
  if (field.optional || 'default' in field || field.kind === 'switch') return 'no'
  return field.showWhen === undefined ? 'yes' : `when ${field.showWhen.field} is ${String(field.showWhen.is)}`
}
