/** What helps to make an export before there is one: the service's own lists, its fields, and how many would be sent. */
import { z } from 'zod'
import { endpoint } from './endpoint.ts'
import { countSchema, keySchema, nameSchema, referenceSchema, tableNameSchema, valuesSchema } from './scalars.ts'

const place = {
  connection: referenceSchema.meta({ description: 'Id or name of a connection that is yours to use' }),
  destinationType: keySchema.exactOptional().meta({ description: 'May be absent where the connector has only one' }),
  destination: valuesSchema.default({}).meta({ description: 'What is chosen so far' }),
}

const choiceSchema = z
  .strictObject({ value: z.string(), label: z.string(), help: z.string().exactOptional() })
  .meta({ id: 'LookedUpChoice' })

const matchSchema = z
  .strictObject({
    from: z.string().meta({ description: 'A field of the table' }),
    confidence: z
      .enum(['certain', 'likely', 'possible'])
      .meta({ description: 'Only what is certain or likely should be filled in; what is possible, offered' }),
    because: z.enum(['name', 'label', 'guess', 'meaning', 'part', 'tag']),
    transforms: z.array(z.enum(['trim', 'lowercase', 'digits', 'hash'])),
  })
  .meta({ id: 'FieldMatch' })

export const targetFieldSchema = z
  .strictObject({
    name: z.string(),
    label: z.string(),
    type: z.enum(['text', 'number', 'boolean', 'date', 'email', 'phone']),
    required: z.boolean(),
    identifier: z.boolean().meta({ description: 'May identify a person there; a mapping needs at least one' }),
    normal: z.string().nullable().meta({ description: 'The form into which every value is brought before it is sent' }),
    hash: z.enum(['sha256']).nullable().meta({ description: 'The service wants this hashed' }),
    match: matchSchema.nullable().meta({ description: 'The best guess; each field of the table is guessed once' }),
    others: z.array(matchSchema).meta({ description: 'Other fields that may be meant, the likeliest first' }),
  })
  .meta({ id: 'TargetField' })

export const exportAids = {
  lookup: endpoint({
    method: 'POST',
    path: '/exports/lookup',
    summary:
      'Asks the service for its own choices of one field of a destination, as its lists or audiences. Made to be called while somebody types: cancel the call before, and the question to the service ends too',
    permission: 'export.write',
    body: z.strictObject({
      ...place,
      field: keySchema.meta({ description: 'A field of kind lookup' }),
      search: z
        .string()
        .max(200)
        .regex(/^[^\p{Cc}]*$/u, 'No control characters')
        .default(''),
    }),
    response: z.strictObject({
      items: z.array(choiceSchema),
      isMore: z.boolean().meta({ description: 'There are more than are shown: search for one' }),
    }),
    errors: ['not-found', 'not-ready', 'unavailable'],
  }),
  targetFields: endpoint({
    method: 'POST',
    path: '/exports/target-fields',
    summary: 'Asks the service for its fields, and guesses which field of the table belongs to each (data matching)',
    permission: 'export.write',
    body: z.strictObject({
      ...place,
      table: tableNameSchema
        .exactOptional()
        .meta({ description: 'Whose fields are matched; the profile table where absent' }),
    }),
    response: z.strictObject({
      anyName: z.boolean().meta({ description: 'The destination takes any name: there is nothing to match' }),
      items: z.array(targetFieldSchema),
      unmatched: z.array(z.string()).meta({ description: 'Fields of the table that nothing was guessed for' }),
    }),
    errors: ['not-found', 'not-ready', 'unavailable'],
  }),
  count: endpoint({
    method: 'POST',
    path: '/exports/count',
    summary:
      'Counts who is in these segments now, each and together, and warns where the service takes fewer or needs more',
    permission: 'export.write',
    body: z.strictObject({
      segments: z.array(nameSchema).max(100).meta({ description: 'None means every row of the profile table' }),
      connector: keySchema.exactOptional().meta({ description: 'Whose limits count' }),
      destinationType: keySchema.exactOptional(),
    }),
    response: z.strictObject({
      members: countSchema.meta({ description: 'In at least one of them: each person counts once' }),
      of: countSchema.meta({ description: 'Rows of the profile table' }),
      each: z.array(z.strictObject({ segment: z.string(), members: countSchema })),
      rowsMin: countSchema.nullable(),
      rowsMax: countSchema.nullable(),
      warning: z.string().nullable(),
    }),
    errors: ['not-found', 'not-ready', 'unavailable'],
  }),
}
