import { z } from 'zod'
import { endpoint } from './endpoint.ts'
import { countSchema, pageOf, pageQuery, sortSchema, timeSchema } from './scalars.ts'

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

const auditText = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[^\p{Cc}]+$/u, 'No control characters')
const auditFilter = {
  subject: auditText.exactOptional().meta({ description: 'Id of what it is about' }),
  actor: auditText.exactOptional(),
  action: z
    .string()
    .max(100)
    .regex(/^[a-z-]+\.(?:[a-z-]+)?$/, 'A noun, a dot and a verb, as export.edited; or all of a noun, as export.')
    .exactOptional(),
  since: timeSchema.exactOptional(),
  until: timeSchema.exactOptional(),
}

export const audit = {
  list: endpoint({
    method: 'GET',
    path: '/audit',
    summary: 'Reads the audit log',
    permission: 'audit.read',
    query: z.strictObject({ ...pageQuery, sort: sortSchema(['seq'], '-seq'), ...auditFilter }),
    response: pageOf(auditEventSchema),
  }),
  export: endpoint({
    method: 'GET',
    path: '/audit/export.jsonl',
    summary:
      'Downloads the audit log as JSON lines, the oldest first, with the hashes by which it can be checked elsewhere',
    permission: 'audit.read',
    query: z.strictObject(auditFilter),
    response: 'stream',
    media: 'application/x-ndjson',
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
