/**
 * Certificates for tests, good and bad, made on the spot: nothing that expires or looks like a leaked key is in the
 * repository, and no tool has to be there. Writes just as much X.509 (RFC 5280, in DER) as a TLS client looks at.
 */
import { generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto'

export interface Identity {
  readonly certificate: string
  readonly key: string
}

export interface Authority {
  readonly name: string
  readonly certificate: string
  readonly key: KeyObject
}

interface CertificateOptions {
  readonly names?: readonly string[]
  readonly addresses?: readonly string[]
  readonly validFrom?: Date
  readonly validTo?: Date
}

const DAY_MS = 86_400_000

export function makeAuthority(name = 'Test Authority'): Authority {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const options = { subject: name, issuer: name, publicKey, signer: privateKey, extensions: [basicConstraints()] }
  return { name, key: privateKey, certificate: makeCertificate(options) }
}

/** Without an authority it signs itself. */
export function makeIdentity(options: CertificateOptions, authority?: Authority): Identity {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const subject = options.names?.[0] ?? options.addresses?.[0] ?? 'nobody'
  const certificate = makeCertificate({
    subject,
    issuer: authority?.name ?? subject,
    publicKey,
    signer: authority?.key ?? privateKey,
    extensions: [alternativeNames(options)],
    ...options,
  })
  return { certificate, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }
}

function makeCertificate(options: {
  readonly subject: string
  readonly issuer: string
  readonly publicKey: KeyObject
  readonly signer: KeyObject
  readonly extensions: readonly Buffer[]
  readonly validFrom?: Date
  readonly validTo?: Date
}): string {
  const { validFrom = new Date(Date.now() - DAY_MS), validTo = new Date(Date.now() + DAY_MS) } = options
  const algorithm = sequence(oid('2a8648ce3d040302')) // ecdsa-with-SHA256
  const toBeSigned = sequence(
    tagged(0xa0, tagged(0x02, Buffer.of(2))), // version 3
    tagged(0x02, Buffer.concat([Buffer.of(0x01), randomBytes(15)])),
    algorithm,
    nameOf(options.issuer),
    sequence(time(validFrom), time(validTo)),
    nameOf(options.subject),
    options.publicKey.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(...options.extensions)),
  )
  const signature = sign('sha256', toBeSigned, { key: options.signer, dsaEncoding: 'der' })
  const der = sequence(toBeSigned, algorithm, tagged(0x03, Buffer.concat([Buffer.of(0), signature])))
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
}

function basicConstraints(): Buffer {
  const isAuthority = sequence(tagged(0x01, Buffer.of(0xff)))
  return sequence(oid('551d13'), tagged(0x01, Buffer.of(0xff)), tagged(0x04, isAuthority))
}

function alternativeNames({ names = [], addresses = [] }: CertificateOptions): Buffer {
  const entries = [
    ...names.map((name) => tagged(0x82, Buffer.from(name))),
    ...addresses.map((address) => tagged(0x87, Buffer.from(address.split('.').map(Number)))),
  ]
  return sequence(oid('551d11'), tagged(0x04, sequence(...entries)))
}

function nameOf(commonName: string): Buffer {
  return sequence(tagged(0x31, sequence(oid('550403'), tagged(0x0c, Buffer.from(commonName)))))
}

function time(date: Date): Buffer {
  const text = date
    .toISOString()
    .replace(/[-:T]/g, '')
    .replace(/\.\d+Z$/, 'Z')
  // Years before 2050 are written with two digits.
  return date.getUTCFullYear() < 2050 ? tagged(0x17, Buffer.from(text.slice(2))) : tagged(0x18, Buffer.from(text))
}

function oid(hex: string): Buffer {
  return tagged(0x06, Buffer.from(hex, 'hex'))
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tagged(0x30, Buffer.concat(parts))
}

function tagged(tag: number, content: Buffer): Buffer {
  const { length } = content
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}
