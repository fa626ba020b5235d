import { z } from 'zod'
import { endpoint } from './endpoint.ts'
import { countSchema } from './scalars.ts'

/** What the server knows of itself; the operator's `patchbay doctor` shows it with what it finds out itself. */
export const systemSchema = z
  .strictObject({
    version: z.string(),
    node: z.string(),
    settings: z.array(
      z.strictObject({
        name: z.string(),
        value: z.string().nullable().meta({ description: 'Null where it holds a password' }),
        source: z.enum(['default', 'environment', 'file']),
        description: z.string(),
      }),
    ),
    findings: z.array(
      z.strictObject({
        subject: z.string(),
        state: z.enum(['good', 'note', 'wrong']),
        detail: z.string(),
        cure: z.string().nullable(),
      }),
    ),
    counts: z.strictObject({
      tables: countSchema,
      segments: countSchema,
      connections: countSchema,
      exports: countSchema,
      runs: countSchema,
    }),
  })
  .meta({ id: 'System' })
export type System = z.infer<typeof systemSchema>

export const system = {
  show: endpoint({
    method: 'GET',
    path: '/system',
    summary: 'Versions, settings and what stands between the program and the world',
    permission: 'system.read',
    response: systemSchema,
  }),
  backup: endpoint({
    method: 'GET',
    path: '/system/backup',
    summary: 'A sealed copy of everything but the key',
    permission: 'system.backup',
    response: 'stream',
    errors: ['unavailable'],
  }),
  confirmRestore: endpoint({
    method: 'POST',
    path: '/system/confirm-restore',
    summary: 'Lets exports run again after a backup was restored',
    permission: 'system.backup',
    errors: ['not-ready'],
  }),
}
