import type { contract } from '@patchbay/contract'
import { signsInAsSomebody } from '../connector-host/sign-in-ways.ts'
import { actorOf, type Identity } from '../access/identity.ts'
import type { Connection } from '../domain/connection.ts'
import { readConnection } from '../store/connection.ts'
import { listDependents } from '../store/connection-removal.ts'
import { listAttempts } from '../store/oauth-attempt.ts'
import { listGrantsAtRisk, readGrant, removeGrant } from '../store/oauth-grant.ts'
import type { Db } from '../store/schema.ts'
import type { Handlers } from './handler.ts'
import type { HttpPorts } from './ports.ts'

const DAY_MS = 86_400_000
const SOON_DAYS = 14

export function makeServiceSignInHandlers(ports: HttpPorts): Handlers<typeof contract.serviceSignIns> {
  const { db } = ports
  return {
    async atRisk({ query }, { now }) {
      const grants = await listGrantsAtRisk(db, new Date(now.getTime() + query.days * DAY_MS))
      const items = []
      for (const grant of grants) {
        const { id, name } = await readConnection(db, grant.connectionId)
        items.push({
          connection: { id, name },
          state: grant.state,
          reason: grant.reason,
          account: accountOf(grant.account),
          expiresAt: grant.expiresAt?.toISOString() ?? null,
          exportsAtRisk: await exportsOn(db, id),
        })
      }
      return { items }
    },

    async show({ params }, { identity, now }) {
      return signInOf(ports, await readConnection(db, params.connection), identity, now)
    },

    async start({ params }, { identity, by }) {
      const { id, address, expiresAt } = await ports.serviceSignIn.start(params.connection, askerOf(identity), by)
      return { id, address, expiresAt: expiresAt.toISOString() }
    },

    async finish({ params, body }, { identity, by, now, signal }) {
      await ports.serviceSignIn.finish(params.connection, body, askerOf(identity), by, signal)
      return signInOf(ports, await readConnection(db, params.connection), identity, now)
    },

    async forget({ params }, { by, change }) {
      await change(async (tx) => removeGrant(tx, (await readConnection(tx, params.connection)).id, by))
      return undefined
    },
  }
}

/** The session or the key, and not the person: an answer that was brought to one browser is not finished by another. */
function askerOf(identity: Identity): string {
  return `${identity.kind} ${'id' in identity ? identity.id : actorOf(identity)}`
}

async function signInOf({ db, registry }: HttpPorts, connection: Connection, identity: Identity, now: Date) {
  const connector = registry.findConnector(connection.connectorId)
  const isUsed = connector !== undefined && signsInAsSomebody(connector, connection.settings)
  const grant = isUsed ? await readGrant(db, connection.id) : undefined
  const attempt = (await listAttempts(db, connection.id, now)).find(({ asker }) => asker === askerOf(identity))
  const isSoon = (at: Date | null): boolean => at !== null && at.getTime() < now.getTime() + SOON_DAYS * DAY_MS
  const isAtRisk = grant !== undefined && (grant.state === 'sign-in-again' || isSoon(grant.expiresAt))
  return {
    state: isUsed ? (grant?.state ?? ('nobody' as const)) : ('not-used' as const),
    reason: grant?.reason ?? null,
    account: grant === undefined ? null : accountOf(grant.account),
    signedInAt: grant?.signedInAt.toISOString() ?? null,
    signedInBy: grant?.signedInBy ?? null,
    expiresAt: grant?.expiresAt?.toISOString() ?? null,
    exportsAtRisk: isAtRisk ? await exportsOn(db, connection.id) : [],
    attempt:
      attempt === undefined
        ? null
        : {
            id: attempt.id,
            step: attempt.step,
            reason: attempt.reason,
            expiresAt: attempt.expiresAt.toISOString(),
          },
  }
}

async function exportsOn(db: Db, connectionId: Connection['id']) {
  return (await listDependents(db, connectionId)).map(({ id, name }) => ({ id, name }))
}

function accountOf({ id, name }: { readonly id: string; readonly name: string }) {
  return { id, name }
}
