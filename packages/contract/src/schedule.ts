import { z } from 'zod'

const daySchema = z.enum(['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'])
const clockSchema = z.string().regex(/^(?:[01]\d|2[0-3]):[0-5]\d$/, 'A time of day as HH:MM')
const daysSchema = z.array(daySchema).max(7)

export const scheduleSchema = z
  .strictObject({
    on: z.boolean(),
    timeZone: z.string().min(1).max(64).meta({ description: 'IANA name, as Europe/Vienna' }),
    every: z.discriminatedUnion('type', [
      z.strictObject({ type: z.literal('minutes'), minutes: z.int().min(1).max(1440) }),
      z.strictObject({ type: z.literal('hourly'), minute: z.int().min(0).max(59) }),
      z.strictObject({ type: z.literal('daily'), at: clockSchema }),
      z.strictObject({ type: z.literal('weekly'), days: daysSchema.min(1), at: clockSchema }),
      z.strictObject({
        type: z.literal('monthly'),
        day: z.union([z.int().min(1).max(31), z.literal('last')]),
        at: clockSchema,
      }),
      z.strictObject({ type: z.literal('cron'), cron: z.string().min(9).max(200) }),
      z.strictObject({ type: z.literal('after-refresh') }),
    ]),
    blackout: z
      .array(z.strictObject({ days: daysSchema, from: clockSchema, to: clockSchema }))
      .max(50)
      .default([]),
  })
  .meta({ id: 'Schedule' })
export type Schedule = z.infer<typeof scheduleSchema>
