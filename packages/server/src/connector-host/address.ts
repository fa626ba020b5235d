/**
 * What kind of address it is. Public means: globally routed unicast, by the registries of IANA. Everything else is named
 * and refused by default, including every form that carries an IPv4 address inside an IPv6 one, since a gateway or the
 * kernel may unpack it on the way.
 */
import ipaddr from 'ipaddr.js'
import { canonical, type Address } from './host-name.ts'

const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR('2000::/3')
const COMPATIBLE = ipaddr.IPv6.parseCIDR('::/96')
const NAT64 = ipaddr.IPv6.parseCIDR('64:ff9b::/96')

/** Where clouds hand out credentials. Some are public or lie in ranges that a company may have listed for other reasons. */
const METADATA = new Set([
  '169.254.169.254', // most clouds
  '169.254.170.2', // AWS, containers
  '169.254.170.23', // AWS, Kubernetes
  '100.100.100.200', // Alibaba
  '168.63.129.16', // Azure, the host's agent: a public address
  '192.0.0.192', // Oracle
  'fd00:ec2::254', // AWS
  'fd00:ec2::23', // AWS, Kubernetes
  'fd20:ce::254', // Google
])

const WORDS: Readonly<Record<string, string>> = {
  unspecified: 'an unspecified address',
  broadcast: 'a broadcast address',
  multicast: 'a multicast address',
  linkLocal: 'a link-local address',
  loopback: 'a loopback address',
  carrierGradeNat: 'a carrier-grade NAT address',
  private: 'a private address',
  uniqueLocal: 'a private address',
  ipv4Mapped: 'an IPv4-mapped address',
  rfc6145: 'an IPv4-translated address',
  rfc6052: 'a NAT64 address',
  '6to4': 'a 6to4 address',
  teredo: 'a Teredo address',
}

/** Why the address is not simply public, in words; undefined for one that is. */
export function specialKind(address: Address): string | undefined {
  if (isMetadata(address)) return 'an address where clouds give out credentials'
  const range = address.range()
  if (range !== 'unicast') return WORDS[range] ?? 'a reserved address'
  if (address instanceof ipaddr.IPv4 || address.match(GLOBAL_UNICAST)) return undefined
  return address.match(COMPATIBLE) ? 'an IPv4-compatible address' : 'a reserved address'
}

export function isMetadata(address: Address): boolean {
  return METADATA.has(canonical(address))
}

export function isLoopback(address: Address): boolean {
  return address.range() === 'loopback'
}

/** The IPv4 address that an IPv6 address carries, in any of the ways there are. */
export function embeddedIPv4(address: Address): ipaddr.IPv4 | undefined {
  if (address instanceof ipaddr.IPv4) return undefined
  const bytes = address.toByteArray()
  switch (address.range()) {
    case 'ipv4Mapped':
    case 'rfc6145':
      return new ipaddr.IPv4(bytes.slice(12))
    case 'rfc6052':
      // The local-use prefix 64:ff9b:1::/48 may hide the address anywhere; nothing is let through it by what it carries.
      return address.match(NAT64) ? new ipaddr.IPv4(bytes.slice(12)) : undefined
    case '6to4':
      return new ipaddr.IPv4(bytes.slice(2, 6))
    case 'teredo':
      return new ipaddr.IPv4(bytes.slice(12).map((byte) => byte ^ 0xff))
    default:
      return address.match(COMPATIBLE) && bytes.slice(12, 14).some((byte) => byte !== 0)
        ? new ipaddr.IPv4(bytes.slice(12))
        : undefined
  }
}
