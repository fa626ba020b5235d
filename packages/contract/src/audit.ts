import { z } from 'zod'
import { endpoint } from './endpoint.ts'
import { countSchema, pageOf, pageQuery, timeSchema } from './scalars.ts'

export const auditEventSchema = z
  .strictObject({
    seq: countSchema,
    at: timeSchema,
    actor: z.string(),
    action: z.string(),
    subject: z.string().meta({ description: 'Id of what it is about' }),
    detail: z.record(z.string(), z.unknown()),
    prevHash: z.string(),
    hash: z.string(),
  })
  .meta({ id: 'AuditEvent' })

export const audit = {
  list: endpoint({
    method: 'GET',
    path: '/audit',
    summary: 'Reads the audit log, the newest first',
    permission: 'audit.read',
    query: z.strictObject({ ...pageQuery, subject: z.string().max(100).exactOptional() }),
    response: pageOf(auditEventSchema),
  }),
  verify: endpoint({
    method: 'GET',
    path: '/audit/verify',
    summary: 'Checks the chain of the whole log',
    permission: 'audit.read',
    response: z.strictObject({
      ok: z.boolean(),
      events: countSchema,
      head: z
        .string()
        .nullable()
        .meta({ description: 'Keep it somewhere else: it proves later that nothing was cut off' }),
      brokenAt: countSchema.nullable().meta({ description: 'The first event that is not what was written' }),
      what: z.enum(['edited', 'missing', 'cut off', 'rewritten']).nullable(),
    }),
  }),
}
