import type { Role } from '@patchbay/contract'

/**
 * Who asks. The operator is whoever can open the data folder (the Unix socket there, or the command line in its own
 * process): they hold the store and the key anyway, so there is nothing to keep from them. An API key is known by the
 * bearer token of a request that came over the network, a user by the cookie of their session.
 */
export type Identity =
  | { readonly kind: 'operator'; readonly name: string; readonly role: 'Administrator' }
  | { readonly kind: 'api-key'; readonly name: string; readonly id: string; readonly role: Role }
  | {
      readonly kind: 'user'
      readonly id: string
      readonly name: string
      readonly email: string
      readonly role: Role
      readonly isOwner: boolean
    }
  /** Whoever signs in, or comes with a one-time link: nobody yet, with no role. */
  | { readonly kind: 'anyone'; readonly name: string; readonly role: null }

/** Made where a door is opened, never from anything that a request says. */
export const OPERATOR: Identity & { readonly kind: 'operator' } = {
  kind: 'operator',
  name: 'command line',
  role: 'Administrator',
}
export const ANYONE: Identity = { kind: 'anyone', name: 'somebody', role: null }

/** By which a connection is shared with named users; an API key is no user. */
export function userIdOf(identity: Identity): string | null {
  return identity.kind === 'user' ? identity.id : null
}

const KEY_PREFIX = 'key:'
const USER_PREFIX = 'user:'

/** What is written down of who did something. Kinds cannot be mistaken for each other, whatever a key is called. */
export function actorOf(identity: Identity): string {
  switch (identity.kind) {
    case 'operator':
    case 'anyone':
      return identity.name
    case 'api-key':
      return `${KEY_PREFIX}${identity.name}`
    case 'user':
      return `${USER_PREFIX}${identity.id}`
  }
}

/** The name of the API key that an actor was; undefined for everybody else. */
export function keyNameOf(actor: string): string | undefined {
  return actor.startsWith(KEY_PREFIX) ? actor.slice(KEY_PREFIX.length) : undefined
}

/** The id of the user that an actor was; undefined for everybody else. */
export function actorUserId(actor: string): string | undefined {
  return actor.startsWith(USER_PREFIX) ? actor.slice(USER_PREFIX.length) : undefined
}
