import type { Account } from '@patchbay/connector-sdk'

/** What a service gave for a person's consent. Sealed wherever it is stored. */
export interface Tokens {
  readonly access: string
  readonly refresh: string | null
}

/** Until when tokens hold. Null where the service does not say, or where they hold until somebody takes them back. */
export interface Expiry {
  /** From here on the access token is asked for anew, while it still holds. */
  readonly refreshAt: Date | null
  readonly accessExpiresAt: Date | null
  /** When a person has to sign in again, as far as it is known. */
  readonly expiresAt: Date | null
}

/** One connection's sign-in as somebody. */
export interface Grant extends Expiry {
  /** Grows with each change of the tokens: of two that want to refresh the same one, one finds that it is gone. */
  readonly generation: number
  readonly state: 'signed-in' | 'sign-in-again'
  /** Why a person has to sign in again; null while nobody has to. */
  readonly reason: string | null
  readonly account: Account
  /** The client that the tokens were issued to. */
  readonly clientId: string
  readonly signedInAt: Date
  readonly tokens: Tokens
}

/** One connection's grant in the store. */
export interface GrantPort {
  read(): Promise<Grant | undefined>
  /**
   * Takes the right to refresh this generation for so many seconds; undefined where somebody else has it, or where the
   * generation is gone. `isUnanswered`: an earlier refresh of it was begun and nobody knows how it ended.
   */
  claim(generation: number, seconds: number): Promise<{ readonly isUnanswered: boolean } | undefined>
  /** Durable when it returns. False where the generation is gone: somebody has signed in meanwhile, and these are dropped. */
  commit(generation: number, tokens: Tokens, expiry: Expiry): Promise<boolean>
  /** Gives the right back. `isUnanswered`: the service may have taken the request. */
  release(generation: number, isUnanswered: boolean): Promise<void>
  /** A person has to sign in again. */
  end(generation: number, reason: string): Promise<void>
}
