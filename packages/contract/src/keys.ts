import { z } from 'zod'
import { endpoint } from './endpoint.ts'
import { ROLES } from './roles.ts'
import { idSchema, nameSchema, timeSchema } from './scalars.ts'

export const apiKeySchema = z
  .strictObject({
    id: idSchema('key'),
    name: z.string(),
    role: z.enum(ROLES),
    createdAt: timeSchema,
    expiresAt: timeSchema.nullable(),
    lastUsedAt: timeSchema.nullable(),
  })
  .meta({ id: 'ApiKey', description: 'An API key without the key itself, of which only a hash is kept' })
export type ApiKey = z.infer<typeof apiKeySchema>

export const keys = {
  list: endpoint({
    method: 'GET',
    path: '/keys',
    summary: 'Lists the API keys',
    permission: 'key.read',
    response: z.strictObject({ items: z.array(apiKeySchema) }),
  }),
  add: endpoint({
    method: 'POST',
    path: '/keys',
    summary: 'Makes an API key. It is shown in this answer and never again',
    permission: 'key.write',
    body: z.strictObject({
      name: nameSchema,
      role: z.enum(ROLES),
      expiresInDays: z.int().min(1).max(3650).nullable().default(365),
    }),
    response: z.strictObject({ apiKey: apiKeySchema, key: z.string() }),
    status: 201,
    errors: ['conflict'],
  }),
  remove: endpoint({
    method: 'DELETE',
    path: '/keys/{key}',
    summary: 'Removes an API key; the next request with it is refused',
    permission: 'key.write',
    params: z.strictObject({ key: idSchema('key') }),
    errors: ['not-found'],
  }),
}
