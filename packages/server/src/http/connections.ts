import type { contract } from '@patchbay/contract'
import { askService } from '../connector-host/ask-service.ts'
import { checkConnection } from '../connector-host/check-connection.ts'
import type { ConnectionAccess } from '../connector-host/context.ts'
import { listSecretsOfVault } from '../connector-host/secret-store.ts'
import type { Connection } from '../domain/connection.ts'
import { endpointIdentity } from '../domain/endpoint-identity.ts'
import { changedEndpoint, endpointOf, shownSecrets, type FieldValues } from '../domain/field-values.ts'
import type { ExportId } from '../domain/ids.ts'
import { Problem } from '../domain/problem.ts'
import type { By } from '../store/by.ts'
import { listChecks, listRisks, recordCheck, writeSecretExpiry } from '../store/connection-health.ts'
import { createConnection, editConnection, readConnection } from '../store/connection.ts'
import type { Tx } from '../store/schema.ts'
import { removeSecret, writeSecret } from '../store/secret.ts'
import { answerConnection, listConnections } from './connection-answer.ts'
import { effectOf } from './connection-effect.ts'
import { makeRemovalHandlers } from './connection-removal.ts'
import { checkFromVault, dropUnusedGrant, readVault, writeFromVault } from './connection-vaults.ts'
import { checkDraft, connectorFor, splitPins } from './connection-draft.ts'
import type { CheckStep, Connector } from './connector-types.ts'
import type { Handlers } from './handler.ts'
import type { HttpPorts } from './ports.ts'

const RISKS_MAX = 1000
/** An id that no connection has: limits and pauses of drafts are kept under it. */
const DRAFT = 'draft'

export function makeConnectionHandlers(ports: HttpPorts): Handlers<typeof contract.connections> {
  const { db, registry } = ports
  return {
    list: ({ query }, { identity }) => listConnections(ports, query, identity),

    async add({ body }, { by, change }) {
      const connector = connectorFor(registry, body.connectorId, 'connectorId')
      const { values, secrets } = checkDraft(connector.settings, { ...body, stored: Object.keys(body.fromVault) })
      checkFromVault(connector, values, secrets, body.fromVault)
      return change(async (tx) => {
        const { name, policy, sharing } = body
        const draft = { name, connectorId: connector.id, settings: values, policy, sharing }
        const connection = await createConnection(tx, draft, by)
        await writeSecrets(ports, tx, connector, connection, secrets, by)
        await writeExpiries(tx, connection, Object.keys(secrets), body.secretsExpireAt)
        await writeFromVault(ports, tx, connection, body.fromVault, by)
        return answerConnection(registry, await readConnection(tx, connection.id))
      })
    },

    async show({ params }) {
      return answerConnection(registry, await readConnection(db, params.connection))
    },

    async edit({ params, body }, { by, change, revision }) {
      return change(async (tx) => {
        const before = await readConnection(tx, params.connection)
        const connector = connectorFor(registry, before.connectorId, 'connectorId')
        const fields = connector.settings
        const { pins, settings } = splitPins(fields, before.settings)
        const merged = { ...settings, ...body.settings }
        // Where or as whom: the stored secrets and what was trusted belong to the old place, and are asked for again.
        const isMoved = changedEndpoint(fields, before.settings, withoutNull(merged)).length > 0
        const { fromVault = {} } = body
        const stored = [...(isMoved ? [] : before.secretsSet), ...Object.keys(fromVault)]
        const given = { settings: merged, pins: isMoved ? {} : pins, secrets: body.secrets ?? {}, stored }
        const { values, secrets } = checkDraft(fields, given)
        checkFromVault(connector, values, secrets, fromVault)
        const draft = { name: body.name ?? before.name, settings: values, policy: body.policy ?? before.policy }
        const sharing = body.sharing === undefined ? {} : { sharing: body.sharing }
        const to = { ...draft, ...sharing, dropSecrets: isMoved }
        const after = await editConnection(tx, before.id, revision ?? before.revision, to, by)
        await writeSecrets(ports, tx, connector, after, secrets, by)
        const kept = before.secretsSet.filter((field) => !isMoved && !Object.hasOwn(secrets, field))
        await writeExpiries(tx, after, [...Object.keys(secrets), ...kept], body.secretsExpireAt ?? {}, kept)
        await writeFromVault(ports, tx, after, fromVault, by)
        await dropUnusedGrant(tx, connector, before, after, by)
        for (const field of after.secretsSet)
          if (!shownSecrets(fields, values).includes(field)) await removeSecret(tx, after.id, field, by)
        return answerConnection(registry, await readConnection(tx, after.id))
      })
    },

    async effect({ params, body }, { now }) {
      const connection = await readConnection(db, params.connection)
      return effectOf(ports, connection, body, now)
    },

    ...makeRemovalHandlers(ports),

    async check({ params }, { signal, now }) {
      const connection = await readConnection(db, params.connection)
      const connector = connectorFor(registry, connection.connectorId, 'connectorId')
      const checked = await check(ports, connector, ports.secrets.accessOf(connection), signal)
      const failed = checked.steps.find(({ ok }) => !ok)
      const result = {
        ...{ at: now, startedBy: 'person' as const, ok: checked.ok },
        step: failed?.step ?? (checked.ok ? null : 'resolved'),
        field: failed?.ok === false ? (failed.field ?? null) : null,
        message: failed?.ok === false ? failed.message : null,
      }
      await db.transaction().execute((tx) => recordCheck(tx, connection, result, ports.randomBytes))
      return checked
    },

    async checks({ params, query }) {
      const { id } = await readConnection(db, params.connection)
      const items = await listChecks(db, id, query.limit)
      return {
        items: items.map((item) => ({ ...item, step: item.step as CheckStep['step'], at: item.at.toISOString() })),
      }
    },

    async atRisk({ query }, { now }) {
      const risks = await listRisks(db, now, query.days, RISKS_MAX)
      return {
        items: risks.map((risk) => ({
          ...risk,
          expiresAt: risk.expiresAt?.toISOString() ?? null,
          exports: risk.exports.map(({ id, name }) => ({ id: id as ExportId, name })),
        })),
      }
    },

    async checkDraft({ body }, { signal }) {
      const connector = connectorFor(registry, body.connectorId, 'connectorId')
      const from = body.secretsOf === undefined ? undefined : await readConnection(db, body.secretsOf)
      const stored = [...(from?.secretsSet ?? []), ...Object.keys(body.fromVault)]
      const { values, secrets } = checkDraft(connector.settings, { ...body, stored })
      checkFromVault(connector, values, secrets, body.fromVault)
      if (from !== undefined) refuseOtherEndpoint(connector, from, values)
      const keeper = from === undefined ? undefined : ports.secrets.accessOf(from)
      const access: ConnectionAccess = {
        connectionId: from?.id ?? DRAFT,
        settings: values,
        async readSecret(field) {
          if (Object.hasOwn(secrets, field)) return secrets[field]
          const named = Object.hasOwn(body.fromVault, field) ? body.fromVault[field] : undefined
          if (named === undefined) return keeper?.readSecret(field)
          const { id } = await readVault(ports, db, named.vault, `fromVault.${field}.vault`)
          return ports.secrets.readFromVault(id, named.name, field)
        },
      }
      return check(ports, connector, access, signal)
    },

    async vaultSecrets({ params, query }, { signal }) {
      const vault = await readVault(ports, db, params.connection, 'connection')
      const connector = connectorFor(registry, vault.connectorId, 'connectorId')
      const access = ports.secrets.accessOf(vault)
      const ask = () => listSecretsOfVault(ports.host, connector, access, query.folder)
      return { names: [...(await askService(signal, true, ask))] }
    },

    async trust({ params, body }, { by, change, signal }) {
      const connection = await readConnection(db, params.connection)
      const connector = connectorFor(registry, connection.connectorId, 'connectorId')
      const { field, value } = body
      if (!Object.hasOwn(connector.settings, field) || connector.settings[field]?.kind !== 'pin')
        throw new Problem('invalid', `field: ${connector.name} has no "${field}" that could be trusted`, {
          path: 'field',
          cure: 'Give what the last check proposed',
        })
      if (connection.settings[field] === value) return answerConnection(registry, connection)
      const { [field]: earlier, ...settings } = connection.settings
      await confirmShown(ports, connector, { ...ports.secrets.accessOf(connection), settings }, body, signal)
      return change(async (tx) => {
        const { name, policy } = connection
        // Another identity in the place of a trusted one is another place: the secrets were for the old one.
        const draft = { name, policy, settings: { ...settings, [field]: value }, dropSecrets: earlier !== undefined }
        return answerConnection(registry, await editConnection(tx, connection.id, connection.revision, draft, by))
      })
    },
  }
}

async function writeSecrets(
  ports: HttpPorts,
  tx: Tx,
  connector: Connector,
  connection: Connection,
  secrets: Readonly<Record<string, string>>,
  by: By,
): Promise<void> {
  const identity = endpointIdentity(connector.id, endpointOf(connector.settings, connection.settings))
  for (const [field, text] of Object.entries(secrets)) {
    const place = { connectionId: connection.id, field, endpointIdentity: identity }
    const sealed = ports.secrets.seal(place, text)
    await writeSecret(tx, { connectionId: connection.id, field, sealed }, by)
  }
}

/** Of these secrets; a new one forgets when the one before it ended. `kept` are old ones, whose end stays unless it is said anew. */
async function writeExpiries(
  tx: Tx,
  { id }: Connection,
  secrets: readonly string[],
  given: Readonly<Record<string, string | null>>,
  kept: readonly string[] = [],
): Promise<void> {
  const unknown = Object.keys(given).find((field) => !secrets.includes(field))
  if (unknown !== undefined) {
    const path = `secretsExpireAt.${unknown}`
    throw new Problem('invalid', `${path}: No such secret is stored`, { path, cure: 'Give the secret as well' })
  }
  for (const field of secrets) {
    const at = Object.hasOwn(given, field) ? given[field] : undefined
    if (at === undefined && kept.includes(field)) continue
    await writeSecretExpiry(tx, id, field, at === undefined || at === null ? null : new Date(at))
  }
}

async function check(ports: HttpPorts, connector: Connector, access: ConnectionAccess, signal: AbortSignal) {
  const steps: CheckStep[] = []
  for await (const step of checkConnection(ports.host, connector, access, signal)) steps.push(step)
  // No step at all is no success: nothing was tried.
  return { ok: steps.length > 0 && steps.every(({ ok }) => ok), steps: steps.map((step) => ({ ...step })) }
}

/** A stored secret is never sent to where it was not typed for. */
function refuseOtherEndpoint(connector: Connector, from: Connection, values: FieldValues): void {
  const isSame = from.connectorId === connector.id
  const moved = changedEndpoint(connector.settings, from.settings, values)
  const path = isSame ? `settings.${moved[0] ?? ''}` : 'connectorId'
  if (isSame && moved.length === 0) return
  throw new Problem('conflict', `${path}: This says where or as whom, and differs from "${from.name}"`, {
    path,
    cure: 'Enter the secrets again: stored ones are only used where they were entered for',
  })
}

/** Looks at the far end without the pin, so that it shows itself and gets no secret; only what it shows now can be trusted. */
async function confirmShown(
  ports: HttpPorts,
  connector: Connector,
  access: ConnectionAccess,
  wanted: { readonly field: string; readonly value: string },
  signal: AbortSignal,
): Promise<void> {
  const { steps } = await check(ports, connector, access, signal)
  const last = steps.at(-1)
  const pin = last?.ok === false ? last.pin : undefined
  if (pin?.field === wanted.field && pin.value === wanted.value) return
  if (pin?.field === wanted.field)
    throw new Problem('conflict', `value: The far end shows ${pin.value} now`, {
      path: 'value',
      cure: 'Find out from its operator which one is right',
    })
  throw new Problem('unavailable', last?.ok === false ? last.message : 'The far end shows nothing to trust', {
    cure: 'Check the connection first: patchbay connection check',
  })
}

function withoutNull(values: Readonly<Record<string, unknown>>): FieldValues {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null)) as FieldValues
}
