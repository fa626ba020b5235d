import type { Grant, GrantPort, Tokens } from '../connector-host/oauth/grant.ts'
import type { ConnectionId } from '../domain/ids.ts'
import {
  claimRefresh,
  commitRefresh,
  endGrant,
  readGrant,
  releaseRefresh,
  type StoredGrant,
} from '../store/oauth-grant.ts'
import type { Db } from '../store/schema.ts'
import type { SecretPlace, Vault } from '../vault/vault.ts'

/** No field of a connector can be called that. */
export const TOKEN_FIELD = 'oauth:tokens'

export interface GrantPlace {
  readonly connectionId: ConnectionId
  readonly endpointIdentity: string
}

export function makeGrantPort(db: Db, vault: Vault, place: GrantPlace, now: () => Date): GrantPort {
  const id = place.connectionId
  return {
    async read() {
      const stored = await readGrant(db, id)
      return stored === undefined ? undefined : openGrant(vault, place, stored)
    },
    claim: (generation, seconds) => claimRefresh(db, id, generation, seconds),
    commit: (generation, tokens, expiry) =>
      commitRefresh(db, id, generation, { sealed: sealTokens(vault, place, tokens), ...expiry }, now()),
    release: (generation, isUnanswered) => releaseRefresh(db, id, generation, isUnanswered),
    end: (generation, reason) => db.transaction().execute((tx) => endGrant(tx, id, generation, reason, now())),
  }
}

export function sealTokens(vault: Vault, place: GrantPlace, tokens: Tokens): string {
  return vault.seal(JSON.stringify(tokens), tokenPlace(place))
}

async function openGrant(vault: Vault, place: GrantPlace, stored: StoredGrant): Promise<Grant> {
  const { sealed, connectionId: _id, signedInBy: _by, ...grant } = stored
  return { ...grant, tokens: JSON.parse(await vault.open(sealed, tokenPlace(place))) as Tokens }
}

function tokenPlace({ connectionId, endpointIdentity }: GrantPlace): SecretPlace {
  return { connectionId, field: TOKEN_FIELD, endpointIdentity }
}
