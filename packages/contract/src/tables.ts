import { z } from 'zod'
import { endpoint } from './endpoint.ts'
import {
  cellSchema,
  countSchema,
  fieldNameSchema,
  idSchema,
  pageOf,
  pageQuery,
  referenceSchema,
  revisionSchema,
  searchSchema,
  sortSchema,
  tableNameSchema,
  timeSchema,
} from './scalars.ts'

export const FIELD_TYPES = ['text', 'integer', 'decimal', 'boolean', 'date', 'timestamp'] as const
export const FIELD_TAGS = ['personal', 'sensitive', 'identifier'] as const
export const fieldTypeSchema = z.enum(FIELD_TYPES)
const tagsSchema = z.array(z.enum(FIELD_TAGS)).max(3)
const labelSchema = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[^\p{Cc}]+$/u, 'A label has no control characters')

export const tableFieldSchema = z
  .strictObject({ name: z.string(), label: z.string(), type: fieldTypeSchema, tags: tagsSchema })
  .meta({ id: 'TableField' })
export type TableField = z.infer<typeof tableFieldSchema>

export const tableSchema = z
  .strictObject({
    id: idSchema('table'),
    name: z.string(),
    isProfile: z.boolean().meta({ description: 'The one table with a row per customer, which segments pick from' }),
    key: z.string().meta({ description: 'The field that identifies a row' }),
    fields: z.array(tableFieldSchema),
    currentVersion: countSchema,
    rows: countSchema,
    createdAt: timeSchema,
    updatedAt: timeSchema,
    revision: revisionSchema,
  })
  .meta({ id: 'Table' })
export type Table = z.infer<typeof tableSchema>

export const tableVersionSchema = z
  .strictObject({
    version: countSchema,
    fields: z.array(tableFieldSchema),
    rows: countSchema,
    sizeBytes: countSchema,
    badLines: countSchema,
    createdAt: timeSchema,
    isCurrent: z.boolean(),
  })
  .meta({ id: 'TableVersion' })

/** How the bytes are to be read; what is absent is found out. */
const readSchema = z
  .strictObject({
    format: z.enum(['csv', 'parquet', 'json-lines']).exactOptional(),
    delimiter: z.string().length(1).exactOptional(),
    quote: z.enum(['"', "'", '']).exactOptional(),
    encoding: z.string().min(1).max(40).exactOptional(),
    header: z.boolean().exactOptional(),
    dateOrder: z.enum(['day-first', 'month-first']).exactOptional().meta({ description: 'What 03/04/2026 means' }),
  })
  .meta({ id: 'ReadOptions', description: 'How to read the bytes. What is absent is found out from them' })

const typesSchema = z.record(fieldNameSchema, fieldTypeSchema)

const importSchema = {
  uploads: z.array(idSchema('upload')).min(1).max(1000).meta({ description: 'Files of one table, in order' }),
  read: readSchema.default({}),
  types: typesSchema.default({}).meta({ description: 'Types that are not to be inferred, by field name' }),
  badLinesMax: z
    .int()
    .min(0)
    .max(1_000_000)
    .default(0)
    .meta({ description: 'More bad lines than this refuse the file' }),
}

export const badLineSchema = z
  .strictObject({ file: z.string(), line: countSchema, field: z.string().nullable(), reason: z.string() })
  .meta({ id: 'BadLine', description: 'A line that was left out. Its text is not shown: it may be personal' })

export const importedSchema = z.strictObject({
  table: tableSchema,
  version: tableVersionSchema,
  badLines: z.array(badLineSchema).meta({ description: 'The first of them' }),
  notes: z.array(z.string()).meta({ description: 'What is read in a way that may surprise' }),
  change: z
    .strictObject({
      added: z.array(z.string()),
      removed: z.array(z.string()),
      retyped: z.array(z.strictObject({ field: z.string(), from: fieldTypeSchema, to: fieldTypeSchema })),
    })
    .meta({ description: 'How the fields differ from the version before' }),
})
export type Imported = z.infer<typeof importedSchema>

const inspectionSchema = z
  .strictObject({
    format: z.enum(['csv', 'parquet', 'json-lines']),
    delimiter: z.string().nullable(),
    header: z.boolean().nullable(),
    encoding: z.string().nullable(),
    fields: z.array(
      z.strictObject({ name: z.string(), type: fieldTypeSchema, isKeyCandidate: z.boolean().nullable() }),
    ),
    suggestedKey: z.string().nullable(),
    notes: z.array(z.string()),
    badLines: z.array(badLineSchema).meta({ description: 'In the part that was looked at' }),
    sample: z.array(z.array(cellSchema)).meta({ description: 'The first rows, in the order of `fields`' }),
  })
  .meta({ id: 'Inspection' })
export type Inspection = z.infer<typeof inspectionSchema>

export const rowsSchema = z.strictObject({
  fields: z.array(z.string()),
  items: z.array(z.array(cellSchema)).meta({ description: 'Rows, in the order of `fields`' }),
  next: z.string().nullable(),
})

const columnProfileSchema = z
  .strictObject({
    name: z.string(),
    type: fieldTypeSchema,
    rows: countSchema,
    empty: countSchema,
    distinct: countSchema.meta({ description: 'Estimated' }),
    smallest: cellSchema,
    largest: cellSchema,
    common: z.array(z.strictObject({ value: cellSchema, rows: countSchema })),
  })
  .meta({ id: 'ColumnProfile' })

const params = z.strictObject({ table: referenceSchema })

export const tables = {
  list: endpoint({
    method: 'GET',
    path: '/tables',
    summary: 'Lists the tables',
    permission: 'table.read',
    query: z.strictObject({
      ...pageQuery,
      sort: sortSchema(['name', 'created', 'updated'], 'name'),
      search: searchSchema.exactOptional(),
    }),
    response: pageOf(tableSchema),
  }),
  inspect: endpoint({
    method: 'POST',
    path: '/tables/inspect',
    summary: 'Says how uploaded files would be read: format, fields, types, first rows. Changes nothing',
    permission: 'table.write',
    body: z.strictObject({ uploads: importSchema.uploads, read: readSchema.default({}) }),
    response: inspectionSchema,
    errors: ['not-found', 'unavailable'],
  }),
  import: endpoint({
    method: 'POST',
    path: '/tables',
    summary: 'Makes a table of uploaded files: all of them or nothing',
    permission: 'table.write',
    body: z.strictObject({
      ...importSchema,
      name: tableNameSchema,
      key: fieldNameSchema.meta({ description: 'The field that identifies a row: unique and never empty' }),
      isProfile: z.boolean().default(false),
      tags: z.record(fieldNameSchema, tagsSchema).default({}),
      labels: z.record(fieldNameSchema, labelSchema).default({}),
    }),
    response: importedSchema,
    status: 201,
    idempotent: true,
    errors: ['not-found', 'conflict', 'too-large', 'unavailable'],
  }),
  show: endpoint({
    method: 'GET',
    path: '/tables/{table}',
    summary: 'Shows a table',
    permission: 'table.read',
    params,
    response: tableSchema,
    revision: 'given',
    errors: ['not-found'],
  }),
  refresh: endpoint({
    method: 'POST',
    path: '/tables/{table}/versions',
    summary: 'Makes a new version of a table from uploaded files: all of them or nothing',
    permission: 'table.write',
    params,
    body: z.strictObject({
      ...importSchema,
      allowSchemaChange: z
        .boolean()
        .default(false)
        .meta({ description: 'Fields may go, or change their type: exports that use them may stop working' }),
    }),
    response: importedSchema,
    status: 201,
    idempotent: true,
    errors: ['not-found', 'conflict', 'too-large', 'unavailable'],
  }),
  edit: endpoint({
    method: 'PATCH',
    path: '/tables/{table}',
    summary: 'Changes the name, labels and tags of fields, and whether it is the profile table',
    permission: 'table.write',
    params,
    body: z.strictObject({
      name: tableNameSchema.exactOptional(),
      isProfile: z.boolean().exactOptional(),
      fields: z
        .record(
          fieldNameSchema,
          z.strictObject({ label: labelSchema.exactOptional(), tags: tagsSchema.exactOptional() }),
        )
        .exactOptional(),
    }),
    response: tableSchema,
    revision: 'required',
    errors: ['not-found', 'conflict'],
  }),
  remove: endpoint({
    method: 'DELETE',
    path: '/tables/{table}',
    summary: 'Removes a table that no segment and no export uses',
    permission: 'table.write',
    params,
    errors: ['not-found', 'conflict'],
  }),
  versions: endpoint({
    method: 'GET',
    path: '/tables/{table}/versions',
    summary: 'Lists the versions that are kept, the newest first',
    permission: 'table.read',
    params,
    response: z.strictObject({ items: z.array(tableVersionSchema) }),
    errors: ['not-found'],
  }),
  rows: endpoint({
    method: 'GET',
    path: '/tables/{table}/rows',
    summary: 'Reads rows of the current version',
    permission: 'row.read',
    params,
    query: z.strictObject(pageQuery),
    response: rowsSchema,
    errors: ['not-found', 'conflict', 'unavailable'],
  }),
  profile: endpoint({
    method: 'GET',
    path: '/tables/{table}/profile',
    summary: 'Describes the values of one field: how many are empty, distinct, smallest, largest, most common',
    permission: 'row.read',
    params,
    query: z.strictObject({ field: fieldNameSchema }),
    response: columnProfileSchema,
    errors: ['not-found', 'unavailable'],
  }),
}

export const uploadSchema = z
  .strictObject({ id: idSchema('upload'), name: z.string(), sizeBytes: countSchema, expiresAt: timeSchema })
  .meta({ id: 'Upload' })
export type Upload = z.infer<typeof uploadSchema>

export const uploads = {
  add: endpoint({
    method: 'POST',
    path: '/uploads',
    summary: 'Takes the bytes of one file, to be imported within a day',
    permission: 'table.write',
    query: z.strictObject({
      name: z
        .string()
        .min(1)
        .max(255)
        .regex(/^[^\p{Cc}/\\]+$/u, 'The name of a file, without its folder')
        .meta({ description: 'What the file is called in messages; its ending tells the format' }),
    }),
    body: 'stream',
    response: uploadSchema,
    status: 201,
    errors: ['too-large'],
  }),
  remove: endpoint({
    method: 'DELETE',
    path: '/uploads/{upload}',
    summary: 'Throws an upload away',
    permission: 'table.write',
    params: z.strictObject({ upload: idSchema('upload') }),
    errors: ['not-found'],
  }),
}
