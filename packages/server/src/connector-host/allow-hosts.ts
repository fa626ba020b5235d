/**
 * PATCHBAY_ALLOW_HOSTS: what the operator lets connections reach beyond the public internet. Entries are separated by
 * commas or spaces: a host name, an IP address or a network (CIDR), each with an optional port, as in
 *   files.corp.example, 10.20.0.0/16:5432, 127.0.0.1:2222, [fd00:1::/64]:443
 * There is no wildcard and no way to switch the guard off. A listed name is trusted wherever its DNS points, so a network
 * is the tighter choice; addresses where clouds give out credentials have to be listed one by one as addresses.
 */
import ipaddr from 'ipaddr.js'
import { embeddedIPv4, isMetadata, specialKind } from './address.ts'
import { canonical, parseHost, type Address, type Host } from './host-name.ts'

export type AllowedHost =
  | { readonly kind: 'name'; readonly name: string; readonly port: number | undefined }
  | {
      readonly kind: 'network'
      readonly base: Address
      readonly prefixLength: number
      readonly port: number | undefined
    }

/** Throws an error that names the entry and says how to write it. */
export function parseAllowedHosts(text: string): readonly AllowedHost[] {
  return text
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .map(parseEntry)
}

/** Why a connection to this address may not be made, in words; undefined where it may. */
export function refusal(
  allowed: readonly AllowedHost[],
  host: Host & { readonly kind: 'name' | 'address' },
  address: Address,
  port: number,
): string | undefined {
  const kind = specialKind(address)
  if (kind === undefined) return undefined
  const entries = allowed.filter((entry) => entry.port === undefined || entry.port === port)
  if (isMetadata(address)) return entries.some((entry) => isExactly(entry, address)) ? undefined : kind
  const isListed = entries.some((entry) =>
    entry.kind === 'network' ? contains(entry, address) : host.kind === 'name' && entry.name === host.text,
  )
  if (!isListed) return kind
  // A listed prefix such as 64:ff9b::/96 lets in what it carries only where that may be reached by itself.
  const inner = embeddedIPv4(address)
  return inner === undefined ? undefined : refusal(allowed, host, inner, port)
}

function contains(network: AllowedHost & { readonly kind: 'network' }, address: Address): boolean {
  const { base, prefixLength } = network
  if (base instanceof ipaddr.IPv4) return address instanceof ipaddr.IPv4 && address.match(base, prefixLength)
  return address instanceof ipaddr.IPv6 && address.match(base, prefixLength)
}

function isExactly(entry: AllowedHost, address: Address): boolean {
  return entry.kind === 'network' && entry.prefixLength === bitsOf(address) && contains(entry, address)
}

function parseEntry(entry: string): AllowedHost {
  const fail = (why: string): never => {
    throw new TypeError(
      `PATCHBAY_ALLOW_HOSTS: "${entry}" cannot be used: ${why}. ` +
        'Write a host name, an IP address or a network, each with an optional port, as in ' +
        'files.corp.example, 10.20.0.0/16:5432, [fd00:1::/64]:443',
    )
  }
  const { place, port } = splitPort(entry)
  if (port !== undefined && !(port >= 1 && port <= 65_535)) fail('a port is a number from 1 to 65535')
  if (place.includes('*')) fail('there are no wildcards')
  const [hostText = '', prefixText, ...rest] = place.split('/')
  if (rest.length > 0) fail('it is not a host')
  const host = parseHost(hostText)
  if (host.kind === 'invalid') return fail(host.why)
  if (host.kind === 'name') {
    if (prefixText !== undefined) fail('only an IP address can have a prefix length')
    return { kind: 'name', name: host.text, port }
  }
  const bits = bitsOf(host.address)
  if (prefixText === undefined) return { kind: 'network', base: host.address, prefixLength: bits, port }
  const prefixLength = /^\d{1,3}$/.test(prefixText) ? Number(prefixText) : -1
  if (prefixLength < 0 || prefixLength > bits) fail(`a prefix length is a number up to ${bits}`)
  if (prefixLength === 0) fail('this would let connections reach everything, this machine and the cloud around it too')
  const base = networkBase(host.text, prefixLength)
  if (canonical(base) !== host.text) fail(`write the network as ${canonical(base)}/${prefixLength}`)
  return { kind: 'network', base, prefixLength, port }
}

/** A port stands after the last colon; an IPv6 address with a port, or a network of them, is in brackets. */
function splitPort(entry: string): { readonly place: string; readonly port: number | undefined } {
  const bracketed = /^\[([^\]]*)\](?::(\d{1,5}))?$/.exec(entry)
  if (bracketed !== null) return { place: bracketed[1] ?? '', port: toPort(bracketed[2]) }
  const plain = /^([^:]*):(\d{1,5})$/.exec(entry)
  if (plain !== null) return { place: plain[1] ?? '', port: toPort(plain[2]) }
  return { place: entry, port: undefined }
}

function toPort(digits: string | undefined): number | undefined {
  return digits === undefined ? undefined : Number(digits)
}

function bitsOf(address: Address): number {
  return address instanceof ipaddr.IPv4 ? 32 : 128
}

function networkBase(text: string, prefixLength: number): Address {
  const cidr = `${text}/${prefixLength}`
  return text.includes(':') ? ipaddr.IPv6.networkAddressFromCIDR(cidr) : ipaddr.IPv4.networkAddressFromCIDR(cidr)
}
