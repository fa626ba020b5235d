/** Data keys, wrapped by a key-encryption key: AES-256-GCM with a random nonce, bound to the data key's id. */
import { createCipheriv, createDecipheriv, createHash } from 'node:crypto'
import { KEY_BYTES } from './key-file.ts'

const NONCE_BYTES = 12
const TAG_BYTES = 16
const FORMAT = 'w1'

export interface WrappedKey {
  readonly id: string
  readonly wrapped: string
}

export function newDataKey(
  wrapping: Uint8Array,
  randomBytes: (size: number) => Uint8Array,
): { readonly key: Uint8Array; readonly wrapped: WrappedKey } {
  const key = randomBytes(KEY_BYTES)
  const id = `dk_${createHash('sha256').update(randomBytes(16)).digest('hex').slice(0, 16)}`
  return { key, wrapped: { id, wrapped: wrapKey(id, key, wrapping, randomBytes) } }
}

export function wrapKey(
  id: string,
  key: Uint8Array,
  wrapping: Uint8Array,
  randomBytes: (size: number) => Uint8Array,
): string {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', wrapping, nonce)
  cipher.setAAD(associatedData(id))
  const body = Buffer.concat([cipher.update(key), cipher.final(), cipher.getAuthTag()])
  return [FORMAT, Buffer.from(nonce).toString('base64url'), body.toString('base64url')].join('.')
}

/** Undefined where it was not wrapped by this key, for this id. */
export function unwrapKey(id: string, wrapped: string, wrapping: Uint8Array): Uint8Array | undefined {
  const [format, nonceText = '', bodyText = ''] = wrapped.split('.')
  const nonce = Buffer.from(nonceText, 'base64url')
  const body = Buffer.from(bodyText, 'base64url')
  if (format !== FORMAT || nonce.length !== NONCE_BYTES || body.length !== KEY_BYTES + TAG_BYTES) return undefined
  const decipher = createDecipheriv('aes-256-gcm', wrapping, nonce, { authTagLength: TAG_BYTES })
  decipher.setAAD(associatedData(id))
  decipher.setAuthTag(body.subarray(KEY_BYTES))
  try {
    return Buffer.concat([decipher.update(body.subarray(0, KEY_BYTES)), decipher.final()])
  } catch {
    return undefined
  }
}

function associatedData(id: string): Buffer {
  return Buffer.from(`patchbay-data-key ${FORMAT} ${id}`)
}
