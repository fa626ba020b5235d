import { z } from 'zod'
import { endpoint } from './endpoint.ts'
import { idSchema, referenceSchema, timeSchema } from './scalars.ts'

const accountSchema = z.strictObject({ id: z.string(), name: z.string() }).meta({ id: 'ServiceAccount' })
const exportsSchema = z
  .array(z.strictObject({ id: idSchema('export'), name: z.string() }))
  .meta({ description: 'The exports that stop when nobody signs in again' })

const params = z.strictObject({ connection: referenceSchema })

export const serviceSignInSchema = z
  .strictObject({
    state: z.enum(['not-used', 'nobody', 'signed-in', 'sign-in-again']),
    reason: z.string().nullable().meta({ description: 'Why somebody has to sign in again' }),
    account: accountSchema.nullable().meta({ description: 'Who consented at the service' }),
    signedInAt: timeSchema.nullable(),
    signedInBy: z.string().nullable(),
    expiresAt: timeSchema
      .nullable()
      .meta({ description: 'When somebody has to sign in again, where the service says it' }),
    exportsAtRisk: exportsSchema,
    attempt: z
      .strictObject({
        id: idSchema('attempt'),
        step: z.enum(['started', 'answered', 'exchanging', 'exchanged', 'failed']),
        reason: z.string().nullable(),
        expiresAt: timeSchema,
      })
      .nullable()
      .meta({ description: 'Your own try that goes on. `answered`: finish it' }),
  })
  .meta({ id: 'ServiceSignIn' })
export type ServiceSignIn = z.infer<typeof serviceSignInSchema>

/** Signing a connection in to its service as somebody (OAuth 2.0). */
export const serviceSignIns = {
  atRisk: endpoint({
    method: 'GET',
    path: '/sign-ins-at-risk',
    summary: 'Lists the connections that somebody has to sign in again, now or soon',
    permission: 'connection.read',
    query: z.strictObject({ days: z.coerce.number().int().min(1).max(365).default(14) }),
    response: z.strictObject({
      items: z.array(
        z.strictObject({
          connection: z.strictObject({ id: idSchema('connection'), name: z.string() }),
          state: z.enum(['signed-in', 'sign-in-again']),
          reason: z.string().nullable(),
          account: accountSchema,
          expiresAt: timeSchema.nullable(),
          exportsAtRisk: exportsSchema,
        }),
      ),
    }),
  }),
  show: endpoint({
    method: 'GET',
    path: '/connections/{connection}/sign-in',
    summary: 'Says who consented at the service, and until when',
    permission: 'connection.read',
    params,
    response: serviceSignInSchema,
    errors: ['not-found'],
  }),
  start: endpoint({
    method: 'POST',
    path: '/connections/{connection}/sign-in',
    summary: 'Begins to sign in at the service: open the address in a browser, then finish',
    permission: 'connection.write',
    params,
    response: z.strictObject({ id: idSchema('attempt'), address: z.url(), expiresAt: timeSchema }),
    status: 201,
    errors: ['not-found', 'not-ready'],
  }),
  finish: endpoint({
    method: 'POST',
    path: '/connections/{connection}/sign-in/finish',
    summary: 'Takes what the service answered. Only for whoever started it; another account than before asks first',
    permission: 'connection.write',
    params,
    body: z.strictObject({
      attempt: idSchema('attempt'),
      takeAccount: z
        .string()
        .min(1)
        .max(500)
        .exactOptional()
        .meta({ description: 'The id of another account than before, to take it: a conflict names both' }),
    }),
    response: serviceSignInSchema,
    errors: ['not-found', 'conflict', 'not-ready', 'unavailable'],
  }),
  forget: endpoint({
    method: 'DELETE',
    path: '/connections/{connection}/sign-in',
    summary: 'Forgets the tokens: runs over the connection fail until somebody signs in again',
    permission: 'connection.write',
    params,
    errors: ['not-found'],
  }),
}
