/** The application that signs in: its id and secret, from the connection's own fields or from the operator's file. */
import { readFileSync, statSync } from 'node:fs'
import {
  SettingsInvalid,
  type ClientCredentialsAuth,
  type Connector,
  type Fields,
  type OAuth2Auth,
  type Values,
} from '@patchbay/connector-sdk'

export type TokenMethod = OAuth2Auth<Fields> | ClientCredentialsAuth<Fields>

export interface OAuthClient {
  readonly id: string
  readonly secret: string | undefined
}

/** By the connector's id. */
export type OperatorClients = ReadonlyMap<string, OAuthClient>

export function clientOf(
  connector: Connector,
  { client }: TokenMethod,
  settings: Values<Fields>,
  operatorClients: OperatorClients,
): OAuthClient {
  if (client === 'operator') {
    const found = operatorClients.get(connector.id)
    if (found !== undefined) return found
    throw new SettingsInvalid(
      '',
      `The operator has not registered Patchbay with ${connector.name} yet: its client goes into PATCHBAY_OAUTH_CLIENTS under "${connector.id}"`,
    )
  }
  const id: unknown = settings[client.id]
  const secret: unknown = client.secret === undefined ? undefined : settings[client.secret]
  if (typeof id !== 'string' || id === '') throw new SettingsInvalid(client.id, 'Enter the client id')
  return { id, secret: isSecret(secret) ? secret.reveal() : undefined }
}

function isSecret(value: unknown): value is { reveal(): string } {
  return typeof value === 'object' && value !== null && 'reveal' in value && typeof value.reveal === 'function'
}

/** Group and others. */
const FOREIGN_BITS = 0o077

/** `{ "hubspot": { "id": "…", "secret": "…" } }`, in a file that nobody else can read. Throws an error that names what is wrong. */
export function readOperatorClients(path: string, connectors: readonly Connector[]): OperatorClients {
  if (process.platform !== 'win32' && (statSync(path).mode & FOREIGN_BITS) !== 0)
    throw new TypeError('others on this machine can read the file: chmod 0400 it')
  const clients = new Map<string, OAuthClient>()
  for (const [connectorId, value] of Object.entries(readObject(path))) {
    if (!connectors.some(({ id }) => id === connectorId)) throw new TypeError(`there is no connector "${connectorId}"`)
    const given = asRecord(value)
    const { id, secret, ...rest } = given ?? {}
    const isGood =
      typeof id === 'string' && id !== '' && (secret === undefined || (typeof secret === 'string' && secret !== ''))
    if (!isGood || Object.keys(rest).length > 0)
      throw new TypeError(`"${connectorId}" must be { "id": "…", "secret": "…" }`)
    clients.set(connectorId, { id, secret })
  }
  return clients
}

function readObject(path: string): Readonly<Record<string, unknown>> {
  // The parser's own message would quote the file.
  const parse = (text: string): unknown => {
    try {
      return JSON.parse(text) as unknown
    } catch {
      return undefined
    }
  }
  const parsed = asRecord(parse(readFileSync(path, 'utf8')))
  if (parsed === undefined) throw new TypeError('the file is not a JSON object')
  return parsed
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : undefined
}
