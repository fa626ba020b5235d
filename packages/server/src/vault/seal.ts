/**
 * Seals one secret for one place. AES-256-GCM with a random nonce; the associated data names the connection, the field, the
 * key and the endpoint, so that a sealed text that was moved to another row, or whose connection was pointed elsewhere in
 * the database, does not open. Random 96-bit nonces are safe for about four thousand million secrets under one data key.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto'
import { canonicalJson } from '../domain/canonical-json.ts'
import { Problem } from '../domain/problem.ts'

const NONCE_BYTES = 12
const TAG_BYTES = 16
const FORMAT = 's1'

/** What a secret is for. */
export interface SecretPlace {
  readonly connectionId: string
  readonly field: string
  /** From `domain/endpoint-identity.ts`. */
  readonly endpointIdentity: string
}

export interface SealingKey {
  readonly id: string
  readonly key: Uint8Array
}

/** `s1.<key id>.<nonce>.<ciphertext and tag>`, the last two in base64url. */
export function sealSecret(
  text: string,
  place: SecretPlace,
  sealing: SealingKey,
  randomBytes: (size: number) => Uint8Array,
): string {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', sealing.key, nonce)
  cipher.setAAD(associatedData(place, sealing.id))
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
  return [FORMAT, sealing.id, Buffer.from(nonce).toString('base64url'), sealed.toString('base64url')].join('.')
}

/** Throws `Problem` for whatever is not exactly what was sealed for this place; it does not say how they differ. */
export function openSecret(sealed: string, place: SecretPlace, keyOf: (id: string) => Uint8Array | undefined): string {
  const [format, keyId = '', nonceText = '', bodyText = '', ...rest] = sealed.split('.')
  const key = keyOf(keyId)
  const nonce = decode(nonceText)
  const body = decode(bodyText)
  const isWellFormed = format === FORMAT && rest.length === 0 && nonce?.length === NONCE_BYTES
  if (!isWellFormed || key === undefined || body === undefined || body.length < TAG_BYTES) throw unopened(place)
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
  decipher.setAAD(associatedData(place, keyId))
  decipher.setAuthTag(body.subarray(body.length - TAG_BYTES))
  try {
    return Buffer.concat([decipher.update(body.subarray(0, body.length - TAG_BYTES)), decipher.final()]).toString(
      'utf8',
    )
  } catch (error) {
    throw unopened(place, error)
  }
}

/** The data key under which a text was sealed. */
export function keyIdOf(sealed: string): string {
  return sealed.split('.')[1] ?? ''
}

function associatedData(place: SecretPlace, keyId: string): Buffer {
  const parts = ['patchbay-secret', FORMAT, place.connectionId, place.field, keyId, place.endpointIdentity]
  return Buffer.from(canonicalJson(parts))
}

/** Undefined unless it is exactly how these bytes are written: base64url leaves room for several texts of the same bytes. */
function decode(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url')
  return bytes.toString('base64url') === text ? bytes : undefined
}

function unopened(place: SecretPlace, cause?: unknown): Problem {
  return new Problem(
    'not-ready',
    `The stored secret "${place.field}" of connection ${place.connectionId} does not open`,
    {
      path: place.field,
      cure: 'It was stored for another address, or changed in the database. An Administrator must enter it again',
      ...(cause === undefined ? {} : { cause }),
    },
  )
}
