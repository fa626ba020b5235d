import { z } from 'zod'
import { endpoint } from './endpoint.ts'
import { ruleInput, ruleSchema } from './rule.ts'
import {
  cellSchema,
  countSchema,
  idSchema,
  nameSchema,
  pageOf,
  pageQuery,
  referenceSchema,
  revisionSchema,
  searchSchema,
  sortSchema,
  timeSchema,
} from './scalars.ts'

export const segmentSchema = z
  .strictObject({
    id: idSchema('segment'),
    name: z.string(),
    rule: ruleSchema,
    createdAt: timeSchema,
    updatedAt: timeSchema,
    revision: revisionSchema,
  })
  .meta({ id: 'Segment' })
export type Segment = z.infer<typeof segmentSchema>

const params = z.strictObject({ segment: referenceSchema })
const countedSchema = z.strictObject({
  members: countSchema,
  of: countSchema.meta({ description: 'Rows of the profile table' }),
})

export const segments = {
  list: endpoint({
    method: 'GET',
    path: '/segments',
    summary: 'Lists the segments',
    permission: 'segment.read',
    query: z.strictObject({
      ...pageQuery,
      sort: sortSchema(['name', 'created', 'updated'], 'name'),
      search: searchSchema.exactOptional(),
    }),
    response: pageOf(segmentSchema),
  }),
  add: endpoint({
    method: 'POST',
    path: '/segments',
    summary: 'Adds a segment',
    permission: 'segment.write',
    body: z.strictObject({ name: nameSchema, rule: ruleInput }),
    response: segmentSchema,
    status: 201,
    revision: 'given',
    idempotent: true,
    errors: ['conflict', 'not-ready'],
  }),
  show: endpoint({
    method: 'GET',
    path: '/segments/{segment}',
    summary: 'Shows a segment',
    permission: 'segment.read',
    params,
    response: segmentSchema,
    revision: 'given',
    errors: ['not-found'],
  }),
  edit: endpoint({
    method: 'PATCH',
    path: '/segments/{segment}',
    summary: 'Changes the name or the rule of a segment',
    permission: 'segment.write',
    params,
    body: z.strictObject({ name: nameSchema.exactOptional(), rule: ruleInput.exactOptional() }),
    response: segmentSchema,
    revision: 'required',
    errors: ['not-found', 'conflict', 'not-ready'],
  }),
  remove: endpoint({
    method: 'DELETE',
    path: '/segments/{segment}',
    summary: 'Removes a segment that no other segment and no export uses',
    permission: 'segment.write',
    params,
    errors: ['not-found', 'conflict'],
  }),
  countDraft: endpoint({
    method: 'POST',
    path: '/segments/count',
    summary: 'Counts the members of a rule that is not saved',
    permission: 'segment.write',
    body: z.strictObject({ rule: ruleInput }),
    response: countedSchema,
    errors: ['not-ready', 'unavailable'],
  }),
  count: endpoint({
    method: 'GET',
    path: '/segments/{segment}/count',
    summary: 'Counts the members of a segment, now',
    permission: 'segment.read',
    params,
    response: countedSchema,
    errors: ['not-found', 'not-ready', 'unavailable'],
  }),
  members: endpoint({
    method: 'GET',
    path: '/segments/{segment}/members',
    summary: 'Reads the first members of a segment, in the order of their key',
    permission: 'row.read',
    params,
    query: z.strictObject({ limit: z.coerce.number().int().min(1).max(100).default(100) }),
    response: z.strictObject({ fields: z.array(z.string()), items: z.array(z.array(cellSchema)) }),
    errors: ['not-found', 'not-ready', 'unavailable'],
  }),
}
