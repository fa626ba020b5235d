/**
 * Reads the host that a person typed. Only two spellings pass: a plain ASCII host name, and an IP address written the one
 * canonical way. Everything else that a resolver, a URL parser or the C library would also turn into an address (`127.1`,
 * `0x7f.1`, `2130706433`, full-width digits, a zone id, `user@host`) is refused, because two readers of one spelling that
 * disagree are how guards are passed. What a name points at is not judged here: see `egress.ts`.
 */
import { isIPv6 } from 'node:net'
import ipaddr from 'ipaddr.js'

export type Host =
  | { readonly kind: 'name'; readonly text: string }
  | { readonly kind: 'address'; readonly text: string; readonly address: Address }
  | { readonly kind: 'invalid'; readonly why: string }

export type Address = ipaddr.IPv4 | ipaddr.IPv6

const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
const OCTET = /^(?:0|[1-9]\d{0,2})$/

export function parseHost(typed: string): Host {
  if (typed === '') return invalid('it is empty')
  if (typed.length > 253) return invalid('it is longer than 253 characters')
  if (/[^\x21-\x7e]/.test(typed))
    return invalid('it holds spaces or characters outside ASCII; write an international name in its xn-- form')
  const text = typed.toLowerCase()
  if (text.includes('%')) return invalid('it holds a zone id or a % escape')
  if (text.includes(':')) return parseIPv6(text)
  if (/[@/\\?#[\]]/.test(text)) return invalid('write the host alone: no scheme, user, path or brackets')

  const labels = text.split('.')
  if (/^(?:\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? '')) return parseIPv4(labels)
  if (text.endsWith('.')) return invalid('leave out the dot at the end')
  if (!labels.every((label) => LABEL.test(label)))
    return invalid('a host name is made of letters, digits and hyphens, with dots between its parts')
  return { kind: 'name', text }
}

/** The one spelling of an address that passes `parseHost`. */
export function canonical(address: Address): string {
  return address instanceof ipaddr.IPv6 ? address.toRFC5952String() : address.toString()
}

/** An address as the resolver gives it. Undefined for anything that is not one, zone ids included. */
export function parseAddress(text: string): Address | undefined {
  if (text.includes('%') || !ipaddr.isValid(text)) return undefined
  return ipaddr.parse(text)
}

function parseIPv4(octets: readonly string[]): Host {
  const isCanonical = octets.length === 4 && octets.every((octet) => OCTET.test(octet) && Number(octet) <= 255)
  if (!isCanonical) return invalid('an IPv4 address is four numbers from 0 to 255 without leading zeros, as 192.0.2.10')
  return { kind: 'address', text: octets.join('.'), address: new ipaddr.IPv4(octets.map(Number)) }
}

function parseIPv6(text: string): Host {
  const bare = text.replace(/^\[(.*)\]$/, '$1')
  const address = isIPv6(bare) ? parseAddress(bare) : undefined
  if (address === undefined)
    return invalid('it is neither a host name nor an IP address; write the port in its own field')
  if (canonical(address) !== text) return invalid(`write this address as ${canonical(address)}`)
  return { kind: 'address', text, address }
}

function invalid(why: string): Host {
  return { kind: 'invalid', why }
}
