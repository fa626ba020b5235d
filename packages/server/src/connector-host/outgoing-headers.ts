/**
 * Which headers a connector may send. The host's own (length, host, encoding), those of connections and proxies, and those
 * that carry an identity are not among them: a sign-in is declared by the connector and put on by the host alone.
 */
import { ConnectionRefused } from '@patchbay/connector-sdk'

const DENIED = new Set([
  'accept-encoding',
  'authorization',
  'connection',
  'content-length',
  'cookie',
  'cookie2',
  'expect',
  'forwarded',
  'host',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'via',
])
const DENIED_START = /^(?:proxy-|sec-|x-forwarded-|x-real-|x-webauth-|x-remote-|x-original-|x-rewrite-|:)/
const NAME = /^[a-z0-9!#$%&'*+.^_`|~-]{1,100}$/
/** Visible ASCII, space and tab: neither a line break, which would begin a header of its own, nor anything above. */
const VALUE = /^[\t\x20-\x7e]{0,8192}$/

/**
 * Lower-cased and checked. A wrong one is a mistake in the connector's code, so it throws a plain error. `maySign`: the
 * connector has declared that it signs each request itself, and this one goes to an origin of the connection's own.
 */
export function checkedHeaders(headers: Readonly<Record<string, string>>, maySign: boolean): Record<string, string> {
  const isForbidden = (name: string): boolean => isDenied(name) && !(maySign && name === 'authorization')
  return gather(headers, isForbidden, (problem) => new TypeError(`The connector made a wrong request: ${problem}`))
}

/** Those of the declared sign-in. Names and values may come from a person, and so may be wrong without anyone's bug. */
export function signInHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  return gather(
    headers,
    (name) => name !== 'authorization' && isDenied(name),
    (problem) => new ConnectionRefused(`The sign-in cannot be sent: ${problem}`, { step: 'signed-in' }),
  )
}

function isDenied(name: string): boolean {
  return DENIED.has(name) || DENIED_START.test(name)
}

function gather(
  headers: Readonly<Record<string, string>>,
  isForbidden: (name: string) => boolean,
  problem: (what: string) => Error,
): Record<string, string> {
  const gathered = Object.create(null) as Record<string, string>
  for (const [given, value] of Object.entries(headers)) {
    const name = given.toLowerCase()
    if (isForbidden(name)) throw problem(`the header ${name} is the host's to set`)
    // Neither is quoted: a value may be a secret, and a name with a line break in it is meant to be seen in a log.
    if (!NAME.test(name)) throw problem('a header has a name that HTTP does not know')
    if (!VALUE.test(value)) throw problem(`the header ${name} holds line breaks or characters outside ASCII`)
    gathered[name] = value
  }
  return gathered
}
