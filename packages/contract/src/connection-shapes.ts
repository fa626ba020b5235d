/** What a connection is made of, as it goes over the wire. */
import { z } from 'zod'
import { CATEGORIES } from './connectors.ts'
import {
  countSchema,
  fieldNameSchema,
  idSchema,
  keySchema,
  referenceSchema,
  revisionSchema,
  timeSchema,
} from './scalars.ts'

export const HEALTHS = ['unknown', 'healthy', 'failing'] as const
export const CONNECTION_SORTS = [
  'name',
  'connector',
  'direction',
  'category',
  'health',
  'checked',
  'usedBy',
  'sharing',
  'created',
  'createdBy',
] as const

export const policySchema = z
  .strictObject({
    fields: z.union([z.enum(['all', 'not-personal']), z.strictObject({ only: z.array(fieldNameSchema).max(2000) })]),
    hashed: z.array(fieldNameSchema).max(2000),
    consentField: fieldNameSchema.exactOptional(),
    rowsPerRunMax: z.int().min(1).exactOptional(),
  })
  .meta({ id: 'DataPolicy', description: 'What may leave over a connection' })

/** User ids; a user who is removed is in no list any more. */
const userIdSchema = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'The id of a user')

export const stepSchema = z.enum(['resolved', 'reached', 'trusted', 'signed-in', 'may-write'])

export const sharingSchema = z
  .discriminatedUnion('with', [
    z.strictObject({ with: z.literal('administrators') }),
    z.strictObject({ with: z.literal('contributors') }),
    z.strictObject({ with: z.literal('named'), users: z.array(userIdSchema).min(1).max(1000) }),
  ])
  .meta({
    id: 'Sharing',
    description: 'Who may use a connection: Administrators; Administrators and Contributors; or these users besides',
  })
export type Sharing = z.infer<typeof sharingSchema>

/** There is no field for a secret, so no answer can hold one: only the names of those that are set. */
export const connectionSchema = z
  .strictObject({
    id: idSchema('connection'),
    name: z.string(),
    connectorId: z.string(),
    settings: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
    secretsSet: z.array(z.string()),
    vaultSecrets: z
      .array(z.strictObject({ field: z.string(), vault: idSchema('connection'), name: z.string() }))
      .meta({ description: 'Of these, the ones that name a secret of a key vault and hold none' }),
    policy: policySchema,
    sharing: sharingSchema,
    direction: z.enum(['export', 'enrichment', 'both']),
    category: z.enum(CATEGORIES),
    health: z.enum(HEALTHS),
    checkedAt: timeSchema.nullable(),
    failing: z
      .strictObject({ step: stepSchema, field: z.string().nullable(), message: z.string() })
      .nullable()
      .meta({ description: 'Where the last check failed, and which field to mend' }),
    expiresAt: timeSchema
      .nullable()
      .meta({ description: 'When the first of its secrets ends, or what it signed in with' }),
    usedBy: countSchema.meta({ description: 'How many exports are on it' }),
    createdAt: timeSchema,
    createdBy: z.string(),
    revision: revisionSchema,
  })
  .meta({ id: 'Connection' })
export type Connection = z.infer<typeof connectionSchema>

/** All that a Contributor sees of a connection: a shape of its own, so that nothing else can slip into it. */
export const sharedConnectionSchema = z
  .strictObject({ id: idSchema('connection'), name: z.string(), connector: z.string() })
  .meta({ id: 'SharedConnection' })
export type SharedConnection = z.infer<typeof sharedConnectionSchema>

export const checkStepSchema = z
  .strictObject({
    step: stepSchema,
    ok: z.boolean(),
    detail: z.string().exactOptional(),
    field: z.string().exactOptional().meta({ description: 'The field to mend' }),
    message: z.string().exactOptional(),
    pin: z
      .strictObject({ field: z.string(), value: z.string() })
      .exactOptional()
      .meta({ description: 'What the far end shows of itself, for a person to trust' }),
  })
  .meta({ id: 'CheckStep' })
export type CheckStep = z.infer<typeof checkStepSchema>

export const checkedSchema = z.strictObject({ ok: z.boolean(), steps: z.array(checkStepSchema) })
export type Checked = z.infer<typeof checkedSchema>

export const secretsSchema = z
  .record(keySchema, z.string().min(1).max(20_000))
  .meta({ description: 'Write-only: sealed when stored, and never given back' })
export const secretsExpireAtSchema = z
  .record(keySchema, timeSchema.nullable())
  .meta({ description: 'When a secret ends, where that is known: it is told 14 days ahead. Another secret forgets it' })
export const fromVaultSchema = z
  .record(keySchema, z.strictObject({ vault: referenceSchema, name: z.string().min(1).max(500) }))
  .meta({
    description:
      'Secret fields that name a secret of a key vault, which is a connection too. They hold none from then on',
  })
export const pinsSchema = z
  .record(keySchema, z.string().min(1).max(500))
  .meta({ description: 'What was shown by a check, and is trusted' })
export const policyDefault = { fields: 'all', hashed: [] } as const
