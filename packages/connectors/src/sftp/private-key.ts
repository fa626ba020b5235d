/**
 * Reads a private key as people have it: OpenSSH's own format, and PEM as OpenSSL writes it (PKCS#1, SEC 1, PKCS#8),
 * with or without a passphrase. `ssh2` knows only some of these, so PEM goes through Node first. Whatever is wrong is
 * said in words of the person who pasted it, by the field to mend, and never with a piece of the key.
 */
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { SettingsInvalid } from '@patchbay/connector-sdk'
import ssh2, { type ParsedKey } from 'ssh2'

const KEY = 'privateKey'
const PASSPHRASE = 'passphrase'
const CURVES: Readonly<Record<string, string>> = { prime256v1: 'P-256', secp384r1: 'P-384', secp521r1: 'P-521' }

/** Throws `SettingsInvalid` for `privateKey` or `passphrase`. */
export function readPrivateKey(text: string, passphrase: string | undefined): ParsedKey {
  const block = findBlock(text)
  const isEncrypted = isProtected(block)
  if (isEncrypted && (passphrase === undefined || passphrase === ''))
    throw new SettingsInvalid(PASSPHRASE, 'This private key is protected by a passphrase: enter it')
  const secret = isEncrypted ? passphrase : undefined
  const key = block.label === 'OPENSSH PRIVATE KEY' ? parse(block.pem, secret) : parsePem(block, secret)
  if (key === undefined)
    throw isEncrypted
      ? new SettingsInvalid(PASSPHRASE, 'The passphrase does not open this private key')
      : new SettingsInvalid(KEY, 'The private key is damaged or cut off: paste the whole file, first and last line too')
  if (key.type === 'ssh-dss') throw unusable('DSA')
  return key
}

interface Block {
  readonly label: string
  readonly pem: string
  /** The base64 text, and for old encrypted keys the header lines before it. */
  readonly body: string
}

function findBlock(text: string): Block {
  const trimmed = text.trim()
  if (trimmed === '') throw new SettingsInvalid(KEY, 'Paste the private key: the whole file')
  const found = /-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----(.*?)-----END \1-----/s.exec(trimmed)
  const [, label, body] = found ?? []
  if (label === undefined || body === undefined) throw new SettingsInvalid(KEY, whatItIs(trimmed))
  // Forms and key stores lose line ends or write them as \n; without header lines the text can be set anew.
  if (body.includes(':')) return { label, body, pem: `-----BEGIN ${label}-----${body}-----END ${label}-----` }
  const base64 = body.replaceAll(/\\r|\\n|\s/g, '')
  const lines = base64.match(/.{1,64}/g) ?? []
  return { label, body: base64, pem: [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`].join('\n') }
}

function whatItIs(text: string): string {
  if (/^(?:ssh-|ecdsa-|sk-)\S+ AAAA|BEGIN (?:RSA )?PUBLIC KEY|BEGIN SSH2 PUBLIC KEY/.test(text))
    return 'This is a public key, which belongs on the server. Paste the private key: the file without .pub'
  if (text.startsWith('PuTTY-User-Key-File'))
    return 'This is a PuTTY key. Open it in PuTTYgen and choose Conversions > Export OpenSSH key'
  if (text.includes('BEGIN SSH2 ENCRYPTED PRIVATE KEY'))
    return 'This is a key in the format of ssh.com. Change it by: ssh-keygen -i -f FILE'
  if (text.includes('BEGIN CERTIFICATE')) return 'This is a certificate, not a private key'
  if (/-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/.test(text))
    return 'The last line of the private key is missing: paste the whole file'
  return 'This is not a private key: it starts with -----BEGIN … PRIVATE KEY-----'
}

function isProtected({ label, body }: Block): boolean {
  if (label === 'OPENSSH PRIVATE KEY') {
    // "openssh-key-v1\0", then the name of the cipher with its length before it.
    const bytes = Buffer.from(body, 'base64')
    return bytes.toString('latin1', 0, 14) === 'openssh-key-v1' && bytes.toString('latin1', 19, 23) !== 'none'
  }
  return label.startsWith('ENCRYPTED') || body.includes('ENCRYPTED')
}

function parse(pem: string, passphrase: string | undefined): ParsedKey | undefined {
  const key = ssh2.utils.parseKey(pem, passphrase)
  return key instanceof Error ? undefined : key
}

function parsePem({ pem }: Block, passphrase: string | undefined): ParsedKey | undefined {
  let key: KeyObject
  try {
    key = createPrivateKey({ key: pem, format: 'pem', ...(passphrase !== undefined && { passphrase }) })
  } catch {
    // What OpenSSL has to say helps nobody, and for a wrong passphrase it differs by chance.
    return undefined
  }
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return parse(key.export({ type: 'pkcs1', format: 'pem' }).toString(), undefined)
    case 'ec': {
      const curve = key.asymmetricKeyDetails?.namedCurve ?? 'unknown'
      if (CURVES[curve] === undefined) throw unusable(`ECDSA (curve ${curve})`)
      return parse(key.export({ type: 'sec1', format: 'pem' }).toString(), undefined)
    }
    case 'ed25519':
      return parse(opensshEd25519(key), undefined)
    default:
      throw unusable(key.asymmetricKeyType ?? 'unknown')
  }
}

function unusable(kind: string): SettingsInvalid {
  return new SettingsInvalid(KEY, `Keys of the kind ${kind} are not used with SFTP: make an Ed25519, ECDSA or RSA key`)
}

/** PROTOCOL.key of OpenSSH, unencrypted: the only form in which `ssh2` takes an Ed25519 key. */
function opensshEd25519(key: KeyObject): string {
  const { d = '', x = '' } = key.export({ format: 'jwk' })
  const [seed, publicKey] = [Buffer.from(d, 'base64url'), Buffer.from(x, 'base64url')]
  const type = field(Buffer.from('ssh-ed25519'))
  const check = Buffer.alloc(8)
  const secrets = Buffer.concat([check, type, field(publicKey), field(Buffer.concat([seed, publicKey])), field('')])
  const padding = Buffer.from(Array.from({ length: (8 - (secrets.length % 8)) % 8 }, (_, index) => index + 1))
  const blob = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    field('none'), // cipher
    field('none'), // key derivation
    field(''),
    Buffer.from([0, 0, 0, 1]), // number of keys
    field(Buffer.concat([type, field(publicKey)])),
    field(Buffer.concat([secrets, padding])),
  ])
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${blob.toString('base64')}\n-----END OPENSSH PRIVATE KEY-----`
}

function field(bytes: Buffer | string): Buffer {
  const content = Buffer.from(bytes)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(content.length)
  return Buffer.concat([length, content])
}
