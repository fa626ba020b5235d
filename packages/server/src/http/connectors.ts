import type { ConnectorField, contract } from '@patchbay/contract'
import { signInWays } from '../connector-host/sign-in-ways.ts'
import { Problem } from '../domain/problem.ts'
import type { Connector, Field, Fields } from './connector-types.ts'
import type { Handlers } from './handler.ts'
import type { HttpPorts } from './ports.ts'

export function makeConnectorHandlers({ registry }: HttpPorts): Handlers<typeof contract.connectors> {
  return {
    list: () => Promise.resolve({ items: registry.connectors.map(connectorOf) }),
    show({ params }) {
      const connector = registry.findConnector(params.connector)
      if (connector !== undefined) return Promise.resolve(connectorOf(connector))
      throw new Problem('not-found', `There is no connector "${params.connector}"`, {
        cure: `Choose one of ${registry.connectors.map(({ id }) => id).join(', ')}`,
      })
    },
  }
}

function connectorOf(connector: Connector) {
  const { id, name, summary, category, direction, auth } = connector
  return {
    id,
    name,
    summary,
    category,
    direction,
    auth: auth.type,
    signIns: signInWays(connector),
    settings: fieldsOf(connector.settings),
    destinations: Object.entries(connector.destinations).map(([type, destination]) => ({
      type,
      name: destination.name,
      delivers: destination.delivers,
      modes: [...destination.modes],
      fields: fieldsOf(destination.fields),
      removal: destination.removal,
    })),
  }
}

function fieldsOf(fields: Fields): ConnectorField[] {
  return Object.entries(fields).map(([name, field]) => fieldOf(name, field))
}

function fieldOf(name: string, { optional, endpoint, ...field }: Field): ConnectorField {
  const base = { name, optional: optional ?? false, endpoint: endpoint ?? false }
  switch (field.kind) {
    case 'secret':
      return { ...field, ...base, multiline: field.multiline ?? false }
    case 'choice':
      return { ...field, ...base, choices: [...field.choices] }
    case 'lookup': {
      const { dependsOn, ...rest } = field
      return { ...rest, ...base, ...(dependsOn === undefined ? {} : { dependsOn: [...dependsOn] }) }
    }
    case 'text':
    case 'number':
    case 'switch':
    case 'pin':
      return { ...field, ...base }
  }
}
