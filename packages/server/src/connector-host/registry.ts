import { definitionProblems, type Connector } from '@patchbay/connector-sdk'

/** Every connector of this program, in the order of Discover. */
export interface Registry {
  readonly connectors: readonly Connector[]
  /** Undefined for an id that no connector has (any more): the connection stays, and says so. */
  findConnector(id: string): Connector | undefined
}

/** Throws, and so keeps the program from starting, when a connector's definition contradicts itself; names every problem. */
export function makeRegistry(connectors: readonly Connector[]): Registry {
  const byId = new Map(connectors.map((connector) => [connector.id, connector]))
  const problems = connectors.flatMap((connector) =>
    definitionProblems(connector).map(({ rule, problem }) => `${connector.id}: ${problem} (${rule})`),
  )
  if (byId.size < connectors.length) problems.push('two connectors have the same id')
  if (problems.length > 0) throw new TypeError(`The connectors cannot be used:\n${problems.join('\n')}`)
  return { connectors, findConnector: (id) => byId.get(id) }
}
