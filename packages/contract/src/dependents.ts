import { z } from 'zod'
import { countSchema, idSchema } from './scalars.ts'

/** All that a removal of a connection touches. The token names exactly this list: a removal must give it back. */
export const dependentsSchema = z
  .strictObject({
    exports: z.array(
      z.strictObject({
        id: idSchema('export'),
        name: z.string(),
        createdBy: z.string(),
        isScheduled: z.boolean(),
        isRunning: z.boolean().meta({ description: 'A run of it is not over, and would be canceled' }),
      }),
    ),
    runsGoingOn: countSchema,
    token: z.string().meta({ description: 'Send it as `confirmed` with the removal' }),
  })
  .meta({ id: 'Dependents' })
export type Dependents = z.infer<typeof dependentsSchema>
