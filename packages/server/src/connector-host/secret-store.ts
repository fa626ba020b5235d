/**
 * Secrets of a key vault, listed and read over its connection. What is said of a failure goes to everybody who may see a run,
 * so it names neither the vault's address nor the secret: who may know finds both with the connection.
 */
import { ConnectionRefused, ConnectorError, RateLimited, Unavailable, type Connector } from '@patchbay/connector-sdk'
import { cleanError } from './clean-error.ts'
import { makeContext, type ConnectionAccess, type HostedContext } from './context.ts'
import type { ConnectorHost } from './host.ts'

/** Somebody, or a run before its first row, waits for it. */
const READ_MS = 15_000

export async function readSecretOfVault(
  host: ConnectorHost,
  connector: Connector,
  access: ConnectionAccess,
  name: string,
  field: string,
): Promise<string> {
  const secret = await within(host, connector, access, field, async ({ context }) =>
    connector.secrets?.read(context, name),
  )
  if (secret !== undefined && secret !== '') return secret
  throw new ConnectionRefused('The key vault has no such secret any more: an Administrator must name another', {
    step: 'signed-in',
    field,
  })
}

export async function listSecretsOfVault(
  host: ConnectorHost,
  connector: Connector,
  access: ConnectionAccess,
  folder: string,
): Promise<readonly string[]> {
  return (
    (await within(host, connector, access, '', async ({ context }) => connector.secrets?.list(context, folder))) ?? []
  )
}

async function within<T>(
  host: ConnectorHost,
  connector: Connector,
  access: ConnectionAccess,
  field: string,
  work: (hosted: HostedContext) => Promise<T>,
): Promise<T> {
  const timeout = AbortSignal.timeout(READ_MS)
  let hosted: HostedContext | undefined
  try {
    hosted = await makeContext(host, connector, access, timeout, 'administrators')
    return await work(hosted)
  } catch (error) {
    if (timeout.aborted)
      throw new Unavailable('no', `The key vault did not answer within ${READ_MS / 1000} s`, { step: 'reached' })
    const cause = hosted === undefined ? error : cleanError(error, hosted.redactor)
    const named = { ...(field === '' ? {} : { field }), step: 'signed-in' as const, cause }
    if (error instanceof Unavailable || error instanceof RateLimited)
      throw new Unavailable('no', 'The key vault cannot be reached, or is sealed', { step: 'reached', cause })
    if (error instanceof ConnectorError)
      throw new ConnectionRefused('The key vault refused the sign-in, or the name of the secret', named)
    throw cause
  } finally {
    await hosted?.close()
  }
}
