/**
 * API keys: 256 random bits behind a prefix by which scanners find leaked ones. Only the SHA-256 is kept: a slow hash is
 * for what people choose, and nobody can guess these. The lookup is by the hash, so its timing says nothing about the key.
 */
import { createHash } from 'node:crypto'
import { useApiKey } from '../store/api-key.ts'
import type { Db } from '../store/schema.ts'
import type { Identity } from './identity.ts'
import { roleOfKey } from './key-role.ts'

const PREFIX = 'pbk_'
const FORM = /^pbk_[A-Za-z0-9_-]{43}$/

/** No key, or one that is not known, has expired or was removed: which of them is not said. */
export class NotSignedIn extends Error {
  override readonly name = 'NotSignedIn'
}

export function makeApiKey(randomBytes: (size: number) => Uint8Array): {
  readonly text: string
  readonly hash: string
} {
  const text = `${PREFIX}${Buffer.from(randomBytes(32)).toString('base64url')}`
  return { text, hash: hashOf(text) }
}

/** Who a network request comes from, by its bearer token and by nothing else. Read anew for each request. */
export async function identify(authorization: string | undefined, db: Db, now: Date): Promise<Identity> {
  const [, token = ''] = /^Bearer +(\S+)$/i.exec(authorization ?? '') ?? []
  if (!FORM.test(token)) throw new NotSignedIn()
  const key = await useApiKey(db, hashOf(token), now)
  const role = key === undefined ? undefined : await roleOfKey(db, key)
  if (key === undefined || role === undefined) throw new NotSignedIn()
  return { kind: 'api-key', name: key.name, id: key.id, role }
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
