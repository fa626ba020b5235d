import { z } from 'zod'
import { CATEGORIES } from './connectors.ts'
import { dependentsSchema } from './dependents.ts'
import { endpoint } from './endpoint.ts'
import {
  countSchema,
  idSchema,
  keySchema,
  nameSchema,
  pageOf,
  pageQuery,
  referenceSchema,
  searchSchema,
  sortSchema,
  timeSchema,
  valuesSchema,
} from './scalars.ts'
import {
  HEALTHS,
  CONNECTION_SORTS,
  policySchema,
  stepSchema,
  sharingSchema,
  connectionSchema,
  sharedConnectionSchema,
  checkedSchema,
  secretsSchema,
  secretsExpireAtSchema,
  fromVaultSchema,
  pinsSchema,
  policyDefault,
} from './connection-shapes.ts'

const params = z.strictObject({ connection: referenceSchema })
const namedExportSchema = z.strictObject({ id: idSchema('export'), name: z.string() })

export const connections = {
  list: endpoint({
    method: 'GET',
    path: '/connections',
    summary: 'Lists the connections; for a Contributor those that are shared with them, by name and connector only',
    permission: 'connection.use',
    query: z.strictObject({
      ...pageQuery,
      sort: sortSchema(CONNECTION_SORTS, 'name'),
      search: searchSchema.exactOptional(),
      connector: keySchema.exactOptional(),
      direction: z.enum(['export', 'enrichment']).exactOptional(),
      category: z.enum(CATEGORIES).exactOptional(),
      health: z.enum(HEALTHS).exactOptional(),
      sharing: z.enum(['administrators', 'contributors', 'named']).exactOptional(),
      used: z.enum(['yes', 'no']).exactOptional(),
    }),
    response: z.union([pageOf(connectionSchema), pageOf(sharedConnectionSchema)]),
  }),
  add: endpoint({
    method: 'POST',
    path: '/connections',
    summary: 'Adds a connection. It is not checked: see /connections/check',
    permission: 'connection.write',
    body: z.strictObject({
      name: nameSchema,
      connectorId: keySchema,
      settings: valuesSchema.default({}),
      secrets: secretsSchema.default({}),
      secretsExpireAt: secretsExpireAtSchema.default({}),
      fromVault: fromVaultSchema.default({}),
      pins: pinsSchema.default({}),
      policy: policySchema.default({ ...policyDefault, hashed: [] }),
      sharing: sharingSchema.default({ with: 'administrators' }),
    }),
    response: connectionSchema,
    status: 201,
    revision: 'given',
    idempotent: true,
    errors: ['not-found', 'conflict'],
  }),
  show: endpoint({
    method: 'GET',
    path: '/connections/{connection}',
    summary: 'Shows a connection, without its secrets',
    permission: 'connection.read',
    params,
    response: connectionSchema,
    revision: 'given',
    errors: ['not-found'],
  }),
  edit: endpoint({
    method: 'PATCH',
    path: '/connections/{connection}',
    summary: 'Changes a connection. A setting that says where or as whom drops the stored secrets and pins',
    permission: 'connection.write',
    params,
    body: z.strictObject({
      name: nameSchema.exactOptional(),
      settings: z
        .record(keySchema, z.union([z.string().max(20_000), z.number(), z.boolean(), z.null()]))
        .exactOptional()
        .meta({ description: 'Only what changes; null takes a setting away' }),
      secrets: secretsSchema.exactOptional(),
      secretsExpireAt: secretsExpireAtSchema.exactOptional(),
      fromVault: fromVaultSchema.exactOptional(),
      policy: policySchema.exactOptional(),
      sharing: sharingSchema.exactOptional(),
    }),
    response: connectionSchema,
    revision: 'required',
    errors: ['not-found', 'conflict'],
  }),
  effect: endpoint({
    method: 'POST',
    path: '/connections/{connection}/effect',
    summary:
      'Says, before it is saved, which exports a change of sharing or data policy would take from whom, or break',
    permission: 'connection.write',
    params,
    body: z.strictObject({ sharing: sharingSchema.exactOptional(), policy: policySchema.exactOptional() }),
    response: z.strictObject({
      losingEditors: z
        .array(
          z.strictObject({
            id: idSchema('export'),
            name: z.string(),
            createdBy: z.string(),
            stops: z.boolean().meta({
              description: 'Whom it belongs to could not send over the connection any more, so its schedule would fail',
            }),
          }),
        )
        .meta({ description: 'Exports that somebody could edit and could not afterwards; they stay as they are' }),
      breaking: z
        .array(
          z.strictObject({
            id: idSchema('export'),
            name: z.string(),
            path: z.string().meta({ description: 'The place in the export' }),
            reason: z.string(),
          }),
        )
        .meta({ description: 'Exports that run now, and would end at the stage "plan" with this reason' }),
    }),
    errors: ['not-found'],
  }),
  dependents: endpoint({
    method: 'GET',
    path: '/connections/{connection}/dependents',
    summary: 'Lists everything that uses a connection, to be confirmed before it is removed',
    permission: 'connection.read',
    params,
    response: dependentsSchema,
    errors: ['not-found'],
  }),
  remove: endpoint({
    method: 'POST',
    path: '/connections/{connection}/remove',
    summary:
      'Removes a connection and destroys its secrets. Its exports are detached: they keep everything and do not run',
    permission: 'connection.write',
    params,
    body: z.strictObject({
      confirmed: z.string().min(1).max(100).meta({
        description: 'The token of /dependents: what was looked at. Another list by now is refused, with the new one',
      }),
      removeExports: z
        .array(idSchema('export'))
        .max(100_000)
        .default([])
        .meta({ description: 'Those of the exports that are removed as well, for ever' }),
    }),
    response: z.strictObject({
      detached: z.array(namedExportSchema),
      removed: z
        .array(namedExportSchema)
        .meta({ description: 'One whose run goes on leaves when that has stopped, after at most one batch' }),
      canceled: z.array(idSchema('run')),
      restorableUntil: timeSchema,
    }),
    errors: ['not-found', 'conflict'],
  }),
  removed: endpoint({
    method: 'GET',
    path: '/removed-connections',
    summary: 'Lists the removed connections that can still be put back, the newest first',
    permission: 'connection.read',
    response: z.strictObject({
      items: z.array(
        z.strictObject({
          id: idSchema('connection'),
          name: z.string(),
          connectorId: z.string(),
          removedAt: timeSchema,
          removedBy: z.string(),
          restorableUntil: timeSchema,
          detached: z.array(namedExportSchema).meta({ description: 'Exports that would be on it again' }),
        }),
      ),
    }),
  }),
  restore: endpoint({
    method: 'POST',
    path: '/removed-connections/{connection}/restore',
    summary:
      'Puts a removed connection back, and its exports on it. Its secrets are gone: they have to be entered again',
    permission: 'connection.write',
    params: z.strictObject({ connection: idSchema('connection') }),
    body: z.strictObject({
      name: nameSchema.exactOptional().meta({ description: 'Where its name was taken meanwhile' }),
    }),
    response: z.strictObject({
      connection: connectionSchema,
      attached: z.array(namedExportSchema),
      secretsNeeded: z.array(z.string()),
    }),
    errors: ['not-found', 'conflict'],
  }),
  attaching: endpoint({
    method: 'GET',
    path: '/connections/{connection}/attaching/{export}',
    summary: 'Says what becomes of an export that is given this connection',
    permission: 'export.write',
    params: z.strictObject({ connection: referenceSchema, export: referenceSchema }),
    response: z.strictObject({
      place: z.enum(['new', 'same', 'another']).meta({
        description: 'Whether it delivered before, and to the same endpoint and destination',
      }),
      rowsKnown: countSchema.meta({ description: 'Rows that are known to stand there from earlier runs' }),
      says: z.string(),
    }),
    errors: ['not-found'],
  }),
  check: endpoint({
    method: 'POST',
    path: '/connections/{connection}/check',
    summary: 'Verifies a connection step by step, with its stored secrets',
    permission: 'connection.write',
    params,
    response: checkedSchema,
    errors: ['not-found', 'unavailable'],
  }),
  checkDraft: endpoint({
    method: 'POST',
    path: '/connections/check',
    summary: 'Verifies settings that are not saved',
    permission: 'connection.write',
    body: z.strictObject({
      connectorId: keySchema,
      settings: valuesSchema.default({}),
      secrets: secretsSchema.default({}),
      fromVault: fromVaultSchema.default({}),
      pins: pinsSchema.default({}),
      secretsOf: referenceSchema.exactOptional().meta({
        description:
          'Take missing secrets from this connection; only while every setting that says where or as whom is the same',
      }),
    }),
    response: checkedSchema,
    errors: ['not-found', 'conflict', 'unavailable'],
  }),
  checks: endpoint({
    method: 'GET',
    path: '/connections/{connection}/checks',
    summary: 'Lists the checks of a connection, the newest first',
    permission: 'connection.read',
    params,
    query: z.strictObject({ limit: z.coerce.number().int().min(1).max(500).default(100) }),
    response: z.strictObject({
      items: z.array(
        z.strictObject({
          at: timeSchema,
          startedBy: z.enum(['person', 'saved', 'run', 'clock']),
          ok: z.boolean(),
          step: stepSchema.nullable(),
          field: z.string().nullable(),
          message: z.string().nullable(),
        }),
      ),
    }),
    errors: ['not-found'],
  }),
  atRisk: endpoint({
    method: 'GET',
    path: '/connections-at-risk',
    summary: 'Lists the connections that do not work, or will not for long, with the exports at risk',
    permission: 'connection.read',
    query: z.strictObject({ days: z.coerce.number().int().min(1).max(365).default(14) }),
    response: z.strictObject({
      items: z.array(
        z.strictObject({
          id: idSchema('connection'),
          name: z.string(),
          connectorId: z.string(),
          why: z.enum(['failing', 'expiring', 'ended']),
          expiresAt: timeSchema.nullable(),
          exports: z.array(namedExportSchema),
        }),
      ),
    }),
  }),
  vaultSecrets: endpoint({
    method: 'GET',
    path: '/connections/{connection}/vault-secrets',
    summary: 'Lists the names of the secrets in a key vault, and never one of them',
    permission: 'connection.write',
    params,
    query: z.strictObject({ folder: z.string().max(500).default('') }),
    response: z.strictObject({ names: z.array(z.string()) }),
    errors: ['not-found', 'unavailable'],
  }),
  trust: endpoint({
    method: 'POST',
    path: '/connections/{connection}/trust',
    summary: 'Trusts what the last check saw of the far end, such as the fingerprint of an SSH host key',
    permission: 'connection.write',
    params,
    body: z.strictObject({ field: keySchema, value: z.string().min(1).max(500) }),
    response: connectionSchema,
    errors: ['not-found', 'conflict'],
  }),
}
