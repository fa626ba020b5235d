/** Builds what a connector gets to touch: see `Context` in the SDK. */
import {
  SettingsInvalid,
  type Connector,
  type Context,
  type Fields,
  type Secret,
  type Values,
} from '@patchbay/connector-sdk'
import { parseFieldValues, shownSecrets, type FieldValues } from '../domain/field-values.ts'
import { openSocket } from './egress.ts'
import { makeFetch } from './fetch.ts'
import { openFolder } from './folder.ts'
import { makeSettingsHider } from './hide-settings.ts'
import type { ConnectorHost } from './host.ts'
import { makeLog } from './log.ts'
import type { GrantPort } from './oauth/grant.ts'
import { tokensOf } from './oauth/tokens-of.ts'
import { makeGrowingRedactor, type Redactor } from './redact.ts'
import { makeSecret } from './secret.ts'
import { makeSignIn, type TokenSource } from './sign-in.ts'

/** One connection, as the store and the vault know it. */
export interface ConnectionAccess {
  /** Pauses and rates are kept by it. For Verify before the first save, any id that no connection has. */
  readonly connectionId: string
  readonly settings: FieldValues
  /** Opens one sealed secret; undefined where none is stored. What it throws is passed on. */
  readonly readSecret: (field: string) => Promise<string | undefined>
  /** The sign-in as somebody; a connection that was not saved yet has none. */
  readonly grants?: GrantPort
}

export interface HostedContext {
  readonly context: Context
  readonly redactor: Redactor
  /** Ends its kept-alive sockets. Forgetting it costs two seconds of an idle socket. */
  readonly close: () => Promise<void>
}

export async function makeContext(
  host: ConnectorHost,
  connector: Connector,
  connection: ConnectionAccess,
  signal: AbortSignal,
  /** Verify speaks to Administrators; everybody who may see a run reads what is said of it. */
  audience: 'administrators' | 'everybody',
  /** In place of what is stored: the token of a sign-in that is just going on. */
  given?: TokenSource,
): Promise<HostedContext> {
  const { settings, values, secrets } = await openSettings(connector, connection)
  const plain = makeGrowingRedactor(Object.values(secrets))
  const redactor =
    audience === 'administrators'
      ? plain
      : makeGrowingRedactor(Object.values(secrets), makeSettingsHider(connector.settings, values))
  const hide = (secret: string): void => {
    plain.add(secret)
    redactor.add(secret)
  }
  const tokens = given ?? (await tokensOf(host, connector, connection, { settings, hide, signal }))
  const { pacer, requestsInFlight } = host.pacerOf(connector, connection.connectionId)
  const { fetch, close } = makeFetch({
    rules: host.rules,
    signIn: makeSignIn(connector, settings, tokens),
    pacer,
    requestsInFlight,
    signal,
    now: host.now,
    idleMs: host.timeouts.idleMs,
    totalMs: host.timeouts.requestMs,
    failpoint: host.failpoint,
  })
  const names = { connector: connector.id, connection: connection.connectionId }
  const context: Context = {
    settings,
    account: tokens.account,
    fetch,
    connect: ({ host: name, port }) => openSocket({ host: name, port, signal }, host.rules),
    folder: (path) => openFolder(path, { roots: host.fileRoots, spoolFolder: host.spoolFolder, signal }),
    now: host.now,
    signal,
    log: makeLog(host.log, names, plain),
  }
  return { context, redactor, close }
}

/** The settings as a connector sees them, with the secrets that they show. */
export async function openSettings(
  connector: Connector,
  connection: ConnectionAccess,
): Promise<{
  readonly settings: Values<Fields>
  readonly values: FieldValues
  readonly secrets: Readonly<Record<string, string>>
}> {
  // Parsed again at each use: a connector may have been upgraded, and a row in the store may have been edited.
  const values = checkedValues(connector, connection.settings)
  const secrets = await readSecrets(connector.settings, values, connection)
  const hidden = Object.entries(secrets).map(([name, text]): [string, Secret] => [name, makeSecret(text)])
  return { settings: { ...values, ...Object.fromEntries(hidden) }, values, secrets }
}

function checkedValues(connector: Connector, settings: FieldValues): FieldValues {
  const { values, problems } = parseFieldValues(connector.settings, settings)
  const [first] = problems
  if (first !== undefined) throw new SettingsInvalid(first.field, first.message)
  return values
}

async function readSecrets(
  fields: Fields,
  values: FieldValues,
  { readSecret }: ConnectionAccess,
): Promise<Readonly<Record<string, string>>> {
  const secrets: Record<string, string> = {}
  for (const name of shownSecrets(fields, values)) {
    const secret = await readSecret(name)
    if (secret !== undefined && secret !== '') secrets[name] = secret
    else if (fields[name]?.optional !== true)
      throw new SettingsInvalid(name, `${fields[name]?.label ?? name}: no secret is stored; enter it`)
  }
  return secrets
}
