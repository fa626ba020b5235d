export interface KeptToken {
  readonly access: string
  readonly refreshAt: Date | null
}

/** By a hash of everything that the token depends on; one request for all who ask at once. */
export type ClientTokens = Map<string, Promise<KeptToken>>
