import { z } from 'zod'
import { modeSchema } from './connectors.ts'
import { endpoint } from './endpoint.ts'
import { exportAids } from './export-aids.ts'
import { exportMany } from './export-many.ts'
import { RUN_STATUSES, runSchema, STARTED_BY } from './runs.ts'
import {
  countSchema,
  fieldNameSchema,
  idSchema,
  keySchema,
  nameSchema,
  pageOf,
  pageQuery,
  referenceSchema,
  revisionSchema,
  searchSchema,
  sortSchema,
  tableNameSchema,
  timeSchema,
  valuesSchema,
} from './scalars.ts'
import { scheduleSchema } from './schedule.ts'

export const mappedFieldSchema = z
  .strictObject({
    to: fieldNameSchema,
    from: fieldNameSchema,
    transforms: z
      .array(z.enum(['trim', 'lowercase', 'digits', 'hash']))
      .max(4)
      .default([]),
    identifier: z.boolean().default(false),
  })
  .meta({ id: 'MappedField' })

export const sourceSchema = z
  .discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('segment'),
      segments: z.array(nameSchema).max(100).meta({ description: 'Names; none means every row of the profile table' }),
      fields: z.array(mappedFieldSchema).min(1).max(1000),
    }),
    z.strictObject({
      kind: z.literal('data-out'),
      tables: z
        .array(
          z.strictObject({
            table: tableNameSchema,
            to: tableNameSchema.exactOptional(),
            fields: z.array(mappedFieldSchema).min(1).max(1000).exactOptional(),
          }),
        )
        .min(1)
        .max(200),
    }),
  ])
  .meta({ id: 'ExportSource' })

export const formatSchema = z
  .strictObject({
    type: z.enum(['csv', 'parquet', 'json-lines']).default('csv'),
    gzip: z.boolean().default(false),
    delimiter: z.enum([',', ';', '\t', '|']).default(','),
    header: z.boolean().default(true),
    neutraliseFormulas: z.boolean().default(true),
  })
  .meta({ id: 'FileFormat' })

export const guardSchema = z
  .strictObject({
    removedShareMax: z.number().min(0).max(1).default(0.2),
    removedRowsMin: z.int().min(0).default(100),
    allowEmptySource: z.boolean().default(false),
  })
  .meta({ id: 'GuardLimits' })

export const mergeSchema = z
  .discriminatedUnion('by', [
    z.strictObject({ by: z.literal('smallest-key') }),
    z.strictObject({ by: z.literal('newest'), field: fieldNameSchema }),
  ])
  .meta({ id: 'MergeRule' })

/** The newest run that delivers, whatever started it. */
const lastRunSchema = z
  .strictObject({
    id: idSchema('run'),
    status: z.enum(RUN_STATUSES),
    startedBy: z.enum(STARTED_BY),
    actor: z.string(),
    createdAt: timeSchema,
    finishedAt: timeSchema.nullable(),
    delivered: countSchema,
    rejected: countSchema,
  })
  .meta({ id: 'LastRun' })

/** What a row of the list of exports and an export itself both say of its connection, its runs and the reader's rights. */
const use = {
  connectionName: z.string().nullable().meta({ description: 'Null when detached: "No connection"' }),
  kind: z.enum(['segment', 'data-out']),
  lastRun: lastRunSchema.nullable(),
  yourPermissions: z.enum(['edit', 'view']).meta({ description: 'What whoever asks may do with it' }),
}

export const EXPORT_SORTS = [
  'name',
  'connector',
  'connection',
  'kind',
  'status',
  'lastRun',
  'delivered',
  'rejected',
  'nextRun',
  'created',
  'updated',
  'updatedBy',
] as const

export const listedExportSchema = z
  .strictObject({
    id: idSchema('export'),
    name: z.string(),
    connectionId: idSchema('connection').nullable(),
    connectorId: z.string(),
    destinationType: z.string(),
    mode: modeSchema,
    ...use,
    schedule: scheduleSchema.nullable(),
    nextAt: timeSchema.nullable().meta({ description: 'Null while it does not start by the clock' }),
    pausedReason: z.string().nullable().meta({ description: 'Why the schedule stopped by itself' }),
    createdAt: timeSchema,
    createdBy: z.string(),
    updatedAt: timeSchema,
    updatedBy: z.string(),
    revision: revisionSchema,
  })
  .meta({ id: 'ListedExport' })
export type ListedExport = z.infer<typeof listedExportSchema>

export const exportSchema = z
  .strictObject({
    id: idSchema('export'),
    name: z.string(),
    connectionId: idSchema('connection')
      .nullable()
      .meta({ description: 'Null when detached: it keeps everything and does not run' }),
    connectorId: z.string(),
    ...use,
    destinationType: z.string(),
    destination: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
    mode: modeSchema,
    source: sourceSchema,
    merge: mergeSchema,
    format: formatSchema,
    guard: guardSchema,
    schedule: scheduleSchema.nullable(),
    createdAt: timeSchema,
    createdBy: z.string(),
    updatedAt: timeSchema,
    updatedBy: z.string(),
    nextAt: timeSchema.nullable().meta({ description: 'Null while it does not start by the clock' }),
    pausedReason: z.string().nullable().meta({ description: 'Why the schedule stopped by itself' }),
    revision: revisionSchema,
  })
  .meta({ id: 'Export' })
export type Export = z.infer<typeof exportSchema>

/** What a person chooses of an export. */
const chosen = {
  name: nameSchema,
  connection: referenceSchema.meta({ description: 'Id or name of a connection' }),
  destinationType: keySchema.meta({ description: 'One of the connector; may be absent where it has only one' }),
  destination: valuesSchema,
  mode: modeSchema,
  source: sourceSchema,
  merge: mergeSchema,
  format: formatSchema,
  guard: guardSchema,
}

const params = z.strictObject({ export: referenceSchema })
const started = { response: runSchema, status: 202, idempotent: true } as const

export const exports = {
  ...exportAids,
  ...exportMany,
  list: endpoint({
    method: 'GET',
    path: '/exports',
    summary: 'Lists the exports',
    permission: 'export.read',
    query: z.strictObject({
      ...pageQuery,
      sort: sortSchema(EXPORT_SORTS, 'name'),
      search: searchSchema
        .exactOptional()
        .meta({ description: 'Anywhere in the name of the export or its connection, or in the connector' }),
      connection: referenceSchema.exactOptional(),
      connector: keySchema.exactOptional(),
      kind: z.enum(['segment', 'data-out']).exactOptional(),
      status: z
        .enum([...RUN_STATUSES, 'never'])
        .exactOptional()
        .meta({ description: 'Of the last run' }),
      schedule: z.enum(['on', 'off', 'none', 'paused']).exactOptional(),
      attached: z.enum(['yes', 'no']).exactOptional().meta({ description: 'Whether it has a connection' }),
    }),
    response: pageOf(listedExportSchema),
  }),
  add: endpoint({
    method: 'POST',
    path: '/exports',
    summary: 'Adds an export. Nothing runs',
    permission: 'export.write',
    body: z.strictObject({
      ...chosen,
      destinationType: chosen.destinationType.exactOptional(),
      destination: valuesSchema.default({}),
      merge: mergeSchema.default({ by: 'smallest-key' }),
      format: formatSchema.prefault({}),
      guard: guardSchema.prefault({}),
      schedule: scheduleSchema.nullable().default(null),
    }),
    response: exportSchema,
    status: 201,
    revision: 'given',
    idempotent: true,
    errors: ['not-found', 'conflict'],
  }),
  show: endpoint({
    method: 'GET',
    path: '/exports/{export}',
    summary: 'Shows an export',
    permission: 'export.read',
    params,
    response: exportSchema,
    revision: 'given',
    errors: ['not-found'],
  }),
  edit: endpoint({
    method: 'PATCH',
    path: '/exports/{export}',
    summary: 'Changes an export; a `connection` attaches a detached one again, null detaches it',
    permission: 'export.write',
    params,
    body: z.strictObject({
      name: chosen.name.exactOptional(),
      connection: chosen.connection.nullable().exactOptional(),
      destinationType: chosen.destinationType.exactOptional(),
      destination: chosen.destination.exactOptional(),
      mode: chosen.mode.exactOptional(),
      source: chosen.source.exactOptional(),
      merge: chosen.merge.exactOptional(),
      format: chosen.format.exactOptional(),
      guard: chosen.guard.exactOptional(),
    }),
    response: exportSchema,
    revision: 'required',
    errors: ['not-found', 'conflict'],
  }),
  remove: endpoint({
    method: 'DELETE',
    path: '/exports/{export}',
    summary: 'Removes an export, with its ledger and its runs. What was delivered stays where it is',
    permission: 'export.write',
    params,
    errors: ['not-found', 'conflict'],
  }),
  duplicate: endpoint({
    method: 'POST',
    path: '/exports/{export}/duplicate',
    summary: 'Adds an export like this one, with a schedule that is off and nothing delivered yet',
    permission: 'export.write',
    params,
    body: z.strictObject({ name: nameSchema }),
    response: exportSchema,
    status: 201,
    idempotent: true,
    errors: ['not-found', 'conflict'],
  }),
  detach: endpoint({
    method: 'POST',
    path: '/exports/{export}/detach',
    summary: 'Takes the connection away: the export keeps everything and does not run',
    permission: 'export.write',
    params,
    response: exportSchema,
    errors: ['not-found'],
  }),
  attach: endpoint({
    method: 'POST',
    path: '/exports/{export}/attach',
    summary: 'Gives the export a connection of the same connector: it is active again, with all it had',
    permission: 'export.write',
    params,
    body: z.strictObject({ connection: chosen.connection }),
    response: exportSchema,
    errors: ['not-found', 'conflict'],
  }),
  preview: endpoint({
    method: 'POST',
    path: '/exports/{export}/preview',
    summary: 'Starts a run that finds out what would be sent, and sends nothing',
    permission: 'export.run',
    params,
    ...started,
    errors: ['not-found', 'not-ready', 'conflict'],
  }),
  run: endpoint({
    method: 'POST',
    path: '/exports/{export}/run',
    summary: 'Starts a run',
    permission: 'export.run',
    params,
    ...started,
    errors: ['not-found', 'not-ready', 'conflict'],
  }),
  schedule: endpoint({
    method: 'PUT',
    path: '/exports/{export}/schedule',
    summary: 'Sets, changes or (with null) takes away the schedule; one that is off is kept',
    permission: 'export.write',
    params,
    body: z.strictObject({ schedule: scheduleSchema.nullable() }),
    response: exportSchema,
    revision: 'required',
    errors: ['not-found', 'conflict'],
  }),
  slots: endpoint({
    method: 'GET',
    path: '/exports/{export}/slots',
    summary: 'Says when the export runs next',
    permission: 'export.read',
    params,
    query: z.strictObject({ count: z.coerce.number().int().min(1).max(50).default(5) }),
    response: z.strictObject({ slots: z.array(timeSchema) }),
    errors: ['not-found'],
  }),
}
