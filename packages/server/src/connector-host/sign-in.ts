/** Puts the declared sign-in on requests to the connection's own origin, and on no others. */
import { ConnectionRefused, type Connector, type Fields, type Values } from '@patchbay/connector-sdk'
import { signInHeaders } from './outgoing-headers.ts'

export type SignIn = (url: URL) => Readonly<Record<string, string>>

export function makeSignIn(connector: Connector, settings: Values<Fields>): SignIn {
  const { auth } = connector
  if (auth.type === 'none') return () => ({})
  const origin = ownOrigin(connector, settings)
  return (url) => {
    if (url.origin !== origin) return {}
    if (auth.type === 'header') return signInHeaders(auth.headers(settings))
    const { user, password } = auth.credentials(settings)
    if (user.includes(':')) throw new ConnectionRefused('A user name with a colon cannot sign in this way')
    const credentials = Buffer.from(`${user}:${password.reveal()}`, 'utf8').toString('base64')
    return signInHeaders({ authorization: `Basic ${credentials}` })
  }
}

function ownOrigin({ auth, settings: fields }: Connector, settings: Values<Fields>): string | undefined {
  if (auth.type !== 'none' && auth.origin !== undefined) return originOf(auth.origin(settings))
  const addresses = Object.entries(fields)
    .filter(([, field]) => field.kind === 'text' && field.endpoint === true)
    .map(([name]) => originOf(settings[name]))
    .filter((origin) => origin !== undefined)
  // Of two there is no telling which is meant, so neither gets the credentials.
  return addresses.length === 1 ? addresses[0] : undefined
}

function originOf(value: unknown): string | undefined {
  return typeof value === 'string' && URL.canParse(value) && /^https?:/i.test(value) ? new URL(value).origin : undefined
}
