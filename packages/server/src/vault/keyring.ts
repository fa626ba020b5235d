/**
 * Data keys seal secrets; the key of the key file only wraps data keys. So a rotation of the key file's key wraps a few
 * keys anew, and a rotation of the data key seals secrets anew while both can be read.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { Problem } from '../domain/problem.ts'

export interface StoredDataKey {
  readonly id: string
  /** The key, wrapped: `w1.<nonce>.<ciphertext and tag>` in base64url. */
  readonly wrapped: string
  readonly state: 'active' | 'retired'
}

export interface Keyring {
  readonly activeId: string
  keyOf(id: string): Buffer | undefined
}

const NONCE_BYTES = 12
const TAG_BYTES = 16

export function makeDataKey(keyEncryptionKey: Buffer, id: string): { readonly id: string; readonly wrapped: string } {
  return { id, wrapped: `w1.${encrypt(keyEncryptionKey, randomBytes(32), aadOf(id))}` }
}

/** Throws `Problem('not-ready')` where the key file's key is not the one that wrapped them. */
export function openKeyring(keyEncryptionKey: Buffer, stored: readonly StoredDataKey[]): Keyring {
  const keys = new Map<string, Buffer>()
  for (const { id, wrapped } of stored) {
    const [format, ...rest] = wrapped.split('.')
    const key = format === 'w1' ? decrypt(keyEncryptionKey, rest.join('.'), aadOf(id)) : undefined
    if (key === undefined) {
      throw new Problem('not-ready', 'The key file holds another key than the one that sealed the stored secrets', {
        path: 'PATCHBAY_KEY_FILE',
        cure: 'Put the right key file back. Nothing was changed',
      })
    }
    keys.set(id, key)
  }
  const active = stored.find((key) => key.state === 'active')
  if (active === undefined) throw new Error('The store has no active data key')
  return { activeId: active.id, keyOf: (id) => keys.get(id) }
}

function aadOf(id: string): Buffer {
  return Buffer.from(`patchbay data key|${id}`)
}

/** AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce: `<nonce>.<ciphertext and tag>` in base64url. */
export function encrypt(key: Buffer, plain: Buffer, aad: Buffer): string {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(aad)
  const sealed = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
  return `${nonce.toString('base64url')}.${sealed.toString('base64url')}`
}

/** Undefined where anything is not as it was sealed: key, nonce, text, associated data. */
export function decrypt(key: Buffer, text: string, aad: Buffer): Buffer | undefined {
  const [nonceText = '', sealedText = '', ...more] = text.split('.')
  const [nonce, sealed] = [Buffer.from(nonceText, 'base64url'), Buffer.from(sealedText, 'base64url')]
  // The exact text, not one that decodes alike: base64url has several spellings for the last bits.
  const isSound =
    more.length === 0 && nonce.toString('base64url') === nonceText && sealed.toString('base64url') === sealedText
  if (!isSound || nonce.byteLength !== NONCE_BYTES || sealed.byteLength < TAG_BYTES) return undefined
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES }).setAAD(aad)
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
  try {
    return Buffer.concat([decipher.update(sealed.subarray(0, -TAG_BYTES)), decipher.final()])
  } catch {
    return undefined
  }
}
