import { z } from 'zod'
import { dependentsSchema } from './dependents.ts'

/** The codes of the server's `Problem` and the status that each one has, and those that only HTTP knows. */
export const STATUS_OF = {
  invalid: 400,
  'not-signed-in': 401,
  'not-allowed': 403,
  'not-found': 404,
  'method-not-allowed': 405,
  conflict: 409,
  'not-ready': 409,
  'too-large': 413,
  'unsupported-media-type': 415,
  'too-many': 429,
  bug: 500,
  unavailable: 503,
} as const

export type ProblemCode = keyof typeof STATUS_OF

/** What every answer that is not a success looks like (`application/problem+json`, RFC 9457). */
export const problemSchema = z
  .strictObject({
    type: z.string().meta({ description: 'A link that is the same for all problems with this code' }),
    title: z.string(),
    status: z.int(),
    code: z.enum(Object.keys(STATUS_OF) as [ProblemCode, ...ProblemCode[]]),
    path: z.string().meta({ description: 'The place in what was sent, as rule.all[2].field; empty for the whole' }),
    detail: z.string(),
    cure: z.string().meta({ description: 'What to do about it' }),
    requestId: z.string(),
    versions: z
      .strictObject({
        current: z.record(z.string(), z.unknown()).meta({ description: 'The thing as it is now, with its revision' }),
        yours: z.record(z.string(), z.unknown()).meta({ description: 'The change as it was sent, without secrets' }),
        yourRevision: z.int().meta({ description: 'The revision that it was made from' }),
      })
      .exactOptional()
      .meta({ description: 'Of a change that was made from an older revision: both sides, to choose from' }),
    dependents: dependentsSchema
      .exactOptional()
      .meta({ description: 'Of a removal that confirmed another list: what it would touch now' }),
  })
  .meta({ id: 'Problem' })

export type ProblemAnswer = z.infer<typeof problemSchema>
