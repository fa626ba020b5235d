import { z } from 'zod'
import { endpoint } from './endpoint.ts'
import { countSchema, fieldNameSchema, idSchema, tableNameSchema, timeSchema } from './scalars.ts'

const valueSchema = z
  .string()
  .min(1)
  .max(1000)
  .regex(/^[^\p{Cc}]+$/u, 'No control characters')

const table = tableNameSchema.exactOptional().meta({ description: 'The profile table where absent' })

const placeSchema = z
  .strictObject({
    export: z.strictObject({ id: idSchema('export'), name: z.string() }),
    connection: z
      .strictObject({ id: idSchema('connection'), name: z.string() })
      .nullable()
      .meta({ description: 'The one that the export has now; null when detached' }),
    connectorId: z.string(),
    destinationType: z.string(),
    destination: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
    key: z.string().meta({ description: 'The row of the table' }),
    state: z.enum(['accepted', 'uncertain']).meta({ description: 'Uncertain: it was sent, and no answer came' }),
    since: timeSchema,
    fields: z.array(
      z.strictObject({
        to: z.string(),
        from: z.string(),
        hashed: z.boolean(),
      }),
    ),
  })
  .meta({ id: 'PersonPlace' })
export type PersonPlace = z.infer<typeof placeSchema>

const removedSchema = z.array(z.strictObject({ id: z.string(), name: z.string(), at: timeSchema })).meta({
  description: 'Exports that were removed: what their destinations have is not known any more. The newest first',
})

const who = { table, key: valueSchema.meta({ description: "The value of the table's key" }) }

export const persons = {
  find: endpoint({
    method: 'POST',
    path: '/persons/find',
    summary:
      "Says where a person's data is: each destination that has accepted them, which fields, since when, by which export. By the table's key or by any of its fields; it is a POST so that no value stands in an address",
    permission: 'person.read',
    body: z.strictObject({
      table,
      who: z.union([
        z.strictObject({ key: valueSchema }),
        z.strictObject({ field: fieldNameSchema, value: valueSchema }),
      ]),
    }),
    response: z.strictObject({
      keys: z.array(z.string()).meta({ description: 'Rows of the table, now, that are meant' }),
      isMore: z.boolean().meta({ description: 'More rows have this value than were looked for' }),
      erased: z.boolean().meta({ description: 'One of them is erased: it is not sent any more' }),
      items: z.array(placeSchema),
      removedExports: removedSchema,
    }),
    errors: ['not-found', 'not-ready', 'unavailable'],
  }),
  erase: endpoint({
    method: 'POST',
    path: '/persons/erase',
    summary:
      'Erases a person: from now on no run that begins sends them, and exports that remove take them out with their next run. Says where that cannot be done',
    permission: 'person.erase',
    body: z.strictObject(who),
    response: z.strictObject({
      items: z.array(
        z.strictObject({
          place: placeSchema,
          removal: z.enum(['next-run', 'detached', 'by-hand']).meta({
            description: 'Taken out by the next run; when it is attached again; or only at the service itself',
          }),
          cure: z.string(),
        }),
      ),
      removedExports: removedSchema,
      runsGoingOn: countSchema.meta({ description: 'Runs that had begun before, and may still send them' }),
    }),
    errors: ['not-found', 'not-ready', 'unavailable'],
  }),
  unerase: endpoint({
    method: 'POST',
    path: '/persons/unerase',
    summary: 'Takes an erasure back: the person is sent again where an export selects them',
    permission: 'person.erase',
    body: z.strictObject(who),
    errors: ['not-found', 'not-ready'],
  }),
}
