/**
 * Secrets of one running program. The key-encryption key wraps a data key, and the data key seals secrets: rotation makes a
 * new data key and never needs the old secrets at once. The wrapped data key is also how a wrong key file is noticed at
 * the start, before anything is sent or written.
 */
import { createCipheriv, createDecipheriv, createHash, hkdfSync } from 'node:crypto'
import { Problem } from '../domain/problem.ts'
import { KEY_BYTES, readKeyFile } from './key-file.ts'
import { openSecret, sealSecret, type SecretPlace } from './seal.ts'

export type { SecretPlace } from './seal.ts'

export interface Vault {
  seal(text: string, place: SecretPlace): string
  /** Throws `Problem` when the text was not sealed for this place. */
  open(sealed: string, place: SecretPlace): string
  /** A key for one purpose, as for backups; the purposes know nothing of each other's keys. */
  deriveKey(purpose: string, salt: Uint8Array): Uint8Array
}

/** Where wrapped data keys are kept; `store/data-key.ts` has the functions. */
export interface DataKeyPlace {
  list(): Promise<readonly { readonly id: string; readonly wrapped: string; readonly state: 'active' | 'retired' }[]>
  /** Keeps what is there already when another process was quicker. */
  addFirst(key: { readonly id: string; readonly wrapped: string }): Promise<void>
}

export interface VaultOptions {
  readonly keyFile: string
  readonly dataKeys: DataKeyPlace
  readonly randomBytes: (size: number) => Uint8Array
}

const NONCE_BYTES = 12
const TAG_BYTES = 16
const FORMAT = 'w1'

/** Fails closed: a missing, readable, damaged or wrong key stops the start with a `Problem`. */
export async function openVault(options: VaultOptions): Promise<Vault> {
  const { dataKeys, randomBytes } = options
  const isNeeded = (await dataKeys.list()).length > 0
  const wrapping = readKeyFile({ path: options.keyFile, isNeeded, randomBytes })
  if (!isNeeded) await dataKeys.addFirst(newDataKey(wrapping, randomBytes))
  const keys = new Map<string, Uint8Array>()
  let active: string | undefined
  for (const row of await dataKeys.list()) {
    keys.set(row.id, unwrap(row, wrapping, options.keyFile))
    if (row.state === 'active') active = row.id
  }
  const activeKey = active === undefined ? undefined : keys.get(active)
  if (active === undefined || activeKey === undefined) throw new Error('The store has no active data key')
  const sealing = { id: active, key: activeKey }
  return {
    seal: (text, place) => sealSecret(text, place, sealing, randomBytes),
    open: (sealed, place) => openSecret(sealed, place, (id) => keys.get(id)),
    deriveKey: (purpose, salt) => new Uint8Array(hkdfSync('sha256', wrapping, salt, `patchbay ${purpose}`, KEY_BYTES)),
  }
}

function newDataKey(wrapping: Uint8Array, randomBytes: (size: number) => Uint8Array): { id: string; wrapped: string } {
  const key = randomBytes(KEY_BYTES)
  const id = `dk_${createHash('sha256').update(randomBytes(16)).digest('hex').slice(0, 16)}`
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', wrapping, nonce)
  cipher.setAAD(associatedData(id))
  const body = Buffer.concat([cipher.update(key), cipher.final(), cipher.getAuthTag()])
  return { id, wrapped: [FORMAT, Buffer.from(nonce).toString('base64url'), body.toString('base64url')].join('.') }
}

function unwrap(
  row: { readonly id: string; readonly wrapped: string },
  wrapping: Uint8Array,
  keyFile: string,
): Uint8Array {
  const [format, nonceText = '', bodyText = ''] = row.wrapped.split('.')
  const nonce = Buffer.from(nonceText, 'base64url')
  const body = Buffer.from(bodyText, 'base64url')
  try {
    if (format !== FORMAT || nonce.length !== NONCE_BYTES || body.length !== KEY_BYTES + TAG_BYTES) {
      throw new Error('not a wrapped key')
    }
    const decipher = createDecipheriv('aes-256-gcm', wrapping, nonce, { authTagLength: TAG_BYTES })
    decipher.setAAD(associatedData(row.id))
    decipher.setAuthTag(body.subarray(KEY_BYTES))
    return Buffer.concat([decipher.update(body.subarray(0, KEY_BYTES)), decipher.final()])
  } catch (error) {
    throw new Problem('not-ready', `The key in ${keyFile} is not the one that this control store was sealed with`, {
      path: 'PATCHBAY_KEY_FILE',
      cure: 'Give the key file that belongs to this data folder or database. Nothing was changed',
      cause: error,
    })
  }
}

function associatedData(id: string): Buffer {
  return Buffer.from(`patchbay-data-key ${FORMAT} ${id}`)
}
