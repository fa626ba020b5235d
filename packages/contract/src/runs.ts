import { z } from 'zod'
import { endpoint } from './endpoint.ts'
import {
  countSchema,
  idSchema,
  pageOf,
  pageQuery,
  referenceSchema,
  searchSchema,
  sortSchema,
  timeSchema,
} from './scalars.ts'

export const RUN_STATUSES = [
  'queued',
  'running',
  'held',
  'successful',
  'completed-with-rejects',
  'failed-retrying',
  'failed',
  'canceled',
  'skipped',
] as const
/** What made it start: somebody, the clock, new rows of a table, or a retry of rows. */
export const STARTED_BY = ['person', 'schedule', 'refresh', 'retry'] as const
export type RunStatus = (typeof RUN_STATUSES)[number]

export const COUNT_NAMES = [
  'read',
  'unchanged',
  'merged',
  'suppressed',
  'uncertainBefore',
  'added',
  'changed',
  'removed',
  'accepted',
  'rejected',
  'uncertain',
  'unsent',
] as const

export const runCountsSchema = z
  .strictObject({
    read: countSchema,
    unchanged: countSchema,
    merged: countSchema,
    suppressed: countSchema,
    uncertainBefore: countSchema,
    added: countSchema,
    changed: countSchema,
    removed: countSchema,
    accepted: countSchema,
    rejected: countSchema,
    uncertain: countSchema,
    unsent: countSchema,
  })
  .meta({ id: 'RunCounts' })

export const runSchema = z
  .strictObject({
    id: idSchema('run'),
    exportId: idSchema('export'),
    exportName: z.string(),
    purpose: z.enum(['deliver', 'preview']),
    status: z.enum(RUN_STATUSES),
    stage: z.enum(['plan', 'select', 'diff', 'guard', 'deliver', 'settle']).nullable(),
    stages: z.array(
      z.strictObject({
        stage: z.string(),
        at: timeSchema,
        seconds: z.number().min(0).nullable().meta({ description: 'Null while it goes on' }),
      }),
    ),
    progress: z
      .strictObject({
        done: countSchema,
        due: countSchema,
        perSecond: z.number().min(0).meta({ description: 'Rows answered a second, over the last minute' }),
        secondsLeft: z.number().min(0).nullable().meta({ description: 'Null while nothing can be said' }),
      })
      .nullable()
      .meta({ description: 'Of a run that delivers just now' }),
    startedBy: z.enum(STARTED_BY),
    actor: z.string(),
    counts: runCountsSchema,
    reason: z.string().nullable(),
    outboxDigest: z.string().nullable().meta({ description: 'What an approval of a held run must name' }),
    late: z.boolean(),
    slot: timeSchema.nullable(),
    attempts: countSchema.meta({ description: 'Failures so far that were worth another try' }),
    dueAt: timeSchema,
    cancelRequestedAt: timeSchema.nullable(),
    approvedBy: z.string().nullable(),
    approvedAt: timeSchema.nullable(),
    retryOf: idSchema('run').nullable(),
    createdAt: timeSchema,
    startedAt: timeSchema.nullable(),
    finishedAt: timeSchema.nullable(),
  })
  .meta({ id: 'Run' })
export type Run = z.infer<typeof runSchema>

export const ROW_LISTS = ['rejected', 'uncertain', 'merged', 'suppressed'] as const

const runRowSchema = z
  .strictObject({
    source: z.string(),
    key: z.string(),
    change: z.string().nullable().meta({ description: 'added, changed or removed' }),
    reason: z.string(),
    message: z.string().nullable().meta({ description: "The service's own words" }),
    standsFor: z
      .string()
      .nullable()
      .meta({ description: 'Of a merged row, the key of the row that was sent in its place' }),
  })
  .meta({ id: 'RunRow' })

const params = z.strictObject({ run: idSchema('run') })

export const runs = {
  list: endpoint({
    method: 'GET',
    path: '/runs',
    summary: 'Lists the runs, the newest first',
    permission: 'run.read',
    query: z.strictObject({
      ...pageQuery,
      sort: sortSchema(['created'], '-created'),
      search: searchSchema.exactOptional().meta({ description: 'Anywhere in the name of the export' }),
      export: referenceSchema.exactOptional(),
      status: z.enum(RUN_STATUSES).exactOptional(),
      startedBy: z.enum(STARTED_BY).exactOptional(),
      purpose: z.enum(['deliver', 'preview']).exactOptional(),
      since: timeSchema.exactOptional(),
      until: timeSchema.exactOptional(),
    }),
    response: pageOf(runSchema),
  }),
  show: endpoint({
    method: 'GET',
    path: '/runs/{run}',
    summary: 'Shows a run',
    permission: 'run.read',
    params,
    response: runSchema,
    errors: ['not-found'],
  }),
  rows: endpoint({
    method: 'GET',
    path: '/runs/{run}/rows',
    summary: 'Reads the rows of a run that were not delivered, with the reason of each',
    permission: 'row.read',
    params,
    query: z.strictObject({ ...pageQuery, which: z.enum(ROW_LISTS).default('rejected') }),
    response: pageOf(runRowSchema),
    errors: ['not-found', 'unavailable'],
  }),
  rowsCsv: endpoint({
    method: 'GET',
    path: '/runs/{run}/rows.csv',
    summary: 'Downloads these rows as CSV, in which no cell is a formula',
    permission: 'row.read',
    params,
    query: z.strictObject({ which: z.enum(ROW_LISTS).default('rejected') }),
    response: 'stream',
    media: 'text/csv',
    errors: ['not-found', 'unavailable'],
  }),
  rowsJsonLines: endpoint({
    method: 'GET',
    path: '/runs/{run}/rows.jsonl',
    summary: 'Downloads these rows as JSON lines',
    permission: 'row.read',
    params,
    query: z.strictObject({ which: z.enum(ROW_LISTS).default('rejected') }),
    response: 'stream',
    media: 'application/x-ndjson',
    errors: ['not-found', 'unavailable'],
  }),
  causes: endpoint({
    method: 'GET',
    path: '/runs/{run}/causes',
    summary: 'Says why rows were not delivered, the commonest cause first, in the words of the service',
    permission: 'row.read',
    params,
    query: z.strictObject({ which: z.enum(ROW_LISTS).default('rejected') }),
    response: z.strictObject({
      items: z.array(
        z
          .strictObject({
            reason: z.string(),
            message: z.string().nullable().meta({ description: "The service's own words" }),
            rows: countSchema,
          })
          .meta({ id: 'RunCause' }),
      ),
      isMore: z.boolean().meta({ description: 'There are rarer causes that are not shown' }),
    }),
    errors: ['not-found', 'unavailable'],
  }),
  comparison: endpoint({
    method: 'GET',
    path: '/runs/{run}/comparison',
    summary: 'Compares a run with the one before it of the same export and purpose',
    permission: 'run.read',
    params,
    response: z.strictObject({
      before: runSchema.nullable().meta({ description: 'Null for the first run' }),
      change: z
        .record(z.enum(COUNT_NAMES), z.int())
        .nullable()
        .meta({ description: 'How much each count is higher or lower than before' }),
      secondsMore: z.number().nullable().meta({ description: 'How much longer it took; null where one is not over' }),
    }),
    errors: ['not-found'],
  }),
  events: endpoint({
    method: 'GET',
    path: '/runs/{run}/events',
    summary:
      'Follows a run: an event "run" with the run as /runs/{run} shows it at each change, and "end" when it is over, held, or no longer yours to see',
    permission: 'run.read',
    params,
    response: 'stream',
    media: 'text/event-stream',
    errors: ['not-found'],
  }),
  sample: endpoint({
    method: 'GET',
    path: '/runs/{run}/sample',
    summary: 'Reads the first rows of the outbox as they would be sent',
    permission: 'row.read',
    params,
    query: z.strictObject({ limit: z.coerce.number().int().min(1).max(100).default(20) }),
    response: z.strictObject({
      items: z.array(z.strictObject({ source: z.string(), row: z.record(z.string(), z.unknown()) })),
    }),
    errors: ['not-found', 'not-ready', 'unavailable'],
  }),
  cancel: endpoint({
    method: 'POST',
    path: '/runs/{run}/cancel',
    summary: 'Asks a run to stop; it does after at most one batch',
    permission: 'export.run',
    params,
    response: runSchema,
    status: 202,
    errors: ['not-found', 'conflict'],
  }),
  approve: endpoint({
    method: 'POST',
    path: '/runs/{run}/approve',
    summary: 'Lets a held run go on with exactly the outbox that was looked at',
    permission: 'export.run',
    params,
    body: z.strictObject({ outboxDigest: z.string().min(1).max(200) }),
    response: runSchema,
    status: 202,
    errors: ['not-found', 'conflict'],
  }),
  retry: endpoint({
    method: 'POST',
    path: '/runs/{run}/retry',
    summary: 'Starts a run of only the rows that this run could not deliver',
    permission: 'export.run',
    params,
    body: z.strictObject({ include: z.enum(['rejected', 'rejected-and-uncertain']).default('rejected') }),
    response: runSchema,
    status: 202,
    idempotent: true,
    errors: ['not-found', 'conflict', 'not-ready'],
  }),
}
