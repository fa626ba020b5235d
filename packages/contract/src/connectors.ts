import { z } from 'zod'
import { endpoint } from './endpoint.ts'
import { keySchema } from './scalars.ts'

const fieldBase = {
  name: z.string(),
  label: z.string(),
  help: z.string().exactOptional(),
  optional: z.boolean(),
  showWhen: z.strictObject({ field: z.string(), is: z.union([z.string(), z.boolean()]) }).exactOptional(),
  endpoint: z.boolean().meta({ description: 'Says where or as whom: a change drops stored secrets' }),
}
const choicesSchema = z.array(
  z.strictObject({ value: z.string(), label: z.string(), help: z.string().exactOptional() }),
)

/** A field of a set-up pane, as plain data: no page and no command knows a connector. */
export const connectorFieldSchema = z
  .discriminatedUnion('kind', [
    z.strictObject({
      ...fieldBase,
      kind: z.literal('text'),
      example: z.string().exactOptional(),
      pattern: z.string().exactOptional(),
      maxLength: z.int().exactOptional(),
      multiline: z.boolean().exactOptional(),
      default: z.string().exactOptional(),
    }),
    z.strictObject({ ...fieldBase, kind: z.literal('secret'), multiline: z.boolean() }),
    z.strictObject({
      ...fieldBase,
      kind: z.literal('number'),
      min: z.number().exactOptional(),
      max: z.number().exactOptional(),
      default: z.number().exactOptional(),
    }),
    z.strictObject({ ...fieldBase, kind: z.literal('switch'), default: z.boolean().exactOptional() }),
    z.strictObject({
      ...fieldBase,
      kind: z.literal('choice'),
      choices: choicesSchema,
      default: z.string().exactOptional(),
    }),
    z.strictObject({ ...fieldBase, kind: z.literal('lookup'), dependsOn: z.array(z.string()).exactOptional() }),
    z.strictObject({ ...fieldBase, kind: z.literal('pin') }),
  ])
  .meta({ id: 'ConnectorField' })
export type ConnectorField = z.infer<typeof connectorFieldSchema>

export const MODES = ['append', 'upsert', 'mirror', 'replace'] as const
export const modeSchema = z.enum(MODES)

const destinationSchema = z
  .strictObject({
    type: z.string(),
    delivers: z.enum(['rows', 'files', 'table']),
    modes: z.array(modeSchema),
    name: z.string(),
    fields: z.array(connectorFieldSchema),
    removal: z.string().meta({ description: 'What happens to rows that leave, in words' }),
  })
  .meta({ id: 'DestinationType' })

const SIGN_INS = ['none', 'header', 'basic', 'signed', 'oauth2', 'client-credentials'] as const

const signInSchema = z
  .strictObject({
    type: z.enum(SIGN_INS),
    chosenBy: z
      .strictObject({ field: z.string(), is: z.string() })
      .nullable()
      .meta({ description: 'The choice of the set-up pane that takes this way; null where there is only one' }),
    client: z
      .enum(['connection', 'operator'])
      .nullable()
      .meta({ description: 'Whose application signs in: null where none is needed' }),
  })
  .meta({ id: 'SignIn' })

export const CATEGORIES = ['files', 'database', 'messaging', 'mail', 'advertising', 'crm', 'key-vault'] as const

export const connectorSchema = z
  .strictObject({
    id: z.string(),
    name: z.string(),
    summary: z.string(),
    category: z.enum(CATEGORIES),
    direction: z.enum(['export', 'enrichment', 'both']),
    auth: z.enum([...SIGN_INS, 'choice']),
    signIns: z.array(signInSchema).meta({ description: 'Each way to sign in; of oauth2 there is at most one' }),
    settings: z.array(connectorFieldSchema),
    destinations: z.array(destinationSchema),
  })
  .meta({ id: 'Connector' })
export type Connector = z.infer<typeof connectorSchema>

export const connectors = {
  list: endpoint({
    method: 'GET',
    path: '/connectors',
    summary: 'Lists every connector there is',
    permission: 'discover.read',
    response: z.strictObject({ items: z.array(connectorSchema) }),
  }),
  show: endpoint({
    method: 'GET',
    path: '/connectors/{connector}',
    summary: 'Shows the fields and destinations of a connector',
    permission: 'connector.read',
    params: z.strictObject({ connector: keySchema }),
    response: connectorSchema,
    errors: ['not-found'],
  }),
}
