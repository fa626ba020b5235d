/** One act on many exports: each is answered for, and one that cannot does not keep the others from it. */
import { z } from 'zod'
import { endpoint } from './endpoint.ts'
import { runSchema } from './runs.ts'
import { cursorSchema, idSchema, referenceSchema, timeSchema } from './scalars.ts'
import { scheduleSchema } from './schedule.ts'

const several = z.array(referenceSchema).min(1).max(500)

const problem = z
  .strictObject({ code: z.string(), detail: z.string(), cure: z.string() })
  .nullable()
  .meta({ description: 'Why it was not done; null where it was' })

const startedSchema = z
  .strictObject({
    export: z.string().meta({ description: 'As it was named' }),
    id: idSchema('export').nullable(),
    name: z.string().nullable(),
    run: runSchema.nullable(),
    problem,
  })
  .meta({ id: 'StartedExport' })

export const exportMany = {
  scheduleMany: endpoint({
    method: 'POST',
    path: '/exports/schedules',
    summary: 'Defines one schedule for several exports, or turns the schedule that each has on or off, which keeps it',
    permission: 'export.write',
    body: z.strictObject({
      exports: several,
      change: z.discriminatedUnion('to', [
        z.strictObject({ to: z.literal('this'), schedule: scheduleSchema }),
        z.strictObject({ to: z.literal('on') }),
        z.strictObject({ to: z.literal('off') }),
        z.strictObject({ to: z.literal('none') }),
      ]),
    }),
    response: z.strictObject({
      items: z.array(
        z
          .strictObject({
            export: z.string().meta({ description: 'As it was named' }),
            id: idSchema('export').nullable(),
            name: z.string().nullable(),
            schedule: scheduleSchema.nullable(),
            nextAt: timeSchema.nullable(),
            problem,
          })
          .meta({ id: 'RescheduledExport' }),
      ),
    }),
    idempotent: true,
  }),
  runMany: endpoint({
    method: 'POST',
    path: '/exports/runs',
    summary: 'Starts a run of each of several exports',
    permission: 'export.run',
    body: z.strictObject({ exports: several }),
    response: z.strictObject({ items: z.array(startedSchema) }),
    status: 202,
    idempotent: true,
    errors: ['not-ready'],
  }),
  runAll: endpoint({
    method: 'POST',
    path: '/exports/run-all',
    summary: 'Starts a run of every export that is active, has its schedule on, and is yours to run; 500 at a time',
    permission: 'export.run',
    body: z.strictObject({ cursor: cursorSchema.exactOptional() }),
    response: z.strictObject({
      items: z.array(startedSchema),
      next: z.string().nullable().meta({ description: 'The cursor for those that are left; null when all were asked' }),
    }),
    status: 202,
    idempotent: true,
    errors: ['not-ready'],
  }),
}
