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

const keyRotationSchema = z.strictObject({
  waiting: countSchema.meta({ description: 'Secrets that are sealed under an earlier data key' }),
  unopened: countSchema.meta({ description: 'Of these, the ones that do not open: moved or changed in the database' }),
  isRunning: z.boolean(),
  isUnsettled: z.boolean().meta({ description: 'The old key file opens the store still: finish when nobody needs it' }),
})

export const system = {
  keyRotation: endpoint({
    method: 'GET',
    path: '/system/key-rotation',
    summary: 'How far the last rotation of the key is',
    permission: 'system.key',
    response: keyRotationSchema,
  }),
  rotateKey: endpoint({
    method: 'POST',
    path: '/system/key-rotation',
    summary: 'Makes a new key file and seals every secret anew, while the server goes on',
    permission: 'system.key',
    response: keyRotationSchema.extend({ oldKeyFile: z.string() }),
    errors: ['conflict', 'not-ready'],
  }),
  finishKeyRotation: endpoint({
    method: 'POST',
    path: '/system/key-rotation/finish',
    summary: 'The old key file opens nothing any more: every machine must have the new one',
    permission: 'system.key',
    response: keyRotationSchema,
    errors: ['not-ready'],
  }),
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
