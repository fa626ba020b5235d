import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { SettingsInvalid } from '@patchbay/connector-sdk'
import ssh2 from 'ssh2'
import { describe, expect, it } from 'vitest'
import { readPrivateKey } from './private-key.ts'

const PASSPHRASE = 'open sesame'
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
const ec = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey
const ed25519 = generateKeyPairSync('ed25519').privateKey

function pem(key: KeyObject, type: 'pkcs1' | 'sec1' | 'pkcs8', passphrase?: string): string {
  const locked = passphrase === undefined ? {} : { cipher: 'aes-256-cbc', passphrase }
  return key.export({ type, format: 'pem', ...locked }).toString()
}

const LOCK = { passphrase: PASSPHRASE, cipher: 'aes256-ctr', rounds: 4 }
const opensshRsa = (lock = {}): string => ssh2.utils.generateKeyPairSync('rsa', { bits: 2048, ...lock }).private
const opensshEcdsa = (): string => ssh2.utils.generateKeyPairSync('ecdsa', { bits: 256 }).private
/** ssh2 makes an Ed25519 key that it cannot read itself now and then (1 in 256): then the next one. */
function opensshEd25519(lock = {}): string {
  for (;;) {
    const text = ssh2.utils.generateKeyPairSync('ed25519', lock).private
    if (!(ssh2.utils.parseKey(text, PASSPHRASE) instanceof Error)) return text
  }
}

function fieldOf(read: () => unknown): string {
  try {
    read()
  } catch (error) {
    if (error instanceof SettingsInvalid) return `${error.field}: ${error.message}`
    throw error
  }
  return 'accepted'
}

describe('readPrivateKey', () => {
  const plain: [string, string, string][] = [
    ['PKCS#1', pem(rsa, 'pkcs1'), 'ssh-rsa'],
    ['PKCS#8 RSA', pem(rsa, 'pkcs8'), 'ssh-rsa'],
    ['SEC 1', pem(ec, 'sec1'), 'ecdsa-sha2-nistp384'],
    ['PKCS#8 ECDSA', pem(ec, 'pkcs8'), 'ecdsa-sha2-nistp384'],
    ['PKCS#8 Ed25519', pem(ed25519, 'pkcs8'), 'ssh-ed25519'],
    ['OpenSSH Ed25519', opensshEd25519(), 'ssh-ed25519'],
    ['OpenSSH RSA', opensshRsa(), 'ssh-rsa'],
    ['OpenSSH ECDSA', opensshEcdsa(), 'ecdsa-sha2-nistp256'],
  ]
  it.each(plain)('reads %s', (_name, text, type) => {
    const key = readPrivateKey(text, undefined)
    expect(key.type).toBe(type)
    expect(key.isPrivateKey()).toBe(true)
    const signature = key.sign('message', type === 'ssh-rsa' ? 'sha256' : undefined)
    expect(key.verify('message', signature, type === 'ssh-rsa' ? 'sha256' : undefined)).toBe(true)
  })

  const locked: [string, string][] = [
    ['PKCS#1 (DEK-Info)', pem(rsa, 'pkcs1', PASSPHRASE)],
    ['SEC 1 (DEK-Info)', pem(ec, 'sec1', PASSPHRASE)],
    ['PKCS#8', pem(ed25519, 'pkcs8', PASSPHRASE)],
    ['OpenSSH Ed25519', opensshEd25519(LOCK)],
    ['OpenSSH RSA', opensshRsa(LOCK)],
  ]
  it.each(locked)('opens a protected %s with its passphrase only', (_name, text) => {
    expect(readPrivateKey(text, PASSPHRASE).isPrivateKey()).toBe(true)
    expect(fieldOf(() => readPrivateKey(text, undefined))).toMatch(/^passphrase: .*protected by a passphrase/)
    expect(fieldOf(() => readPrivateKey(text, ''))).toMatch(/^passphrase: .*protected by a passphrase/)
    expect(fieldOf(() => readPrivateKey(text, 'wrong'))).toBe(
      'passphrase: The passphrase does not open this private key',
    )
  })

  it('gives no weight to a passphrase that the key does not need', () => {
    expect(readPrivateKey(pem(ed25519, 'pkcs8'), 'unneeded').type).toBe('ssh-ed25519')
  })

  it.each([
    ['Windows line ends', (text: string) => text.replaceAll('\n', '\r\n')],
    ['no line ends', (text: string) => text.replaceAll('\n', ' ')],
    ['line ends as \\n', (text: string) => text.replaceAll('\n', '\\n')],
    ['text around it', (text: string) => `\n\n key:\n${text}\n\n`],
    ['indents', (text: string) => text.replaceAll('\n', '\n    ')],
  ])('takes a key with %s', (_name, change) => {
    for (const [, text, type] of plain) expect(readPrivateKey(change(text), undefined).type).toBe(type)
  })

  it('reads a key after the parameters of its curve, as openssl ecparam writes it', () => {
    const parameters = '-----BEGIN EC PARAMETERS-----\nBgUrgQQAIg==\n-----END EC PARAMETERS-----\n'
    expect(readPrivateKey(parameters + pem(ec, 'sec1'), undefined).type).toBe('ecdsa-sha2-nistp384')
  })

  it.each([
    ['nothing', '', /Paste the private key/],
    ['blanks', '   \n', /Paste the private key/],
    ['an RSA public key', publicOf(rsa), /This is a public key/],
    ['an Ed25519 public key', publicOf(ed25519), /This is a public key/],
    ['a PEM public key', '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----', /This is a public key/],
    ['an SSH2 public key', '---- BEGIN SSH2 PUBLIC KEY ----\nAAAA', /This is a public key/],
    ['a PuTTY key', 'PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none', /PuTTYgen/],
    ['a key of ssh.com', '---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nAAAA', /ssh-keygen -i/],
    ['a certificate', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----', /certificate/],
    ['a password', 'hunter2', /not a private key/],
    ['half a key', pem(rsa, 'pkcs8').slice(0, 900), /last line/],
    ['a damaged PEM', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----', /damaged/],
    ['a damaged header', opensshEd25519().replace(/\n.{20}/, '\n'), /damaged/],
    ['a damaged OpenSSH key', opensshEd25519().replace(/.{20}\n-----END/, '\n-----END'), /damaged/],
    [
      'a curve of Bitcoin',
      pem(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey, 'pkcs8'),
      /secp256k1/,
    ],
    ['Ed448', pem(generateKeyPairSync('ed448').privateKey, 'pkcs8'), /ed448/],
    ['DSA', pem(generateKeyPairSync('dsa', { modulusLength: 1024, divisorLength: 160 }).privateKey, 'pkcs8'), /dsa/],
  ])('says what is wrong with %s', (_name, text, words) => {
    const said = fieldOf(() => readPrivateKey(text, undefined))
    expect(said).toMatch(/^privateKey: /)
    expect(said).toMatch(words)
  })

  it('never repeats a piece of what was pasted', () => {
    const text = `secret-${pem(rsa, 'pkcs8').slice(30, 90)}`
    expect(fieldOf(() => readPrivateKey(text, undefined))).not.toContain('secret')
  })
})

function publicOf(key: KeyObject): string {
  const read = readPrivateKey(pem(key, 'pkcs8'), undefined)
  return `${read.type} ${read.getPublicSSH().toString('base64')} someone@host`
}
