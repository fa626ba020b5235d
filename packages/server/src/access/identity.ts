import type { Role } from '@patchbay/contract'

/**
 * Who asks. The operator is whoever can open the data folder (the Unix socket there, or the command line in its own
 * process): they hold the store and the key anyway, so there is nothing to keep from them. An API key is known by the
 * bearer token of a request that came over the network. People who sign in become a kind of their own.
 */
export type Identity =
  | { readonly kind: 'operator'; readonly name: string; readonly role: 'Administrator' }
  | { readonly kind: 'api-key'; readonly name: string; readonly id: string; readonly role: Role }

/** Made where a door is opened, never from anything that a request says. */
export const OPERATOR: Identity = { kind: 'operator', name: 'command line', role: 'Administrator' }

/** By which a connection is shared with named users; an API key is no user. */
export function userIdOf(_identity: Identity): string | null {
  return null
}

const KEY_PREFIX = 'key:'

/** What is written down of who did something. Kinds cannot be mistaken for each other, whatever a key is called. */
export function actorOf(identity: Identity): string {
  return identity.kind === 'operator' ? identity.name : `${KEY_PREFIX}${identity.name}`
}

/** The name of the API key that an actor was; undefined for everybody else. */
export function keyNameOf(actor: string): string | undefined {
  return actor.startsWith(KEY_PREFIX) ? actor.slice(KEY_PREFIX.length) : undefined
}
